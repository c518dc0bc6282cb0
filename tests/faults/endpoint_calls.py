"""Workflows of calls of a model on instances: cold and warm, told late, twice or never, and while it is removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from tests.faults.callers import answered
from tests.faults.endpoints import (
    ASYNC,
    REALTIME,
    SWEPT,
    all_so,
    at_zero,
    endpoint_of,
    hosted,
    instances,
    is_parked,
    is_quiet,
    of,
    on,
    parked,
    wake,
    watch,
)
from tests.faults.product import example
from tests.faults.stack import Stack
from tests.faults.workflows import NAME, PROMPT, Visit, insist, is_gone, serves, tear_down

WAIT_SECONDS = 25
STAYS_SECONDS = 300.0  # of a cooldown of ten minutes: what was woken is not let go of before
TOLD_WITHIN_SECONDS = 2700.0  # where a notice was lost: the sweep looks into the bucket, once the call was handed over
OPENS, CLOSES, OPEN_SECONDS = "20:00", "20:10", 600.0
GONE_WITHIN_SECONDS = 1500.0  # after the window: autoscaling waits for a quarter of an hour
OF_CALLS = ("api_invoke", "run_invocation", "note_result")
OF_WAKES = ("probe_deployment", "await_endpoint", "note_endpoint", "mark_warm", "mark_wake_failed")


def call(stack: Stack, visit: Visit, wait: int = 0) -> str | None:
    """Call the model as a client does, remember what it was told, and give the id that it was told to ask for."""
    visit.asks = True
    told = insist(stack, visit, "POST", "/deployments/{name}/invocations", PROMPT, name=NAME, wait=wait)
    if told.status >= HTTPStatus.BAD_REQUEST:
        visit.refused = told
    elif told.status == HTTPStatus.OK:
        visit.answer = told
    else:
        visit.invocation = told.body["id"]
        return visit.invocation
    return None


def view(stack: Stack, invocation: str) -> dict[str, Any]:
    """Give a call as it is told."""
    told: dict[str, Any] = stack.ask("GET", "/invocations/{invocation_id}", invocation_id=invocation).body
    return told


def _call(wait: int = 0) -> Callable[[Stack, Visit], None]:
    def drive(stack: Stack, visit: Visit) -> None:
        call(stack, visit, wait)
        watch(stack, lambda: _is_over(stack, visit))

    return drive


def _is_over(stack: Stack, visit: Visit) -> bool:
    return visit.invocation is None or view(stack, visit.invocation).get("status") in ("SUCCEEDED", "FAILED")


def _call_untold(stack: Stack, visit: Visit) -> None:
    """Call where the topic tells nobody of the result: the sweep finds it."""
    stack.hosting.service.knobs.lose_sns = 1
    call(stack, visit)
    visit.so["found without a notice"] = watch(stack, lambda: _is_over(stack, visit), TOLD_WITHIN_SECONDS)


def _call_told_twice(stack: Stack, visit: Visit) -> None:
    stack.hosting.service.knobs.duplicate_sns = 1
    _call()(stack, visit)


def _two_told_in_another_order(stack: Stack, visit: Visit) -> None:
    """Call twice, and hear of the first result after the second, and long after it was found by other means."""
    stack.hosting.service.knobs.lose_sns = 1
    first = call(stack, visit)
    second = call(stack, visit)
    watch(stack, lambda: _is_over(stack, visit))
    if first is None or second is None:
        return
    stack.lambdas.send("note_result", _notice(stack, first))
    stack.clock.sleep(180)
    stack.lambdas.send("note_result", _notice(stack, first))
    stack.clock.sleep(60)
    visit.so["both are answered"] = all(view(stack, each).get("status") == "SUCCEEDED" for each in (first, second))


def _notice(stack: Stack, invocation: str) -> Any:
    """Give what the topic would have told of a result."""
    location = (stack.records("INVOCATION").get(invocation, {}).get("submission") or {}).get("output_location", "")
    notice = example("note_result/completed")
    told = notice["Records"][0]["Sns"]
    told["Message"] = told["Message"].replace(_between(told["Message"], "inferenceId"), invocation)
    told["Message"] = told["Message"].replace(_between(told["Message"], "outputLocation"), location)
    return notice


def _between(message: str, key: str) -> str:
    return message.partition(f'"{key}"')[2].split('"')[1]


def _call_then_remove(stack: Stack, visit: Visit) -> None:
    """Call a model without an instance, where none is to be had, and have it removed while the call waits."""
    stack.hosting.service.knobs.capacity_fails = 5
    call(stack, visit)
    watch(stack, lambda: is_quiet(stack), within=60)
    tear_down(stack, visit)


def _fail_in_the_container(stack: Stack, visit: Visit) -> None:
    """Call where the container fails, and read what it said."""
    stack.hosting.service.knobs.fail_calls = ["out of luck"]
    call(stack, visit)
    watch(stack, lambda: _is_over(stack, visit))
    if visit.invocation:
        visit.so["its failure is told"] = "out of luck" in str(view(stack, visit.invocation))


# ---- scaled down, woken, kept warm -----------------------------------------------------------------------------------


def _scale_down_then_wake(is_down: Callable[[Stack], bool]) -> Callable[[Stack, Visit], None]:
    def drive(stack: Stack, visit: Visit) -> None:
        insist(stack, visit, "POST", "/deployments/{name}/scale-down", name=NAME)
        visit.so["it is let go"] = watch(stack, lambda: is_down(stack) and not instances(stack))
        wake(stack, visit)
        stack.clock.sleep(STAYS_SECONDS)
        visit.so["it stays for a while"] = instances(stack) > 0 or visit.scaled_down

    return drive


def _is_gone_for_now(stack: Stack) -> bool:
    return endpoint_of(stack) is None and is_parked(stack)


def _let_a_window_pass(stack: Stack, visit: Visit) -> None:
    """Keep an instance in one window, and find none after it."""
    window = {"policy": "window", "windows": [{"start": OPENS, "end": CLOSES}]}
    insist(stack, visit, "PUT", "/deployments/{name}/keep-warm", {"keep_warm": window}, name=NAME)
    stack.clock.sleep(_seconds_until_it_opens(stack))
    visit.so["there is one in the window"] = watch(stack, lambda: instances(stack) > 0, OPEN_SECONDS)
    stack.clock.sleep(OPEN_SECONDS)
    visit.so["there is none after it"] = watch(
        stack, lambda: not instances(stack) and is_quiet(stack), GONE_WITHIN_SECONDS
    )
    insist(stack, visit, "PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "none"}}, name=NAME)


def _seconds_until_it_opens(stack: Stack) -> float:
    now = stack.clock.now()
    hour, minute = map(int, OPENS.split(":"))
    opens = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (opens + timedelta(days=now > opens) - now).total_seconds()


def _shortly_before_it_opens(stack: Stack) -> None:
    at_zero(stack)
    stack.clock.sleep(_seconds_until_it_opens(stack) - 120)


def _told_all(stack: Stack, visit: Visit) -> bool:
    return bool(visit.refused or visit.answer) or (answered(stack, visit) and all(visit.so.values()))


def _told_of_its_failure(stack: Stack, visit: Visit) -> bool:
    return serves(stack, visit) and all(visit.so.values())


hosted("async-cold", at_zero, _call(), answered, watched=of(*OF_CALLS, *OF_WAKES))
hosted("async-warm", on(ASYNC), _call(), answered, watched=of(*OF_CALLS, "sweep"))
hosted("async-untold", on(ASYNC), _call_untold, _told_all, watched=of("sweep", "run_invocation"))
hosted("async-told-twice", on(ASYNC), _call_told_twice, answered, watched=of("note_result"))
hosted("async-order", on(ASYNC), _two_told_in_another_order, _told_all, watched=of("note_result"), swept=False)
hosted("async-fails", on(ASYNC), _fail_in_the_container, _told_of_its_failure, watched=of("note_result"))
hosted("async-removed", at_zero, _call_then_remove, is_gone, watched=of("run_invocation", "delete_endpoint"))
hosted("realtime-call", on(REALTIME), _call(WAIT_SECONDS), answered, watched=of("api_invoke"))
hosted("realtime-parked", parked, _call(), answered, watched=of("run_invocation", *OF_WAKES))
hosted(
    "async-to-zero",
    on(ASYNC),
    _scale_down_then_wake(is_quiet),
    all_so,
    watched=of("api", *OF_WAKES),
)
hosted("realtime-parks", on(REALTIME), _scale_down_then_wake(_is_gone_for_now), all_so, watched=of("api", *OF_WAKES))
hosted("hosted-window", _shortly_before_it_opens, _let_a_window_pass, all_so, watched=of(*SWEPT), swept=False)
