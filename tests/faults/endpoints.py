"""Workflows of deployments on instances: made, refused, failed, bounded by lease, ceiling and switch, and removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from local.sagemaker.resources import Endpoint, Status
from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    Visit,
    Workflow,
    declare,
    deploy,
    insist,
    is_gone,
    is_warm,
    nothing,
    serves,
    tear_down,
    wanted,
)

ASYNC, REALTIME = "sagemaker-async", "sagemaker-realtime"
STEP_SECONDS = 30.0
SELDOM_SECONDS, SELDOM_AFTER_SECONDS = 120.0, 900.0  # how often one looks at what takes long, and what does
SOON_SECONDS = 3600.0  # longer than anybody stands still because of a fault
STOPS_WITHIN_SECONDS = 300.0  # what must stop: a look, and what SageMaker takes for it
PATIENT = {"health_check_timeout_seconds": 120}  # of a container: an hour, as it has by itself, costs a run a minute
QUICK: dict[str, Any] = {"container": PATIENT, "serving": {"model_loading_timeout": 120}}
Begin = Callable[[Stack], None]
Drive = Callable[[Stack, Visit], object]
Ends = Callable[[Stack, Visit], bool]


def hosted(name: str, begin: Begin, drive: Drive, ends: Ends, **fields: Any) -> Workflow:
    """Declare a workflow of a deployment on instances."""
    return declare(Workflow(name, begin, drive, ends, hosted=True, **fields))


# ---- what is seen of it ----------------------------------------------------------------------------------------------


def endpoint_of(stack: Stack, generation: int = 1) -> Endpoint | None:
    """Give the endpoint as the service has it."""
    name = f"pilotlight-{NAME}-g{generation}"
    return next((each for each in stack.hosting.service.state.endpoints.values() if each.name == name), None)


def instances(stack: Stack) -> int:
    """Give how many instances are paid for just now."""
    mine = f"pilotlight-{NAME}-"
    return sum(each.end is None and each.endpoint.startswith(mine) for each in stack.hosting.service.uptimes())


def recorded(stack: Stack) -> dict[str, Any]:
    """Give what the record tells of the endpoint."""
    return stack.deployment(NAME).get("endpoint") or {}


def watch(stack: Stack, done: Callable[[], bool], within: float = SOON_SECONDS) -> bool:
    """Let time pass until it is so, or has not been for long; give whether it is."""
    began = stack.clock.moment
    while not done() and (passed := stack.clock.moment - began) < within:
        stack.clock.sleep(STEP_SECONDS if passed < SELDOM_AFTER_SECONDS else SELDOM_SECONDS)
    return done()


def is_quiet(stack: Stack) -> bool:
    """Say whether nothing is under way at the endpoint, nor in the record of it."""
    endpoint, told = endpoint_of(stack), recorded(stack)
    at_rest = endpoint is None or endpoint.status is Status.IN_SERVICE
    return at_rest and not told.get("waiting") and not told.get("update") and not stack.deployment(NAME).get("wake")


# ---- where workflows begin -------------------------------------------------------------------------------------------


def on(backend: str, **fields: Any) -> Begin:
    """Begin with a deployment that serves on an instance."""

    def begin(stack: Stack) -> None:
        deploy(stack, Visit(), "small", backend=backend, **QUICK, **fields)
        assert stack.status(NAME) == "SERVING", stack.deployment(NAME)

    return begin


def at_zero(stack: Stack) -> None:
    """Begin with an asynchronous endpoint that has no instance."""
    on(ASYNC)(stack)
    insist(stack, Visit(), "POST", "/deployments/{name}/scale-down", name=NAME)
    assert watch(stack, lambda: is_quiet(stack) and not instances(stack)), stack.deployment(NAME)


def parked(stack: Stack) -> None:
    """Begin with a deployment whose real-time endpoint was removed, to cost nothing."""
    on(REALTIME)(stack)
    insist(stack, Visit(), "POST", "/deployments/{name}/scale-down", name=NAME)
    assert watch(stack, lambda: endpoint_of(stack) is None and is_parked(stack)), stack.deployment(NAME)


def is_parked(stack: Stack) -> bool:
    """Say whether the record knows that it has no endpoint."""
    return bool(recorded(stack).get("parked"))


def creating(stack: Stack) -> None:
    """Begin while an endpoint is being created."""
    insist(stack, Visit(), "POST", "/deployments", wanted("small", backend=ASYNC, **QUICK), key="first")
    stack.clock.sleep(30)
    assert stack.status(NAME) == "CREATING", stack.deployment(NAME)


# ---- made, failed, removed -------------------------------------------------------------------------------------------


def _deploys(backend: str, **fields: Any) -> Drive:
    return lambda stack, visit: deploy(stack, visit, "small", backend=backend, **QUICK, **fields)


def _fails_first(hinder: Callable[[Stack], None]) -> Drive:
    """Deploy where the first endpoint does not come, see that nothing of it bills, and try again."""

    def drive(stack: Stack, visit: Visit) -> None:
        hinder(stack)
        deploy(stack, visit, "small", backend=ASYNC, **QUICK)
        if stack.status(NAME) == "FAILED":
            stopped = watch(stack, lambda: endpoint_of(stack) is None)
            visit.so["a failed endpoint is removed"] = stopped and not instances(stack)
            insist(stack, visit, "POST", "/deployments/{name}/retry", name=NAME)
            stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))

    return drive


def _endpoint_fails(stack: Stack) -> None:
    stack.hosting.service.knobs.fail_next_endpoint = "The container is out of luck."


def _capacity_fails(stack: Stack) -> None:
    stack.hosting.service.knobs.capacity_fails = 1


def _fails_then_serves(stack: Stack, visit: Visit) -> bool:
    return serves(stack, visit) and all(visit.so.values())


def _lease_all_but_over(stack: Stack) -> None:
    """Begin some minutes before the end of a lease, with an instance that runs."""
    on(REALTIME, lease="1h")(stack)
    stack.clock.sleep(3300)


def _let_the_lease_end(stack: Stack, _: Visit) -> None:
    watch(stack, lambda: is_gone(stack, Visit()))


def _gone_before(stack: Stack) -> None:
    on(ASYNC)(stack)
    tear_down(stack, Visit())
    assert stack.status(NAME) == "GONE", stack.deployment(NAME)


def _next_generation(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "POST", "/deployments", wanted("small", backend=ASYNC, **QUICK), key="next")
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))


# ---- what must stop --------------------------------------------------------------------------------------------------


def _stops(stack: Stack, visit: Visit, why: str) -> None:
    """See that no instance runs any more soon, and that nobody wakes one."""
    visit.so[f"{why} stops instances"] = watch(stack, lambda: not instances(stack), within=STOPS_WITHIN_SECONDS)
    refused = insist(stack, visit, "POST", "/deployments/{name}/warm-up", name=NAME)
    visit.so[f"{why} forbids a wake"] = refused.status >= HTTPStatus.BAD_REQUEST and not instances(stack)


def wake(stack: Stack, visit: Visit) -> None:
    """Ask for an instance, and wait until it has answered, and is there yet."""
    asked_at = stack.clock.now()
    insist(stack, visit, "POST", "/deployments/{name}/warm-up", name=NAME)
    visit.so["it can be woken"] = watch(stack, lambda: is_warm(stack, visit) and _woken_since(stack, asked_at))


def _woken_since(stack: Stack, moment: datetime) -> bool:
    return datetime.fromisoformat(stack.deployment(NAME)["last_wake"]["at"]) >= moment and instances(stack) > 0


def all_so(stack: Stack, visit: Visit) -> bool:
    """Say whether it serves, and everything came that had to."""
    return serves(stack, visit) and bool(visit.so) and all(visit.so.values())


def _limit(stack: Stack, visit: Visit, usd: float) -> None:
    limit = {"spend_ceiling": {"usd": usd}}
    insist(stack, visit, "PUT", "/deployments/{name}/spend-ceiling", limit, name=NAME)


def _reach_the_ceiling(stack: Stack, visit: Visit) -> None:
    """Let the money come to its end while an instance runs; then allow more, and find that it can be woken."""
    _limit(stack, visit, 0.01)
    _stops(stack, visit, "a ceiling")
    watch(stack, lambda: is_quiet(stack))
    _limit(stack, visit, 400.0)
    wake(stack, visit)


def _turn(stack: Stack, visit: Visit, *, on: bool) -> None:
    insist(stack, visit, "POST", "/kill-switch", {"on": on, "reason": "too dear" if on else "paid"})


def _turn_the_switch(stack: Stack, visit: Visit) -> None:
    _turn(stack, visit, on=True)
    stack.clock.sleep(30)
    _stops(stack, visit, "the kill switch")
    watch(stack, lambda: is_quiet(stack))
    _turn(stack, visit, on=False)
    stack.clock.sleep(60)
    wake(stack, visit)


OF_CREATION = (
    "create_endpoint",
    "await_endpoint",
    "note_endpoint",
    "start_warm_up",
    "probe_deployment",
    "stop_billing",
)
OF_REMOVAL = ("stop_executions", "delete_endpoint", "note_endpoint")
OF_FAILURE = ("await_endpoint", "note_endpoint", "stop_billing", "mark_failed")
SWEPT = ("sweep", "note_endpoint")


def of(*functions: str) -> Callable[[str], bool]:
    """Watch these functions."""
    return lambda function: function in functions


hosted("deploy-async", nothing, _deploys(ASYNC), serves, watched=of(*OF_CREATION, "mark_serving"))
hosted("deploy-realtime", nothing, _deploys(REALTIME), serves, watched=of("start_warm_up", "probe_deployment", "sweep"))
hosted("endpoint-fails", nothing, _fails_first(_endpoint_fails), _fails_then_serves, watched=of(*OF_FAILURE))
hosted(
    "no-capacity",
    nothing,
    _fails_first(_capacity_fails),
    _fails_then_serves,
    watched=of("sweep", "stop_billing"),
    swept=False,
)
hosted(
    "hosted-redeploy",
    _gone_before,
    _next_generation,
    serves,
    watched=of("create_endpoint", "await_endpoint"),
    swept=False,
)
hosted("hosted-lease", _lease_all_but_over, _let_the_lease_end, is_gone, watched=of(*SWEPT, *OF_REMOVAL))
hosted("teardown-async", on(ASYNC), tear_down, is_gone, watched=of("api", *OF_REMOVAL))
hosted("teardown-realtime", on(REALTIME), tear_down, is_gone, watched=of("delete_endpoint"), swept=False)
hosted("teardown-creating", creating, tear_down, is_gone, alive=True, watched=of(*OF_REMOVAL, *OF_CREATION))
hosted("teardown-parked", parked, tear_down, is_gone, watched=of("delete_endpoint"))
hosted("hosted-ceiling", on(ASYNC), _reach_the_ceiling, all_so, watched=of(*SWEPT, "api"))
hosted(
    "realtime-ceiling", on(REALTIME), _reach_the_ceiling, all_so, watched=of(*SWEPT, "probe_deployment"), swept=False
)
hosted("hosted-switch", on(ASYNC), _turn_the_switch, all_so, watched=of(*SWEPT, "probe_deployment"))
hosted("realtime-switch", on(REALTIME), _turn_the_switch, all_so, watched=of(*SWEPT), swept=False)
