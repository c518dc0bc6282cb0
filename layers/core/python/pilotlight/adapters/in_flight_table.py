"""Marks of calls that are not answered yet, beside the record of their deployment: their ids sort by time.

pk DEPLOYMENT#<name>; sk PENDING#<generation>#<invocation> · LATENCY#<generation>
"""

from pilotlight.adapters.table import Table
from pilotlight.domain.invocation import Invocation

LATENCIES_KEPT = 10


class InFlightTable:
    """Implements `ports.InFlight`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, invocation: Invocation) -> None:
        """Mark a call; the mark goes with the call's record at the latest."""
        self._table.put(
            {
                "pk": _pk(invocation.deployment),
                "sk": f"{_pending(invocation.generation)}{invocation.id}",
                "ttl": int(invocation.kept_until.timestamp()),
            }
        )

    def forget(self, invocation: Invocation) -> None:
        """Remove a mark; one already gone is a success."""
        self.forget_id(invocation.deployment, invocation.generation, invocation.id)

    def forget_id(self, name: str, generation: int, invocation_id: str) -> None:
        """Remove the mark of a call whose record is gone."""
        self._table.delete(_pk(name), f"{_pending(generation)}{invocation_id}")

    def oldest(self, name: str, generation: int, limit: int) -> list[str]:
        """Return the ids of marked calls, the oldest first."""
        items, _ = self._table.query(_pk(name), _pending(generation), limit=limit)
        return [str(item["sk"]).removeprefix(_pending(generation)) for item in items]

    def note_latency(self, name: str, generation: int, seconds: float) -> None:
        """Keep how long an answer took. Two at once may lose one of them: it is a measure, and no account."""
        newest = (*self.latencies(name, generation), round(seconds, 2))[-LATENCIES_KEPT:]
        self._table.put({"pk": _pk(name), "sk": _latency(generation), "seconds": list(newest)})

    def latencies(self, name: str, generation: int) -> tuple[float, ...]:
        """Return how long the last answers took, in seconds, the newest last."""
        told = (self._table.get(_pk(name), _latency(generation)) or {}).get("seconds")
        return tuple(float(each) for each in told) if isinstance(told, list) else ()


def _pk(name: str) -> str:
    return f"DEPLOYMENT#{name}"


def _pending(generation: int) -> str:
    return f"PENDING#{generation}#"


def _latency(generation: int) -> str:
    return f"LATENCY#{generation}"
