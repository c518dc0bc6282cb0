"""Each minute: alarms are evaluated, policies act on what they say, and capacities come back between their bounds."""

from __future__ import annotations

import logging
from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends

from local.autoscaling import alarms, scalables
from local.autoscaling.activities import Activity
from local.autoscaling.deciding import Wish, by_steps, by_target
from local.sagemaker.errors import SageMakerError
from local.sagemaker.places import Place
from local.sagemaker.simulation import Simulation

_LOG = logging.getLogger(__name__)
NAMESPACE = "sagemaker"


def act(simulation: Simulation) -> None:
    """Do what autoscaling does at the end of a minute."""
    for place in _places(simulation):
        targets = targets_of(place)
        for target in targets:
            _note_rest(simulation, place, target)
        for policy, value, over in _set_off(simulation, place):
            _apply(simulation, place, policy, value, over)
        for target in targets:
            keep_bounds(simulation, place, target)


def keep_bounds(simulation: Simulation, place: Place, target: Any) -> None:
    """Bring a capacity that lies outside its target's bounds back between them."""
    scalable = scalables.find(simulation, place, target.resource_id, target.scalable_dimension)
    if scalable is not None and scalable.is_idle:
        wanted = min(max(scalable.capacity, target.min_capacity), target.max_capacity)
        _scale(simulation, place, target, scalable, Wish(wanted, 0.0))


def targets_of(place: Place) -> list[Any]:
    """Give moto's scalable targets that are the hosting's."""
    backend = applicationautoscaling_backends[place.account][place.region]
    return [each for held in backend.targets.values() for each in held.values() if each.service_namespace == NAMESPACE]


def policies_of(place: Place) -> list[Any]:
    """Give moto's scaling policies that are the hosting's."""
    backend = applicationautoscaling_backends[place.account][place.region]
    return [each for each in backend.policies.values() if each.service_namespace == NAMESPACE]


def activity_of(simulation: Simulation, place: Place, target: Any) -> Activity:
    """Give what was last done to a target."""
    key = f"{place.account}/{place.region}/{target.scalable_dimension}/{target.resource_id}"
    found: Activity = simulation.state.activities.setdefault(key, Activity())
    return found


def _places(simulation: Simulation) -> set[Place]:
    state = simulation.state
    held: list[Any] = [*state.endpoints.values(), *state.components.values()]
    return {each.place for each in held}


def _set_off(simulation: Simulation, place: Place) -> list[tuple[Any, float, float]]:
    """Evaluate all alarms; give each policy that one of them sets off, its value, and how far that is over."""
    found = []
    policies = policies_of(place)
    for alarm in list(cloudwatch_backends[place.account][place.region].alarms.values()):
        value = alarms.evaluate(alarm, place, simulation.state.series, simulation.moment)
        if value is not None:
            over = value - float(alarm.threshold)
            found += [(each, value, over) for each in policies if alarms.names_policy(alarm, each.policy_arn)]
    return found


def _apply(simulation: Simulation, place: Place, policy: Any, value: float, over: float) -> None:
    """Let a policy scale its target, if that may be scaled now."""
    target = next((each for each in targets_of(place) if _is_of(policy, each)), None)
    scalable = scalables.find(simulation, place, policy.resource_id, policy.scalable_dimension)
    if target is None or scalable is None or not scalable.is_idle:
        return
    if policy.policy_type == "StepScaling":
        wish = by_steps(policy.step_scaling_policy_configuration, scalable.capacity, over)
    else:
        wish = by_target(policy.target_tracking_scaling_policy_configuration, scalable.capacity, value)
    if wish is not None:
        bounded = min(max(wish.capacity, target.min_capacity), target.max_capacity)
        _scale(simulation, place, target, scalable, Wish(bounded, wish.cooldown_seconds))


def _scale(simulation: Simulation, place: Place, target: Any, scalable: scalables.Scalable, wish: Wish) -> None:
    if wish.capacity == scalable.capacity:
        return
    grows = wish.capacity > scalable.capacity
    suspended = target.suspended_state or {}
    if suspended.get("DynamicScalingOutSuspended" if grows else "DynamicScalingInSuspended"):
        return
    activity = activity_of(simulation, place, target)
    if not activity.allows(simulation.moment, grows=grows, cooldown_seconds=wish.cooldown_seconds):
        return
    try:
        scalable.scale(simulation, wish.capacity)
    except SageMakerError as exc:
        activity.failure = exc.message
        _LOG.warning("Not scaled: %s: %s", target.resource_id, exc)
    else:
        activity.is_growing, activity.failure = grows, None


def _note_rest(simulation: Simulation, place: Place, target: Any) -> None:
    """Let a cooldown begin when the scaling before it is done."""
    activity = activity_of(simulation, place, target)
    scalable = scalables.find(simulation, place, target.resource_id, target.scalable_dimension)
    if activity.is_growing is None or (scalable is not None and not scalable.is_idle):
        return
    at = scalable.settled_at if scalable is not None else simulation.moment
    if activity.is_growing:
        activity.out_at = at
    else:
        activity.in_at = at
    activity.is_growing = None


def _is_of(policy: Any, target: Any) -> bool:
    same: bool = (policy.resource_id, policy.scalable_dimension) == (target.resource_id, target.scalable_dimension)
    return same
