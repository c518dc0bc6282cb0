"""Executions of `stage_artifact`: each copies an artifact's weights and then verifies them; one that dies is replaced.

What is sealed already is not copied again: an execution that is told so begins with what it has to verify.
"""

from typing import Any

from pilotlight.contracts import Sealed
from pilotlight.domain import names
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.errors import SourceRefused
from pilotlight.ports import Artifacts, Clock, Executions
from pilotlight.services.records import amend_artifact
from pilotlight.services.spending import Spending

STAGING_MACHINE = "stage_artifact"
STAGING_ATTEMPTS = 3


class StagingRuns:
    """Starts executions, and starts them again."""

    def __init__(
        self, artifacts: Artifacts, executions: Executions, spending: Spending, clock: Clock, *, copiers: int
    ) -> None:
        self._artifacts = artifacts
        self._executions = executions
        self._spending = spending
        self._clock = clock
        self._copiers = copiers

    def start(self, artifact: Artifact, correlation_id: str) -> None:
        """Start the execution of an artifact's attempt, where there is something to do and nobody has started it."""
        if not artifact.is_worked_on:
            return
        work: dict[str, Any] = {
            "artifact_id": artifact.id,
            "attempt": artifact.attempt,
            "correlation_id": correlation_id,
        }
        if artifact.status is ArtifactStatus.SEALED:
            work["sealed"] = Sealed(unverified=artifact.unverified, copiers=self._copiers).dump()
        self._executions.start(STAGING_MACHINE, _run_of(artifact), work)

    def keep_going(self, artifact: Artifact, correlation_id: str) -> None:
        """Start again, as the next attempt, what died; what died too often has failed, and a retry begins afresh.

        Raises: Held while nothing may be begun.
        """
        if not artifact.is_worked_on or self._executions.is_running(STAGING_MACHINE, _run_of(artifact)):
            return
        self._spending.require_creation()
        now = self._clock.now()

        def next_attempt(before: Artifact | None) -> Artifact | None:
            if before is None or (before.status, before.attempt) != (artifact.status, artifact.attempt):
                return None
            if not before.is_worked_on:
                return None
            if before.revivals >= STAGING_ATTEMPTS:
                doing = "staging" if before.status is ArtifactStatus.STAGING else "verifying"
                reason = f"{doing} {artifact.source} died {before.revivals + 1} times without saying why"
                return before.changed(
                    status=ArtifactStatus.FAILED,
                    failure_code="staging-died",
                    failure_reason=f"{reason}; its parts stay for a retry",
                    updated_at=now,
                )
            return before.changed(attempt=before.attempt + 1, revivals=before.revivals + 1, updated_at=now)

        again = amend_artifact(self._artifacts, artifact.id, next_attempt)
        if again:
            self.start(again, correlation_id)


def _run_of(artifact: Artifact) -> str:
    return names.staging_name(artifact.id, artifact.attempt, artifact.created_at)


def unusable(artifact: Artifact) -> SourceRefused:
    """Return why nothing can be made of an artifact: its own failure, where it has one."""
    reason = artifact.failure_reason or f"Artifact {artifact.id} is {artifact.status}."
    return SourceRefused(reason, artifact_id=artifact.id, cause=artifact.failure_code)
