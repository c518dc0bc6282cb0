"""Inference components: models in copies of their own, on instances that an endpoint has only for as long as they need.

Simplified beside the service: an update of a component's model restarts its copies where they are.
"""

from __future__ import annotations

from typing import Any

from local.sagemaker import endpoints, models, placement
from local.sagemaker.errors import invalid, not_found, taken
from local.sagemaker.listing import at, given, page, tags_from
from local.sagemaker.places import Place
from local.sagemaker.resources import Component, ComponentStatus, Endpoint
from local.sagemaker.simulation import Simulation

_KIND = "inference component"
_IN_ARN = "inference-component"
_AT_REST = frozenset({ComponentStatus.IN_SERVICE, ComponentStatus.FAILED})


def create(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Begin a component."""
    name = request["InferenceComponentName"]
    arn = place.arn(_IN_ARN, name)
    if arn in simulation.state.components:
        raise taken(_KIND, arn)
    endpoint = endpoints.find_in_service(simulation, place, request["EndpointName"])
    variant = request.get("VariantName") or endpoint.fleets[0].name
    _check(simulation, endpoint, variant, request.get("Specification") or {})
    now, count = simulation.moment, (request.get("RuntimeConfig") or {}).get("CopyCount", 0)
    component = Component(
        place, name, arn, now, now, tags_from(request.get("Tags")), dict(request), endpoint.arn, variant, count
    )
    simulation.state.components[arn] = component
    simulation.later(0.0, placement.arrange, endpoint)
    return {"InferenceComponentArn": arn}


def find(simulation: Simulation, place: Place, name: str) -> Component:
    """Give the component of that name. Raises: ValidationException."""
    arn = place.arn(_IN_ARN, name)
    if arn not in simulation.state.components:
        raise not_found(_KIND, arn)
    return simulation.state.components[arn]


def describe(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a component."""
    component = find(simulation, place, request["InferenceComponentName"])
    spec = dict(component.specification)
    if container := spec.get("Container"):
        image = {"SpecifiedImage": container.get("Image"), "ResolvedImage": container.get("Image")}
        spec["Container"] = {key: value for key, value in container.items() if key != "Image"}
        spec["Container"]["DeployedImage"] = image | {"ResolutionTime": at(component.created)}
    return given(
        {
            "InferenceComponentName": component.name,
            "InferenceComponentArn": component.arn,
            "EndpointName": component.request["EndpointName"],
            "EndpointArn": component.endpoint_arn,
            "VariantName": component.variant,
            "FailureReason": component.failure_reason,
            "Specification": spec,
            "RuntimeConfig": {"DesiredCopyCount": component.desired, "CurrentCopyCount": len(component.ready)},
            "CreationTime": at(component.created),
            "LastModifiedTime": at(component.modified),
            "InferenceComponentStatus": component.status.value,
        }
    )


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List components, a page at a time."""
    held = (
        each
        for each in simulation.state.components.values()
        if each.place == place
        and request.get("StatusEquals") in (None, each.status.value)
        and request.get("EndpointNameEquals") in (None, each.request["EndpointName"])
        and request.get("VariantNameEquals") in (None, each.variant)
    )
    chosen, token = page(held, request)
    told = [
        {
            "InferenceComponentName": each.name,
            "InferenceComponentArn": each.arn,
            "EndpointName": each.request["EndpointName"],
            "EndpointArn": each.endpoint_arn,
            "VariantName": each.variant,
            "InferenceComponentStatus": each.status.value,
            "CreationTime": at(each.created),
            "LastModifiedTime": at(each.modified),
        }
        for each in chosen
    ]
    return given({"InferenceComponents": told, "NextToken": token})


def update(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Begin to change what a component runs, or in how many copies."""
    component = _at_rest(simulation, place, request["InferenceComponentName"])
    endpoint = placement.endpoint_of(simulation, component)
    if spec := request.get("Specification"):
        changed = component.specification | spec
        if endpoint is not None:
            _check(simulation, endpoint, component.variant, changed)
        component.request["Specification"] = changed
        placement.drop(simulation, component, len(component.copies))
    count = (request.get("RuntimeConfig") or {}).get("CopyCount", component.desired)
    change_copies(simulation, component, count)
    return {"InferenceComponentArn": component.arn}


def update_runtime(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Begin to give a component so many copies."""
    component = _at_rest(simulation, place, request["InferenceComponentName"])
    change_copies(simulation, component, request["DesiredRuntimeConfig"]["CopyCount"])
    return {"InferenceComponentArn": component.arn}


def change_copies(simulation: Simulation, component: Component, count: int) -> None:
    """Begin to give a component so many copies, whoever asks for it."""
    component.desired = count
    placement.set_status(simulation, component, ComponentStatus.UPDATING)
    endpoint = placement.endpoint_of(simulation, component)
    if endpoint is not None:
        simulation.later(simulation.settings.weights_only_seconds, placement.arrange, endpoint)


def delete(simulation: Simulation, place: Place, request: dict[str, Any]) -> None:
    """Begin to delete a component; its instances go once they have idled."""
    component = find(simulation, place, request["InferenceComponentName"])
    if component.status is ComponentStatus.DELETING:
        raise invalid(f'Cannot update in-progress inference component "{component.arn}".')
    component.desired = 0
    placement.set_status(simulation, component, ComponentStatus.DELETING)
    simulation.later(simulation.settings.delete_seconds, _remove, component)


def _remove(simulation: Simulation, component: Component) -> None:
    placement.drop(simulation, component, len(component.copies))
    simulation.state.components.pop(component.arn, None)


def _at_rest(simulation: Simulation, place: Place, name: str) -> Component:
    component = find(simulation, place, name)
    if component.status not in _AT_REST:
        raise invalid(f'Cannot update in-progress inference component "{component.arn}".')
    return component


def _check(simulation: Simulation, endpoint: Endpoint, variant: str, spec: dict[str, Any]) -> None:
    """Return if a component may be on a variant, and names what it runs. Raises: ValidationException."""
    fleet = next((each for each in endpoint.fleets if each.name == variant), None)
    if fleet is None:
        raise invalid(f'Could not find variant "{variant}" of endpoint "{endpoint.arn}".')
    if fleet.model is not None:
        raise invalid(f'Variant "{variant}" of endpoint "{endpoint.arn}" has a model of its own, and no components.')
    if not spec.get("ComputeResourceRequirements"):
        raise invalid("ComputeResourceRequirements must be specified.")
    if bool(spec.get("ModelName")) == bool(spec.get("Container")):
        raise invalid("Exactly one of ModelName and Container must be specified.")
    if spec.get("ModelName"):
        models.find(simulation, endpoint.place, spec["ModelName"])
