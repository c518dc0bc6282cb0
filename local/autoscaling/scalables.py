"""What can be scaled: the instances of a variant, and the copies of an inference component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from local.sagemaker import capacities
from local.sagemaker.components import change_copies
from local.sagemaker.places import Place
from local.sagemaker.resources import Component, ComponentStatus, Endpoint, Fleet, Status
from local.sagemaker.simulation import Simulation

VARIANT = "sagemaker:variant:DesiredInstanceCount"
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"


class Scalable(Protocol):
    """Something with a capacity."""

    @property
    def capacity(self) -> int:
        """Give what it wants to have."""

    @property
    def is_idle(self) -> bool:
        """Say whether it could be changed now."""

    @property
    def settled_at(self) -> float:
        """Give when it last came to rest."""

    def scale(self, simulation: Simulation, capacity: int) -> None:
        """Begin to give it another capacity. Raises: SageMakerError."""


@dataclass(frozen=True)
class Variant:
    """A variant of an endpoint."""

    endpoint: Endpoint
    fleet: Fleet

    @property
    def capacity(self) -> int:
        """Give its desired instances."""
        return self.fleet.desired

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is under way at its endpoint."""
        return self.endpoint.status is Status.IN_SERVICE

    @property
    def settled_at(self) -> float:
        """Give when its endpoint's status last changed."""
        return self.endpoint.modified

    def scale(self, simulation: Simulation, capacity: int) -> None:
        """Do what UpdateEndpointWeightsAndCapacities does."""
        counts = {self.fleet.name: capacity}
        capacities.check(simulation, self.endpoint, counts)
        capacities.change(simulation, self.endpoint, counts)


@dataclass(frozen=True)
class Copies:
    """An inference component."""

    component: Component

    @property
    def capacity(self) -> int:
        """Give its desired copies."""
        return self.component.desired

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is under way with it."""
        return self.component.status is ComponentStatus.IN_SERVICE

    @property
    def settled_at(self) -> float:
        """Give when its status last changed."""
        return self.component.modified

    def scale(self, simulation: Simulation, capacity: int) -> None:
        """Do what UpdateInferenceComponentRuntimeConfig does."""
        change_copies(simulation, self.component, capacity)


def find(simulation: Simulation, place: Place, resource_id: str, dimension: str) -> Scalable | None:
    """Give what is scaled, None where it is not there or not born yet."""
    kind, _, rest = resource_id.partition("/")
    if (kind, dimension) == ("inference-component", COMPONENT):
        component = simulation.state.components.get(place.arn(kind, rest))
        return Copies(component) if component else None
    name, _, variant = rest.partition("/variant/")
    endpoint = simulation.state.endpoints.get(place.arn("endpoint", name))
    if kind != "endpoint" or dimension != VARIANT or endpoint is None or not endpoint.is_serving:
        return None
    return next((Variant(endpoint, each) for each in endpoint.fleets if each.name == variant), None)
