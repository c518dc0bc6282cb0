"""A user's word that weights which nobody uses shall go now, however long they were to be kept."""

from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.errors import ArtifactInUse, NotFound
from pilotlight.domain.retention import DELETE
from pilotlight.ports import Artifacts
from pilotlight.services.records import amend_artifact


class Discarding:
    """Ends the time for which artifacts are kept: the next reconciliation collects them."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def discard(self, artifact_id: str) -> Artifact:
        """Let an artifact be collected by the next reconciliation, unless somebody takes it into use before.

        Raises: NotFound; ArtifactInUse, naming its users.
        """

        def discarded(before: Artifact | None) -> Artifact:
            if before is None or before.status is ArtifactStatus.GONE:
                raise NotFound(
                    f"There is no artifact {artifact_id[:60]!r}; GET /artifacts lists those that there are.",
                    artifact_id=artifact_id,
                )
            if before.users:
                raise ArtifactInUse(
                    f"Artifact {artifact_id} is used by {', '.join(before.users)}: tear these down first.",
                    artifact_id=artifact_id,
                    users=list(before.users),
                )
            return before.changed(keep=DELETE)

        return amend_artifact(self._artifacts, artifact_id, discarded) or self._artifacts.get(artifact_id)
