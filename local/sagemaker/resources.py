"""What the service holds: models, endpoint configurations, endpoints with their instances, and components."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Any

from local.sagemaker.places import Place


class Status(StrEnum):
    """Of an endpoint, as DescribeEndpoint writes it."""

    CREATING = "Creating"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"

    @property
    def in_event(self) -> str:
        """Give how its event writes it."""
        return "".join(f"_{each}" if each.isupper() else each for each in self.value).lstrip("_").upper()


SERVING = frozenset({Status.IN_SERVICE, Status.UPDATING, Status.ROLLING_BACK, Status.UPDATE_ROLLBACK_FAILED})
IN_PROGRESS = frozenset({Status.CREATING, Status.UPDATING, Status.ROLLING_BACK, Status.DELETING})


class InstanceState(Enum):
    """Where an instance is."""

    COMING = auto()  # not there yet, and not paid for
    LOADING = auto()
    READY = auto()
    FAILED = auto()
    STOPPED = auto()


class Serves(Enum):
    """What a container makes of a request."""

    TEXT = auto()
    FEATURES = auto()
    ECHO = auto()


@dataclass(frozen=True)
class Container:
    """A container that runs: what it serves, and what its model is called."""

    serves: Serves = Serves.ECHO
    model_id: str = ""
    reasons: bool = False  # its chat template opens a reasoning before the answer


NOTHING = Container()  # what echoes


@dataclass
class Uptime:
    """A time during which an instance was paid for; `end` is None while it still runs."""

    endpoint: str
    endpoint_arn: str
    variant: str
    instance_type: str
    start: float
    end: float | None = None
    count: int = 1


@dataclass
class Resource:
    """What has a name, an ARN, a time and tags."""

    place: Place
    name: str
    arn: str
    created: float
    modified: float
    tags: dict[str, str]


@dataclass
class Model(Resource):
    """A model: containers, where their data lies, and the role that reads it."""

    request: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Give its containers, in the order in which a request passes them."""
        listed: list[dict[str, Any]] = self.request.get("Containers") or [self.request["PrimaryContainer"]]
        return listed

    @property
    def role_arn(self) -> str:
        """Give the execution role."""
        return str(self.request["ExecutionRoleArn"])

    @property
    def is_isolated(self) -> bool:
        """Say whether its containers reach no network."""
        return bool(self.request.get("EnableNetworkIsolation"))


@dataclass
class Config(Resource):
    """An endpoint configuration."""

    request: dict[str, Any]

    @property
    def variants(self) -> list[dict[str, Any]]:
        """Give its production variants."""
        listed: list[dict[str, Any]] = self.request["ProductionVariants"]
        return listed

    @property
    def asynchronous(self) -> dict[str, Any] | None:
        """Give how it is asynchronous; None where it is not."""
        return self.request.get("AsyncInferenceConfig")


@dataclass(eq=False)
class Instance:
    """One instance of a fleet."""

    id: str
    type: str
    launched: float
    state: InstanceState = InstanceState.COMING
    fault: str | None = None
    container: Container | None = None
    uptime: Uptime | None = None
    busy: int = 0  # asynchronous requests that it works on
    idle_since: float | None = None  # of a managed instance without copies


class ComponentStatus(StrEnum):
    """Of an inference component, as DescribeInferenceComponent writes it."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    FAILED = "Failed"
    DELETING = "Deleting"


@dataclass(eq=False)
class Copy:
    """A copy of a component's model on an instance; it serves once it has a container."""

    instance: Instance
    container: Container | None = None
    is_gone: bool = False


@dataclass(eq=False)
class Component(Resource):
    """An inference component."""

    request: dict[str, Any]
    endpoint_arn: str
    variant: str
    desired: int
    status: ComponentStatus = ComponentStatus.CREATING
    failure_reason: str | None = None
    copies: list[Copy] = field(default_factory=list)
    in_flight: int = 0

    @property
    def specification(self) -> dict[str, Any]:
        """Give what it runs, and what that needs."""
        spec: dict[str, Any] = self.request["Specification"]
        return spec

    @property
    def gpus(self) -> int:
        """Give the GPUs that each copy has to itself."""
        needs = self.specification.get("ComputeResourceRequirements") or {}
        return int(needs.get("NumberOfAcceleratorDevicesRequired") or 0)

    @property
    def ready(self) -> list[Copy]:
        """Give the copies that serve."""
        return [each for each in self.copies if each.container is not None]


@dataclass(eq=False)
class Fleet:
    """The instances of one variant under one configuration."""

    variant: dict[str, Any]
    model: Model | None  # None where inference components bring their own
    desired: int
    weight: float
    instances: list[Instance] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Give the variant's name."""
        return str(self.variant["VariantName"])

    @property
    def instance_type(self) -> str:
        """Give the type of its instances."""
        return str(self.variant["InstanceType"])

    @property
    def ready(self) -> list[Instance]:
        """Give the instances that serve."""
        return [each for each in self.instances if each.state is InstanceState.READY]

    @property
    def present(self) -> list[Instance]:
        """Give the instances that are there or on their way."""
        gone = (InstanceState.STOPPED, InstanceState.FAILED)
        return [each for each in self.instances if each.state not in gone]


@dataclass(eq=False)
class Deployment:
    """An update of an endpoint to another configuration, while it runs."""

    config: Config
    fleets: list[Fleet]
    how: dict[str, Any]  # DeploymentConfig
    started: float
    traffic: float = 0.0  # the share of calls that the new fleets take
    is_waiting: bool = False  # between two batches of a rolling update
    failure: str | None = None
    is_over: bool = False


@dataclass(eq=False)
class AsyncRequest:
    """An asynchronous request that was accepted and has no result yet."""

    id: str
    received: float
    expires_at: float
    timeout_seconds: float
    input_location: str | None
    body: bytes | None
    content_type: str
    accept: str | None
    output: str
    failure: str | None
    instance: Instance | None = None  # that works on it
    attempt: int = 0
    is_over: bool = False


@dataclass(eq=False)
class Endpoint(Resource):
    """An endpoint."""

    config: Config
    fleets: list[Fleet]
    status: Status = Status.CREATING
    failure_reason: str | None = None
    deployment: Deployment | None = None
    last_deployment: dict[str, Any] | None = None
    requests: list[AsyncRequest] = field(default_factory=list)  # oldest first: those that wait or are worked on
    calls: int = 0  # by which calls are shared out between variants
    in_flight: int = 0  # real-time calls
    is_gone: bool = False

    @property
    def role_arn(self) -> str:
        """Give the execution role: its model's, or the configuration's where components bring the models."""
        model = self.fleets[0].model
        return model.role_arn if model else str(self.config.request["ExecutionRoleArn"])

    @property
    def is_serving(self) -> bool:
        """Say whether it takes invocations."""
        return self.status in SERVING and not self.is_gone

    @property
    def all_fleets(self) -> list[Fleet]:
        """Give its fleets, those that an update brings included."""
        return self.fleets + (self.deployment.fleets if self.deployment else [])
