"""Creating an endpoint: its model, its config and itself, each found again after a crash by its name and its tags.

SageMaker knows no client token: a name that is taken is refused. So what has our tags, and the digest of the very
revision that is wanted, is adopted; what has not is a stranger's, and left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from pilotlight.contracts import DeploymentTask, Wait
from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import IN_SERVICE, Endpoint, Revision, Seen
from pilotlight.domain.errors import (
    ConcurrentChange,
    Conflict,
    Held,
    NotFound,
    NotOurs,
    QuotaExceeded,
    Superseded,
)
from pilotlight.domain.spending import Purpose
from pilotlight.ports import Clock, Deployments
from pilotlight.ports.endpoints import Endpoints, Found, Revisions
from pilotlight.services.holding import go_on, held_seconds, hold
from pilotlight.services.records import amend
from pilotlight.services.revising import Revising
from pilotlight.services.spending import Spending

Find = Callable[[str], Found | None]
JUST_ASKED = timedelta(seconds=90)  # longer than a Lambda that asks may run, and than what was asked for stays unseen
UNSETTLED_SECONDS = 20  # until a failed endpoint of an earlier attempt is gone
ALIVE = (Status.CREATING, Status.WARMING, Status.SERVING)


class Creating:
    """Makes endpoints."""

    def __init__(
        self,
        deployments: Deployments,
        endpoints: Endpoints,
        revisions: Revisions,
        revising: Revising,
        spending: Spending,
        clock: Clock,
        *,
        stack: str,
    ) -> None:
        self._deployments = deployments
        self._endpoints = endpoints
        self._revisions = revisions
        self._revising = revising
        self._spending = spending
        self._clock = clock
        self._stack = stack

    def start(self, task: DeploymentTask) -> Wait:
        """Create the endpoint of a deployment, adopt what an earlier run made, or say how long to wait.

        One that shall begin without an instance is not created before somebody calls: SageMaker's least is one.
        Raises: NotOurs, QuotaExceeded, InvalidInput, LeaseEnded, SpendCeilingReached.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.STAGING, Status.CREATING)
        try:
            self._spending.require(deployment, Purpose.START)
        except Held as why:
            if why.detail.get("never"):
                raise QuotaExceeded(why.message, deployment=deployment.name) from why
            hold(self._deployments, deployment, why, self._clock)
            return Wait(done=False, held=True, wait_seconds=held_seconds(deployment, self._clock.now()))
        deployment = go_on(self._deployments, deployment, self._clock)
        revision = self._revising.first(deployment)
        with self.forgetting_if_over(deployment, revision):
            deployment = self._intend(deployment, revision)
        if self._former_is_in_the_way(deployment):
            return Wait(done=False, wait_seconds=UNSETTLED_SECONDS)
        self.make_ready(deployment, revision)
        if revision.scaling.initial == 0:
            self._leave_parked(deployment)
            return Wait(done=True, skipped=True)
        self.create(deployment)
        return Wait(done=True)

    @contextmanager
    def forgetting_if_over(self, deployment: Deployment, revision: Revision) -> Iterator[None]:
        """Write what makes a revision wanted; it goes again where a teardown, which did not see it, came between."""
        try:
            yield
        except Superseded:
            current = self._deployments.get(deployment.name)
            over = current.status in (Status.TEARING_DOWN, Status.GONE)
            if over or current.generation != deployment.generation:
                self._revising.forget(revision)
            raise

    def make_ready(self, deployment: Deployment, revision: Revision) -> None:
        """Create the model and the config of a revision, or adopt them.

        Raises: NotOurs, QuotaExceeded; InvalidInput for weights that cannot be packed; Superseded.
        """
        tags, backend = self.tags_of(deployment, revision), deployment.backend
        instances = max(1, revision.scaling.initial)
        self._find_or_make(
            revision.model_name,
            "model",
            self._endpoints.model,
            tags,
            lambda: self._make_model(deployment, revision, tags),
        )
        self._find_or_make(
            revision.config_name,
            "endpoint config",
            self._endpoints.config,
            tags,
            lambda: self._endpoints.create_config(revision, backend, instances=instances, tags=tags),
        )

    def _make_model(self, deployment: Deployment, revision: Revision, tags: Mapping[str, str]) -> None:
        """Create a model. Weights that are packed are so before: that takes a while, in which a teardown may come."""
        if revision.packs_weights:
            self._revising.pack(deployment, revision)
            with self.forgetting_if_over(deployment, revision):
                self._deployments.get(deployment.name).require(deployment.generation, *ALIVE)
        self._endpoints.create_model(revision, tags)

    def create(self, deployment: Deployment) -> Deployment:
        """Create the endpoint of a record's revision, or adopt it, under a fence: no teardown is overtaken.

        The moment tells a later teardown until when this very call may still be on its way.
        Raises: NotOurs, QuotaExceeded; Superseded where it is being taken down.
        """
        endpoint = _endpoint_of(deployment)
        ours = names.ownership_tags(self._stack, deployment.name, deployment.generation)
        if found := self.owned(deployment):
            return self._note(deployment, found.arn, f"endpoint {endpoint.name} is there already")
        deployment = self._note_start(deployment)
        config_name = names.revision_name(deployment.name, deployment.generation, _endpoint_of(deployment).revision)
        try:
            arn = self._endpoints.create_endpoint(endpoint.name, config_name, {**deployment.tags, **ours})
        except Conflict:
            arn = self._met(deployment, endpoint.name, ours)
        return self._note(deployment, arn, f"endpoint {endpoint.name} is being created")

    def _met(self, deployment: Deployment, name: str, ours: Mapping[str, str]) -> str:
        """Return the ARN of an endpoint that was made between our look and our call, by a run of this very task.

        Raises: NotOurs for a stranger's, which the record must not take for ours; Conflict where it is gone again.
        """
        try:
            found = self._ours(name, "endpoint", self._endpoints.endpoint, ours)
        except NotOurs as exc:
            self._note_stranger(deployment, exc.message)
            raise
        if found is None:
            raise Conflict(f"Endpoint {name} was there, and is not any more; try again.", deployment=deployment.name)
        return found.arn

    def see(self, deployment: Deployment, endpoint: Endpoint, *, making: bool = True) -> Seen | None:
        """Return an endpoint as it is, with its inference component where it has one; that is made where it lacks.

        An endpoint whose component is not in service counts as being created. Who looks at one that is to go makes
        nothing (`making`).
        """
        seen = self._endpoints.see(endpoint.name)
        if seen is None or not endpoint.scaling.components or seen.status != IN_SERVICE:
            return seen
        if deployment.status not in ALIVE:
            return seen
        revision = self.revision_of(deployment)
        component = self._endpoints.component(revision.model_name)
        if component is None:
            if making:
                self._add_component(deployment, endpoint.name, revision)
            return seen.changed(status="Creating", copies=0)
        status = component.status if component.status in (IN_SERVICE, "Failed") else "Creating"
        return seen.changed(status=status, copies=component.copies, failure_reason=component.failure_reason)

    def _add_component(self, deployment: Deployment, endpoint_name: str, revision: Revision) -> None:
        """Create the component of a revision; that somebody else who looks has just done so is as good."""
        copies, tags = max(1, revision.scaling.initial), self.tags_of(deployment, revision)
        with suppress(Conflict, ConcurrentChange):
            self._endpoints.create_component(endpoint_name, revision, copies=copies, tags=tags)

    def revision_of(self, deployment: Deployment) -> Revision:
        """Return the revision that a deployment's endpoint runs. Raises: NotFound."""
        number = _endpoint_of(deployment).revision
        revision = self._revisions.find(deployment.name, deployment.generation, number)
        if revision is None:
            raise NotFound(f"Deployment {deployment.name} has no revision {number}.", deployment=deployment.name)
        return revision

    def tags_of(self, deployment: Deployment, revision: Revision) -> dict[str, str]:
        """Return the tags of what a revision is made of."""
        ours = names.revision_tags(
            self._stack, deployment.name, deployment.generation, revision.number, revision.digest
        )
        return {**deployment.tags, **ours}

    def owned(self, deployment: Deployment) -> Found | None:
        """Return the endpoint that exists under a deployment's name, if it is this deployment's. Raises: NotOurs."""
        ours = names.ownership_tags(self._stack, deployment.name, deployment.generation)
        name = names.endpoint_name(deployment.name, deployment.generation)
        return self._ours(name, "endpoint", self._endpoints.endpoint, ours)

    def _ours(self, name: str, kind: str, find: Find, tags: Mapping[str, str]) -> Found | None:
        """Return what exists of that name if it is ours. Raises: NotOurs."""
        found = find(name)
        if found is None:
            return None
        wanted = {key: value for key, value in tags.items() if key.startswith(f"{names.PREFIX}:")}
        if any(found.tags.get(key) != value for key, value in wanted.items()):
            raise NotOurs(
                f"A SageMaker {kind} named {name} exists without this deployment's tags, or with those of another "
                "revision; it is left alone. Rename or delete it, then retry.",
                arn=found.arn,
                wanted_tags=wanted,
                found_tags=found.tags,
            )
        return found

    def _find_or_make(
        self, name: str, kind: str, find: Find, tags: Mapping[str, str], make: Callable[[], object]
    ) -> None:
        if self._ours(name, kind, find, tags):
            return
        try:
            make()
        except Conflict:  # made between our look and our call, by a run of this very task or by a stranger
            if self._ours(name, kind, find, tags) is None:
                raise

    def _intend(self, deployment: Deployment, revision: Revision) -> Deployment:
        """Write into the record what is about to be made, before it is."""
        now = self._clock.now()
        wanted = _endpoint(deployment, revision, now)

        def intended(before: Deployment) -> Change:
            before.require(deployment.generation, Status.STAGING, Status.CREATING)
            moved = before.status is Status.STAGING
            after = before.moved_to(Status.CREATING, now) if moved else before
            known = before.endpoint
            kept = known and known.changed(
                revision=wanted.revision,
                newest_revision=wanted.newest_revision,
                instance_type=wanted.instance_type,
                usd_per_hour=wanted.usd_per_hour,
                scaling=wanted.scaling,
                starting_at=now,
            )
            after = after.changed(endpoint=kept or wanted)
            reason = f"creating endpoint {wanted.name} on {wanted.instance_type}: {revision.why}"
            return change(before, after, EventKind.ENDPOINT, reason, now, revision=revision.number)

        return amend(self._deployments, deployment.name, intended)

    def _former_is_in_the_way(self, deployment: Deployment) -> bool:
        """Remove a failed endpoint of an earlier attempt, or one of another revision; say whether it is still there."""
        endpoint = _endpoint_of(deployment)
        seen = self._endpoints.see(endpoint.name)
        wanted = names.revision_name(deployment.name, deployment.generation, endpoint.revision)
        if seen is None or (seen.config_name == wanted and seen.status not in ("Failed", "Deleting", "OutOfService")):
            return False
        self.owned(deployment)
        if seen.is_settled:
            self._endpoints.delete_endpoint(endpoint.name)
        return True

    def _leave_parked(self, deployment: Deployment) -> None:
        now = self._clock.now()

        def parked(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.CREATING)
            endpoint = _endpoint_of(before)
            if endpoint.parked:
                return None
            reason = "begins without an instance: the endpoint is created when somebody calls"
            after = before.changed(endpoint=endpoint.changed(parked=True, starting_at=None))
            return change(before, after, EventKind.ENDPOINT, reason, now)

        amend(self._deployments, deployment.name, parked)

    def _note_start(self, deployment: Deployment) -> Deployment:
        """Write into the record that an endpoint is asked for, before it is. Raises: Superseded."""
        now = self._clock.now()

        def starting(before: Deployment) -> Change:
            before.require(deployment.generation, *ALIVE)
            fresh = _endpoint_of(before).changed(
                starting_at=now,
                exists=True,
                parked=False,
                created_at=None,
                in_service_at=None,
                failure=None,
                status=None,
            )
            return change(before, before.changed(endpoint=fresh), EventKind.ENDPOINT, "asking for the endpoint", now)

        return amend(self._deployments, deployment.name, starting)

    def _note_stranger(self, deployment: Deployment, reason: str) -> None:
        now = self._clock.now()

        def stranger(before: Deployment) -> Change | None:
            if before.generation != deployment.generation or before.endpoint is None:
                return None
            none = before.endpoint.changed(exists=False, starting_at=None)
            return change(before, before.changed(endpoint=none), EventKind.ENDPOINT, reason, now)

        amend(self._deployments, deployment.name, stranger)

    def _note(self, deployment: Deployment, arn: str, reason: str) -> Deployment:
        now = self._clock.now()

        def created(before: Deployment) -> Change | None:
            before.require(deployment.generation, *ALIVE)
            endpoint = _endpoint_of(before)
            if endpoint.arn == arn and endpoint.exists and endpoint.starting_at is None:
                return None
            made = endpoint.changed(
                arn=arn, exists=True, parked=False, starting_at=None, created_at=endpoint.created_at or now
            )
            return change(before, before.changed(endpoint=made), EventKind.ENDPOINT, reason, now, endpoint_arn=arn)

        return amend(self._deployments, deployment.name, created)


def _endpoint(deployment: Deployment, revision: Revision, now: datetime) -> Endpoint:
    return Endpoint(
        name=names.endpoint_name(deployment.name, deployment.generation),
        revision=revision.number,
        newest_revision=revision.number,
        instance_type=revision.instance_type,
        usd_per_hour=revision.usd_per_hour,
        scaling=revision.scaling,
        starting_at=now,
    )


def _endpoint_of(deployment: Deployment) -> Endpoint:
    """Return the endpoint of a record that must have one. Raises: NotFound."""
    if deployment.endpoint is None:
        raise NotFound(f"Deployment {deployment.name} has no endpoint.", deployment=deployment.name)
    return deployment.endpoint


def asked_lately(endpoint: Endpoint, now: datetime) -> bool:
    """Say whether an endpoint was asked for, or made, so lately that it may not be seen yet.

    A Lambda that outlived its stopped execution may still be asking for it, and what was made is not seen everywhere at
    once.
    """
    made = endpoint.created_at if endpoint.status is None else None  # one that was seen since is seen again
    asked = endpoint.starting_at or made
    return asked is not None and now - asked < JUST_ASKED
