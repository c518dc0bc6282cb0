"""Artifacts in the table: the record, a mark for each copied span, and the newest trouble of each attempt.

SPAN#<attempt>#<number>  how far a span is; the last one is what S3 held when the attempt began
TROUBLE#<attempt>        why a span could not be copied
"""

from pilotlight.adapters.table import Table, readable, record_of
from pilotlight.domain.artifact import Artifact
from pilotlight.domain.errors import NotFound
from pilotlight.domain.staging_progress import SpanMark

KIND = "ARTIFACT"
PAGE = 1000


def _pk(artifact_id: str) -> str:
    return f"{KIND}#{artifact_id}"


class ArtifactTable:
    """Implements `ports.Artifacts`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, artifact_id: str) -> Artifact | None:
        """Return a record as it is now, or None. Raises: NotFound for one that cannot be read."""
        item = self._table.get(_pk(artifact_id))
        return record_of(Artifact, item) if item else None

    def get(self, artifact_id: str) -> Artifact:
        """Return a record as it is now. Raises: NotFound."""
        artifact = self.find(artifact_id)
        if artifact is None:
            raise NotFound(f"There is no artifact {artifact_id!r}.", artifact_id=artifact_id)
        return artifact

    def save(self, before: Artifact | None, after: Artifact) -> Artifact:
        """Write a record if nobody wrote since `before` (None: if there is none). Raises: ConcurrentChange."""
        record = {**after.dump(), "kind": KIND}
        version = self._table.put_fenced(_pk(after.id), record, before.version if before else None)
        return after.changed(version=version)

    def page(self, cursor: str | None, limit: int) -> tuple[list[Artifact], str | None]:
        """Return a page of records by id, and the cursor of the next one; what cannot be read is left out."""
        items, following = self._table.of_kind(KIND, limit=limit, cursor=cursor)
        return readable(Artifact, items), following

    def mark_span(self, artifact_id: str, attempt: int, number: int, mark: SpanMark) -> None:
        """Note how far a span is: a repeat writes the same."""
        self._table.put({"pk": _pk(artifact_id), "sk": f"SPAN#{attempt:04d}#{number:06d}", **mark.dump()})

    def span_marks(self, artifact_id: str, attempt: int) -> list[SpanMark]:
        """Return the marks of this attempt: one of each span, and the plan's."""
        marks: list[SpanMark] = []
        cursor = None
        while True:
            items, cursor = self._table.query(_pk(artifact_id), f"SPAN#{attempt:04d}#", limit=PAGE, cursor=cursor)
            marks += readable(SpanMark, items)
            if cursor is None:
                return marks

    def note_trouble(self, artifact_id: str, attempt: int, code: str, reason: str) -> None:
        """Keep why a span could not be copied: the newest reason of an attempt."""
        self._table.put({"pk": _pk(artifact_id), "sk": f"TROUBLE#{attempt:04d}", "code": code, "reason": reason})

    def trouble(self, artifact_id: str, attempt: int) -> tuple[str, str] | None:
        """Return code and reason of the newest trouble of an attempt."""
        item = self._table.get(_pk(artifact_id), f"TROUBLE#{attempt:04d}")
        return (item["code"], item["reason"]) if item else None

    def forget_spans(self, artifact_id: str) -> None:
        """Remove the marks and the troubles of all attempts: the artifact is gone."""
        for what in ("SPAN#", "TROUBLE#"):
            self._forget(artifact_id, what)

    def _forget(self, artifact_id: str, what: str) -> None:
        cursor = None
        while True:
            items, cursor = self._table.query(_pk(artifact_id), what, limit=PAGE, cursor=cursor)
            for item in items:
                self._table.delete(item["pk"], item["sk"])
            if cursor is None:
                return
