"""What people have been told, in the table."""

from pilotlight.adapters.table import META, Table
from pilotlight.domain.notice import Notice


class NoticeTable:
    """Implements `ports.Notices`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def latest(self, subject: str) -> Notice:
        """Return what was told and seen last of a subject."""
        item = self._table.get(f"NOTICE#{subject}") or {}
        return Notice(told=item.get("word"), seen_once=item.get("seen_once"))

    def note(self, subject: str, notice: Notice) -> None:
        """Keep what was told and seen last of a subject."""
        told = {"word": notice.told, "seen_once": notice.seen_once}
        self._table.put({"pk": f"NOTICE#{subject}", "sk": META, **{name: word for name, word in told.items() if word}})
