"""Changing what an endpoint runs while it serves: to a next revision, or back to one that is kept.

Who may ask for what is said here; what is asked for is carried out by an execution, in moving.py.
"""

from datetime import datetime

from pilotlight.contracts import UpdateRequest
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import (
    Endpoint,
    Revision,
    RevisionStatus,
    Strategy,
    Update,
)
from pilotlight.domain.errors import Conflict, InvalidInput
from pilotlight.domain.hosting import OF_THE_CONFIG, Hosting, Scaling, ScalingSettings
from pilotlight.domain.source import Source
from pilotlight.domain.spending import Purpose
from pilotlight.ports import Clock, Deployments, Executions
from pilotlight.services.creating import Creating
from pilotlight.services.judging import Judging
from pilotlight.services.moving import endpoint_of_instances, execute
from pilotlight.services.records import amend
from pilotlight.services.revising import Revising
from pilotlight.services.spending import Spending


class Updating:
    """Takes updates of endpoints, and rollbacks."""

    def __init__(
        self,
        deployments: Deployments,
        executions: Executions,
        revising: Revising,
        creating: Creating,
        judging: Judging,
        spending: Spending,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._executions = executions
        self._revising = revising
        self._creating = creating
        self._judging = judging
        self._spending = spending
        self._clock = clock

    def update(self, name: str, wanted: UpdateRequest) -> Deployment:
        """Bring a deployment to other settings: bounds at once, all else as the next revision.

        A repeat of what it has changes nothing.
        Raises: NotServing; Conflict while another update runs; InvalidInput; PreflightRefused; KillSwitchOn,
        SpendCeilingReached, CapacityReached.
        """
        deployment = self._deployments.get(name).require_serving()
        endpoint = self._updatable(deployment)
        hosting = wanted.over(deployment.hosting or Hosting())
        if hosting == deployment.hosting:
            return deployment
        scaling = hosting.scaling.for_backend(deployment.backend)
        if self._is_about_bounds_only(deployment, endpoint, hosting):
            return self._rescale(deployment, hosting, wanted.reason)
        self._spending.require_creation()
        _require_no_components(endpoint)
        if scaling.components:
            raise _fixed("scaling.components", "an endpoint cannot be given inference components")
        source = Source.parse(deployment.source)
        pinned = source.at(deployment.revision) if deployment.revision else source
        proposal = self._judging.require(pinned, deployment.backend, hosting)
        revision = self._revising.of(deployment, hosting, proposal, reason=wanted.reason or "updated")
        with self._creating.forgetting_if_over(deployment, revision):
            reason = f"to revision {revision.number}, {wanted.strategy}: {wanted.reason or revision.why}"
            return self._begin(deployment, revision, wanted.strategy, reason, scaling=hosting.scaling)

    def roll_back(self, name: str, number: int | None, strategy: Strategy) -> Deployment:
        """Bring a deployment back to a revision that is kept: by default to the one that served before.

        Bounds are the deployment's, and stay.
        Raises: NotServing; NotFound, naming the revisions that are kept; Conflict while another update runs.
        """
        deployment = self._deployments.get(name).require_serving()
        endpoint = self._updatable(deployment)
        if number == endpoint.revision:
            return deployment
        self._spending.require_creation()
        _require_no_components(endpoint)
        revision = self._revising.find(deployment, number) if number else self._former(deployment, endpoint)
        reason = f"rolling back to revision {revision.number}, {strategy}: {revision.why}"
        return self._begin(deployment, revision, strategy, reason)

    def _begin(
        self,
        deployment: Deployment,
        revision: Revision,
        strategy: Strategy,
        reason: str,
        *,
        scaling: ScalingSettings | None = None,
    ) -> Deployment:
        """Begin an update to a revision, which keeps to the deployment's bounds where no `scaling` is wished."""
        now = self._clock.now()

        def begun(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.SERVING)
            endpoint = self._updatable(before)
            update = _update(before, endpoint, revision, strategy, now, scaling)
            if revision.number == endpoint.revision and before.hosting == revision.hosting.changed(
                scaling=update.scaling
            ):
                return None
            newest = max(endpoint.newest_revision, revision.number)
            changed = endpoint.changed(update=update, updates=update.number, newest_revision=newest, failed_update=None)
            after = before.changed(endpoint=changed)
            return change(before, after, EventKind.ENDPOINT, reason, now, revision=revision.number)

        endpoint = self._updatable(deployment)
        if endpoint.exists:  # a parked one has its room claimed when it is woken
            both = endpoint.changed(update=_update(deployment, endpoint, revision, strategy, now, scaling))
            self._spending.require(deployment.changed(endpoint=both), Purpose.UPDATE)
        after = amend(self._deployments, deployment.name, begun)
        if after.endpoint and after.endpoint.update:
            execute(self._executions, after)
        return after

    @staticmethod
    def _is_about_bounds_only(deployment: Deployment, endpoint: Endpoint, hosting: Hosting) -> bool:
        before = deployment.hosting or Hosting()
        if before.changed(scaling=hosting.scaling) != hosting:
            return False
        # An endpoint that is there has begun: how many it begins with is no reason for another fleet.
        fixed = set(OF_THE_CONFIG) - ({"initial"} if endpoint.exists else set())
        return all(getattr(before.scaling, name) == getattr(hosting.scaling, name) for name in fixed)

    def _rescale(self, deployment: Deployment, hosting: Hosting, why: str | None) -> Deployment:
        """Change bounds and policies: the next look registers them. What costs less is changed whatever is spent.

        How many it begins with stays as its config has it, and is as wished from the next revision on.
        """
        now = self._clock.now()
        endpoint = self._updatable(deployment)
        scaling = endpoint.scaling.with_bounds_of(hosting.scaling.for_backend(deployment.backend))
        if endpoint.scaling.components:
            self._require_room_for_copies(deployment, endpoint, scaling.max)

        def rescaled(before: Deployment) -> Change:
            before.require(deployment.generation, Status.SERVING)
            after = self._updatable(before).changed(scaling=scaling, floor=None)
            reason = f"scales between {scaling.min} and {scaling.max} instances from now on{f': {why}' if why else ''}"
            return change(before, before.changed(hosting=hosting, endpoint=after), EventKind.ENDPOINT, reason, now)

        self._require_room(deployment, endpoint, scaling)
        return amend(self._deployments, deployment.name, rescaled)

    def _require_room(self, deployment: Deployment, endpoint: Endpoint, scaling: Scaling) -> None:
        """Claim room for bounds that allow more than there may be now. Raises: CapacityReached, SpendCeilingReached."""
        if scaling.min > endpoint.scaling.min or scaling.max > endpoint.scaling.max:
            self._spending.require_creation()
            self._spending.require(deployment.changed(endpoint=endpoint.changed(scaling=scaling)), Purpose.START)

    def _require_room_for_copies(self, deployment: Deployment, endpoint: Endpoint, most: int) -> None:
        """Refuse more copies than the config lets SageMaker add instances for. Raises: InvalidInput."""
        made_with = self._revising.find(deployment, endpoint.revision).scaling.max
        if most > made_with:
            raise _fixed("scaling.max", f"its endpoint was made for {made_with} instances at most")

    def _former(self, deployment: Deployment, endpoint: Endpoint) -> Revision:
        """Return the revision that served before the one that does. Raises: Conflict where there is none."""
        kept = self._revising.kept(deployment)
        served = [each for each in kept if each.number != endpoint.revision and each.status is RevisionStatus.RETIRED]
        last = (each for each in served if each.number == endpoint.former_revision)
        former = next(last, served[0] if served else None)
        if former is None:
            raise Conflict(
                f"Deployment {deployment.name} has had no other revision in service: there is nothing to roll back to.",
                deployment=deployment.name,
            )
        return former

    def _updatable(self, deployment: Deployment) -> Endpoint:
        """Return the endpoint of a deployment that nothing else changes just now. Raises: Conflict, InvalidInput."""
        endpoint = endpoint_of_instances(deployment)
        if endpoint.update:
            raise Conflict(
                f"Deployment {deployment.name} is being updated to revision {endpoint.update.revision} since "
                f"{endpoint.update.started_at:%H:%M:%S} UTC; wait until that is over.",
                deployment=deployment.name,
                revision=endpoint.update.revision,
            )
        return endpoint


def _update(
    deployment: Deployment,
    endpoint: Endpoint,
    revision: Revision,
    strategy: Strategy,
    now: datetime,
    scaling: ScalingSettings | None,
) -> Update:
    """Return the update that would bring an endpoint to a revision, within bounds that are wished or those it has."""
    bounds = scaling or (deployment.hosting or Hosting()).scaling
    settings = revision.hosting.scaling.with_bounds_of(bounds, deployment.backend)
    most = max(settings.for_backend(deployment.backend).max, revision.scaling.initial)
    return Update(
        number=endpoint.updates + 1,
        revision=revision.number,
        previous=endpoint.revision,
        strategy=strategy,
        started_at=now,
        instance_type=revision.instance_type,
        usd_per_hour=revision.usd_per_hour,
        most=max(most, endpoint.scaling.max),
        scaling=settings,
    )


def _require_no_components(endpoint: Endpoint) -> None:
    if endpoint.scaling.components:
        raise _fixed("serving", "of an endpoint with inference components only its bounds can change")


def _fixed(field: str, rule: str) -> InvalidInput:
    return InvalidInput(f"{field}: {rule}. Deploy it under another name.", field=field, rule=rule)
