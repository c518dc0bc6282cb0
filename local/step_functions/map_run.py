"""One run of a distributed Map: what its children came to, and whether too many of them failed."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

Lot = list[tuple[int, Any]]


@dataclass(frozen=True)
class Child:
    """What came of one child: an output, or an error with its cause."""

    lot: Lot
    told: Any = None
    output: Any = None
    error: str | None = None
    cause: str | None = None

    @property
    def failed(self) -> bool:
        """Give whether the child ended in an error."""
        return self.error is not None


@dataclass
class MapRun:
    """Counts children and their items, as DescribeMapRun shows them, against the tolerated failures."""

    record: Any
    items: int
    tolerated_count: int
    tolerated_percentage: float
    batched: bool
    batch_input: Any
    _children: list[Child] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.record.item_counter.total.count(self.items)
        self.record.item_counter.pending.count(self.items)

    @property
    def arn(self) -> str:
        """Give the Map Run's ARN."""
        return str(self.record.map_run_arn)

    @property
    def identifier(self) -> str:
        """Give the last part of the ARN, the folder of its results."""
        return self.arn.rpartition(":")[2]

    def child_input(self, selected: list[Any]) -> Any:
        """Give what a child is told: its one item, or its batch."""
        if not self.batched:
            return selected[0]
        batch: dict[str, Any] = {} if self.batch_input is None else {"BatchInput": self.batch_input}
        return {**batch, "Items": selected}

    def begin(self, lot: Lot) -> None:
        """Count a child as running."""
        items, executions = self.record.item_counter, self.record.execution_counter
        items.pending.offset(-len(lot))
        items.running.count(len(lot))
        executions.total.count()
        executions.running.count()

    def end(self, child: Child) -> None:
        """Count a child as ended and keep what came of it."""
        for counter, number in ((self.record.item_counter, len(child.lot)), (self.record.execution_counter, 1)):
            counter.running.offset(-number)
            (counter.failed if child.failed else counter.succeeded).count(number)
            counter.results_written.count(number)
        with self._lock:
            self._children.append(child)

    def over_threshold(self) -> bool:
        """Give whether more items have failed than the state tolerates; without a tolerance that is one."""
        failed = self.record.item_counter.failed.get()
        if not self.tolerated_count and not self.tolerated_percentage:
            return bool(failed > 0)
        too_many = self.tolerated_count and failed > self.tolerated_count
        too_large = self.tolerated_percentage and 100 * failed > self.tolerated_percentage * self.items
        return bool(too_many or too_large)

    def results(self) -> dict[str, list[dict[str, Any]]]:
        """Give the children as ResultWriter's files list them, by status."""
        files: dict[str, list[dict[str, Any]]] = {}
        for child in sorted(self._children, key=lambda child: child.lot[0][0]):
            status = "FAILED" if child.failed else "SUCCEEDED"
            told = {"Input": json.dumps(child.told), "InputDetails": {"Included": True}, "Status": status}
            came: dict[str, Any]
            if child.failed:
                came = {"Error": child.error, "Cause": child.cause}
            else:
                came = {"Output": json.dumps(child.output), "OutputDetails": {"Included": True}}
            files.setdefault(status, []).append({**told, **came})
        return files
