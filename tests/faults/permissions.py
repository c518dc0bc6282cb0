"""What a function reads before it may spend, and what of it is old: read before a fault held the function up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

RECORD, LEDGER, SWITCH, ROOM = "record", "ledger", "switch", "room"
LEDGER_KEYS = ("SPENT#", "WINDOW#")


@dataclass
class Knowledge:
    """What an invocation knows of a permission to spend."""

    read: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)

    def learn(self, operation: str, body: bytes) -> None:
        """Know from now on what that call reads, as it is now."""
        if what := _read_by(operation, body):
            self.read.add(what)
            self.stale.discard(what)

    def age(self, *, at_last: bool) -> None:
        """Let what was read before be of long ago: all of it `at_last`, at the very call that is paid for.

        The switch is read after the ledger, and may be known without a call: a process keeps it for some seconds.
        """
        if at_last:
            self.stale = {RECORD, LEDGER, SWITCH, ROOM}
        else:
            self.stale |= self.read | ({SWITCH} if LEDGER in self.read else set())


def _read_by(operation: str, body: bytes) -> str | None:
    if operation == "ssm.GetParameter":
        return SWITCH
    if operation not in ("dynamodb.GetItem", "dynamodb.Query"):
        return None
    asked = json.loads(body)
    if operation == "dynamodb.Query":
        values = [next(iter(each.values())) for each in asked["ExpressionAttributeValues"].values()]
        return LEDGER if any(str(value).startswith(LEDGER_KEYS) for value in values) else None
    key = asked["Key"]
    owner, line = key["pk"]["S"], key["sk"]["S"]
    if owner.startswith("DEPLOYMENT#"):
        return RECORD if line == "META" else LEDGER if line.startswith(LEDGER_KEYS) else None
    return ROOM if owner == "CAPACITY" else None
