"""Updating an endpoint to another configuration: beside the old instances or in their place, and back if it fails.

Source: SageMaker developer guide, "Deployment guardrails": blue/green and rolling deployments, auto-rollback.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends

from local.sagemaker import async_requests, configs, endpoints, fleets, placement, quotas
from local.sagemaker.errors import invalid
from local.sagemaker.places import Place
from local.sagemaker.resources import Config, Deployment, Endpoint, Fleet, Status
from local.sagemaker.simulation import Simulation
from local.sagemaker.status_events import set_status

_ALARMED = "One or more of the configured CloudWatch alarms went into ALARM state: {}."
_BOUND = (
    'The variant(s) "[{}]" must be deregistered as a scalable target with AWS Auto Scaling before they can be removed '
    "or have their instance type updated."
)
_TOO_LONG = "The deployment took longer than its MaximumExecutionTimeoutInSeconds."
_WATCH_SECONDS = 30.0
_LEAST_PERCENT, _MOST_PERCENT = 5, 50  # of a rolling batch


def update(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Begin an update. The service reads the old configuration, too: without it nothing is updated."""
    endpoint = endpoints.find_in_service(simulation, place, request["EndpointName"])
    config = configs.find(simulation, place, request["EndpointConfigName"])
    configs.find(simulation, place, endpoint.config.name)
    how = request.get("DeploymentConfig") or {}
    if request.get("RetainDeploymentConfig") and not how:
        how = endpoint.last_deployment or {}
    _check(how)
    wanted = configs.fleets_of(simulation, config)
    _check_bound(endpoint, wanted)
    if request.get("RetainAllVariantProperties"):
        listed = request.get("ExcludeRetainedVariantProperties") or ()
        _retain(endpoint, wanted, {each["VariantPropertyType"] for each in listed})
    _begin(simulation, endpoint, config, wanted, how)
    return {"EndpointArn": endpoint.arn}


def _begin(
    simulation: Simulation, endpoint: Endpoint, config: Config, wanted: list[Fleet], how: dict[str, Any]
) -> None:
    deployment = Deployment(config, wanted, how, simulation.moment)
    first = [(fleet.instance_type, _batch(deployment, fleet)) for fleet in wanted]
    quotas.check(simulation, endpoint.place, first)
    endpoint.deployment = deployment
    set_status(simulation, endpoint, Status.UPDATING)
    _launch(simulation, endpoint, deployment)
    if timeout := _policy(how).get("MaximumExecutionTimeoutInSeconds"):
        simulation.later(timeout, _give_up, endpoint, deployment, _TOO_LONG)
    _watch(simulation, endpoint, deployment)


def _retain(endpoint: Endpoint, wanted: list[Fleet], excluded: set[str]) -> None:
    """Let variants keep what was changed since they were made; otherwise they begin anew, with their first count."""
    held = {fleet.name: fleet for fleet in endpoint.fleets}
    for fleet in wanted:
        if old := held.get(fleet.name):
            fleet.desired = fleet.desired if "DesiredInstanceCount" in excluded else old.desired
            fleet.weight = fleet.weight if "DesiredWeight" in excluded else old.weight


def _check_bound(endpoint: Endpoint, wanted: list[Fleet]) -> None:
    """Return if no variant that scales goes, or gets other instances. Raises: ValidationException."""
    targets = applicationautoscaling_backends[endpoint.place.account][endpoint.place.region].targets
    bound = targets.get("sagemaker:variant:DesiredInstanceCount") or {}
    types = {fleet.name: fleet.instance_type for fleet in wanted}
    others = [each.name for each in endpoint.fleets if types.get(each.name) != each.instance_type]
    if names := [each for each in others if f"endpoint/{endpoint.name}/variant/{each}" in bound]:
        raise invalid(_BOUND.format(", ".join(names)))


def _check(how: dict[str, Any]) -> None:
    """Return if a deployment can go like this. Raises: ValidationException."""
    if "BlueGreenUpdatePolicy" in how and "RollingUpdatePolicy" in how:
        raise invalid("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    routing = (how.get("BlueGreenUpdatePolicy") or {}).get("TrafficRoutingConfiguration") or {}
    for kind, needed in (("CANARY", "CanarySize"), ("LINEAR", "LinearStepSize")):
        if routing.get("Type") == kind and needed not in routing:
            raise invalid(f"{needed} is required when the traffic routing type is {kind}.")
    size = (how.get("RollingUpdatePolicy") or {}).get("MaximumBatchSize") or {}
    percent = size.get("Value", _LEAST_PERCENT) if size.get("Type") == "CAPACITY_PERCENT" else _LEAST_PERCENT
    if not _LEAST_PERCENT <= percent <= _MOST_PERCENT:
        raise invalid(f"MaximumBatchSize must be {_LEAST_PERCENT}% to {_MOST_PERCENT}% of the variant's capacity.")


def _policy(how: dict[str, Any]) -> dict[str, Any]:
    return how.get("RollingUpdatePolicy") or how.get("BlueGreenUpdatePolicy") or {}


def _is_rolling(deployment: Deployment) -> bool:
    return "RollingUpdatePolicy" in deployment.how


def _batch(deployment: Deployment, fleet: Fleet) -> int:
    """Give how many instances of a fleet come at once: all beside the old ones, or a batch in their place."""
    left = fleet.desired - len(fleet.present)
    if not _is_rolling(deployment):
        return left
    return min(left, _sized(_policy(deployment.how)["MaximumBatchSize"], fleet.desired))


def _sized(size: dict[str, Any], total: int) -> int:
    return int(size["Value"]) if size["Type"] == "INSTANCE_COUNT" else ceil(total * size["Value"] / 100)


def _launch(simulation: Simulation, endpoint: Endpoint, deployment: Deployment) -> None:
    for fleet in deployment.fleets:
        fleets.launch(simulation, endpoint, fleet, _batch(deployment, fleet), _look)
    simulation.later(simulation.settings.weights_only_seconds, _look, endpoint)  # where none had to come


def _look(simulation: Simulation, endpoint: Endpoint) -> None:
    """See whether the instances that were asked for serve by now: then they take over, or the next ones come."""
    deployment = endpoint.deployment
    if deployment is None or deployment.is_over or deployment.is_waiting or deployment.traffic >= 1:
        return
    if fault := fleets.fault_of(deployment.fleets):
        _give_up(simulation, endpoint, deployment, fault)
    elif any(len(fleet.ready) < len(fleet.present) for fleet in deployment.fleets):
        return
    elif _is_rolling(deployment):
        _roll(simulation, endpoint, deployment)
    elif deployment.traffic == 0:
        _turn(simulation, endpoint, deployment)


def _turn(simulation: Simulation, endpoint: Endpoint, deployment: Deployment) -> None:
    """Turn the next share of the traffic to the new instances; after the last the old ones wait for their end."""
    if deployment.is_over:
        return
    policy = _policy(deployment.how)
    routing = policy.get("TrafficRoutingConfiguration") or {}
    total = max(sum(fleet.desired for fleet in deployment.fleets), 1)
    step = total
    if routing.get("Type") == "CANARY" and deployment.traffic == 0:
        step = _sized(routing["CanarySize"], total)
    elif routing.get("Type") == "LINEAR":
        step = _sized(routing["LinearStepSize"], total)
    deployment.traffic = min(deployment.traffic + step / total, 1.0)
    async_requests.dispatch(simulation, endpoint)
    if deployment.traffic < 1:
        simulation.later(routing["WaitIntervalInSeconds"], _turn, endpoint, deployment)
    else:
        simulation.later(policy.get("TerminationWaitInSeconds", 0), _finish, endpoint, deployment)


def _roll(simulation: Simulation, endpoint: Endpoint, deployment: Deployment) -> None:
    """Let new instances take the places of old ones, and ask for the next after a while."""
    wait = _policy(deployment.how)["WaitIntervalInSeconds"]
    held = {fleet.name: fleet for fleet in endpoint.fleets}
    for fleet in deployment.fleets:
        if old := held.get(fleet.name):
            too_many = len(old.present) - (fleet.desired - len(fleet.ready))
            for instance in old.present[: max(too_many, 0)]:
                fleets.stop(simulation, endpoint, old, instance)
    if fleets.settled(deployment.fleets):
        deployment.traffic = 1.0
        simulation.later(wait, _finish, endpoint, deployment)
        return
    new, kept = (sum(len(fleet.ready) for fleet in group) for group in (deployment.fleets, endpoint.fleets))
    deployment.traffic = new / max(new + kept, 1) * 0.999  # all of it only when all are there
    async_requests.dispatch(simulation, endpoint)
    deployment.is_waiting = True
    simulation.later(wait, _next_batch, endpoint, deployment)


def _next_batch(simulation: Simulation, endpoint: Endpoint, deployment: Deployment) -> None:
    if not deployment.is_over:
        deployment.is_waiting = False
        _launch(simulation, endpoint, deployment)


def _finish(simulation: Simulation, endpoint: Endpoint, deployment: Deployment) -> None:
    """End the old instances: the endpoint is the new one."""
    if deployment.is_over or endpoint.is_gone:
        return
    if alarm := _alarm(endpoint, deployment):
        _give_up(simulation, endpoint, deployment, _ALARMED.format(alarm))
        return
    deployment.is_over = True
    for fleet in endpoint.fleets:
        fleets.stop_all(simulation, endpoint, fleet)
    endpoint.fleets, endpoint.config, endpoint.deployment = deployment.fleets, deployment.config, None
    endpoint.last_deployment = deployment.how or None
    set_status(simulation, endpoint, Status.IN_SERVICE)
    async_requests.dispatch(simulation, endpoint)
    placement.move(simulation, endpoint)


def _watch(simulation: Simulation, endpoint: Endpoint, deployment: Deployment) -> None:
    """Look at the alarms as long as the deployment runs."""
    if deployment.is_over or endpoint.is_gone:
        return
    if alarm := _alarm(endpoint, deployment):
        _give_up(simulation, endpoint, deployment, _ALARMED.format(alarm))
    else:
        simulation.later(_WATCH_SECONDS, _watch, endpoint, deployment)


def _alarm(endpoint: Endpoint, deployment: Deployment) -> str | None:
    """Give the name of a rollback alarm that is in ALARM; None where none is."""
    held = cloudwatch_backends[endpoint.place.account][endpoint.place.region].alarms
    wanted = (deployment.how.get("AutoRollbackConfiguration") or {}).get("Alarms") or ()
    names = (each["AlarmName"] for each in wanted)
    return next((name for name in names if name in held and held[name].state_value == "ALARM"), None)


def _give_up(simulation: Simulation, endpoint: Endpoint, deployment: Deployment, reason: str) -> None:
    """Go back to the old instances; those that were stopped already are asked for again."""
    if deployment.is_over or endpoint.is_gone:
        return
    deployment.is_over, deployment.traffic, deployment.failure = True, 0.0, reason
    set_status(simulation, endpoint, Status.ROLLING_BACK, reason)
    for fleet in deployment.fleets:
        fleets.stop_all(simulation, endpoint, fleet)
    for fleet in endpoint.fleets:
        fleets.launch(simulation, endpoint, fleet, fleet.desired - len(fleet.present), _look_back)
    simulation.later(simulation.settings.rollback_seconds, _look_back, endpoint)


def _look_back(simulation: Simulation, endpoint: Endpoint) -> None:
    """See whether the old instances all serve again."""
    deployment = endpoint.deployment
    if endpoint.status is not Status.ROLLING_BACK or deployment is None:
        return
    async_requests.dispatch(simulation, endpoint)
    is_due = simulation.moment >= endpoint.modified + simulation.settings.rollback_seconds
    fault = fleets.fault_of(endpoint.fleets)
    if fault or (is_due and simulation.knobs.rollback_fails):
        endpoint.deployment = None
        set_status(simulation, endpoint, Status.UPDATE_ROLLBACK_FAILED, fault or deployment.failure)
    elif is_due and fleets.settled(endpoint.fleets):
        endpoint.deployment = None
        kept = deployment.failure if simulation.settings.failure_reason_after_rollback else None
        set_status(simulation, endpoint, Status.IN_SERVICE, kept)
