"""Instances of a fleet: asked for, there, loading, serving, gone. What is paid for is entered here."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from local.sagemaker import async_requests, logs
from local.sagemaker.containers import Order, Outcome, outcome_of
from local.sagemaker.instances import instance_type
from local.sagemaker.resources import Container, Endpoint, Fleet, Instance, InstanceState, Uptime
from local.sagemaker.simulation import Simulation

NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)

# What looks at an endpoint again when one of its instances has come or failed.
Then = Callable[[Simulation, Endpoint], None]


def launch(simulation: Simulation, endpoint: Endpoint, fleet: Fleet, count: int, then: Then) -> None:
    """Ask for more instances; `then` is told of each that has come or failed."""
    for _ in range(count):
        instance = Instance(f"i-{uuid.uuid4().hex[:17]}", fleet.instance_type, simulation.moment)
        fleet.instances.append(instance)
        settings, knobs = simulation.settings, simulation.knobs
        if knobs.never_ready:
            continue
        if knobs.capacity_fails > 0:
            knobs.capacity_fails -= 1
            simulation.later(settings.capacity_verdict_seconds, _fail, endpoint, instance, NO_CAPACITY, then)
            continue
        wait = settings.start_seconds * instance_type(fleet.instance_type).start
        simulation.later(wait, _come, endpoint, fleet, instance, then)


def stop(simulation: Simulation, endpoint: Endpoint, fleet: Fleet, instance: Instance) -> None:
    """End an instance: from this moment on nobody pays for it, and what it worked on waits again."""
    if instance.uptime is not None and instance.uptime.end is None:
        instance.uptime.end = simulation.moment
    instance.state = InstanceState.STOPPED
    if instance in fleet.instances:
        fleet.instances.remove(instance)
    async_requests.give_back(endpoint, instance)


def stop_all(simulation: Simulation, endpoint: Endpoint, fleet: Fleet) -> None:
    """End all instances of a fleet."""
    for instance in list(fleet.instances):
        stop(simulation, endpoint, fleet, instance)


def settled(fleets: list[Fleet]) -> bool:
    """Say whether all instances that fleets want serve."""
    return all(len(fleet.ready) >= fleet.desired for fleet in fleets)


def fault_of(fleets: list[Fleet]) -> str | None:
    """Give why an instance failed; None where none did."""
    return next((each.fault for fleet in fleets for each in fleet.instances if each.fault), None)


def group_of(endpoint: Endpoint) -> str:
    """Give the log group of an endpoint."""
    return logs.OF_ENDPOINTS + endpoint.name


def _come(simulation: Simulation, endpoint: Endpoint, fleet: Fleet, instance: Instance, then: Then) -> None:
    """An instance is there, and its container starts."""
    if instance.state is not InstanceState.COMING:
        return
    instance.state = InstanceState.LOADING
    instance.uptime = Uptime(endpoint.name, endpoint.arn, fleet.name, fleet.instance_type, simulation.moment)
    simulation.state.uptimes.append(instance.uptime)
    outcome = _outcome(simulation, endpoint, fleet, instance)
    if outcome.fault is None:
        simulation.later(outcome.seconds, _serve, endpoint, instance, outcome.container, then)
    else:
        simulation.later(outcome.seconds, _fail, endpoint, instance, outcome.fault, then)


def _outcome(simulation: Simulation, endpoint: Endpoint, fleet: Fleet, instance: Instance) -> Outcome:
    if fleet.model is None:  # its containers come with inference components
        return Outcome(0.0)
    sick = simulation.knobs.never_healthy
    if endpoint.deployment is not None and fleet in endpoint.deployment.fleets and simulation.knobs.update_fails > 0:
        simulation.knobs.update_fails -= 1
        sick = True
    outcome = Outcome(0.0)
    for definition in fleet.model.containers:
        order = Order(
            definition,
            fleet.model.role_arn,
            fleet.model.is_isolated,
            endpoint.place,
            fleet.name,
            fleet.instance_type,
            fleet.variant.get("InferenceAmiVersion"),
            None,
            fleet.variant.get("ModelDataDownloadTimeoutInSeconds"),
            fleet.variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        )
        outcome = outcome_of(order, simulation.settings, never_healthy=sick)
        stream = f"{fleet.name}/{instance.id}"
        logs.write(endpoint.place, order.role_arn, group_of(endpoint), stream, simulation.moment, outcome.log)
        if outcome.fault:
            break
    return outcome


def _serve(simulation: Simulation, endpoint: Endpoint, instance: Instance, container: Container, then: Then) -> None:
    if instance.state is InstanceState.LOADING:
        instance.state = InstanceState.READY
        instance.container = container
        instance.idle_since = simulation.moment
        then(simulation, endpoint)


def _fail(simulation: Simulation, endpoint: Endpoint, instance: Instance, fault: str, then: Then) -> None:
    if instance.state not in (InstanceState.COMING, InstanceState.LOADING):
        return
    if instance.uptime is not None:
        instance.uptime.end = simulation.moment
    instance.state = InstanceState.FAILED
    instance.fault = fault
    then(simulation, endpoint)
