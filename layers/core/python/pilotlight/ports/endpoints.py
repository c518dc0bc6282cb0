"""Endpoints on instances: SageMaker's models, configs and endpoints, what scales them, what their containers say."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pilotlight.domain.endpoint import Endpoint, Revision, Seen, Strategy
from pilotlight.domain.endpoint_orphans import FoundAlarm, FoundHosted, FoundTarget
from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.values import Backend, Model, Moment


class Found(Model):
    """A model, a config, an endpoint or a component that exists, with its tags."""

    name: str
    arn: str
    tags: dict[str, str] = {}
    created_at: Moment | None = None


class Component(Model):
    """An inference component as SageMaker tells it."""

    name: str
    arn: str
    status: str
    copies: int = 0
    failure_reason: str | None = None


class Endpoints(Protocol):
    """SageMaker hosting. What exists already is refused with Conflict, and nothing is ever overwritten."""

    def create_model(self, revision: Revision, tags: Mapping[str, str]) -> None:
        """Create the model of a revision. Raises: Conflict, InvalidInput, AccessDenied, QuotaExceeded, Throttled."""
        ...

    def create_config(self, revision: Revision, backend: Backend, *, instances: int, tags: Mapping[str, str]) -> None:
        """Create the endpoint config of a revision, which begins with so many instances. Raises: as `create_model`."""
        ...

    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> str:
        """Create an endpoint and return its ARN. Raises: Conflict, QuotaExceeded, Throttled."""
        ...

    def see(self, name: str) -> Seen | None:
        """Return an endpoint as it is now, or None."""
        ...

    def endpoint(self, name: str) -> Found | None:
        """Return an endpoint with its tags, or None."""
        ...

    def model(self, name: str) -> Found | None:
        """Return a model with its tags, or None."""
        ...

    def config(self, name: str) -> Found | None:
        """Return an endpoint config with its tags, or None."""
        ...

    def update(self, name: str, config_name: str, strategy: Strategy, alarms: Sequence[str]) -> None:
        """Begin to move an endpoint to another config. Raises: ConcurrentChange while another change runs."""
        ...

    def set_instances(self, name: str, instances: int) -> None:
        """Set how many instances an endpoint shall have now. Raises: ConcurrentChange while another change runs."""
        ...

    def delete_endpoint(self, name: str) -> None:
        """Begin to delete an endpoint; one already gone is a success. Raises: ConcurrentChange while it changes."""
        ...

    def delete_config(self, name: str) -> None:
        """Delete a config; one already gone is a success."""
        ...

    def delete_model(self, name: str) -> None:
        """Delete a model; one already gone is a success."""
        ...

    def create_component(self, endpoint: str, revision: Revision, *, copies: int, tags: Mapping[str, str]) -> None:
        """Create the inference component of a revision. Raises: Conflict, ConcurrentChange, QuotaExceeded."""
        ...

    def component(self, name: str) -> Component | None:
        """Return an inference component, or None."""
        ...

    def set_copies(self, name: str, copies: int) -> None:
        """Set how many copies a component shall have. Raises: ConcurrentChange while another change runs."""
        ...

    def delete_component(self, name: str) -> None:
        """Begin to delete a component; one already gone is a success."""
        ...


class Autoscaling(Protocol):
    """What adds and removes instances by itself."""

    def register(
        self, endpoint: Endpoint, backend: Backend, *, floor: int, most: int, suspended: bool, component: str | None
    ) -> None:
        """Register an endpoint's bounds, its policies and its alarms; a repeat changes what differs."""
        ...

    def deregister(self, endpoint_name: str, component: str | None) -> None:
        """Remove bounds, policies and alarms; what is not there is not missed."""
        ...

    def unbind(self, endpoint_name: str) -> None:
        """Remove an endpoint's bounds and policies; the alarm on which an update is rolled back stays."""
        ...

    def fails(self, endpoint_name: str, backend: Backend, now: datetime) -> bool:
        """Say whether calls failed lately, so that the alarm on which an update is rolled back rings of what serves."""
        ...


class ContainerLogs(Protocol):
    """What containers wrote."""

    def last_lines(self, endpoint_name: str, component: str | None) -> Sequence[str]:
        """Return the last lines of the newest log stream of an endpoint, or of its component; none without a log."""
        ...


class TaskTokens(Protocol):
    """Tasks of state machines that wait for their token."""

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """End a task well; one that waits no more is a success."""
        ...

    def fail(self, token: str, error: PilotlightError) -> None:
        """End a task with an error, told as a task's own would be; one that waits no more is a success."""
        ...


class Revisions(Protocol):
    """The records of revisions."""

    def add(self, revision: Revision) -> None:
        """Write a revision under a number that is free. Raises: ConcurrentChange where somebody has taken it."""
        ...

    def put(self, revision: Revision) -> None:
        """Write a revision that there is; a repeat writes the same, and one that was forgotten stays so."""
        ...

    def find(self, name: str, generation: int, number: int) -> Revision | None:
        """Return a revision, or None."""
        ...

    def newest_first(self, name: str, generation: int) -> list[Revision]:
        """Return the revisions of a generation that are kept."""
        ...

    def forget(self, revision: Revision) -> None:
        """Remove a revision's record."""
        ...


class EndpointInventory(Protocol):
    """What is named as we name things of endpoints, whoever made it: for the reconciliation, which believes no record.

    Every list comes whole, or raises. Tags are None of what is not there.
    """

    def endpoints(self) -> list[FoundHosted]:
        """Return the endpoints."""
        ...

    def configs(self) -> list[FoundHosted]:
        """Return the endpoint configs."""
        ...

    def models(self) -> list[FoundHosted]:
        """Return the models."""
        ...

    def components(self) -> list[FoundHosted]:
        """Return the inference components."""
        ...

    def tags(self, arn: str) -> dict[str, str] | None:
        """Return the tags of any of these."""
        ...

    def instance_type(self, config_name: str) -> str | None:
        """Return what the instances of an endpoint config are; None where nobody tells."""
        ...

    def targets(self) -> list[FoundTarget]:
        """Return what is registered to be scaled."""
        ...

    def forget_target(self, target: FoundTarget) -> None:
        """Take away what scales something, with its policies; what is not there is not missed."""
        ...

    def alarms(self) -> list[FoundAlarm]:
        """Return the alarms."""
        ...

    def alarm_tags(self, arn: str) -> dict[str, str] | None:
        """Return the tags of an alarm."""
        ...

    def delete_alarm(self, name: str) -> None:
        """Delete an alarm; one that is not there is not missed."""
        ...

    def bundle_folders(self) -> list[str]:
        """Return the folders below `bundles/` in which there are objects."""
        ...
