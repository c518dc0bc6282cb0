"""The newest reconciliation in the table: what it found, and whose turn it is."""

from datetime import datetime
from typing import Any

from pilotlight.adapters.table import Table, encode, record_of, sortable
from pilotlight.domain.errors import NotFound
from pilotlight.domain.reconciliation import Pass

PK = "RECONCILIATION#newest"


class PassTable:
    """Implements `ports.Passes`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def latest(self) -> Pass:
        """Return the newest pass; one without a number where there has been none, or none that can be read.

        What it told is told again by the next one, and must not keep it from running.
        """
        told = (self._table.get(PK) or {}).get("told", {})
        try:
            return record_of(Pass, told)
        except NotFound:
            return Pass()

    def begin(self, owner: str, now: datetime, until: datetime) -> int | None:
        """Take the turn until then. Returns how many passes began before this one; None while another has the turn.

        The SDK may repeat the write, whose answer was lost: its owner takes the turn again.
        """
        taken = self._table.update(
            PK,
            UpdateExpression="SET #owner = :owner, claimed_until = :until ADD begun :one",
            ConditionExpression="attribute_not_exists(claimed_until) OR claimed_until < :now OR #owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=encode(
                {":owner": owner, ":until": sortable(until), ":now": sortable(now), ":one": 1}
            ),
        )
        return int((self._table.get(PK) or {}).get("begun", 1)) - 1 if taken else None

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
