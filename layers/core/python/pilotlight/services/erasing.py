"""Deleting every byte of an artifact whose record says DELETING: for whoever gave it back last, or finds it left."""

from pilotlight.domain.artifact import Artifact, ArtifactStatus, manifest_key
from pilotlight.ports import ArtifactBucket, Artifacts, Clock
from pilotlight.services.records import amend_artifact


class Erasing:
    """Removes artifacts that nobody refers to. While one is DELETING, nobody takes it into use."""

    def __init__(self, artifacts: Artifacts, bucket: ArtifactBucket, clock: Clock) -> None:
        self._artifacts = artifacts
        self._bucket = bucket
        self._clock = clock

    def erase(self, artifact: Artifact) -> str:
        """Delete every byte of an artifact that is DELETING, and say what there was."""
        folder = manifest_key(artifact.id).rpartition("/")[0] + "/"
        aborted = self._bucket.abort_uploads(folder)
        size_bytes = sum(self._bucket.sizes(folder).values())
        objects = self._bucket.delete(folder)
        self._artifacts.forget_spans(artifact.id)

        def gone(before: Artifact | None) -> Artifact | None:
            if before is None or before.status is not ArtifactStatus.DELETING:
                return None
            return before.changed(status=ArtifactStatus.GONE, updated_at=self._clock.now(), total_bytes=0)

        amend_artifact(self._artifacts, artifact.id, gone)
        return f"{objects} objects of {size_bytes:,} bytes and {aborted} unfinished uploads"
