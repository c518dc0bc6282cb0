"""The ledger of what may be warm at once: one item, written under its fence."""

from pilotlight.adapters.table import Table, record_of
from pilotlight.domain.capacity import Capacity
from pilotlight.domain.errors import CapacityReached, NotFound

KEY = "CAPACITY"


class CapacityTable:
    """Implements `ports.CapacityLedger`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Capacity:
        """Return the ledger as it is now; an empty one before the first claim.

        Raises: CapacityReached for one that cannot be read: nobody knows what is warm, so nothing more is woken.
        """
        item = self._table.get(KEY)
        try:
            return record_of(Capacity, item) if item else Capacity()
        except NotFound as exc:
            raise CapacityReached(
                f"The ledger of what is warm, {KEY} in the table {self._table.name}, cannot be read, so nothing is "
                "woken. Delete that item to begin with an empty one."
            ) from exc

    def save(self, before: Capacity, after: Capacity) -> None:
        """Write the ledger if nobody wrote since `before`. Raises: ConcurrentChange."""
        self._table.put_fenced(KEY, after.dump(), before.version or None)
