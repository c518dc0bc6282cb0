"""What lies in our buckets, whoever put it there: lists for the reconciliation, which believes no record."""

from datetime import datetime
from typing import Protocol

from pilotlight.domain.orphans import FoundFolder
from pilotlight.domain.values import Model, Moment


class UnfinishedUpload(Model):
    """An upload in parts that nobody completed or aborted."""

    key: str
    upload_id: str
    begun_at: Moment


class Inventory(Protocol):
    """Both buckets, as S3 lists them. Every list comes whole, or raises."""

    def artifact_ids(self) -> list[str]:
        """Return the folders below `artifacts/` in which there are objects."""
        ...

    def unfinished_uploads(self) -> list[UnfinishedUpload]:
        """Return the unfinished uploads below `artifacts/`."""
        ...

    def newest_write(self, prefix: str) -> datetime | None:
        """Return when the newest object or unfinished upload below a prefix was written, None where there is none."""
        ...

    def abort(self, upload: UnfinishedUpload) -> None:
        """Abort one upload; one already over is a success."""
        ...

    def invocation_ids(self, after: str | None) -> tuple[list[str], str | None]:
        """Return the next invocations whose bodies are kept, and where the list goes on; None at its end."""
        ...

    def forget_invocation(self, invocation_id: str) -> None:
        """Delete the bodies of one invocation."""
        ...

    def uploaded_folders(self, after: str | None) -> tuple[list[FoundFolder], str | None]:
        """Return the next uploaded folders, each whole, and where the list goes on; None at its end."""
        ...
