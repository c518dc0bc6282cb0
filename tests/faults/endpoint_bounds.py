"""Workflows of bounds on instances: how many there may be, what nobody waits for, and what stops while calls wait."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local.sagemaker import endpoints as simulated
from tests.faults import ledger
from tests.faults.endpoint_calls import call, view
from tests.faults.endpoints import ASYNC, QUICK, at_zero, endpoint_of, hosted, instances, is_quiet, on, watch
from tests.faults.stack import Stack
from tests.faults.workflows import NAME, Visit, Workflow, declare, insist, nothing, serves, tear_down, wanted

NEXT = "another"
FREE_WITHIN_SECONDS = 420.0  # shorter than a claim that nobody prolongs
ALARMED_SECONDS = 600.0  # longer than an alarm needs to see that somebody waits
GIVEN_UP_SECONDS = 3 * 3600.0  # after which nobody waits for an endpoint any more
EXPIRED_SECONDS = 9 * 3600.0  # after which a call is over, whatever became of it


# ---- how many there may be -------------------------------------------------------------------------------------------


def _room_for_one(stack: Stack) -> None:
    """Begin with the one instance that there may be over all deployments."""
    stack.lambdas.configure(MAX_INSTANCES="1")
    on(ASYNC)(stack)


def _take_its_place(stack: Stack, visit: Visit) -> None:
    """Want a second one, which waits until the first is gone, and no longer."""
    visit.may_be_made.add(NEXT)
    body = {**wanted("small", backend=ASYNC, **QUICK), "name": NEXT}
    insist(stack, visit, "POST", "/deployments", body, key="another")
    stack.clock.sleep(300)
    waits = str(stack.deployment(NEXT).get("waiting_for"))
    visit.kept["the second one waits, and says for what"] = "instances" in waits and _instances_of(stack, NEXT) == 0
    tear_down(stack, visit)
    watch(stack, lambda: stack.status(NEXT) == "SERVING")
    waited = _moment(stack, NEXT, "goes on") - _moment(stack, NAME, "every trace is removed")
    visit.kept["it has the place of the first"] = waited < FREE_WITHIN_SECONDS


def _moment(stack: Stack, name: str, told: str) -> float:
    """Give when the timeline of a deployment says something."""
    lines = [each for each in ledger.lines(stack, name, "EVENT") if each["reason"].startswith(told)]
    return datetime.fromisoformat(lines[-1]["at"]).timestamp() if lines else math.inf


def _instances_of(stack: Stack, name: str) -> int:
    return sum(each.endpoint.startswith(f"pilotlight-{name}-") for each in stack.hosting.service.uptimes())


def _is_next(stack: Stack, _: Visit) -> bool:
    return stack.status(NAME) == "GONE" and stack.status(NEXT) == "SERVING"


# ---- what stops while calls wait -------------------------------------------------------------------------------------


def _turn_it_while_calls_wait(stack: Stack, visit: Visit) -> None:
    """Turn the kill switch while a call waits at its endpoint: no alarm brings an instance; then it is answered."""
    invocation = call(stack, visit)
    watch(stack, lambda: instances(stack) > 0)
    insist(stack, visit, "POST", "/kill-switch", {"on": True, "reason": "too dear"})
    watch(stack, lambda: not instances(stack) and is_quiet(stack))
    before = len(stack.hosting.service.uptimes())
    stack.clock.sleep(ALARMED_SECONDS)
    visit.kept["nothing begins by itself"] = len(stack.hosting.service.uptimes()) == before
    insist(stack, visit, "POST", "/kill-switch", {"on": False, "reason": "paid"})
    if invocation:
        answered = watch(stack, lambda: view(stack, invocation).get("status") == "SUCCEEDED")
        visit.kept["it is answered then"] = answered


def _slow(stack: Stack) -> None:
    """Begin without an instance, where an answer takes longer than it takes to turn a switch."""
    at_zero(stack)
    stack.hosting.service.settings.tokens_per_second = 0.1


# ---- what nobody waits for -------------------------------------------------------------------------------------------


def _wait_in_vain(stack: Stack, visit: Visit) -> None:
    """Deploy where no instance ever comes, and nobody says so: it fails in time; what SageMaker then fails, goes.

    No sweep looks meanwhile, which would find out nothing.
    """
    stack.hosting.service.knobs.never_ready = True
    insist(stack, visit, "POST", "/deployments", wanted("small", backend=ASYNC, **QUICK), key="first")
    failed = watch(stack, lambda: stack.status(NAME) == "FAILED", within=GIVEN_UP_SECONDS)
    visit.kept["it fails in time"] = failed
    endpoint = endpoint_of(stack)
    if endpoint is not None:
        simulated._fail(stack.hosting.service, endpoint, "SageMaker has given it up.")
    stack.settle(lambda: endpoint_of(stack) is None)


def _has_failed(stack: Stack, visit: Visit) -> bool:
    return all(visit.kept.values()) and stack.status(NAME) == "FAILED" and endpoint_of(stack) is None


def _lose_the_result(stack: Stack, visit: Visit) -> None:
    """Call where the answer is neither written nor told: whoever asks is told at last that there is none."""
    stack.hosting.service.knobs.lose_results = 1
    invocation = call(stack, visit)
    watch(stack, lambda: not instances(stack), within=ALARMED_SECONDS * 2)
    stack.hosting.look_less()
    stack.clock.sleep(EXPIRED_SECONDS)
    record = stack.records("INVOCATION").get(invocation or "", {})
    visit.kept["it is over, and says so"] = record.get("status") == "FAILED" and bool(record.get("error_message"))


def _bound(name: str, begin: Callable[[Stack], Any], drive: Callable[[Stack, Visit], Any], ends: Any) -> None:
    hosted(name, begin, drive, ends, swept=False)


_bound("hosted-crowded", _room_for_one, _take_its_place, _is_next)
_bound("switch-and-calls", _slow, _turn_it_while_calls_wait, serves)
declare(Workflow("never-comes", nothing, _wait_in_vain, _has_failed, swept=False))
_bound("result-lost", on(ASYNC), _lose_the_result, serves)
