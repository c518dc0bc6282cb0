"""How many instances a variant has, and what share of the calls: changed by hand, and by autoscaling."""

from __future__ import annotations

from typing import Any

from local.sagemaker import async_requests, endpoints, fleets, quotas
from local.sagemaker.errors import invalid
from local.sagemaker.places import Place
from local.sagemaker.resources import Endpoint, Fleet, InstanceState, Status
from local.sagemaker.simulation import Simulation
from local.sagemaker.status_events import set_status


def update(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Begin to change weights and counts."""
    endpoint = endpoints.find_in_service(simulation, place, request["EndpointName"])
    wanted = request["DesiredWeightsAndCapacities"]
    chosen = [(fleet_of(endpoint, each["VariantName"]), each) for each in wanted]
    counts = {fleet.name: each["DesiredInstanceCount"] for fleet, each in chosen if "DesiredInstanceCount" in each}
    check(simulation, endpoint, counts)
    for fleet, each in chosen:
        fleet.weight = each.get("DesiredWeight", fleet.weight)
    change(simulation, endpoint, counts)
    return {"EndpointArn": endpoint.arn}


def fleet_of(endpoint: Endpoint, variant: str) -> Fleet:
    """Give a variant's fleet. Raises: ValidationException."""
    for fleet in endpoint.fleets:
        if fleet.name == variant:
            return fleet
    raise invalid(f'Could not find variant "{variant}" of endpoint "{endpoint.arn}".')


def check(simulation: Simulation, endpoint: Endpoint, counts: dict[str, int]) -> None:
    """Return if the variants may have so many instances. Raises: ValidationException, ResourceLimitExceeded."""
    chosen = [(fleet_of(endpoint, name), count) for name, count in counts.items()]
    for fleet, count in chosen:
        if count < 1 and endpoint.config.asynchronous is None:
            raise invalid(
                f'DesiredInstanceCount of variant "{fleet.name}" must be at least 1: only asynchronous endpoints and '
                "those of inference components scale to zero."
            )
    more = [(fleet.instance_type, count - len(fleet.present)) for fleet, count in chosen]
    quotas.check(simulation, endpoint.place, more)


def change(simulation: Simulation, endpoint: Endpoint, counts: dict[str, int]) -> None:
    """Begin to give variants so many instances."""
    for name, count in counts.items():
        fleet_of(endpoint, name).desired = count
    set_status(simulation, endpoint, Status.UPDATING)
    for fleet in endpoint.fleets:
        fleets.launch(simulation, endpoint, fleet, max(fleet.desired - len(fleet.present), 0), look)
    simulation.later(simulation.settings.weights_only_seconds, _let_go, endpoint)


def look(simulation: Simulation, endpoint: Endpoint) -> None:
    """See whether an endpoint has what it wants by now; an instance that failed is done without."""
    async_requests.dispatch(simulation, endpoint)
    if endpoint.status is not Status.UPDATING or endpoint.deployment is not None:
        return
    for fleet in endpoint.fleets:
        for instance in [each for each in fleet.instances if each.state is InstanceState.FAILED]:
            fleet.instances.remove(instance)
            fleet.desired = min(fleet.desired, len(fleet.present))
    if all(len(fleet.ready) == len(fleet.present) == fleet.desired for fleet in endpoint.fleets):
        set_status(simulation, endpoint, Status.IN_SERVICE)


def _let_go(simulation: Simulation, endpoint: Endpoint) -> None:
    """Stop the instances that are too many: first those that do not serve yet, and then the idlest."""
    if endpoint.is_gone:
        return
    for fleet in endpoint.fleets:
        idlest = sorted(fleet.present, key=lambda each: (each.state is InstanceState.READY, each.busy))
        for instance in idlest[: max(len(fleet.present) - fleet.desired, 0)]:
            fleets.stop(simulation, endpoint, fleet, instance)
    look(simulation, endpoint)
