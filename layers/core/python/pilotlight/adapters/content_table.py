"""Which sealed artifact holds a content: CONTENT#<sha256>#<size>, the newest one that was sealed with it."""

from pilotlight.adapters.table import META, Table, record_of
from pilotlight.domain.content import HeldContent
from pilotlight.domain.errors import NotFound


def _pk(sha256: str, size_bytes: int) -> str:
    return f"CONTENT#{sha256}#{size_bytes}"


class ContentTable:
    """Implements `ports.Contents`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, sha256: str, size_bytes: int) -> HeldContent | None:
        """Return who holds a content, or None; also where the record cannot be read."""
        item = self._table.get(_pk(sha256, size_bytes))
        try:
            return record_of(HeldContent, item) if item else None
        except NotFound:
            return None

    def note(self, held: HeldContent) -> None:
        """Keep who holds a content, in place of whoever held it before."""
        self._table.put({**held.dump(), "pk": _pk(held.sha256, held.size_bytes), "sk": META})

    def forget(self, held: HeldContent) -> None:
        """Remove who held a content; if another one has come meanwhile, its next file is downloaded once more."""
        self._table.delete(_pk(held.sha256, held.size_bytes))
