"""What the service did for lives among kills, beside the calls that were answered and the ledger's windows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Lock
from typing import Any

from local.bedrock import runtime
from local.bedrock.simulation import Simulation
from local.bedrock.warmth import Window
from tests.faults import ledger, table_records
from tests.workflows.world import World

PROBE = "probe-deployment"  # calls a model, too, and generates nothing
CALLERS = ("run-invocation", "api-invoke")  # who generates: a killed one may have, and its call is made once more


@contextmanager
def generating() -> Iterator[Counter[str]]:
    """Count what the service generates for users, but no probe, by the correlation id of the call."""
    counted: Counter[str] = Counter()
    lock, original = Lock(), runtime.invoke

    def invoke(service: Simulation, place: Any, model_id: str, body: bytes, correlation_id: str | None) -> Any:
        answer = original(service, place, model_id, body, correlation_id)
        if json.loads(body).get("max_tokens") != 1:
            with lock:
                counted[correlation_id or ""] += 1
        return answer

    runtime.invoke = invoke
    try:
        yield counted
    finally:
        runtime.invoke = original


class Books:
    """What a ledger is judged by, of a world: its records, what lies beside them, and the service."""

    def __init__(self, world: World) -> None:
        self.outputs, self.bedrock = world.cloud.outputs, world.bedrock

    def records(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the records of a kind by name."""
        return table_records.of_kind(self.outputs["TableName"], kind)


def wrong(world: World, generated: Counter[str], died: Counter[str]) -> Iterator[str]:
    """Yield answers that were generated too often or by nobody, and windows that the ledger has not as they were."""
    books: Any = Books(world)
    invocations = books.records("INVOCATION").values()
    answered = Counter(str(each["correlation_id"]) for each in invocations if each["status"] == "SUCCEEDED")
    yield from unasked(generated, answered, _killed(died, *CALLERS))
    yield from ledger.wrong(books)
    yield from unexplained(_beyond_reloads(books), _killed(died, *CALLERS, PROBE))
    for name, record in books.records("DEPLOYMENT").items():
        if ledger.billed(books, name, record["generation"]) and not ledger.lines(books, name, "WINDOW"):
            yield f"{name} was billed, and its ledger has no window"


def _beyond_reloads(books: Any) -> Counter[tuple[str, int]]:
    """Give by how many windows the ledger is beyond what was billed, and beyond what reloads explain."""
    more = ledger.beyond_billed(books)
    return +Counter({key: count - reloads(ledger.billed(books, *key)) for key, count in more.items()})


def reloads(billed: list[Window]) -> int:
    """Count how often a model was loaded anew: its windows begin anew then, and do not adjoin the former ones.

    The ledger goes on with the window after the last one for as long as an idle window lasts, as the published pages
    count: where the service begins anew, its last answers may lie in one window less than the ledger's.
    """
    in_order = sorted(billed, key=lambda window: window.start)
    return sum(later.start != former.end for former, later in pairwise(in_order))


def _killed(died: Counter[str], *functions: str) -> int:
    return sum(died[f"pilotlight-{name}"] for name in functions)


def unexplained(more: Counter[tuple[str, int]], killed: int) -> Iterator[str]:
    """Yield windows beyond those that were billed, where there are more of them than killed callers.

    What a killed caller was answered is entered by another one, later, and as what may have been billed.
    """
    if more.total() > killed:
        yield f"{more.total()} windows more than were billed, and {killed} callers killed: {dict(more)}"


def unasked(generated: Counter[str], answered: Counter[str], killed: int) -> Iterator[str]:
    """Yield what was generated beyond the calls that were answered and the callers that were killed, or never was."""
    more, less = generated - answered, answered - generated
    if more.total() > killed:
        yield f"{more.total()} answers too many were generated, and {killed} callers killed: {dict(more)}"
    if less:
        yield f"answers that nobody generated: {dict(less)}"
