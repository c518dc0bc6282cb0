"""Taking a deployment down from any status, also a half-made one, until no trace of it is left.

Level-triggered: the record goes to TEARING_DOWN first, every step looks at what is there, "already gone" is a
success, and nothing without our tags is deleted.
"""

import math
from collections.abc import Callable
from datetime import timedelta

from pilotlight.contracts import DeploymentTask, FailureTask, Wait, input_of
from pilotlight.domain import names
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.errors import NotOurs
from pilotlight.domain.retention import DELETE
from pilotlight.domain.values import iso
from pilotlight.ports import (
    Artifacts,
    Clock,
    Deployments,
    Executions,
    ImportedModelState,
    ModelImports,
    Uploads,
)
from pilotlight.services.erasing import Erasing
from pilotlight.services.notifying import Notifying
from pilotlight.services.records import amend, amend_artifact

MACHINE = "teardown"
STOPPED = "the deployment is being torn down"
IMPORT_POLL_SECONDS = 60
IN_FLIGHT_SECONDS = 90  # longer than a Lambda that starts an import job may run


class TearingDown:
    """Removes everything that a deployment made, and nothing else."""

    def __init__(
        self,
        deployments: Deployments,
        artifacts: Artifacts,
        uploads: Uploads,
        erasing: Erasing,
        imports: ModelImports,
        executions: Executions,
        notifying: Notifying,
        clock: Clock,
        *,
        stack: str,
    ) -> None:
        self._deployments = deployments
        self._artifacts = artifacts
        self._uploads = uploads
        self._erasing = erasing
        self._imports = imports
        self._executions = executions
        self._notifying = notifying
        self._clock = clock
        self._stack = stack

    def begin(
        self, name: str, *, reason: str, correlation_id: str, still: Callable[[Deployment], bool] = lambda _: True
    ) -> Deployment:
        """Move a deployment to TEARING_DOWN and start the execution; one under way or GONE stays as it is.

        So does one for which the reason does not hold any more (`still`), as when its lease was renewed meanwhile.
        """
        now = self._clock.now()

        def going(before: Deployment) -> Change | None:
            if before.status in (Status.TEARING_DOWN, Status.GONE) or not still(before):
                return None
            after = before.moved_to(
                Status.TEARING_DOWN, now, wake=None, teardown_round=1, correlation_id=correlation_id
            )
            return change(before, after, EventKind.TEARDOWN, reason, now)

        deployment = amend(self._deployments, name, going)
        if deployment.status is Status.TEARING_DOWN:
            self._start(deployment)
        return deployment

    def revive(self, deployment: Deployment) -> None:
        """Start the teardown again, as its next round, where its execution is no longer there."""
        if self._executions.is_running(MACHINE, self._execution_name(deployment)):
            return
        now = self._clock.now()

        def next_round(before: Deployment) -> Change | None:
            same = before.teardown_round == deployment.teardown_round and before.generation == deployment.generation
            if before.status is not Status.TEARING_DOWN or not same:
                return None
            after = before.changed(teardown_round=before.teardown_round + 1)
            reason = f"teardown goes on: round {after.teardown_round}"
            return change(before, after, EventKind.TEARDOWN, reason, now)

        again = amend(self._deployments, deployment.name, next_round)
        if again.status is Status.TEARING_DOWN:
            self._start(again)

    def stop_executions(self, task: DeploymentTask) -> Wait:
        """End the deployment's other executions: what they were doing is removed by the next steps."""
        deployment = self._torn(task)
        for attempt in range(1, deployment.attempt + 1):
            run = names.run_name(deployment.name, deployment.generation, attempt, deployment.created_at)
            self._executions.stop("deploy", run, STOPPED)
        if deployment.endpoint and deployment.endpoint.update:
            number = deployment.endpoint.update.number
            run = names.update_name(deployment.name, deployment.generation, number, deployment.created_at)
            self._executions.stop("update", run, STOPPED)
        for wake in self._executions.running("warm"):  # the record forgets a wake that its execution has not ended
            whose = names.parse_run(wake.name)
            if whose and (whose.owner, whose.generation) == (deployment.name, deployment.generation):
                self._executions.stop("warm", wake.name, STOPPED)
        return Wait(done=True)

    def delete_model(self, task: DeploymentTask) -> Wait:
        """Delete the imported model; while its import job runs, which nothing can stop, say how long to wait."""
        deployment = self._torn(task)
        for attempt in range(1, deployment.attempt + 1):
            job = self._imports.job(deployment.import_job_name(attempt))
            if job and job.status == "InProgress":
                self._wait_for(
                    deployment, f"waits for import job {job.name}: it cannot be stopped, its model is deleted then"
                )
                return Wait(done=False, wait_seconds=IMPORT_POLL_SECONDS)
        if self._may_be_starting(deployment):
            return Wait(done=False, wait_seconds=IN_FLIGHT_SECONDS)
        model = self._imports.model(names.imported_model_name(deployment.name, deployment.generation))
        if model is None:
            return Wait(done=True)
        ours = names.ownership_tags(self._stack, deployment.name, deployment.generation)
        if any(model.tags.get(key) != value for key, value in ours.items()):
            return self._leave_alone(deployment, model)
        self._imports.delete_model(model.arn)
        self._note(deployment, f"imported model {model.name} deleted", model_arn=model.arn)
        return Wait(done=True)

    def _leave_alone(self, deployment: Deployment, model: ImportedModelState) -> Wait:
        """Note a stranger's model of our name and go on: it is no trace of ours.

        Raises: NotOurs for the very model that we imported: it lost our tags, and only a person knows why.
        """
        if deployment.imported and deployment.imported.model_arn == model.arn:
            raise NotOurs(
                f"Imported model {model.name} is without this deployment's tags; it is left alone. Tag it again, or "
                "delete it yourself.",
                model_arn=model.arn,
            )
        reason = f"imported model {model.name} is a stranger's: it is left alone"
        self._note(deployment, reason, left_alone=model.arn, model_arn=model.arn)
        return Wait(done=True)

    def release_artifact(self, task: DeploymentTask) -> Wait:
        """Give the artifact back; when nobody else refers to it, stop its staging.

        Where no user of it wished that it be kept, delete its every byte; else the reconciliation does, in its time.
        Where Lambdas of its staging may still be at work, say how long to wait: what they leave is removed then.
        Until it is deleted, the next who wants it may take it up again.
        """
        deployment = self._torn(task)
        used = [each for each in (*deployment.former_artifacts, deployment.artifact_id) if each]
        wait_seconds = max((self._release(artifact_id, deployment) for artifact_id in used), default=0)
        return Wait(done=wait_seconds == 0, wait_seconds=wait_seconds)

    def _release(self, artifact_id: str, deployment: Deployment) -> int:
        """Return after how many seconds to look again, 0 where this artifact is done with."""
        now = self._clock.now()

        def released(before: Artifact | None) -> Artifact | None:
            if before is None or before.status is ArtifactStatus.GONE:
                return None
            after = before.given_back_by(deployment.as_user, now)
            if after.status is ArtifactStatus.DELETING or not after.is_over(now):
                return after
            return after.changed(status=ArtifactStatus.DELETING, updated_at=now)

        artifact = amend_artifact(self._artifacts, artifact_id, released)
        if artifact is None or artifact.status is ArtifactStatus.GONE:
            return 0
        if artifact.users:
            self._note(deployment, f"artifact {artifact.id} stays: used by {', '.join(artifact.users)}")
            return 0
        if artifact.status is not ArtifactStatus.SEALED:  # whose verification is the next user's, too
            self._stop_staging(artifact)
        if artifact.status is ArtifactStatus.DELETING:
            found = self._erasing.erase(artifact)
            self._note(deployment, f"artifact {artifact.id} deleted, {found}: nobody else refers to it")
            return 0
        kept_until = artifact.kept_until
        if artifact.retention != DELETE or kept_until is None:
            until = f"until {iso(kept_until)}, unless it is used before" if kept_until else "until somebody deletes it"
            self._note(deployment, f"artifact {artifact.id} is kept {until}")
            return 0
        self._wait_for(deployment, f"waits until nothing writes to artifact {artifact.id} any more, then deletes it")
        return max(1, math.ceil((kept_until - now).total_seconds()))

    def mark_gone(self, task: DeploymentTask) -> Deployment:
        """End a teardown: the record stays, its name is free, and the folder that waited for it is looked at."""
        now = self._clock.now()

        def gone(before: Deployment) -> Change | None:
            before.require(task.generation, Status.TEARING_DOWN, Status.GONE)
            if before.status is Status.GONE:
                return None
            after = before.moved_to(
                Status.GONE, now, artifact_id=None, former_artifacts=(), wake=None, waiting_for=None
            )
            return change(before, after, EventKind.STATUS, _farewell(before), now)

        deployment = amend(self._deployments, task.deployment, gone)
        if held := self._uploads.find(deployment.name):
            self._uploads.note_event(held.folder, now, now)
        self._notifying.tell("gone", deployment, _farewell(deployment))
        return deployment

    def mark_teardown_failed(self, task: FailureTask) -> Deployment:
        """Note why this round failed; the record stays TEARING_DOWN, and the sweep starts the next round.

        Rounds follow one another more and more seldom, and each reason is told once.
        """
        now = self._clock.now()
        told = self._deployments.get(task.deployment).teardown_trouble == task.error.readable
        reason = f"teardown could not finish and will be tried again: {task.error.readable}"

        def noted(before: Deployment) -> Change | None:
            if before.generation != task.generation or before.status is not Status.TEARING_DOWN:
                return None
            after = before.changed(teardown_trouble=task.error.readable)
            return change(before, after, EventKind.TEARDOWN, reason, now, code=task.error.code)

        deployment = amend(self._deployments, task.deployment, noted)
        if not told:
            self._notifying.tell("failed", deployment, reason)
        return deployment

    def _may_be_starting(self, deployment: Deployment) -> bool:
        """Say whether a Lambda that outlived its stopped execution may still be starting an import job."""
        imported = deployment.imported
        if imported is None or imported.starting_at is None or imported.job_arn:
            return False
        return self._clock.now() - imported.starting_at < timedelta(seconds=IN_FLIGHT_SECONDS)

    def _torn(self, task: DeploymentTask) -> Deployment:
        return self._deployments.get(task.deployment).require(task.generation, Status.TEARING_DOWN)

    def _execution_name(self, deployment: Deployment) -> str:
        return names.teardown_name(
            deployment.name, deployment.generation, deployment.teardown_round, deployment.created_at
        )

    def _start(self, deployment: Deployment) -> None:
        self._executions.start(MACHINE, self._execution_name(deployment), input_of(deployment))

    def _stop_staging(self, artifact: Artifact) -> None:
        for attempt in range(1, artifact.attempt + 1):
            staging = names.staging_name(artifact.id, attempt, artifact.created_at)
            self._executions.stop("stage_artifact", staging, "nobody refers to the artifact any more")

    def _note(self, deployment: Deployment, reason: str, left_alone: str | None = None, **detail: str) -> None:
        """Add what was done to the timeline; the record no longer waits for anything."""
        now = self._clock.now()

        def noted(before: Deployment) -> Change | None:
            if before.generation != deployment.generation:
                return None
            after = before.changed(waiting_for=None, left_alone=left_alone or before.left_alone)
            return change(before, after, EventKind.TEARDOWN, reason, now, **detail)

        amend(self._deployments, deployment.name, noted)

    def _wait_for(self, deployment: Deployment, reason: str) -> None:
        """Tell, once, what the teardown waits for."""
        now = self._clock.now()

        def waiting(before: Deployment) -> Change | None:
            if before.generation != deployment.generation or before.waiting_for == reason:
                return None
            return change(before, before.changed(waiting_for=reason), EventKind.TEARDOWN, reason, now)

        amend(self._deployments, deployment.name, waiting)


def _farewell(deployment: Deployment) -> str:
    if deployment.left_alone:
        return f"what was ours is removed, {deployment.left_alone} is left alone; the name is free"
    return "every trace is removed; the name is free"
