"""Where copies of inference components run: on an instance with room, on one that is asked for, or nowhere."""

from __future__ import annotations

from typing import Any

from local.sagemaker import fleets, logs, quotas
from local.sagemaker.containers import Order, outcome_of
from local.sagemaker.errors import SageMakerError
from local.sagemaker.instances import instance_type
from local.sagemaker.resources import (
    Component,
    ComponentStatus,
    Container,
    Copy,
    Endpoint,
    Fleet,
    Instance,
    InstanceState,
)
from local.sagemaker.simulation import Simulation

NO_ROOM = (
    "Not enough hardware resources on the instances to deploy this many copies. Please add more instances, or "
    "reduce the number of copies or what each of them requires."
)
_BUSY = frozenset({ComponentStatus.CREATING, ComponentStatus.UPDATING})


def arrange(simulation: Simulation, endpoint: Endpoint) -> None:
    """Give every component of an endpoint the copies that it wants, as far as there is room, and see what is done."""
    if not endpoint.is_serving:
        return
    for component in components_of(simulation, endpoint):
        if component.status not in _BUSY:
            continue
        drop(simulation, component, len(component.copies) - component.desired)
        _add(simulation, endpoint, component)
        if len(component.ready) == len(component.copies) == component.desired:
            set_status(simulation, component, ComponentStatus.IN_SERVICE, component.failure_reason)
    _ask_for_room(simulation, endpoint)


def components_of(simulation: Simulation, endpoint: Endpoint) -> list[Component]:
    """Give the components of an endpoint."""
    return [each for each in simulation.state.components.values() if each.endpoint_arn == endpoint.arn]


def endpoint_of(simulation: Simulation, component: Component) -> Endpoint | None:
    """Give a component's endpoint; None where it is deleted."""
    return simulation.state.endpoints.get(component.endpoint_arn)


def set_status(
    simulation: Simulation, component: Component, status: ComponentStatus, failure_reason: str | None = None
) -> None:
    """Let a component have a status from this moment on."""
    component.status = status
    component.failure_reason = failure_reason
    component.modified = simulation.moment


def drop(simulation: Simulation, component: Component, count: int) -> None:
    """End so many copies, first those that do not serve yet; an instance without any is given back in time."""
    leaving = sorted(component.copies, key=lambda each: each.container is not None)[: max(count, 0)]
    for copy in leaving:
        copy.is_gone = True
        component.copies.remove(copy)
    endpoint = endpoint_of(simulation, component)
    for instance in {copy.instance for copy in leaving}:
        instance.idle_since = simulation.moment
        if endpoint is not None:
            wait = simulation.settings.idle_release_seconds
            simulation.later(wait, _release, endpoint, _fleet(endpoint, component), instance, simulation.moment)


def _fleet(endpoint: Endpoint, component: Component) -> Fleet:
    return next(each for each in endpoint.fleets if each.name == component.variant)


def _add(simulation: Simulation, endpoint: Endpoint, component: Component) -> None:
    fleet = _fleet(endpoint, component)
    while len(component.copies) < component.desired:
        roomy = [each for each in fleet.ready if _free_gpus(simulation, endpoint, each) >= component.gpus]
        if not roomy:
            return
        instance = max(roomy, key=lambda each: _free_gpus(simulation, endpoint, each))
        _start(simulation, endpoint, component, instance)


def _free_gpus(simulation: Simulation, endpoint: Endpoint, instance: Instance) -> int:
    taken = sum(
        component.gpus
        for component in components_of(simulation, endpoint)
        for copy in component.copies
        if copy.instance is instance
    )
    return instance_type(instance.type).gpus - taken


def _start(simulation: Simulation, endpoint: Endpoint, component: Component, instance: Instance) -> None:
    """Start a copy on an instance."""
    copy = Copy(instance)
    component.copies.append(copy)
    spec = component.specification
    parameters = spec.get("StartupParameters") or {}
    definition, role, isolated = _definition(simulation, endpoint, spec)
    order = Order(
        definition,
        role,
        isolated,
        endpoint.place,
        component.variant,
        instance.type,
        _fleet(endpoint, component).variant.get("InferenceAmiVersion"),
        component.gpus or None,
        parameters.get("ModelDataDownloadTimeoutInSeconds"),
        parameters.get("ContainerStartupHealthCheckTimeoutInSeconds"),
    )
    outcome = outcome_of(order, simulation.settings, never_healthy=simulation.knobs.never_healthy)
    group, stream = logs.OF_COMPONENTS + component.name, f"{component.variant}/{instance.id}"
    logs.write(endpoint.place, role, group, stream, simulation.moment, outcome.log)
    simulation.later(outcome.seconds, _decide, endpoint, component, copy, outcome.container, outcome.fault)


def _definition(simulation: Simulation, endpoint: Endpoint, spec: dict[str, Any]) -> tuple[dict[str, Any], str, bool]:
    """Give what a copy runs, in whose name, and whether cut off from the network."""
    model = simulation.state.models.get(endpoint.place.arn("model", spec.get("ModelName") or ""))
    if model is not None:
        return model.containers[0], model.role_arn, model.is_isolated
    container = dict(spec.get("Container") or {})
    if container.get("ArtifactUrl"):
        container["ModelDataUrl"] = container["ArtifactUrl"]
    return container, endpoint.role_arn, bool(endpoint.config.request.get("EnableNetworkIsolation"))


def _decide(
    simulation: Simulation,
    endpoint: Endpoint,
    component: Component,
    copy: Copy,
    container: Container,
    fault: str | None,
) -> None:
    """A copy serves, or failed: then the component has no more than it had."""
    if copy.is_gone or endpoint.is_gone:
        return
    if fault is None:
        copy.container = container
    else:
        copy.is_gone = True
        component.copies.remove(copy)
        _give_up(simulation, component, fault)
    arrange(simulation, endpoint)


def _give_up(simulation: Simulation, component: Component, reason: str) -> None:
    """Let a component be content with the copies that it has; a new one without any has failed."""
    component.desired = len(component.copies)
    is_stillborn = component.status is ComponentStatus.CREATING and not component.copies
    set_status(simulation, component, ComponentStatus.FAILED if is_stillborn else component.status, reason)


def _ask_for_room(simulation: Simulation, endpoint: Endpoint) -> None:
    """Ask for instances where copies find no room, if the variant's instances are managed and not too many yet."""
    for fleet in endpoint.fleets:
        waiting = [
            each
            for each in components_of(simulation, endpoint)
            if each.variant == fleet.name and each.status in _BUSY and len(each.copies) < each.desired
        ]
        if not waiting or len(fleet.ready) < len(fleet.present):  # one at a time: what comes may have room enough
            continue
        if not _grow(simulation, endpoint, fleet):
            for component in waiting:
                _give_up(simulation, component, NO_ROOM)
            simulation.later(0.0, arrange, endpoint)


def _grow(simulation: Simulation, endpoint: Endpoint, fleet: Fleet) -> bool:
    """Ask for one more instance of a managed fleet; give whether there may be one more."""
    scaling = fleet.variant.get("ManagedInstanceScaling") or {}
    if scaling.get("Status") != "ENABLED" or len(fleet.present) >= scaling.get("MaxInstanceCount", 1):
        return False
    try:
        quotas.check(simulation, endpoint.place, [(fleet.instance_type, 1)])
    except SageMakerError:
        return False
    fleet.desired = len(fleet.present) + 1
    fleets.launch(simulation, endpoint, fleet, 1, _arrived)
    return True


def _arrived(simulation: Simulation, endpoint: Endpoint) -> None:
    """An instance that was asked for has come, or failed: then those that waited for it give up."""
    for fleet in endpoint.fleets:
        for instance in [each for each in fleet.instances if each.state is InstanceState.FAILED]:
            fleet.instances.remove(instance)
            fleet.desired = len(fleet.present)
            for component in components_of(simulation, endpoint):
                if component.status in _BUSY and len(component.copies) < component.desired:
                    _give_up(simulation, component, instance.fault or NO_ROOM)
    arrange(simulation, endpoint)
    watch_idle(simulation, endpoint)


def move(simulation: Simulation, endpoint: Endpoint) -> None:
    """Give the components of an endpoint copies on its new instances: those on the old ones are gone with them."""
    for component in components_of(simulation, endpoint):
        for copy in [each for each in component.copies if each.instance.state is InstanceState.STOPPED]:
            copy.is_gone = True
            component.copies.remove(copy)
        if len(component.copies) < component.desired:
            set_status(simulation, component, ComponentStatus.UPDATING)
    simulation.later(0.0, arrange, endpoint)


def watch_idle(simulation: Simulation, endpoint: Endpoint) -> None:
    """See to it that instances which nobody uses are given back in time."""
    for fleet in endpoint.fleets:
        for instance in fleet.ready:
            if not _is_used(simulation, endpoint, instance):
                wait = simulation.settings.idle_release_seconds
                simulation.later(wait, _release, endpoint, fleet, instance, instance.idle_since)


def _is_used(simulation: Simulation, endpoint: Endpoint, instance: Instance) -> bool:
    return any(
        copy.instance is instance for component in components_of(simulation, endpoint) for copy in component.copies
    )


def _release(
    simulation: Simulation, endpoint: Endpoint, fleet: Fleet, instance: Instance, idle_since: float | None
) -> None:
    """Give an instance back that has idled since then, if fewer are allowed."""
    scaling = fleet.variant.get("ManagedInstanceScaling") or {}
    is_idle = instance.idle_since == idle_since and not _is_used(simulation, endpoint, instance)
    managed = scaling.get("Status") == "ENABLED" and len(fleet.present) > scaling.get("MinInstanceCount", 1)
    if is_idle and managed and instance in fleet.ready and not endpoint.is_gone:
        fleets.stop(simulation, endpoint, fleet, instance)
        fleet.desired = len(fleet.present)
