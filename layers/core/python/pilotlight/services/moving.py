"""Moving an endpoint to another revision: what the execution of an update does, and what ends one that died.

SageMaker brings the new instances into service beside the old ones, and rolls back by itself where they do not come, or
where an alarm rings. The record says which revision serves; it changes when the new one does.
"""

from datetime import timedelta

from pilotlight.contracts import UpdateFailureTask, UpdateStarted, UpdateTask
from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import (
    IN_SERVICE,
    ROLLING_BACK,
    Awaited,
    Endpoint,
    FailedUpdate,
    Revision,
    RevisionStatus,
    Seen,
    Update,
    rollback_alarm_name,
)
from pilotlight.domain.errors import ConcurrentChange, EndpointFailed, InvalidInput, Superseded
from pilotlight.domain.spending import Purpose
from pilotlight.domain.uptime import paid_instances, paid_usd_per_hour
from pilotlight.ports import Clock, Deployments, Executions
from pilotlight.ports.endpoints import Autoscaling, Endpoints
from pilotlight.services.creating import Creating, asked_lately
from pilotlight.services.metering import Metering
from pilotlight.services.notifying import Notifying
from pilotlight.services.records import amend
from pilotlight.services.removing import Removing
from pilotlight.services.revising import Revising
from pilotlight.services.spending import Spending

MACHINE = "update"
BUSY_SECONDS = 30
BEGINS_WITHIN = timedelta(minutes=2)  # a young execution may not be seen yet


class Moving:
    """Moves endpoints to revisions, once somebody asked for it."""

    def __init__(
        self,
        deployments: Deployments,
        endpoints: Endpoints,
        autoscaling: Autoscaling,
        executions: Executions,
        revising: Revising,
        creating: Creating,
        removing: Removing,
        metering: Metering,
        spending: Spending,
        notifying: Notifying,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._endpoints = endpoints
        self._autoscaling = autoscaling
        self._executions = executions
        self._revising = revising
        self._creating = creating
        self._removing = removing
        self._metering = metering
        self._spending = spending
        self._notifying = notifying
        self._clock = clock

    def start(self, task: UpdateTask) -> UpdateStarted:
        """Make what the revision needs and begin to move the endpoint to it, or say how long to wait.

        An endpoint that is parked has nothing to move: it is made of the new revision when it is woken.
        Raises: NotOurs, QuotaExceeded, Superseded; EndpointFailed for an endpoint that nothing moves any more.
        """
        deployment, update = self._under_way(task)
        revision = self._revising.find(deployment, update.revision)
        self._mark(deployment, update.previous, RevisionStatus.IN_SERVICE)  # so that it is known what served before
        self._creating.make_ready(deployment, revision)
        endpoint = endpoint_of_instances(deployment)
        seen = self._endpoints.see(endpoint.name) if endpoint.exists else None
        if seen is None:
            unseen = endpoint.exists and asked_lately(endpoint, self._clock.now())
            return UpdateStarted(wait_seconds=BUSY_SECONDS) if unseen else UpdateStarted(skipped=True)
        is_moved = revision.config_name in (seen.config_name, seen.pending_config_name)
        if is_moved or seen.status == ROLLING_BACK:  # an earlier try did it: what SageMaker takes back stays so
            return UpdateStarted(done=True)
        if seen.status != IN_SERVICE and seen.is_settled:
            raise EndpointFailed(
                f"Endpoint {endpoint.name} is {seen.status}, and SageMaker updates none that is not in service. Scale "
                "it down, so that it is removed; updated then, it is made of the new revision."
            )
        if seen.status != IN_SERVICE:
            return UpdateStarted(wait_seconds=BUSY_SECONDS)
        self._require_money(deployment, endpoint, seen)
        self._under_way(task)  # it may have ended while this was made ready: the next one would be undone
        return self._move(deployment, endpoint, seen, update, revision)

    def _require_money(self, deployment: Deployment, endpoint: Endpoint, seen: Seen) -> None:
        """Ask again for both fleets, just before nothing can stop them. Raises: EndpointFailed, and as `require`.

        What must stop is not moved: its update ends, and the next look stops it.
        """
        known = endpoint.changed(status=seen.status, instances=seen.instances, desired=seen.desired)
        deployment = deployment.changed(endpoint=known)
        if reason := self._spending.must_stop(deployment):
            raise EndpointFailed(f"Endpoint {endpoint.name} is to be stopped, and not updated: {reason}.")
        self._spending.require_possible(deployment, Purpose.UPDATE)

    def _move(
        self, deployment: Deployment, endpoint: Endpoint, seen: Seen, update: Update, revision: Revision
    ) -> UpdateStarted:
        """Begin to move an endpoint that is in service to a revision.

        What is there by now is metered before, so that the time since the last look is not charged for what begins.
        """
        if endpoint.instance_type != revision.instance_type:
            self._unbind(deployment, endpoint)
        # One that rings of what serves would end the very update that is to mend it.
        rings = endpoint.most is None or self._autoscaling.fails(endpoint.name, deployment.backend, self._clock.now())
        alarms = [] if rings else [rollback_alarm_name(endpoint.name)]
        instances, price = paid_instances(seen, endpoint), paid_usd_per_hour(seen, endpoint)
        self._metering.observe(deployment, instances, self._clock.now(), usd_per_hour=price)
        try:
            self._endpoints.update(endpoint.name, revision.config_name, update.strategy, alarms)
        except ConcurrentChange:
            return UpdateStarted(wait_seconds=BUSY_SECONDS)
        return UpdateStarted(done=True)

    def _unbind(self, deployment: Deployment, endpoint: Endpoint) -> None:
        """Take away an endpoint's bounds, until the update is over: with them it keeps its instance type.

        Source: Amazon SageMaker Developer Guide, "Update endpoints that use auto scaling".
        """
        now = self._clock.now()

        def unbound(before: Deployment) -> Change | None:
            known = before.endpoint
            if before.generation != deployment.generation or known is None or known.floor is None:
                return None
            reason = "does not scale until it has other instances"
            return change(before, before.changed(endpoint=known.changed(floor=None)), EventKind.ENDPOINT, reason, now)

        amend(self._deployments, deployment.name, unbound)
        self._autoscaling.unbind(endpoint.name)

    def finish(self, task: UpdateTask) -> Deployment:
        """Record that the new revision serves, and forget those that are too old to be rolled back to.

        A repeat changes nothing. Raises: EndpointFailed where SageMaker rolled back to the former one.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.SERVING)
        known = deployment.endpoint
        if known is None or known.update or known.updated != task.update:
            deployment, update = self._under_way(task)
            deployment = self._come_into_service(deployment, update)
        self._mark_all(deployment)
        self._forget_old(deployment)
        return deployment

    def fail(self, task: UpdateFailureTask) -> Deployment:
        """End an update that did not succeed: the former revision goes on serving."""
        deployment = self._deployments.get(task.deployment)
        update = deployment.endpoint.update if deployment.endpoint else None
        if deployment.generation != task.generation or update is None or update.number != task.update:
            return deployment
        return self._close(deployment, update, task.error.readable)

    def revive(self, deployment: Deployment) -> Deployment:
        """End an update whose execution died without a word; where it never began, begin it."""
        endpoint = deployment.endpoint
        if endpoint is None or endpoint.update is None:
            return deployment
        if self._clock.now() - endpoint.update.started_at < BEGINS_WITHIN or execute(self._executions, deployment):
            return deployment
        run = _run_name(deployment, endpoint.update)
        if self._executions.is_running(MACHINE, run):
            return deployment
        return self._close(deployment, endpoint.update, f"execution {run} ended without a word")

    def _close(self, deployment: Deployment, update: Update, reason: str) -> Deployment:
        """End an update that nobody carries on, by what the endpoint runs; one that moves yet is left to a later look.

        What runs is what is paid for, called and made again: the record must not tell of another revision.
        """
        endpoint = endpoint_of_instances(deployment)
        seen = self._endpoints.see(endpoint.name) if endpoint.exists else None
        if seen and not seen.is_settled:
            return deployment
        revision = self._revising.find(deployment, update.revision)
        if seen and seen.status == IN_SERVICE and seen.config_name == revision.config_name:
            deployment = self._come_into_service(deployment, update)
            self._mark_all(deployment)
            return deployment
        return self._ended(deployment, update, reason)

    def _come_into_service(self, deployment: Deployment, update: Update) -> Deployment:
        """Record that an update's revision serves. Raises: EndpointFailed, ConcurrentChange."""
        endpoint = endpoint_of_instances(deployment)
        revision = self._revising.find(deployment, update.revision)
        now = self._clock.now()
        seen = self._endpoints.see(endpoint.name) if endpoint.exists else None
        if seen and seen.config_name != revision.config_name:
            why = seen.failure_reason or "its instances did not come into service, or an alarm rang"
            raise EndpointFailed(f"Endpoint {endpoint.name} was rolled back to revision {update.previous}: {why}")

        def finished(before: Deployment) -> Change | None:
            known = before.endpoint
            if before.generation != deployment.generation or known is None or known.update != update:
                return None
            if seen is None and known.exists and known.starting_at:  # of which revision is to be seen
                raise ConcurrentChange(f"Endpoint {known.name} is being made just now; look again.")
            scaling = update.scaling or revision.hosting.scaling
            after = before.changed(
                hosting=revision.hosting.changed(scaling=scaling),
                proposal=revision.proposal,
                endpoint=known.changed(
                    update=None,
                    updated=update.number,
                    revision=revision.number,
                    former_revision=known.revision if known.revision != revision.number else known.former_revision,
                    instance_type=revision.instance_type,
                    usd_per_hour=revision.usd_per_hour,
                    scaling=revision.scaling.with_bounds_of(scaling.for_backend(before.backend)),
                    floor=None,  # so that its bounds are registered anew
                ),
            )
            reason = f"revision {revision.number} serves, on {revision.instance_type}"
            return change(before, after, EventKind.ENDPOINT, reason, now, revision=revision.number)

        return amend(self._deployments, deployment.name, finished)

    def _under_way(self, task: UpdateTask) -> tuple[Deployment, Update]:
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.SERVING)
        update = deployment.endpoint.update if deployment.endpoint else None
        if update is None or update.number != task.update:
            raise Superseded(f"Update {task.update} of {task.deployment} is over.", deployment=task.deployment)
        return deployment, update

    def _ended(self, deployment: Deployment, update: Update, reason: str) -> Deployment:
        now = self._clock.now()
        ours: list[bool] = []

        def ended(before: Deployment) -> Change | None:
            known = before.endpoint
            ours[:] = [bool(known and before.generation == deployment.generation and known.update == update)]
            if known is None or not ours[0]:
                return None
            others = tuple(each for each in known.waiting if each.awaited is not Awaited.UPDATED)
            failed = FailedUpdate(revision=update.revision, reason=reason, at=now)
            after = before.changed(endpoint=known.changed(update=None, waiting=others, failed_update=failed))
            told = f"the update to revision {update.revision} failed, revision {update.previous} serves on: {reason}"
            return change(before, after, EventKind.ENDPOINT, told, now, revision=update.revision)

        after = amend(self._deployments, deployment.name, ended)
        if any(ours):
            self._mark(after, update.revision, RevisionStatus.FAILED)
            self._notifying.tell("failed", after, f"the update to revision {update.revision} failed: {reason}")
        return after

    def _mark(self, deployment: Deployment, number: int, status: RevisionStatus) -> None:
        self._revising.mark(self._revising.find(deployment, number), status)

    def _mark_all(self, deployment: Deployment) -> None:
        """Note which revision serves, and which do not any more."""
        in_use = deployment.endpoint.revision if deployment.endpoint else 0
        for revision in self._revising.kept(deployment):
            if revision.number == in_use:
                self._revising.mark(revision, RevisionStatus.IN_SERVICE)
            elif revision.status is RevisionStatus.IN_SERVICE:
                self._revising.mark(revision, RevisionStatus.RETIRED)

    def _forget_old(self, deployment: Deployment) -> None:
        endpoint = endpoint_of_instances(deployment)
        for revision in self._revising.to_forget(deployment, endpoint.revision, endpoint.former_revision):
            self._removing.delete_revision(deployment, revision.model_name, revision.config_name)
            self._revising.forget(revision)


def execute(executions: Executions, deployment: Deployment) -> bool:
    """Start the execution that carries out a deployment's update, and say whether this is who started it."""
    update = deployment.endpoint.update if deployment.endpoint else None
    if update is None:
        return False
    task = UpdateTask(
        deployment=deployment.name,
        generation=deployment.generation,
        update=update.number,
        correlation_id=deployment.correlation_id,
    )
    return executions.start(MACHINE, _run_name(deployment, update), task.dump())


def endpoint_of_instances(deployment: Deployment) -> Endpoint:
    """Return the endpoint of a deployment on instances. Raises: InvalidInput for one that has none."""
    if deployment.endpoint is None:
        rule = "only deployments on instances have revisions"
        raise InvalidInput(
            f"Deployment {deployment.name} runs on {deployment.backend}: {rule}. Deploy it anew instead.",
            field="backend",
            rule=rule,
        )
    return deployment.endpoint


def _run_name(deployment: Deployment, update: Update) -> str:
    return names.update_name(deployment.name, deployment.generation, update.number, deployment.created_at)
