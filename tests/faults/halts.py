"""Workflows under the kill switch: while it is on, nothing new is made, and whoever asks is told; then all goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    Visit,
    Workflow,
    declare,
    failed,
    importing,
    insist,
    is_warm,
    nothing,
    serves,
    upload_folder,
    wanted,
)

MINUTES_ON = 4
SWITCH_SECONDS = 30  # longer than a switch that was read is believed
REFUSED = "kill-switch-on"
WARMING = ("start_warm_up", "probe_deployment", "check_warm_up")
Begin = Callable[[Stack], None]
Act = Callable[[Stack, Visit], object]


def turn(stack: Stack, visit: Visit, *, on: bool) -> None:
    """Turn the kill switch, and wait until everybody has seen it."""
    insist(stack, visit, "POST", "/kill-switch", {"on": on, "reason": "too dear" if on else "paid"})
    stack.clock.sleep(SWITCH_SECONDS)


def _halted(act: Act, go_on: Act) -> Act:
    """Do one thing while the switch is on, and the other when it is off again."""

    def drive(stack: Stack, visit: Visit) -> None:
        turn(stack, visit, on=True)
        before = _made(stack)
        said_so = act(stack, visit)
        for _ in range(MINUTES_ON):
            stack.clock.sleep(60)
            stack.sweep()
        visit.was_still = bool(said_so) and _made(stack) == before
        turn(stack, visit, on=False)
        go_on(stack, visit)
        stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))

    return drive


def _made(stack: Stack) -> tuple[int, int, int]:
    """Give what costs something: deployments, import jobs, and answers of models."""
    return len(stack.records("DEPLOYMENT")), len(stack.bedrock.jobs), len(stack.answers)


def _refused(stack: Stack, visit: Visit, *request: Any, **more: Any) -> bool:
    answer = insist(stack, visit, *request, **more)
    return answer.status >= 400 and (answer.body["code"] == REFUSED or _is_there(stack))


def _is_there(stack: Stack) -> bool:
    """Say whether an earlier try came through: then it is for another reason that nothing is made."""
    return stack.status(NAME) == "SERVING"


def _request(stack: Stack, visit: Visit) -> bool:
    return _refused(stack, visit, "POST", "/deployments", wanted("small"), key=f"halted-{stack.clock.moment:.0f}")


def _upload_and_request(stack: Stack, visit: Visit) -> bool:
    upload_folder(stack)
    stack.clock.sleep(60)
    stack.sweep()
    return _request(stack, visit)


def _look_at_folders(stack: Stack, _: Visit) -> None:
    """Let the sweep look at folders that are held, which a stack that settles does not wait for."""
    for _minute in range(3):
        stack.clock.sleep(60)
        stack.sweep()


def _retry(stack: Stack, visit: Visit) -> object:
    return insist(stack, visit, "POST", "/deployments/{name}/retry", name=NAME)


def _retry_in_vain(stack: Stack, visit: Visit) -> bool:
    return _refused(stack, visit, "POST", "/deployments/{name}/retry", name=NAME)


def _staging(stack: Stack) -> None:
    """Begin while a deployment is staged: nothing is imported yet."""
    insist(stack, Visit(), "POST", "/deployments", wanted("large"), key="first")
    stack.clock.sleep(1)
    assert stack.status(NAME) == "STAGING", stack.deployment(NAME)


def _say_that_it_waits(stack: Stack, _: Visit) -> bool:
    """Let what is under way come as far as it may, and give whether the record says what it waits for."""
    for _minute in range(2):
        stack.clock.sleep(60)
        stack.sweep()
    over = stack.status(NAME) in ("SERVING", "FAILED")  # what came to its end before waits for nothing
    return over or "kill switch" in (stack.deployment(NAME).get("waiting_for") or "")


def _see(_stack: Stack, _visit: Visit) -> None:
    """Do nothing: what waits goes on by itself."""


def _went_on(stack: Stack, visit: Visit) -> bool:
    return visit.was_still and serves(stack, visit) and is_warm(stack, visit)


def _of(*functions: str) -> Callable[[str], bool]:
    return lambda function: function in ("api", "sweep", *functions)


def _declare(name: str, begin: Begin, during: Act, after: Act, *functions: str, alive: bool = False) -> None:
    declare(Workflow(name, begin, _halted(during, after), _went_on, watched=_of(*functions), alive=alive))


_declare("halted-upload", nothing, _upload_and_request, _look_at_folders, "note_upload")
_declare("halted-retry", failed, _retry_in_vain, _retry)
_declare("halted-staging", _staging, _say_that_it_waits, _see, "start_import", alive=True)
_declare("halted-import", importing, _say_that_it_waits, _see, *WARMING, alive=True)
