"""Are sealed weights what their source lists? Read back from S3, hashed in order, off the path of whoever waits.

S3 has checked that it holds the bytes that were sent. That these are the bytes of the model, only its SHA-256 tells; it
cannot be joined from hashes of parts. So it is computed while the import runs or the endpoint starts: the first wake
waits for it, see `first_warm_up`.
"""

import hashlib
from collections.abc import Iterator

from pilotlight.contracts import StagingTask, VerifyTask
from pilotlight.domain.artifact import Artifact, ArtifactStatus, Manifest, manifest_key, weight_key
from pilotlight.domain.errors import NotFound, PilotlightError
from pilotlight.ports import ArtifactBucket, Artifacts, Clock
from pilotlight.services.records import amend_artifact
from pilotlight.services.reusing import Reusing
from pilotlight.services.side_by_side import ahead

READ_BYTES = 16 * 1024 * 1024
CORRUPT = "weights-corrupt"


class Verifying:
    """The last steps of `stage_artifact`."""

    def __init__(
        self, artifacts: Artifacts, bucket: ArtifactBucket, reusing: Reusing, clock: Clock, *, streams: int
    ) -> None:
        self._artifacts = artifacts
        self._bucket = bucket
        self._reusing = reusing
        self._clock = clock
        self._streams = streams

    def verify(self, task: VerifyTask) -> None:
        """Hash one file; quarantine its artifact where it is not what the source lists.

        That is no failure: the other files need no second look. Nothing is done where nobody needs it any more.
        Raises: NotFound for a file that is not there; Throttled, Unavailable.
        """
        artifact = self._artifacts.get(task.artifact_id)
        if not artifact.is_unverified_in(task.attempt):
            return
        digest = hashlib.sha256()
        try:
            for piece in self._pieces(task):
                digest.update(piece)
        except PilotlightError as exc:
            told = f"{task.path} could not be verified: {exc.message}"
            self._artifacts.note_trouble(task.artifact_id, task.attempt, exc.code, told)
            raise
        if digest.hexdigest() != task.sha256:
            self._quarantine(task, digest.hexdigest())

    def mark_verified(self, task: StagingTask) -> Artifact | None:
        """Note that every file is what its source lists, and may be given to others; unless one was not.

        Raises: NotFound where the manifest is gone.
        """
        now = self._clock.now()
        if not self._artifacts.get(task.artifact_id).is_unverified_in(task.attempt):
            return None
        stored = self._bucket.get(manifest_key(task.artifact_id))
        if stored is None:
            raise NotFound(f"Artifact {task.artifact_id} has no manifest.", artifact_id=task.artifact_id)
        self._reusing.note(Manifest.model_validate_json(stored))

        def verified(before: Artifact | None) -> Artifact | None:
            if before is None or not before.is_unverified_in(task.attempt):
                return None
            return before.changed(unverified=0, verified_at=now)

        return amend_artifact(self._artifacts, task.artifact_id, verified)

    def _pieces(self, task: VerifyTask) -> Iterator[bytes]:
        key = weight_key(task.artifact_id, task.path)

        def read(offset: int) -> bytes:
            return self._bucket.read(key, offset, min(READ_BYTES, task.size_bytes - offset))

        return ahead(read, range(0, task.size_bytes, READ_BYTES), self._streams)

    def _quarantine(self, task: VerifyTask, found: str) -> None:
        now = self._clock.now()

        def quarantined(before: Artifact | None) -> Artifact | None:
            if before is None or not before.is_unverified_in(task.attempt):
                return None
            reason = (
                f"{task.path} is not what {before.source} lists: SHA-256 {found[:12]}… instead of {task.sha256[:12]}…. "
                f"Artifact {before.id} is quarantined, and nothing uses it any more. Tear the deployment down and "
                "deploy again: the weights are copied anew. If it stays so, the source's copy is broken."
            )
            told = {"failure_code": CORRUPT, "failure_reason": reason}
            return before.changed(status=ArtifactStatus.QUARANTINED, unverified=0, updated_at=now, **told)

        amend_artifact(self._artifacts, task.artifact_id, quarantined)
