"""What became of calls of a model: every one that was taken is over, none was paid for twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.faults.stack import Stack
from tests.faults.workflows import Visit


def wrong(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield invocations that nobody answers, and answers that nobody asked for."""
    if visit.asks and not (visit.answer or visit.invocation or visit.refused or visit.unheard):
        yield "a caller was told nothing"
    generated = sum(not probe for _, probe in stack.answers)
    asked = len(stack.records("INVOCATION"))  # a request that comes twice is two invocations
    if visit.withstood and generated > asked + visit.may_ask_again:
        yield f"the model answered {asked} invocations {generated} times"
    yield from _stuck(stack, visit)
    if visit.invocation is None:
        return
    view = stack.ask("GET", "/invocations/{invocation_id}", invocation_id=visit.invocation)
    if view.status != 200 or view.body["status"] not in ("SUCCEEDED", "FAILED"):
        yield f"invocation has no answer: {view.status} {view.body}"


def _stuck(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield invocations that are not over: one that has expired is failed for whoever asks, by its record alone.

    What a fault kept from the queue waits for that, too: its caller was told of the fault, and nobody else knows it.
    """
    unsent = 0
    for id_, record in stack.records("INVOCATION").items():
        if record["status"] == "FAILED" and not record.get("error_message"):
            yield f"invocation {id_} is FAILED without a reason"
        is_lost = datetime.fromisoformat(record["expires_at"]) <= stack.clock.now()
        if record["status"] in ("SUCCEEDED", "FAILED") or is_lost:
            continue
        if record["status"] == "QUEUED" and not record["attempts"] and id_ != visit.invocation:
            unsent += 1
        else:
            yield f"invocation {id_} is stuck in {record['status']}: {record.get('waiting_for')}"
    if visit.withstood and unsent > visit.may_be_unsent:
        yield f"{unsent} invocations wait, and are in no queue"
