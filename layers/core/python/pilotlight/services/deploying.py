"""The steps of `deploy` that are the same for every backend: from a request to SERVING, or to FAILED with a reason."""

from datetime import timedelta
from typing import Any

from pilotlight.contracts import DeploymentTask, FailureTask, Wait
from pilotlight.domain import names
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.deployment import UNDER_WAY, Change, Deployment, Event, EventKind, Failure, Status, change
from pilotlight.domain.errors import ConcurrentChange, Held, NotFound, SourceRefused
from pilotlight.domain.source import Source, SourceKind
from pilotlight.domain.spending import Purpose
from pilotlight.ports import Artifacts, Clock, Deployments
from pilotlight.ports.jumpstart import JumpStartCatalogue
from pilotlight.services.holding import go_on, held_seconds, hold
from pilotlight.services.notifying import Notifying
from pilotlight.services.preflight import Inspection, Preflight
from pilotlight.services.records import amend, amend_artifact
from pilotlight.services.spending import Spending
from pilotlight.services.staging_runs import StagingRuns, unusable

STAGING_POLL_SECONDS = 10
LONGEST_STAGING_POLL_SECONDS = 60
MOST_COPIES = 5  # of one source: after so many of them in quarantine it is the source that is broken


class Deploying:
    """Carries a deployment from its request to SERVING."""

    def __init__(
        self,
        deployments: Deployments,
        artifacts: Artifacts,
        preflight: Preflight,
        catalogue: JumpStartCatalogue,
        staging: StagingRuns,
        notifying: Notifying,
        spending: Spending,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._artifacts = artifacts
        self._preflight = preflight
        self._catalogue = catalogue
        self._staging = staging
        self._notifying = notifying
        self._spending = spending
        self._clock = clock

    def start_staging(self, task: DeploymentTask) -> Wait:
        """Judge the model from its small files, then start staging its artifact, or join whoever does.

        A retry goes on from the artifact that it has sealed, whatever has become of the source since. While the kill
        switch is on, nothing begins: the step is to be made again later.
        Raises: PreflightRefused with every refusal; SourceRefused; LeaseEnded; SpendCeilingReached.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.REQUESTED, Status.STAGING)
        try:
            self._spending.require(deployment, Purpose.CREATE)
        except Held as why:
            hold(self._deployments, deployment, why, self._clock)
            return Wait(done=False, held=True, wait_seconds=held_seconds(deployment, self._clock.now()))
        go_on(self._deployments, deployment, self._clock)
        if sealed := self._sealed(deployment):
            self._go_on_from(sealed, deployment)
            return Wait(done=True)
        source = Source.parse(deployment.source)
        self._require_no_import_of_what_is_quarantined(deployment)
        if source.kind is SourceKind.JUMPSTART:
            self._refer_to(source, deployment)
            return Wait(done=True)
        model_name = names.imported_model_name(deployment.name, deployment.generation)
        inspection = self._preflight.require(source, deployment.backend, deployment.hosting, own_model_name=model_name)
        artifact_id = self._artifact_id(inspection.listing.source)
        self._record_artifact(deployment, artifact_id, inspection)
        artifact = self._use(artifact_id, deployment, inspection)
        self._require_still_wanted(deployment, artifact_id)
        self._staging.start(artifact, task.correlation_id)
        return Wait(done=artifact.status is ArtifactStatus.SEALED, wait_seconds=STAGING_POLL_SECONDS)

    def _refer_to(self, source: Source, deployment: Deployment) -> None:
        """Pin a JumpStart model: its weights stay where AWS keeps them, so that there is nothing to stage."""
        now = self._clock.now()
        pinned = self._catalogue.resolve(source.at(deployment.revision) if deployment.revision else source).source

        def referred(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.REQUESTED, Status.STAGING)
            if before.status is Status.STAGING:
                return None
            after = before.moved_to(Status.STAGING, now, revision=pinned.revision)
            reason = f"{pinned}: its weights stay where AWS keeps them"
            return change(before, after, EventKind.ARTIFACT, reason, now)

        amend(self._deployments, deployment.name, referred)

    def check_staging(self, task: DeploymentTask) -> Wait:
        """Say whether the artifact is sealed; start its staging again where the execution died.

        Raises: Terminal with the artifact's own failure.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.STAGING)
        artifact = self._artifacts.get(deployment.artifact_id or "")
        match artifact.status:
            case ArtifactStatus.SEALED:
                self._note_staged(deployment, artifact)
                return Wait(done=True)
            case ArtifactStatus.STAGING:
                try:
                    self._staging.keep_going(artifact, task.correlation_id)
                except Held as why:
                    hold(self._deployments, deployment, why, self._clock)
                    return Wait(done=False, wait_seconds=held_seconds(deployment, self._clock.now()))
                return Wait(done=False, wait_seconds=_staging_wait(self._clock.now() - artifact.updated_at))
            case _:
                raise unusable(artifact)

    def _note_staged(self, deployment: Deployment, artifact: Artifact) -> None:
        event = Event(
            at=self._clock.now(),
            kind=EventKind.ARTIFACT,
            reason=artifact.as_staged,
            generation=deployment.generation,
        )
        self._deployments.note(deployment.name, event)

    def mark_serving(self, task: DeploymentTask) -> Deployment:
        """Move a warm deployment to SERVING and tell it."""
        now = self._clock.now()

        def serving(before: Deployment) -> Change | None:
            before.require(task.generation, Status.WARMING, Status.SERVING)
            if before.status is Status.SERVING:
                return None
            after = before.moved_to(Status.SERVING, now)
            return change(before, after, EventKind.STATUS, f"{_serves(before)}: it takes invocations", now)

        deployment = amend(self._deployments, task.deployment, serving)
        self._notifying.tell("serving", deployment, _serves(deployment))
        return deployment

    def mark_failed(self, task: FailureTask) -> Deployment:
        """Move a deployment to FAILED with its reason, and tell it.

        An import and its artifact stay: they cost nothing by the hour, and a retry goes on from them.
        """
        now = self._clock.now()
        reason = task.error.readable

        def failed(before: Deployment) -> Change | None:
            stale = (before.generation, before.attempt) != (task.generation, task.attempt)
            if stale or before.status not in UNDER_WAY:
                return None
            failure = Failure(code=task.error.code, reason=reason, during=before.status, at=now)
            after = before.moved_to(Status.FAILED, now, failure=failure, wake=None, waiting_for=None)
            return change(before, after, EventKind.STATUS, reason, now, code=failure.code)

        deployment = amend(self._deployments, task.deployment, failed)
        if deployment.status is Status.FAILED and deployment.generation == task.generation:
            self._notifying.tell("failed", deployment, reason)
        return deployment

    def _require_no_import_of_what_is_quarantined(self, deployment: Deployment) -> None:
        """Pass a deployment that has imported nothing of weights in quarantine: what it has, it would not adopt.

        Raises: SourceRefused before anything is copied again.
        """
        if deployment.imported is None or deployment.artifact_id is None:
            return
        artifact = self._artifacts.find(deployment.artifact_id)
        if artifact is not None and artifact.status is ArtifactStatus.QUARANTINED:
            raise unusable(artifact)

    def _artifact_id(self, source: Source) -> str:
        """Return the id of a pinned source's artifact: one that is there, else the first that is not in quarantine.

        Raises: SourceRefused.
        """
        free: str | None = None
        for number in range(MOST_COPIES):
            artifact_id = names.artifact_id(source, quarantined=number)
            artifact = self._artifacts.find(artifact_id)
            if artifact is not None and artifact.status in (ArtifactStatus.STAGING, ArtifactStatus.SEALED):
                return artifact_id
            if artifact is None or artifact.status is not ArtifactStatus.QUARANTINED:
                free = free or artifact_id
            if artifact is None:
                break  # no other has followed one that never was
        if free:
            return free
        raise SourceRefused(
            f"{source} was copied {MOST_COPIES} times, and each time a file was not what it lists: its own copy "
            "is broken. Tear down the deployments that wait for it."
        )

    def _record_artifact(self, deployment: Deployment, artifact_id: str, inspection: Inspection) -> None:
        now = self._clock.now()
        revision = inspection.listing.revision
        found = self._artifacts.find(artifact_id)
        is_here = found is not None and found.status is ArtifactStatus.SEALED
        told = f"{inspection.plan.total_bytes:,} bytes of revision {revision[:12]}"

        def staging(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.REQUESTED, Status.STAGING)
            if before.status is Status.STAGING and before.artifact_id == artifact_id:
                return None
            fields: dict[str, Any] = {"artifact_id": artifact_id, "revision": revision}
            if before.artifact_id and before.artifact_id != artifact_id:
                fields["former_artifacts"] = (*before.former_artifacts, before.artifact_id)
            moved = before.status is Status.REQUESTED
            fields["proposal"] = inspection.verdict.proposal
            after = before.moved_to(Status.STAGING, now, **fields) if moved else before.changed(**fields)
            reason = f"preflight passed; {told} are staged already" if is_here else f"preflight passed; staging {told}"
            return change(before, after, EventKind.STATUS, reason, now, artifact_id=artifact_id)

        amend(self._deployments, deployment.name, staging)

    def _sealed(self, deployment: Deployment) -> Artifact | None:
        """Return the artifact that an earlier run of this deployment sealed, or None."""
        artifact = self._artifacts.find(deployment.artifact_id) if deployment.artifact_id else None
        mine = artifact and artifact.status is ArtifactStatus.SEALED and deployment.as_user in artifact.users
        return artifact if mine else None

    def _go_on_from(self, artifact: Artifact, deployment: Deployment) -> None:
        now = self._clock.now()

        def staged(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.REQUESTED, Status.STAGING)
            if before.status is Status.STAGING:
                return None
            reason = f"goes on from artifact {artifact.id}, sealed at revision {artifact.revision[:12]}"
            return change(before, before.moved_to(Status.STAGING, now), EventKind.ARTIFACT, reason, now)

        amend(self._deployments, deployment.name, staged)

    def _use(self, artifact_id: str, deployment: Deployment, inspection: Inspection) -> Artifact:
        now = self._clock.now()
        user, wish = deployment.as_user, deployment.artifact

        def used(before: Artifact | None) -> Artifact:
            if before is None or before.status is ArtifactStatus.GONE:
                return Artifact(
                    id=artifact_id,
                    source=str(inspection.listing.source.changed(revision=None)),
                    revision=inspection.listing.revision,
                    attempt=before.attempt + 1 if before else 1,
                    version=before.version if before else 0,
                    total_bytes=inspection.plan.total_bytes,
                    facts=inspection.plan.facts,
                    users=(user,),
                    keep=wish,
                    created_at=now,
                    updated_at=now,
                )
            if before.status is ArtifactStatus.QUARANTINED:
                raise ConcurrentChange(f"Artifact {artifact_id} has just been quarantined: it is copied anew.")
            if before.status is ArtifactStatus.DELETING:
                raise ConcurrentChange(f"Artifact {artifact_id} is being deleted; staging begins when it is gone.")
            if before.status is ArtifactStatus.FAILED:
                again = before.changed(status=ArtifactStatus.STAGING, attempt=before.attempt + 1, updated_at=now)
                return again.changed(failure_code=None, failure_reason=None, revivals=0).used_by(user, wish)
            return before.used_by(user, wish)

        artifact = amend_artifact(self._artifacts, artifact_id, used)
        if artifact is None:
            raise NotFound(
                f"Artifact {artifact_id} vanished while it was being taken into use.", artifact_id=artifact_id
            )
        return artifact

    def _require_still_wanted(self, deployment: Deployment, artifact_id: str) -> None:
        """See that the deployment still wants its artifact, which a teardown may have given back before it was taken.

        Raises: Superseded, after giving it back where the deployment is over; one that has gone on keeps it.
        """
        current = self._deployments.get(deployment.name)
        if current.generation != deployment.generation or current.status in (Status.TEARING_DOWN, Status.GONE):
            now = self._clock.now()
            user = deployment.as_user
            amend_artifact(self._artifacts, artifact_id, lambda before: before and before.given_back_by(user, now))
        current.require(deployment.generation, Status.STAGING)


def _serves(deployment: Deployment) -> str:
    parked = deployment.endpoint and deployment.endpoint.parked
    return "its instance is started with the first call" if parked else "the model answers"


def _staging_wait(elapsed: timedelta) -> int:
    """Return how long to wait for weights that have been on their way for that long: a long copy is asked for less."""
    return round(min(max(elapsed.total_seconds() / 5, STAGING_POLL_SECONDS), LONGEST_STAGING_POLL_SECONDS))
