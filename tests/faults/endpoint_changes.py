"""Workflows of those who change what instances run, and what autoscaling may do: forth, back, and rolled back."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from local.sagemaker.resources import Status
from tests.faults.endpoints import (
    ASYNC,
    OF_REMOVAL,
    PATIENT,
    QUICK,
    REALTIME,
    SWEPT,
    Begin,
    all_so,
    endpoint_of,
    hosted,
    instances,
    is_quiet,
    of,
    on,
    parked,
    recorded,
    wake,
    watch,
)
from tests.faults.stack import Stack
from tests.faults.workflows import NAME, Visit, deploy, insist, is_gone, serves, tear_down

ANOTHER = {"container": {"environment": {"SERVING_LOG_LEVEL": "debug"}, **PATIENT}}
UNHEALTHY = {"container": {"environment": {"SERVING_LOG_LEVEL": "warn"}, **PATIENT}}
A_THIRD = {"container": {"environment": {"SERVING_LOG_LEVEL": "trace"}, **PATIENT}}
WIDER = {"scaling": {"min": 1, "max": 2}}
COMPONENTS = {"scaling": {"components": True, "max": 1}}
UPDATED_WITHIN_SECONDS = 2400.0
UPDATING_SECONDS = 40.0  # within an update
OF_UPDATES = ("start_update", "await_endpoint", "note_endpoint", "finish_update", "mark_update_failed")


def _change(stack: Stack, visit: Visit, wanted: dict[str, Any]) -> None:
    """Ask for other settings, and wait until nothing of it is under way."""
    insist(stack, visit, "PATCH", "/deployments/{name}", wanted, name=NAME)
    watch(stack, lambda: is_quiet(stack) and not recorded(stack).get("update"), UPDATED_WITHIN_SECONDS)


def runs(stack: Stack, number: int) -> bool:
    """Say whether the endpoint runs a revision, by the service and by the record."""
    endpoint = endpoint_of(stack)
    config = f"pilotlight-{NAME}-g1-v{number}"
    return bool(recorded(stack).get("revision") == number and endpoint and endpoint.config.name == config)


def _settings(stack: Stack) -> Any:
    return ((stack.deployment(NAME).get("hosting") or {}).get("container") or {}).get("environment")


def _update(stack: Stack, visit: Visit) -> None:
    _change(stack, visit, ANOTHER)


def _updated(stack: Stack, visit: Visit) -> bool:
    return serves(stack, visit) and _settings(stack) == ANOTHER["container"]["environment"]


def _serves_the_second(stack: Stack, visit: Visit) -> bool:
    return _updated(stack, visit) and runs(stack, 2)


def _update_in_vain(stack: Stack, visit: Visit) -> None:
    """Update to what does not come into service: the former revision serves on; then to what does."""
    stack.hosting.service.knobs.update_fails = 1
    _change(stack, visit, UNHEALTHY)
    visit.so["the former one serves on"] = runs(stack, 1) and instances(stack) > 0
    stack.hosting.service.knobs.update_fails = 0
    _change(stack, visit, A_THIRD)
    visit.so["another update succeeds"] = _settings(stack) == A_THIRD["container"]["environment"]


def with_two_revisions(backend: str) -> Begin:
    """Begin with a deployment that was updated once."""

    def begin(stack: Stack) -> None:
        on(backend)(stack)
        _change(stack, Visit(), ANOTHER)
        assert runs(stack, 2), recorded(stack)

    return begin


def _roll_back(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "POST", "/deployments/{name}/rollback", {"revision": 1}, name=NAME)
    watch(stack, lambda: is_quiet(stack) and not recorded(stack).get("update"), UPDATED_WITHIN_SECONDS)


def _serves_the_first(stack: Stack, visit: Visit) -> bool:
    return serves(stack, visit) and runs(stack, 1) and not _settings(stack)


def _updating(stack: Stack) -> None:
    """Begin while an update is under way."""
    on(REALTIME)(stack)
    insist(stack, Visit(), "PATCH", "/deployments/{name}", ANOTHER, name=NAME)
    stack.clock.sleep(UPDATING_SECONDS)
    endpoint = endpoint_of(stack)
    assert endpoint is not None
    assert endpoint.status is Status.UPDATING, endpoint


def _update_then_wake(stack: Stack, visit: Visit) -> None:
    """Update what has no endpoint just now: it is made of the next revision when it is woken."""
    _update(stack, visit)
    wake(stack, visit)
    visit.so["it runs the second"] = runs(stack, 2)


def _widen(stack: Stack, visit: Visit) -> None:
    """Let there be more of them: it needs no other revision, and the one instance that there must be comes."""
    insist(stack, visit, "PATCH", "/deployments/{name}", WIDER, name=NAME)
    visit.so["it scales so"] = watch(stack, lambda: bounds(stack) == (1, 2))
    visit.so["it has its instance"] = watch(stack, lambda: instances(stack) > 0)
    visit.so["it runs the same"] = runs(stack, 1)


def bounds(stack: Stack) -> tuple[int | None, int | None]:
    """Give the bounds that the record tells of; none while they are being written."""
    endpoint = recorded(stack)
    return endpoint.get("floor"), endpoint.get("most")


def _components(stack: Stack, visit: Visit) -> None:
    """Deploy with an inference component, let go of every instance, and have one again."""
    if stack.status(NAME) is None:
        deploy(stack, visit, "small", backend=REALTIME, **QUICK, **COMPONENTS)
    insist(stack, visit, "POST", "/deployments/{name}/scale-down", name=NAME)
    visit.so["it is let go"] = watch(stack, lambda: not instances(stack), within=3600)
    wake(stack, visit)


def _update_twice(stack: Stack, visit: Visit) -> None:
    """Ask for another change while one is under way: it is refused, and the first one is carried out."""
    insist(stack, visit, "PATCH", "/deployments/{name}", ANOTHER, name=NAME)
    stack.clock.sleep(UPDATING_SECONDS)
    second = insist(stack, visit, "PATCH", "/deployments/{name}", A_THIRD, name=NAME)
    visit.kept["a second one is refused meanwhile"] = second.status == HTTPStatus.CONFLICT
    watch(stack, lambda: is_quiet(stack), UPDATED_WITHIN_SECONDS)


def _remove(stack: Stack, visit: Visit) -> None:
    tear_down(stack, visit)


def _declare(name: str, begin: Begin, drive: Callable[[Stack, Visit], None], *watched: str, **fields: Any) -> None:
    hosted(name, begin, drive, fields.pop("ends"), watched=of(*watched), **fields)


_declare("update-async", on(ASYNC), _update, "api", *OF_UPDATES, ends=_serves_the_second)
_declare("update-realtime", on(REALTIME), _update, "sweep", "start_update", "finish_update", ends=_serves_the_second)
_declare("update-twice", on(REALTIME), _update_twice, "api", ends=_serves_the_second, swept=False)
_declare("update-fails", on(REALTIME), _update_in_vain, *OF_UPDATES, ends=all_so)
_declare("rollback", with_two_revisions(REALTIME), _roll_back, "api", "finish_update", ends=_serves_the_first)
_declare("update-parked", parked, _update_then_wake, "start_update", "finish_update", ends=all_so, swept=False)
_declare("teardown-updating", _updating, _remove, *OF_REMOVAL, ends=is_gone, alive=True)
_declare("rescale", on(ASYNC), _widen, "api", *SWEPT, ends=all_so)
_declare("components", on(REALTIME, **COMPONENTS), _components, *SWEPT, "probe_deployment", ends=all_so)
_declare("teardown-component", on(REALTIME, **COMPONENTS), _remove, *OF_REMOVAL, ends=is_gone)
