"""Workflows of weights that nobody uses: collected when their time is over, unless somebody takes them just then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    Visit,
    Workflow,
    declare,
    deploy,
    insist,
    reconciles,
    serving,
    tear_down,
    wanted,
)

KEPT = {"artifact": "collect_after:7d"}
WEEK_SECONDS = 7 * 86_400
HOUR_SECONDS = 3_600


def _weights(stack: Stack) -> dict[str, Any]:
    """Give the record of the large model's weights: the neighbour has the small one's."""
    (weights,) = (each for each in stack.records("ARTIFACT").values() if "/models/large/" in each["source"])
    return weights


def _unused(stack: Stack) -> None:
    """Begin with weights that nobody uses, an hour before their time is over."""
    serving("large", **KEPT)(stack)
    tear_down(stack, Visit())
    assert (_weights(stack)["status"], _weights(stack)["users"]) == ("SEALED", []), _weights(stack)
    stack.clock.sleep(WEEK_SECONDS - HOUR_SECONDS)


def _let_time_pass(stack: Stack, visit: Visit) -> None:
    """Let the reconciliation look at them before their time is over, and after it."""
    due_at = datetime.fromisoformat(_weights(stack)["last_used_at"]) + timedelta(seconds=WEEK_SECONDS)
    stack.reconcile(passes=2)
    early = _weights(stack)
    is_early = stack.clock.now() < due_at  # a reconciliation that stood still may have come to their time
    visit.kept["kept until their time is over"] = not is_early or early["status"] == "SEALED" or bool(early["users"])
    stack.clock.sleep(HOUR_SECONDS)
    stack.reconcile(passes=3)
    stack.settle()


def _collected(stack: Stack, visit: Visit) -> bool:
    """Say whether they went in their time; whoever took them into use meanwhile has them, or others in their place."""
    if stack.status(NAME) not in (None, "GONE"):
        return _has_its_weights(stack)
    return all(visit.kept.values()) and _weights(stack)["status"] == "GONE"


def _has_its_weights(stack: Stack) -> bool:
    weights, record = _weights(stack), stack.deployment(NAME)
    used = f"{NAME}-g{record['generation']}" in weights["users"]
    return record["status"] == "SERVING" and weights["status"] == "SEALED" and used


def _take_them(stack: Stack, visit: Visit) -> None:
    """Let somebody deploy the same model when the time is over, and the reconciliation come in the midst of it."""
    stack.clock.sleep(HOUR_SECONDS)
    insist(stack, visit, "POST", "/deployments", wanted("large", **KEPT), key="again")
    stack.reconcile(passes=2)
    deploy(stack, visit, "large", key="again", **KEPT)


def _taken(stack: Stack, _: Visit) -> bool:
    return _has_its_weights(stack)


def _steps(function: str) -> bool:
    return function in ("reconcile", "start_staging")


declare(Workflow("collect", _unused, _let_time_pass, _collected, watched=reconciles, size="large"))
declare(Workflow("collect-adopted", _unused, _take_them, _taken, watched=_steps, size="large"))
