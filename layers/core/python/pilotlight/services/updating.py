"""Changing what an endpoint runs while it serves: to a next revision, or back to one that is kept.

SageMaker brings the new instances into service beside the old ones, and rolls back by itself where they do not come, or
where an alarm rings. The record says which revision serves; it changes when the new one does.
"""

from datetime import timedelta

from pilotlight.contracts import UpdateFailureTask, UpdateRequest, UpdateStarted, UpdateTask
from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import (
    Endpoint,
    Revision,
    RevisionStatus,
    Strategy,
    Update,
    rollback_alarm_name,
)
from pilotlight.domain.errors import ConcurrentChange, Conflict, EndpointFailed, InvalidInput, Superseded
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.source import Source
from pilotlight.domain.spending import Purpose
from pilotlight.ports import Clock, Deployments, Executions
from pilotlight.ports.endpoints import Endpoints
from pilotlight.services.creating import Creating
from pilotlight.services.judging import Judging
from pilotlight.services.notifying import Notifying
from pilotlight.services.records import amend
from pilotlight.services.removing import Removing
from pilotlight.services.revising import Revising
from pilotlight.services.spending import Spending

MACHINE = "update"
BUSY_SECONDS = 30
BEGINS_WITHIN = timedelta(minutes=2)  # a young execution may not be seen yet
OF_THE_CONFIG = ("initial", "concurrent_invocations", "components")


class Updating:
    """Updates endpoints and rolls them back."""

    def __init__(
        self,
        deployments: Deployments,
        endpoints: Endpoints,
        executions: Executions,
        revising: Revising,
        creating: Creating,
        removing: Removing,
        judging: Judging,
        spending: Spending,
        notifying: Notifying,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._endpoints = endpoints
        self._executions = executions
        self._revising = revising
        self._creating = creating
        self._removing = removing
        self._judging = judging
        self._spending = spending
        self._notifying = notifying
        self._clock = clock

    def update(self, name: str, wanted: UpdateRequest) -> Deployment:
        """Bring a deployment to other settings: bounds at once, all else as the next revision.

        A repeat of what it has changes nothing.
        Raises: NotServing; Conflict while another update runs; InvalidInput; PreflightRefused; KillSwitchOn.
        """
        deployment = self._deployments.get(name).require_serving()
        endpoint = self._updatable(deployment)
        hosting = wanted.over(deployment.hosting or Hosting())
        if hosting == deployment.hosting:
            return deployment
        self._spending.require_creation()
        scaling = hosting.scaling.for_backend(deployment.backend)
        if self._is_about_bounds_only(deployment, hosting):
            return self._rescale(deployment, hosting)
        if endpoint.scaling.components or scaling.components:
            rule = "of an endpoint with inference components only its bounds can change"
            raise InvalidInput(f"{rule}: deploy it under another name.", field="serving", rule=rule)
        source = Source.parse(deployment.source)
        pinned = source.at(deployment.revision) if deployment.revision else source
        proposal = self._judging.require(pinned, deployment.backend, hosting)
        revision = self._revising.of(deployment, hosting, proposal, reason=wanted.reason or "updated")
        return self._begin(deployment, revision, wanted.strategy, hosting, f"updating to revision {revision.number}")

    def roll_back(self, name: str, number: int | None, strategy: Strategy) -> Deployment:
        """Bring a deployment back to a revision that is kept: by default to the one that served before.

        Raises: NotServing; NotFound, naming the revisions that are kept; Conflict while another update runs.
        """
        deployment = self._deployments.get(name).require_serving()
        endpoint = self._updatable(deployment)
        self._spending.require_creation()
        if number == endpoint.revision:
            return deployment
        revision = self._revising.find(deployment, number) if number else self._former(deployment, endpoint)
        reason = f"rolling back to revision {revision.number}"
        return self._begin(deployment, revision, strategy, revision.hosting, reason)

    def start(self, task: UpdateTask) -> UpdateStarted:
        """Make what the revision needs and begin to move the endpoint to it, or say how long to wait.

        An endpoint that is parked has nothing to move: it is made of the new revision when it is woken.
        Raises: NotOurs, QuotaExceeded, Superseded.
        """
        deployment, update = self._under_way(task)
        revision = self._revising.find(deployment, update.revision)
        self._creating.make_ready(deployment, revision)
        endpoint = self._updatable_endpoint(deployment)
        seen = self._endpoints.see(endpoint.name) if endpoint.exists else None
        if seen is None:
            return UpdateStarted(skipped=True)
        if seen.config_name == revision.config_name:
            return UpdateStarted(done=True)
        if seen.status != "InService":
            return UpdateStarted(wait_seconds=BUSY_SECONDS)
        alarms = [rollback_alarm_name(endpoint.name)] if endpoint.most is not None else []
        try:
            self._endpoints.update(endpoint.name, revision.config_name, update.strategy, alarms)
        except ConcurrentChange:
            return UpdateStarted(wait_seconds=BUSY_SECONDS)
        return UpdateStarted(done=True)

    def finish(self, task: UpdateTask) -> Deployment:
        """Record that the new revision serves, and forget those that are too old to be rolled back to.

        Raises: EndpointFailed where SageMaker rolled back to the former one.
        """
        deployment, update = self._under_way(task)
        endpoint = self._updatable_endpoint(deployment)
        revision = self._revising.find(deployment, update.revision)
        seen = self._endpoints.see(endpoint.name) if endpoint.exists else None
        if seen and seen.config_name != revision.config_name:
            why = seen.failure_reason or "its instances did not come into service, or an alarm rang"
            raise EndpointFailed(f"Endpoint {endpoint.name} was rolled back to revision {update.previous}: {why}")
        now = self._clock.now()

        def finished(before: Deployment) -> Change | None:
            known = before.endpoint
            if before.generation != task.generation or known is None or known.update != update:
                return None
            after = before.changed(
                hosting=revision.hosting,
                endpoint=known.changed(
                    update=None,
                    revision=revision.number,
                    instance_type=revision.instance_type,
                    usd_per_hour=revision.usd_per_hour,
                    scaling=revision.scaling,
                    floor=None,  # so that its bounds are registered anew
                ),
            )
            reason = f"revision {revision.number} serves, on {revision.instance_type}"
            return change(before, after, EventKind.ENDPOINT, reason, now, revision=revision.number)

        after = amend(self._deployments, task.deployment, finished)
        self._mark(deployment, revision.number, RevisionStatus.IN_SERVICE)
        self._mark(deployment, update.previous, RevisionStatus.RETIRED)
        self._forget_old(after)
        return after

    def fail(self, task: UpdateFailureTask) -> Deployment:
        """End an update that did not succeed: the former revision goes on serving."""
        return self._ended(task.deployment, task.generation, task.update, task.error.readable)

    def revive(self, deployment: Deployment) -> Deployment:
        """End an update whose execution died without a word; where it never began, begin it."""
        endpoint = deployment.endpoint
        if endpoint is None or endpoint.update is None:
            return deployment
        if self._clock.now() - endpoint.update.started_at < BEGINS_WITHIN or self._start(deployment):
            return deployment
        run = self._run_name(deployment, endpoint.update)
        if self._executions.is_running(MACHINE, run):
            return deployment
        reason = f"execution {run} ended without a word"
        return self._ended(deployment.name, deployment.generation, endpoint.update.number, reason)

    def _begin(
        self, deployment: Deployment, revision: Revision, strategy: Strategy, hosting: Hosting, reason: str
    ) -> Deployment:
        now = self._clock.now()

        def begun(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.SERVING)
            endpoint = self._updatable(before)
            if revision.number == endpoint.revision and before.hosting == hosting:
                return None
            update = Update(
                number=endpoint.updates + 1,
                revision=revision.number,
                previous=endpoint.revision,
                strategy=strategy,
                started_at=now,
                usd_per_hour=max(revision.usd_per_hour, endpoint.usd_per_hour),
            )
            newest = max(endpoint.newest_revision, revision.number)
            changed = endpoint.changed(update=update, updates=update.number, newest_revision=newest)
            after = before.changed(endpoint=changed)
            told = f"{reason}, {strategy}: {revision.why}"
            return change(before, after, EventKind.ENDPOINT, told, now, revision=revision.number)

        after = amend(self._deployments, deployment.name, begun)
        if after.endpoint and after.endpoint.update:
            self._start(after)
        return after

    def _start(self, deployment: Deployment) -> bool:
        update = deployment.endpoint.update if deployment.endpoint else None
        if update is None:
            return False
        task = UpdateTask(
            deployment=deployment.name,
            generation=deployment.generation,
            update=update.number,
            correlation_id=deployment.correlation_id,
        )
        return self._executions.start(MACHINE, self._run_name(deployment, update), task.dump())

    @staticmethod
    def _run_name(deployment: Deployment, update: Update) -> str:
        return names.update_name(deployment.name, deployment.generation, update.number, deployment.created_at)

    def _is_about_bounds_only(self, deployment: Deployment, hosting: Hosting) -> bool:
        before = deployment.hosting or Hosting()
        if before.changed(scaling=hosting.scaling) != hosting:
            return False
        return all(getattr(before.scaling, name) == getattr(hosting.scaling, name) for name in OF_THE_CONFIG)

    def _rescale(self, deployment: Deployment, hosting: Hosting) -> Deployment:
        """Change bounds and policies: the next look registers them."""
        now = self._clock.now()
        scaling = hosting.scaling.for_backend(deployment.backend)

        def rescaled(before: Deployment) -> Change:
            before.require(deployment.generation, Status.SERVING)
            endpoint = self._updatable(before).changed(scaling=scaling, floor=None)
            reason = f"scales between {scaling.min} and {scaling.max} instances from now on"
            return change(before, before.changed(hosting=hosting, endpoint=endpoint), EventKind.ENDPOINT, reason, now)

        endpoint = self._updatable(deployment)
        grown = deployment.changed(endpoint=endpoint.changed(scaling=scaling))
        self._spending.require(grown, Purpose.START)
        return amend(self._deployments, deployment.name, rescaled)

    def _under_way(self, task: UpdateTask) -> tuple[Deployment, Update]:
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.SERVING)
        update = deployment.endpoint.update if deployment.endpoint else None
        if update is None or update.number != task.update:
            raise Superseded(f"Update {task.update} of {task.deployment} is over.", deployment=task.deployment)
        return deployment, update

    def _ended(self, name: str, generation: int, number: int, reason: str) -> Deployment:
        now = self._clock.now()
        failed: list[int] = []

        def ended(before: Deployment) -> Change | None:
            update = before.endpoint.update if before.endpoint else None
            if before.generation != generation or before.endpoint is None or update is None or update.number != number:
                return None
            failed[:] = [update.revision]
            after = before.changed(endpoint=before.endpoint.changed(update=None, waiting=None))
            told = f"the update to revision {update.revision} failed, revision {update.previous} serves on: {reason}"
            return change(before, after, EventKind.ENDPOINT, told, now, revision=update.revision)

        deployment = amend(self._deployments, name, ended)
        for revision in failed:
            self._mark(deployment, revision, RevisionStatus.FAILED)
            self._notifying.tell("failed", deployment, f"the update to revision {revision} failed: {reason}")
        return deployment

    def _mark(self, deployment: Deployment, number: int, status: RevisionStatus) -> None:
        self._revising.mark(self._revising.find(deployment, number), status)

    def _forget_old(self, deployment: Deployment) -> None:
        in_use = deployment.endpoint.revision if deployment.endpoint else 0
        for revision in self._revising.to_forget(deployment, in_use):
            self._removing.delete_revision(deployment, revision.model_name, revision.config_name)
            self._revising.forget(revision)

    def _former(self, deployment: Deployment, endpoint: Endpoint) -> Revision:
        """Return the revision that served before the one that does. Raises: Conflict where there is none."""
        kept = self._revising.kept(deployment)
        served = (each for each in kept if each.number != endpoint.revision and each.status is RevisionStatus.RETIRED)
        former = next(served, None)
        if former is None:
            raise Conflict(
                f"Deployment {deployment.name} has had no other revision in service: there is nothing to roll back to.",
                deployment=deployment.name,
            )
        return former

    def _updatable(self, deployment: Deployment) -> Endpoint:
        """Return the endpoint of a deployment that nothing else changes just now. Raises: Conflict, InvalidInput."""
        endpoint = self._updatable_endpoint(deployment)
        if endpoint.update:
            raise Conflict(
                f"Deployment {deployment.name} is being updated to revision {endpoint.update.revision} since "
                f"{endpoint.update.started_at:%H:%M:%S} UTC; wait until that is over.",
                deployment=deployment.name,
                revision=endpoint.update.revision,
            )
        return endpoint

    @staticmethod
    def _updatable_endpoint(deployment: Deployment) -> Endpoint:
        if deployment.endpoint is None:
            rule = "only deployments on instances have revisions"
            raise InvalidInput(
                f"Deployment {deployment.name} runs on {deployment.backend}: {rule}. Deploy it anew instead.",
                field="backend",
                rule=rule,
            )
        return deployment.endpoint
