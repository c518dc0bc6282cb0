"""Workflows of those who call a model: warm, held until it wakes, and while somebody takes it away.

Every call that was made ends with an answer, or with a word why there is none: that is the oracles' to see, in every
run. What a workflow promises beyond that is said here.
"""

from __future__ import annotations

from http import HTTPStatus

from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    PROMPT,
    Visit,
    Workflow,
    declare,
    deploy,
    insist,
    is_gone,
    serving,
    tear_down,
)

WAIT_SECONDS = 25
IN_FLIGHT_SECONDS = 0.3  # within the answer of a model, which takes twice as long
WAKING_SECONDS = 3  # within a wake, which takes longer


def call(stack: Stack, visit: Visit, wait: int = 0) -> None:
    """Call the model as a client does, and remember what it was told."""
    visit.asks = True
    answer = insist(stack, visit, "POST", "/deployments/{name}/invocations", PROMPT, name=NAME, wait=wait)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        visit.refused = answer
    elif answer.status == HTTPStatus.OK:
        visit.answer = answer
    else:
        visit.invocation = answer.body["id"]


def answered(stack: Stack, visit: Visit) -> bool:
    """Say whether the model answered, or a call of what is removed was refused."""
    if visit.refused:
        return visit.removed
    view = visit.answer
    if visit.invocation:
        view = stack.ask("GET", "/invocations/{invocation_id}", invocation_id=visit.invocation)
    return view is not None and view.status == HTTPStatus.OK and view.body["status"] == "SUCCEEDED"


def _warm(stack: Stack) -> None:
    """Begin with a deployment that serves, and is warm from its first wake still."""
    deploy(stack, Visit(), "small")
    assert stack.status(NAME) == "SERVING", stack.deployment(NAME)


def _call_cold(stack: Stack, visit: Visit) -> None:
    call(stack, visit)
    stack.settle()


def _call_warm(stack: Stack, visit: Visit) -> None:
    call(stack, visit, wait=WAIT_SECONDS)
    stack.settle()


def _call_while_waking(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "POST", "/deployments/{name}/warm-up", name=NAME)
    stack.clock.sleep(WAKING_SECONDS)
    call(stack, visit, wait=WAIT_SECONDS)
    stack.settle()


def _call_then_remove(stack: Stack, visit: Visit) -> None:
    call(stack, visit)
    tear_down(stack, visit)
    stack.settle()


def _remove_in_flight(stack: Stack, visit: Visit) -> None:
    stack.agenda.spawn("caller", lambda: call(stack, visit, wait=WAIT_SECONDS))
    stack.clock.sleep(IN_FLIGHT_SECONDS)
    tear_down(stack, visit)
    stack.settle()


def _call_then_scale_down(stack: Stack, visit: Visit) -> None:
    call(stack, visit)
    stack.clock.sleep(WAKING_SECONDS)
    insist(stack, visit, "POST", "/deployments/{name}/scale-down", name=NAME)
    stack.settle()


declare(Workflow("invocation", serving("small"), _call_cold, answered))
declare(Workflow("call-removed", serving("small"), _call_then_remove, is_gone))
declare(Workflow("call-scaled-down", serving("small"), _call_then_scale_down, answered))
declare(Workflow("warm-call", _warm, _call_warm, answered))
declare(Workflow("warm-call-removed", _warm, _remove_in_flight, is_gone))
declare(Workflow("held-call", serving("small"), _call_while_waking, answered))
