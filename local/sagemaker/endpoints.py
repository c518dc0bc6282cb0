"""Endpoints: created in minutes, described, listed, and deleted when nothing is under way."""

from __future__ import annotations

from typing import Any

from local.sagemaker import async_requests, configs, fleets, placement, quotas
from local.sagemaker.errors import invalid, not_found, taken
from local.sagemaker.listing import at, given, page, tags_from
from local.sagemaker.minutes import keep_looking
from local.sagemaker.places import Place
from local.sagemaker.resources import IN_PROGRESS, Config, Endpoint, Fleet, Status
from local.sagemaker.simulation import Simulation
from local.sagemaker.status_events import set_status

_KIND = "endpoint"


def create(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Begin an endpoint."""
    name = request["EndpointName"]
    arn = place.arn(_KIND, name)
    if arn in simulation.state.endpoints:
        raise taken(_KIND, arn)
    config = configs.find(simulation, place, request["EndpointConfigName"])
    wanted = configs.fleets_of(simulation, config)
    quotas.check(simulation, place, quotas.demand(wanted))

    now = simulation.moment
    endpoint = Endpoint(place, name, arn, now, now, tags_from(request.get("Tags")), config, wanted)
    endpoint.last_deployment = request.get("DeploymentConfig")
    simulation.state.endpoints[arn] = endpoint
    keep_looking(simulation)
    set_status(simulation, endpoint, Status.CREATING)
    if simulation.knobs.fail_next_endpoint is not None:
        reason, simulation.knobs.fail_next_endpoint = simulation.knobs.fail_next_endpoint, None
        simulation.later(simulation.settings.verdict_seconds, _fail, endpoint, reason)
        return {"EndpointArn": arn}
    for fleet in wanted:
        fleets.launch(simulation, endpoint, fleet, fleet.desired, _look)
    return {"EndpointArn": arn}


def find(simulation: Simulation, place: Place, name: str) -> Endpoint:
    """Give the endpoint of that name. Raises: ValidationException."""
    arn = place.arn(_KIND, name)
    if arn not in simulation.state.endpoints:
        raise not_found(_KIND, arn)
    return simulation.state.endpoints[arn]


def find_idle(simulation: Simulation, place: Place, name: str) -> Endpoint:
    """Give an endpoint at which nothing is under way. Raises: ValidationException."""
    endpoint = find(simulation, place, name)
    if endpoint.status in IN_PROGRESS:
        raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
    return endpoint


def find_in_service(simulation: Simulation, place: Place, name: str) -> Endpoint:
    """Give an endpoint that is in service and at rest. Raises: ValidationException."""
    endpoint = find_idle(simulation, place, name)
    if endpoint.status is not Status.IN_SERVICE:
        raise invalid(f'Cannot update endpoint "{endpoint.arn}" with status {endpoint.status.value}.')
    return endpoint


def delete(simulation: Simulation, place: Place, request: dict[str, Any]) -> None:
    """Begin to delete an endpoint: configuration, models, components and everything about scaling stay."""
    endpoint = find_idle(simulation, place, request["EndpointName"])
    set_status(simulation, endpoint, Status.DELETING)
    simulation.later(simulation.settings.delete_seconds, _remove, endpoint)


def describe(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Describe an endpoint."""
    endpoint = find(simulation, place, request["EndpointName"])
    return given(
        {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config.name,
            "ProductionVariants": None if _is_unborn(endpoint) else [_variant(each) for each in endpoint.fleets],
            "EndpointStatus": endpoint.status.value,
            "FailureReason": endpoint.failure_reason[:1024] if endpoint.failure_reason else None,
            "CreationTime": at(endpoint.created),
            "LastModifiedTime": at(endpoint.modified),
            "AsyncInferenceConfig": endpoint.config.asynchronous,
            "LastDeploymentConfig": endpoint.last_deployment,
            "PendingDeploymentSummary": _pending(endpoint),
        }
    )


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List endpoints, a page at a time."""
    held = (
        each
        for each in simulation.state.endpoints.values()
        if each.place == place and request.get("StatusEquals") in (None, each.status.value)
    )
    chosen, token = page(held, request)
    told = [
        {
            "EndpointName": each.name,
            "EndpointArn": each.arn,
            "EndpointStatus": each.status.value,
            "CreationTime": at(each.created),
            "LastModifiedTime": at(each.modified),
        }
        for each in chosen
    ]
    return given({"Endpoints": told, "NextToken": token})


def _look(simulation: Simulation, endpoint: Endpoint) -> None:
    """See whether a new endpoint is in service by now, or failed."""
    if endpoint.status is not Status.CREATING:
        return
    if fault := fleets.fault_of(endpoint.fleets):
        _fail(simulation, endpoint, fault)
    elif fleets.settled(endpoint.fleets):
        set_status(simulation, endpoint, Status.IN_SERVICE)
        async_requests.dispatch(simulation, endpoint)
        placement.watch_idle(simulation, endpoint)


def _fail(simulation: Simulation, endpoint: Endpoint, reason: str) -> None:
    if endpoint.status is Status.CREATING:
        for fleet in endpoint.fleets:
            fleets.stop_all(simulation, endpoint, fleet)
        set_status(simulation, endpoint, Status.FAILED, reason)


def _remove(simulation: Simulation, endpoint: Endpoint) -> None:
    """An endpoint is gone, and with it whatever still waited for an answer."""
    for fleet in endpoint.all_fleets:
        fleets.stop_all(simulation, endpoint, fleet)
    endpoint.requests.clear()
    for component in simulation.state.components.values():
        if component.endpoint_arn == endpoint.arn:  # it stays, and runs nowhere
            component.copies.clear()
    endpoint.is_gone = True
    simulation.state.endpoints.pop(endpoint.arn, None)


def _is_unborn(endpoint: Endpoint) -> bool:
    return endpoint.status is Status.CREATING


def _variant(fleet: Fleet, *, weight: float | None = None) -> dict[str, Any]:
    return given(
        {
            "VariantName": fleet.name,
            "DeployedImages": _images(fleet),
            "CurrentWeight": fleet.weight if weight is None else weight,
            "DesiredWeight": fleet.weight,
            "CurrentInstanceCount": len(fleet.ready),
            "DesiredInstanceCount": fleet.desired,
            "ManagedInstanceScaling": fleet.variant.get("ManagedInstanceScaling"),
            "RoutingConfig": fleet.variant.get("RoutingConfig"),
        }
    )


def _images(fleet: Fleet) -> list[dict[str, Any]] | None:
    if fleet.model is None:
        return None
    images = [each["Image"] for each in fleet.model.containers if each.get("Image")]
    return [
        {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": at(fleet.model.created)} for image in images
    ]


def _pending(endpoint: Endpoint) -> dict[str, Any] | None:
    """Give what is being deployed; None where nothing is."""
    deployment = endpoint.deployment
    coming: tuple[Config, list[Fleet], float] | None = None
    if deployment is not None and endpoint.status is not Status.ROLLING_BACK:
        coming = deployment.config, deployment.fleets, deployment.started
    elif _is_unborn(endpoint):
        coming = endpoint.config, endpoint.fleets, endpoint.created
    if coming is None:
        return None
    config, fleets_, started = coming
    variants = [{**_variant(each), "InstanceType": each.instance_type} for each in fleets_]
    return {"EndpointConfigName": config.name, "ProductionVariants": variants, "StartTime": at(started)}
