"""The last steps of `deploy` before SERVING: the model that was just made is woken for the first time."""

from pilotlight.contracts import DeploymentTask, Wait, WakeStarted, WarmUpTask
from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.errors import Held, QuotaExceeded, Superseded, Unverified, WarmUpExhausted
from pilotlight.ports import Artifacts, Clock, Deployments
from pilotlight.services.holding import go_on, held_seconds, hold
from pilotlight.services.records import amend
from pilotlight.services.spending import PASSING
from pilotlight.services.staging_runs import StagingRuns, unusable
from pilotlight.services.warming import Warming

POLL_SECONDS = 5
LONGEST_POLL_SECONDS = 300


class FirstWarmUp:
    """Starts the first wake of a deployment and follows it."""

    def __init__(
        self, deployments: Deployments, artifacts: Artifacts, staging: StagingRuns, warming: Warming, clock: Clock
    ) -> None:
        self._deployments = deployments
        self._artifacts = artifacts
        self._staging = staging
        self._warming = warming
        self._clock = clock

    def start(self, task: DeploymentTask) -> WakeStarted:
        """Move a finished import to WARMING and wake its model, or say how long to wait until it may be woken.

        Nothing is woken, and so nothing serves, before its weights are verified.
        Raises: LeaseEnded, SpendCeilingReached; QuotaExceeded where the model alone is larger than the stack's cap;
        SourceRefused where the weights are not what their source lists.
        """
        deployment = self._moved_to_warming(task)
        try:
            self._require_verified(deployment, task.correlation_id)
            if deployment.endpoint and deployment.endpoint.parked:
                go_on(self._deployments, deployment, self._clock)
                return WakeStarted(skipped=True)
            deployment = self._warming.wake(task.deployment, reason="first warm-up", correlation_id=task.correlation_id)
        except Unverified as why:
            hold(self._deployments, deployment, why, self._clock, EventKind.ARTIFACT)
            return WakeStarted(held=True, wait_seconds=_poll_seconds(why.detail["seconds"]))
        except Held as why:
            if why.detail.get("never"):
                raise QuotaExceeded(why.message, deployment=task.deployment) from why
            hold(self._deployments, deployment, why, self._clock)
            return WakeStarted(held=True, wait_seconds=held_seconds(deployment, self._clock.now()))
        wake = deployment.wake or deployment.last_wake
        if wake is None:
            raise Superseded(
                f"The wake of {task.deployment} ended while it was being started.", deployment=task.deployment
            )
        return WakeStarted(wake_id=wake.id)

    def check(self, task: WarmUpTask) -> Wait:
        """Say whether the first warm-up is done; one that was refused money for now is started again later.

        Raises: WarmUpExhausted with the reason for which the wake gave up.
        """
        now = self._clock.now()
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.WARMING)
        ended = deployment.last_wake
        if ended and ended.warm:
            return Wait(done=True)
        if deployment.wake and deployment.wake.is_live(now):
            return Wait(done=False, wait_seconds=_poll_seconds(deployment.wake.elapsed(now)))
        if ended and ended.refusal in PASSING:
            return Wait(done=False, held=True, wait_seconds=POLL_SECONDS)
        why = ended.reason if ended and ended.id == task.warm_up.wake_id else "its execution died"
        raise WarmUpExhausted(f"The first warm-up of {task.deployment} ended without an answer: {why}.")

    def _require_verified(self, deployment: Deployment, correlation_id: str) -> None:
        """Pass weights that nothing is left to be seen of; what has died of their verification is started again.

        Raises: Unverified meanwhile, Held while that may not be; SourceRefused where they cannot be used.
        """
        if deployment.artifact_id is None:
            return
        artifact = self._artifacts.get(deployment.artifact_id)
        if artifact.status is not ArtifactStatus.SEALED:
            raise unusable(artifact)
        if artifact.is_worked_on:
            self._staging.keep_going(artifact, correlation_id)
            seconds = (self._clock.now() - artifact.updated_at).total_seconds()
            raise Unverified(
                f"the SHA-256 of {artifact.unverified} files of its weights is being verified", seconds=seconds
            )

    def _moved_to_warming(self, task: DeploymentTask) -> Deployment:
        now = self._clock.now()

        def warming(before: Deployment) -> Change | None:
            before.require(task.generation, Status.IMPORTING, Status.CREATING, Status.WARMING)
            if before.status is Status.WARMING:
                return None
            # that of an earlier attempt says nothing
            after = before.moved_to(Status.WARMING, now, last_wake=None, failed_wakes=0)
            return change(before, after, EventKind.STATUS, "the model exists: its first warm-up begins", now)

        return amend(self._deployments, task.deployment, warming)


def _poll_seconds(elapsed: float) -> int:
    """Return how long to wait for a wake that goes on for so long: a long one is asked for less, not more often."""
    return round(min(max(elapsed / 10, POLL_SECONDS), LONGEST_POLL_SECONDS))
