"""The newest reconciliation in the table: what it found, and whose turn it is."""

from datetime import datetime
from typing import Any

from pilotlight.adapters.table import Table, encode, record_of, sortable
from pilotlight.domain.reconciliation import Pass

PK = "RECONCILIATION#newest"


class PassTable:
    """Implements `ports.Passes`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def latest(self) -> Pass:
        """Return the newest pass; one without a number where there has been none. Raises: NotFound."""
        item = self._table.get(PK) or {}
        return record_of(Pass, item["told"]) if "told" in item else Pass()

    def begin(self, owner: str, now: datetime, until: datetime) -> bool:
        """Take the turn until then; False while another one has it. A repeat by its owner takes it again."""
        return self._table.update(
            PK,
            UpdateExpression="SET #owner = :owner, claimed_until = :until",
            ConditionExpression="attribute_not_exists(claimed_until) OR claimed_until < :now OR #owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=encode({":owner": owner, ":until": sortable(until), ":now": sortable(now)}),
        )

    def end(self, owner: str, done: Pass) -> None:
        """Keep what a pass found and give the turn back, unless another one has taken it."""
        told: dict[str, Any] = done.dump()
        self._table.update(
            PK,
            UpdateExpression="SET told = :told REMOVE claimed_until",
            ConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=encode({":owner": owner, ":told": told}),
        )
