"""The ledger of what may be warm at once: one item, written under its fence."""

from pilotlight.adapters.table import Table, record_of
from pilotlight.domain.capacity import Capacity

KEY = "CAPACITY"


class CapacityTable:
    """Implements `ports.CapacityLedger`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Capacity:
        """Return the ledger as it is now; an empty one before the first claim."""
        item = self._table.get(KEY)
        return record_of(Capacity, item) if item else Capacity()

    def save(self, before: Capacity, after: Capacity) -> None:
        """Write the ledger if nobody wrote since `before`. Raises: ConcurrentChange."""
        self._table.put_fenced(KEY, after.dump(), before.version or None)
