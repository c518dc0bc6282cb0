"""Uploaded folders in the table."""

from datetime import datetime

from pilotlight.adapters.table import Table, encode, readable, record_of, sortable
from pilotlight.domain.upload import Upload, UploadStatus

KIND = "UPLOAD"


def _pk(folder: str) -> str:
    return f"{KIND}#{folder}"


class UploadTable:
    """Implements `ports.Uploads`. `look_at` is stored as the sparse index's `next_look_at`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, folder: str) -> Upload | None:
        """Return a record as it is now, or None. Raises: NotFound for one that cannot be read."""
        item = self._table.get(_pk(folder))
        return record_of(Upload, _with_look(item)) if item else None

    def note_event(self, folder: str, look_at: datetime, now: datetime) -> None:
        """Set when to look at a folder, creating its record: one unconditional write per event.

        The version moves too, so that a look under way, which may not have seen the new object, does not overwrite it.
        """
        values = {
            ":folder": folder,
            ":kind": KIND,
            ":look": sortable(look_at),
            ":now": sortable(now),
            ":resting": UploadStatus.RESTING,
            ":one": 1,
            ":none": 0,
        }
        self._table.update(
            _pk(folder),
            UpdateExpression=(
                "SET folder = :folder, kind = :kind, next_look_at = :look, updated_at = :now, "
                "#status = if_not_exists(#status, :resting), #version = if_not_exists(#version, :none) + :one"
            ),
            ExpressionAttributeNames={"#status": "status", "#version": "version"},
            ExpressionAttributeValues=encode(values),
        )

    def save(self, before: Upload, after: Upload) -> Upload:
        """Write a record if nobody wrote since `before`. Raises: ConcurrentChange."""
        record = {**after.dump(), "kind": KIND}
        if after.look_at:
            record["next_look_at"] = sortable(after.look_at)
        version = self._table.put_fenced(_pk(after.folder), record, before.version or None)
        return after.changed(version=version)

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return the folders whose look is due, the longest overdue first."""
        return [item["pk"].removeprefix(f"{KIND}#") for item in self._table.due(KIND, now, limit=limit)]

    def page(self, cursor: str | None, limit: int) -> tuple[list[Upload], str | None]:
        """Return a page of folders by name, and the cursor of the next one; what cannot be read is left out."""
        items, following = self._table.of_kind(KIND, limit=limit, cursor=cursor)
        return readable(Upload, map(_with_look, items)), following


def _with_look(item: dict[str, object]) -> dict[str, object]:
    return {**item, "look_at": item.get("next_look_at")}
