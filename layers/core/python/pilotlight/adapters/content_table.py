"""Which sealed artifacts hold a content: CONTENT#<sha256>#<size>, an item for each of them."""

from pilotlight.adapters.table import Table, readable
from pilotlight.domain.content import HeldContent

MOST_HOLDERS = 10  # that are looked at: one is enough, and some of them may be gone


def _pk(sha256: str, size_bytes: int) -> str:
    return f"CONTENT#{sha256}#{size_bytes}"


def _sk(artifact_id: str) -> str:
    return f"HOLDER#{artifact_id}"


class ContentTable:
    """Implements `ports.Contents`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def holders(self, sha256: str, size_bytes: int) -> list[HeldContent]:
        """Return who holds a content, ten at the most; a record that cannot be read is passed over."""
        items, _ = self._table.query(_pk(sha256, size_bytes), "HOLDER#", limit=MOST_HOLDERS)
        return readable(HeldContent, items)

    def note(self, held: HeldContent) -> None:
        """Keep that an artifact holds a content, in place of what was kept of the same artifact."""
        self._table.put({**held.dump(), "pk": _pk(held.sha256, held.size_bytes), "sk": _sk(held.artifact_id)})

    def forget(self, held: HeldContent) -> None:
        """Remove that an artifact holds a content; one that is not there is a success."""
        self._table.delete(_pk(held.sha256, held.size_bytes), _sk(held.artifact_id))
