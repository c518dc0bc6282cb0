"""An endpoint: instances of ours that run one model, what we last saw of them, and which revision they run.

SageMaker's three things have three names of ours: the endpoint (one per generation, found by callers), and for each
revision its endpoint config and its model. A revision never changes; an update makes the next one.
"""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.hosting import Hosting, Scaling, ScalingSettings
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.values import Model, Moment

REVISIONS_KEPT = 10
LOG_LINES_KEPT = 20
VARIANT = "main"
IN_SERVICE = "InService"
ROLLING_BACK = "RollingBack"


class Strategy(StrEnum):
    """How an update replaces instances."""

    BLUE_GREEN = "blue-green"
    ROLLING = "rolling"


class Awaited(StrEnum):
    """What somebody waits for at an endpoint."""

    CREATED = "created"  # in service for the first time, or not at all
    CAPACITY = "capacity"  # in service with an instance
    UPDATED = "updated"  # in service again, on the new revision or rolled back


class Waiting(Model):
    """A task of a state machine that waits for its token, and what for."""

    token: str
    awaited: Awaited
    since: Moment


class EndpointFailure(Model):
    """Why an endpoint failed, in SageMaker's words, and the last lines of its container's log: kept before it goes."""

    reason: str
    log_lines: tuple[str, ...] = ()
    at: Moment


class Update(Model):
    """An update under way: to which revision, from which, and how. `number` counts the updates of an endpoint.

    While it runs there are instances of both: `instance_type` and `usd_per_hour` are of the new ones, `most` is how
    many instances the one may have that may have more. `scaling` is how the deployment shall scale when it is over.
    Records of before 2026-11-29 have neither type nor scaling: that is as the revision was made.
    """

    number: int
    revision: int
    previous: int
    strategy: Strategy = Strategy.BLUE_GREEN
    started_at: Moment
    instance_type: str | None = None
    usd_per_hour: float = 0.0
    most: int = 0
    scaling: ScalingSettings | None = None


class FailedUpdate(Model):
    """The update that failed last, to which revision and why."""

    revision: int
    reason: str
    at: Moment


class Endpoint(Model):
    """What a deployment's record keeps of its endpoint. `instances`, `desired` and `status` are as seen at `seen_at`.

    `exists` is whether SageMaker has it, or may have: from just before it is asked for, until it was seen gone.
    `parked` says that it was removed to cost nothing, or never made, and is made when it is woken. `floor`, `most` and
    `suspended` are what its autoscaling was registered with. Of those in `waiting` each waits for something else: an
    update and a wake may go on at the same time. `former_revision` served before the one that does. `updates` counts
    the updates that were begun, and `updated` is the number of the last one that came into service. `failed_update` is
    forgotten when the next one begins.
    """

    name: str
    arn: str | None = None
    revision: int = Field(ge=1)
    newest_revision: int = Field(ge=1)
    former_revision: int | None = None
    instance_type: str
    usd_per_hour: float = Field(ge=0)
    scaling: Scaling
    exists: bool = False
    parked: bool = False
    starting_at: Moment | None = None
    created_at: Moment | None = None
    in_service_at: Moment | None = None
    status: str | None = None
    instances: int = 0
    desired: int = 0
    copies: int | None = None
    seen_at: Moment | None = None
    floor: int | None = None
    most: int | None = None
    suspended: bool = False
    failed_tidies: int = 0  # failures in a row to remove what scaled it, once it was gone
    tidy_rests_until: Moment | None = None
    waiting: tuple[Waiting, ...] = ()
    update: Update | None = None
    updates: int = 0
    updated: int = 0
    failed_update: FailedUpdate | None = None
    failure: EndpointFailure | None = None

    @property
    def is_in_service(self) -> bool:
        """Whether it was in service when it was last seen."""
        return self.exists and self.status == IN_SERVICE

    @property
    def is_broken(self) -> bool:
        """Whether it was at rest when it was last seen, and not in service: nothing mends it, and it may bill."""
        return self.exists and self.status in SETTLED and self.status != IN_SERVICE

    @property
    def is_watched(self) -> bool:
        """Whether it is to be looked at again and again: it is there, or somebody waits for it."""
        return bool(self.exists or self.update or self.waiting)

    @property
    def lacks_bounds(self) -> bool:
        """Whether it is in service, and what scales and watches it is not known to be there: an update has no alarm."""
        return self.is_in_service and self.floor is None and self.update is None

    @property
    def has_bounds_left(self) -> bool:
        """Whether it is gone, and what scaled and watched it may not be."""
        return not self.exists and self.most is not None

    @property
    def asked_for(self) -> int:
        """How many instances it has or shall have; where components are used, how many copies of the model."""
        return max(self.instances, self.desired) if self.copies is None else self.copies

    def with_waiting(self, waiting: Waiting) -> "Endpoint":
        """Return the endpoint with one more who waits, in the place of whoever waited for the same."""
        others = tuple(each for each in self.waiting if each.awaited is not waiting.awaited)
        return self.changed(waiting=(*others, waiting))

    def without_waiting(self, token: str) -> "Endpoint":
        """Return the endpoint without the one who waited with that token."""
        return self.changed(waiting=tuple(each for each in self.waiting if each.token != token))

    @property
    def dearest_usd_per_hour(self) -> float:
        """The price of an instance; while an update runs, of the dearer kind."""
        return max(self.usd_per_hour, self.update.usd_per_hour) if self.update else self.usd_per_hour

    @property
    def most_instances(self) -> int:
        """How many instances autoscaling may add to it; while an update runs, to what may have more."""
        return max(self.scaling.max, self.update.most) if self.update else self.scaling.max

    @property
    def hourly_usd(self) -> float:
        """What an hour of as many instances as were last seen, or are on their way, costs."""
        return round(self.usd_per_hour * max(self.instances, self.desired), 6)


class Seen(Model):
    """An endpoint as SageMaker tells it; `copies` of the model, where an inference component holds them.

    `pending` are the instances of a deployment under way, beside those that serve; `pending_config_name` is its config.
    """

    name: str
    arn: str
    status: str
    config_name: str
    pending_config_name: str | None = None
    instances: int = 0
    pending: int = 0
    desired: int = 0
    copies: int | None = None
    failure_reason: str | None = None
    created_at: Moment | None = None

    @property
    def has_capacity(self) -> bool:
        """Whether a call would be taken by an instance; where components are used, by a copy of the model."""
        return self.status == IN_SERVICE and bool(self.instances if self.copies is None else self.copies)

    @property
    def asked_for(self) -> int:
        """How many instances it has or shall have; where components are used, how many copies of the model."""
        return max(self.instances, self.desired) if self.copies is None else self.copies

    def runs(self, revision: int) -> bool:
        """Say whether its config is that of a revision; while it is moved to another one, that is the former."""
        return self.config_name.endswith(f"-v{revision}")

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way: it is in service, or will not be by itself."""
        return self.status in SETTLED


SETTLED = frozenset({IN_SERVICE, "Failed", "OutOfService", "UpdateRollbackFailed"})
"""What DescribeEndpoint says of an endpoint at rest. Source: botocore's service model, EndpointStatus. EventBridge
writes the same in capitals (`IN_SERVICE`), which is why an event is only ever taken for a reason to look."""


class RevisionStatus(StrEnum):
    """What became of a revision."""

    CREATED = "CREATED"
    IN_SERVICE = "IN_SERVICE"
    RETIRED = "RETIRED"
    FAILED = "FAILED"


class Mount(Model):
    """Bytes in S3 that a container finds on its disk: its model's own, or a channel beside it.

    An address that ends with a slash is a folder. `gated` are weights whose terms somebody has accepted.
    """

    uri: str
    channel: str | None = None
    compressed: bool = False
    gated: bool = False


class Revision(Model):
    """One configuration, whole: enough to make it again. `bundle_key` is where its model.tar.gz lies.

    That holds the weights, too, where they are packed: then it is written with the model, and not with the record.
    `proposal` is the instance that it runs on, as it was proposed: how fast, and how the model is split.
    """

    deployment: str
    generation: int
    number: int = Field(ge=1)
    status: RevisionStatus = RevisionStatus.CREATED
    model_name: str
    config_name: str
    instance_type: str
    usd_per_hour: float
    scaling: Scaling
    hosting: Hosting
    image: str
    environment: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    bundle_key: str | None = None
    volume_gib: int | None = None
    network_isolation: bool = True
    health_check_timeout_seconds: int = 3600
    download_timeout_seconds: int = 1800
    inference_ami_version: str | None = None
    tensor_parallel_degree: int | None = None
    proposal: Proposal | None = None
    why: str = ""
    digest: str
    created_at: Moment
    reason: str = ""

    @property
    def packs_weights(self) -> bool:
        """Whether its archive holds the weights, too."""
        return self.bundle_key is not None and self.hosting.serving.packs_weights


def rollback_alarm_name(endpoint_name: str) -> str:
    """Return the name of the alarm on which an update is rolled back."""
    return f"{endpoint_name}-failures"


def last_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the last lines of a log that are worth keeping, each cut to a readable length."""
    return tuple(line.rstrip()[:500] for line in lines if line.strip())[-LOG_LINES_KEPT:]


def look_interval_seconds(endpoint: Endpoint) -> int:
    """Return how soon to look at an endpoint again: each minute while it costs or moves, else each five."""
    moving = endpoint.waiting or endpoint.update or not endpoint.is_in_service
    return 60 if moving or endpoint.instances or endpoint.desired else 300
