"""What an attempt to stage an artifact decided: written beside its spans, and believed by whoever seals it."""

from pilotlight.domain.artifact import SkippedFile, StagedFile
from pilotlight.domain.source import SourceFile, StoredObject
from pilotlight.domain.spans import Run, in_parts, is_multipart
from pilotlight.domain.values import Model


class PlannedFile(Model):
    """One file of the plan: what sealing must find. `part_bytes` is of a file that is uploaded in parts.

    `stored` is what S3 copies it from: the source itself where that is a bucket, or a file of another artifact.
    """

    path: str
    size_bytes: int
    sha256: str | None = None
    upload_id: str | None = None
    part_bytes: int | None = None
    stored: StoredObject | None = None
    derived_from: tuple[str, ...] = ()

    @property
    def donor(self) -> StoredObject | None:
        """The file of another artifact that S3 copies it from, if it is one."""
        return self.stored if self.stored and self.stored.artifact_id else None

    @property
    def is_verified(self) -> bool:
        """Whether its content was hashed on its way: a file that is put whole, where its source tells a SHA-256."""
        return self.sha256 is not None and not is_multipart(self.size_bytes)

    def run(self, part_bytes: int) -> Run:
        """Return all its parts as one run; `part_bytes` is for a plan that does not tell."""
        file = SourceFile(path=self.path, size_bytes=self.size_bytes, sha256=self.sha256)
        return in_parts(file, self.upload_id or "", self.part_bytes or part_bytes).changed(stored=self.stored)

    def staged(self) -> StagedFile:
        """Return its line of the manifest, before S3 has told parts and checksum."""
        return StagedFile(
            path=self.path,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            verified=self.is_verified,
            copied_from=self.donor.artifact_id if self.donor else None,
            derived_from=self.derived_from,
        )


class StagingPlan(Model):
    """The files of an attempt, and what it leaves behind."""

    files: tuple[PlannedFile, ...]
    skipped: tuple[SkippedFile, ...]
