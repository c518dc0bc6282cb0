# ruff: noqa: ARG002 (a fake takes what its port takes)
"""SageMaker's hosting as the services see it: endpoints that take their time, bounds, logs, tokens and revisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pilotlight.domain.endpoint import IN_SERVICE, Endpoint, Revision, Seen, Strategy
from pilotlight.domain.errors import (
    ConcurrentChange,
    Conflict,
    InvalidInput,
    NotFound,
    PilotlightError,
    SourceNotFound,
)
from pilotlight.domain.jumpstart import JumpStartModel
from pilotlight.domain.source import Source
from pilotlight.domain.values import Backend
from pilotlight.ports.endpoints import Component, Found

PREFIX = "arn:aws:sagemaker:us-east-1:123456789012:"


AT_REST = (IN_SERVICE, "Failed", "OutOfService", "UpdateRollbackFailed")


@dataclass
class Hosted:
    """An endpoint, and where it is on its way."""

    config: str
    tags: dict[str, str]
    status: str = "Creating"
    instances: int = 0
    desired: int = 1
    reason: str | None = None
    next_config: str | None = None


@dataclass
class FakeEndpoints:
    """Implements `ports.Endpoints`. Nothing goes on by itself: a test says what SageMaker does next.

    `refuses` is raised by the next call that would create or change something. What is under way is refused another
    change, and what is not in service any change but its removal, as SageMaker does.
    """

    models: dict[str, Found] = field(default_factory=dict)
    configs: dict[str, Found] = field(default_factory=dict)
    endpoints: dict[str, Hosted] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)
    copies_wanted: dict[str, int] = field(default_factory=dict)
    """How many copies each component shall have; one that a test put there by hand is deleted at once."""
    revisions: dict[str, Revision] = field(default_factory=dict)
    """What each config was made of."""
    asynchronous: set[str] = field(default_factory=set)
    """Configs whose endpoints reach zero."""
    first_counts: dict[str, int] = field(default_factory=dict)
    updates: list[tuple[str, str, Strategy, tuple[str, ...]]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """What was asked to be deleted, in its order, whether it was there or not."""
    bound: Mapping[str, object] = field(default_factory=dict)
    """Endpoints that scale, and therefore keep their instance type."""
    refuses: PilotlightError | None = None
    meanwhile: Callable[[], object] | None = None
    """What others do just before the next call that would create or change something is made."""

    def create_model(self, revision: Revision, tags: Mapping[str, str]) -> None:
        self._refuse()
        _once(self.models, revision.model_name, "model", tags)

    def create_config(self, revision: Revision, backend: Backend, *, instances: int, tags: Mapping[str, str]) -> None:
        self._refuse()
        _once(self.configs, revision.config_name, "endpoint-config", tags)
        self.first_counts[revision.config_name] = instances
        self.revisions[revision.config_name] = revision
        if backend is Backend.SAGEMAKER_ASYNC:
            self.asynchronous.add(revision.config_name)

    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> str:
        self._refuse()
        if name in self.endpoints:
            raise Conflict(f'Cannot create already existing endpoint "{name}".')
        if config_name not in self.configs:
            raise NotFound(f"Could not find endpoint configuration {config_name}.")
        self.endpoints[name] = Hosted(config_name, dict(tags), desired=self.first_counts[config_name])
        return f"{PREFIX}endpoint/{name}"

    def see(self, name: str) -> Seen | None:
        hosted = self.endpoints.get(name)
        return hosted and Seen(
            name=name,
            arn=f"{PREFIX}endpoint/{name}",
            status=hosted.status,
            config_name=hosted.config,
            pending_config_name=hosted.next_config,
            instances=hosted.instances,
            desired=hosted.desired,
            failure_reason=hosted.reason,
        )

    def endpoint(self, name: str) -> Found | None:
        hosted = self.endpoints.get(name)
        return hosted and Found(name=name, arn=f"{PREFIX}endpoint/{name}", tags=hosted.tags)

    def model(self, name: str) -> Found | None:
        return self.models.get(name)

    def config(self, name: str) -> Found | None:
        return self.configs.get(name)

    def update(self, name: str, config_name: str, strategy: Strategy, alarms: Sequence[str]) -> None:
        self._refuse()
        hosted = self._in_service(name)
        if config_name not in self.configs or hosted.config not in self.configs:
            raise NotFound(f"Could not find endpoint configuration {config_name}.")
        types = {self.revisions[each].instance_type for each in (config_name, hosted.config)}
        if name in self.bound and len(types) > 1:
            raise InvalidInput("The variant must be deregistered.", field="endpoint", rule="SageMaker's own")
        hosted.status, hosted.next_config = "Updating", config_name
        self.updates.append((name, config_name, strategy, tuple(alarms)))

    def set_instances(self, name: str, instances: int) -> None:
        self._refuse()
        hosted = self._in_service(name)
        if instances < 1 and hosted.config not in self.asynchronous:
            raise InvalidInput("DesiredInstanceCount must be at least 1.", field="endpoint", rule="SageMaker's own")
        hosted.status, hosted.desired = "Updating", instances

    def delete_endpoint(self, name: str) -> None:
        self.deleted.append(name)
        if name in self.endpoints:
            self._at_rest(name).status = "Deleting"

    def delete_config(self, name: str) -> None:
        self.deleted.append(name)
        self.configs.pop(name, None)

    def delete_model(self, name: str) -> None:
        self.deleted.append(name)
        self.models.pop(name, None)

    def create_component(self, endpoint: str, revision: Revision, *, copies: int, tags: Mapping[str, str]) -> None:
        self._refuse()
        if revision.model_name in self.components:
            raise Conflict(f"Cannot create already existing inference component {revision.model_name}.")
        self._in_service(endpoint)
        if revision.model_name not in self.models:
            raise NotFound(f"Could not find model {revision.model_name}.")
        arn = f"{PREFIX}inference-component/{revision.model_name}"
        self.components[revision.model_name] = Component(name=revision.model_name, arn=arn, status="Creating")
        self.copies_wanted[revision.model_name] = copies

    def component(self, name: str) -> Component | None:
        return self.components.get(name)

    def set_copies(self, name: str, copies: int) -> None:
        self._refuse()
        if self.components[name].status not in (IN_SERVICE, "Failed"):
            raise ConcurrentChange(f"Cannot update in-progress inference component {name}.")
        self._set(name, status="Updating")
        self.copies_wanted[name] = copies

    def delete_component(self, name: str) -> None:
        self.deleted.append(name)
        if name not in self.copies_wanted:
            self.components.pop(name, None)
        elif self.components[name].status == "Deleting":
            raise ConcurrentChange(f"Cannot update in-progress inference component {name}.")
        else:
            self._set(name, status="Deleting")

    # ---- what SageMaker does next --------------------------------------------------------------------------

    def settle(self, name: str, *, instances: int | None = None) -> None:
        """Let what is under way come to its end: created, updated, scaled or gone."""
        hosted = self.endpoints[name]
        if hosted.status == "Deleting":
            del self.endpoints[name]  # its components stay, and run nowhere
            for each in self.components:
                self._set(each, copies=0)
            return
        hosted.config, hosted.next_config = hosted.next_config or hosted.config, None
        hosted.instances = hosted.desired if instances is None else instances
        hosted.desired = hosted.instances
        hosted.status = IN_SERVICE

    def settle_component(self, name: str) -> None:
        """Let a component have its copies, or be gone."""
        if self.components[name].status == "Deleting":
            del self.components[name], self.copies_wanted[name]
            return
        self._set(name, status=IN_SERVICE, copies=self.copies_wanted[name])

    def fail(self, name: str, reason: str | None) -> None:
        """Let an endpoint that is being created fail."""
        self.endpoints[name].status, self.endpoints[name].reason = "Failed", reason

    def fail_component(self, name: str, reason: str) -> None:
        """Let a component come to nothing."""
        self._set(name, status="Failed", copies=0, failure_reason=reason)

    def roll_back(self, name: str, reason: str | None = None) -> None:
        """Let an update end on the config that there was."""
        hosted = self.endpoints[name]
        hosted.status, hosted.next_config, hosted.reason = IN_SERVICE, None, reason

    def break_(self, name: str, status: str = "UpdateRollbackFailed", reason: str | None = None) -> None:
        """Let an endpoint come to rest where nothing but its removal helps."""
        hosted = self.endpoints[name]
        hosted.status, hosted.next_config, hosted.reason = status, None, reason

    def vanish(self, name: str) -> None:
        """Let somebody delete an endpoint by hand."""
        self.endpoints[name].status = "Deleting"
        self.settle(name)

    def _set(self, component: str, **fields: object) -> None:
        self.components[component] = self.components[component].changed(**fields)

    def _at_rest(self, name: str) -> Hosted:
        hosted = self.endpoints[name]
        if hosted.status not in AT_REST:
            raise ConcurrentChange(f"Cannot update in-progress endpoint {name}.")
        return hosted

    def _in_service(self, name: str) -> Hosted:
        if name not in self.endpoints:
            raise NotFound(f"Could not find endpoint {name}.")
        hosted = self._at_rest(name)
        if hosted.status != IN_SERVICE:
            told = f"Cannot update endpoint {name} with status {hosted.status}."
            raise InvalidInput(told, field="endpoint", rule="SageMaker's own")
        return hosted

    def _refuse(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        error, self.refuses = self.refuses, None
        if error:
            raise error


def _once(held: dict[str, Found], name: str, kind: str, tags: Mapping[str, str]) -> None:
    if name in held:
        raise Conflict(f'Cannot create already existing {kind} "{name}".')
    held[name] = Found(name=name, arn=f"{PREFIX}{kind}/{name}", tags=dict(tags))


@dataclass
class FakeAutoscaling:
    """Implements `ports.Autoscaling`: bounds by endpoint or component, and how often they were written.

    `refuses` is raised by every call that writes or removes bounds. Calls of endpoints in `failing` failed lately.
    """

    bounds: dict[str, tuple[int, int, bool]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    writes: int = 0
    refuses: PilotlightError | None = None

    def register(
        self, endpoint: Endpoint, backend: Backend, *, floor: int, most: int, suspended: bool, component: str | None
    ) -> None:
        self._refuse()
        self.bounds[component or endpoint.name] = (floor, most, suspended)
        self.writes += 1

    def deregister(self, endpoint_name: str, component: str | None) -> None:
        self._refuse()
        self.bounds.pop(component or endpoint_name, None)

    def fails(self, endpoint_name: str, backend: Backend, now: datetime) -> bool:
        return endpoint_name in self.failing

    def unbind(self, endpoint_name: str) -> None:
        self.bounds.pop(endpoint_name, None)

    def _refuse(self) -> None:
        if self.refuses:
            raise self.refuses


@dataclass
class FakeLogs:
    """Implements `ports.ContainerLogs`: lines by endpoint or component; `refuses` is raised by every read."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    refuses: PilotlightError | None = None

    def last_lines(self, endpoint_name: str, component: str | None) -> Sequence[str]:
        if self.refuses:
            raise self.refuses
        return self.lines.get(component or endpoint_name, ())


@dataclass
class FakeTokens:
    """Implements `ports.TaskTokens`: how each task that waited was ended; `refuses` is raised by the next call."""

    succeeded: dict[str, Mapping[str, object]] = field(default_factory=dict)
    failed: dict[str, PilotlightError] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    refuses: PilotlightError | None = None

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        self._tell(token)
        self.succeeded[token] = output

    def fail(self, token: str, error: PilotlightError) -> None:
        self._tell(token)
        self.failed[token] = error

    def _tell(self, token: str) -> None:
        error, self.refuses = self.refuses, None
        if error:
            raise error
        self.told.append(token)


@dataclass
class FakeRevisions:
    """Implements `ports.Revisions`; `meanwhile` is what others do just before the next revision is added."""

    held: dict[tuple[str, int, int], Revision] = field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None

    def add(self, revision: Revision) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        if _key(revision) in self.held:
            raise ConcurrentChange(f"Somebody else made revision {revision.number}.")
        self.held[_key(revision)] = revision

    def put(self, revision: Revision) -> None:
        if _key(revision) in self.held:
            self.held[_key(revision)] = revision

    def find(self, name: str, generation: int, number: int) -> Revision | None:
        return self.held.get((name, generation, number))

    def newest_first(self, name: str, generation: int) -> list[Revision]:
        of_it = [each for (whose, when, _), each in self.held.items() if (whose, when) == (name, generation)]
        return sorted(of_it, key=lambda revision: revision.number, reverse=True)

    def forget(self, revision: Revision) -> None:
        self.held.pop(_key(revision), None)


def _key(revision: Revision) -> tuple[str, int, int]:
    return revision.deployment, revision.generation, revision.number


@dataclass
class FakeJumpStart:
    """Implements `ports.JumpStartCatalogue`: nothing but the models that a test puts there."""

    models: dict[str, JumpStartModel] = field(default_factory=dict)

    def resolve(self, source: Source) -> JumpStartModel:
        if source.location not in self.models:
            raise SourceNotFound(f"JumpStart has no model {source.location}.")
        return self.models[source.location]

    def eula(self, source: Source) -> str | None:
        return None
