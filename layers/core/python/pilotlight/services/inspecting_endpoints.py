"""What a reconciliation looks at in SageMaker, and beside it: endpoints, what they are made of, and what scales them.

Most of it is in use, which the record alone tells. Only of what is not, tags are read and the endpoint is looked at.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import Seen
from pilotlight.domain.endpoint_orphans import (
    BUNDLES,
    FoundAlarm,
    FoundHosted,
    FoundTarget,
    Owner,
    alarm_owner,
    allowed_by_tags,
    bundle_owner,
    endpoint_owner,
    is_of_stack,
    judge_alarm,
    judge_bundle,
    judge_component,
    judge_definition,
    judge_endpoint,
    judge_target,
    needed_revisions,
    revision_owner,
    target_owner,
)
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.reconciliation import Decision, Finding, Kind, Listing, Scene, Verdict, finding_of
from pilotlight.domain.values import Money
from pilotlight.ports import ArtifactBucket, Clock, Deployments, Inventory
from pilotlight.ports.endpoints import EndpointInventory, Endpoints, Revisions
from pilotlight.services.inspecting import Inspector
from pilotlight.services.records import amend


class JudgePart(Protocol):
    """How what is of one revision is judged."""

    def __call__(
        self,
        found: FoundHosted,
        record: Deployment | None,
        scene: Scene,
        /,
        *,
        kept: frozenset[int],
        seen: Seen | None = None,
    ) -> Verdict | None:
        """Return the verdict."""
        ...


class InspectingEndpoints:
    """Endpoints: the only ones of these that bill by the hour."""

    kind = Kind.ENDPOINT

    def __init__(
        self,
        inventory: EndpointInventory,
        endpoints: Endpoints,
        deployments: Deployments,
        clock: Clock,
        region: str,
    ) -> None:
        self._inventory = inventory
        self._endpoints = endpoints
        self._deployments = deployments
        self._clock = clock
        self._region = region

    def list(self, _cursor: str | None) -> Listing[FoundHosted]:
        """Return the endpoints that have names like ours; whose they are, their tags will tell."""
        return Listing(items=tuple(self._inventory.endpoints()))

    def name_of(self, item: FoundHosted) -> str:
        """Return the ARN of an endpoint."""
        return item.arn

    def inspect(self, item: FoundHosted, scene: Scene) -> Finding | None:
        """Judge an endpoint by the record that its name tells, by what it does just now, and by its tags."""
        owner = endpoint_owner(item.name)
        record = self._deployments.find(owner.deployment) if owner else None
        if owner is None or judge_endpoint(item, record, scene) is None:
            return None
        seen = self._endpoints.see(item.name)
        if seen is None:
            return None
        verdict = judge_endpoint(item.changed(status=seen.status), record, scene)
        verdict = allowed_by_tags(verdict, self._inventory.tags(item.arn), owner, scene)
        return finding_of(
            verdict,
            self.kind,
            self.name_of(item),
            belongs_to=owner.as_user,
            since=item.created_at,
            usd_per_hour=self._hourly(seen) if verdict else None,
        )

    def act(self, item: FoundHosted, finding: Finding, _scene: Scene) -> None:
        """Delete an orphan; note one that its deployment took to be gone."""
        if finding.decision is Decision.REMOVE:
            self._endpoints.delete_endpoint(item.name)
        else:
            self._adopt(finding)

    def _hourly(self, seen: Seen) -> Money | None:
        """Return what the instances cost that there are or will be, None where nobody tells what they are."""
        instance_type = self._inventory.instance_type(seen.config_name)
        if instance_type is None:
            return None
        rate = rate_of(instance_type, self._region)
        return Money(usd=round(rate.usd_per_hour * max(seen.instances, seen.desired), 4))

    def _adopt(self, finding: Finding) -> None:
        now = self._clock.now()

        def adopted(before: Deployment) -> Change | None:
            known = before.endpoint
            if before.as_user != finding.belongs_to or known is None or known.exists:
                return None
            if before.status not in (Status.FAILED, Status.SERVING):
                return None
            after = before.changed(endpoint=known.changed(exists=True, parked=False))
            return change(before, after, EventKind.ENDPOINT, finding.reason, now)

        amend(self._deployments, (finding.belongs_to or "").rpartition("-g")[0], adopted)


class InspectingParts:
    """Models, endpoint configs or inference components: what there is one of for each revision."""

    def __init__(
        self,
        kind: Kind,
        listed: Callable[[], Sequence[FoundHosted]],
        delete: Callable[[str], None],
        judge: JudgePart,
        inventory: EndpointInventory,
        endpoints: Endpoints,
        deployments: Deployments,
        revisions: Revisions,
    ) -> None:
        self.kind = kind
        self._listed = listed
        self._delete = delete
        self._judge = judge
        self._inventory = inventory
        self._endpoints = endpoints
        self._deployments = deployments
        self._revisions = revisions

    def list(self, _cursor: str | None) -> Listing[FoundHosted]:
        """Return those that have names like ours."""
        return Listing(items=tuple(self._listed()))

    def name_of(self, item: FoundHosted) -> str:
        """Return the ARN of one."""
        return item.arn

    def inspect(self, item: FoundHosted, scene: Scene) -> Finding | None:
        """Judge one by the records of its deployment and its revision, by its endpoint, and by its tags."""
        owner = revision_owner(item.name)
        if owner is None:
            return None
        record = self._deployments.find(owner.deployment)
        kept = self._kept(owner, record)
        if self._judge(item, record, scene, kept=kept) is None:
            return None
        verdict = self._judge(item, record, scene, kept=kept, seen=self._endpoints.see(owner.endpoint))
        verdict = allowed_by_tags(verdict, self._inventory.tags(item.arn), owner, scene)
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=owner.as_user, since=item.created_at)

    def act(self, item: FoundHosted, _finding: Finding, _scene: Scene) -> None:
        """Delete one."""
        self._delete(item.name)

    def _kept(self, owner: Owner, record: Deployment | None) -> frozenset[int]:
        """Return which of the revisions that matter have a record; one that cannot be read is no missing one."""
        if self._has_record(owner, owner.revision):
            return frozenset({owner.revision})
        return frozenset(number for number in needed_revisions(record) if self._has_record(owner, number))

    def _has_record(self, owner: Owner, number: int) -> bool:
        return self._revisions.find(owner.deployment, owner.generation, number) is not None


class InspectingTargets:
    """What Application Auto Scaling scales."""

    kind = Kind.SCALABLE_TARGET

    def __init__(self, inventory: EndpointInventory, endpoints: Endpoints, deployments: Deployments) -> None:
        self._inventory = inventory
        self._endpoints = endpoints
        self._deployments = deployments

    def list(self, _cursor: str | None) -> Listing[FoundTarget]:
        """Return the targets whose endpoint or component has a name like ours."""
        return Listing(items=tuple(self._inventory.targets()))

    def name_of(self, item: FoundTarget) -> str:
        """Return what is scaled."""
        return item.resource_id

    def inspect(self, item: FoundTarget, scene: Scene) -> Finding | None:
        """Judge a target by the record that its name tells, and by whether there is an endpoint of that name."""
        owner = target_owner(item.resource_id)
        record = self._deployments.find(owner.deployment) if owner else None
        if owner is None or judge_target(item, record, scene) is None:
            return None
        is_there = self._endpoints.see(owner.endpoint) is not None
        verdict = judge_target(item, record, scene, endpoint_is_there=is_there)
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=owner.as_user, since=item.created_at)

    def act(self, item: FoundTarget, _finding: Finding, _scene: Scene) -> None:
        """Take a target away, and its policies with it."""
        self._inventory.forget_target(item)


class InspectingAlarms:
    """Alarms that scale endpoints, or roll their updates back."""

    kind = Kind.SCALING_ALARM

    def __init__(self, inventory: EndpointInventory, deployments: Deployments) -> None:
        self._inventory = inventory
        self._deployments = deployments

    def list(self, _cursor: str | None) -> Listing[FoundAlarm]:
        """Return the alarms that have names like ours."""
        return Listing(items=tuple(self._inventory.alarms()))

    def name_of(self, item: FoundAlarm) -> str:
        """Return the name of an alarm."""
        return item.name

    def inspect(self, item: FoundAlarm, scene: Scene) -> Finding | None:
        """Judge an alarm by the record that its name tells, and by its tag."""
        owner = alarm_owner(item.name)
        record = self._deployments.find(owner.deployment) if owner else None
        verdict = judge_alarm(item, record, scene)
        if owner is None or verdict is None or not is_of_stack(self._inventory.alarm_tags(item.arn), scene):
            return None
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=owner.as_user, since=item.changed_at)

    def act(self, item: FoundAlarm, _finding: Finding, _scene: Scene) -> None:
        """Delete an alarm."""
        self._inventory.delete_alarm(item.name)


class InspectingBundles:
    """Bundles of a container's small files in the artifact bucket; results beside them end with the bucket's rule."""

    kind = Kind.BUNDLE

    def __init__(
        self, inventory: EndpointInventory, storage: Inventory, bucket: ArtifactBucket, deployments: Deployments
    ) -> None:
        self._inventory = inventory
        self._storage = storage
        self._bucket = bucket
        self._deployments = deployments

    def list(self, _cursor: str | None) -> Listing[str]:
        """Return the folders below `bundles/`, one for each generation."""
        return Listing(items=tuple(self._inventory.bundle_folders()))

    def name_of(self, item: str) -> str:
        """Return the prefix of a folder."""
        return f"{BUNDLES}{item}/"

    def inspect(self, item: str, scene: Scene) -> Finding | None:
        """Judge a folder by the record that its name tells, and by when it was last written to."""
        owner = bundle_owner(item)
        record = self._deployments.find(owner.deployment) if owner else None
        if judge_bundle(item, record, scene.now, scene) is None:  # in use, however old it is
            return None
        newest_write = self._storage.newest_write(self.name_of(item))
        verdict = judge_bundle(item, record, newest_write, scene)
        belongs_to = owner.as_user if owner else None
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=belongs_to, since=newest_write)

    def act(self, item: str, _finding: Finding, _scene: Scene) -> None:
        """Delete what lies in a folder."""
        self._bucket.delete(self.name_of(item))


def endpoint_inspectors(
    inventory: EndpointInventory,
    endpoints: Endpoints,
    revisions: Revisions,
    storage: Inventory,
    bucket: ArtifactBucket,
    deployments: Deployments,
    clock: Clock,
    *,
    region: str,
) -> tuple[Inspector, ...]:
    """Return an inspector for each kind of thing of endpoints. Components go before the endpoints that hold them."""

    def parts(
        kind: Kind, listed: Callable[[], Sequence[FoundHosted]], delete: Callable[[str], None], judge: JudgePart
    ) -> Inspector:
        return InspectingParts(kind, listed, delete, judge, inventory, endpoints, deployments, revisions)

    return (
        parts(Kind.COMPONENT, inventory.components, endpoints.delete_component, judge_component),
        InspectingEndpoints(inventory, endpoints, deployments, clock, region),
        parts(Kind.ENDPOINT_CONFIG, inventory.configs, endpoints.delete_config, judge_definition),
        parts(Kind.SAGEMAKER_MODEL, inventory.models, endpoints.delete_model, judge_definition),
        InspectingTargets(inventory, endpoints, deployments),
        InspectingAlarms(inventory, deployments),
        InspectingBundles(inventory, storage, bucket, deployments),
    )
