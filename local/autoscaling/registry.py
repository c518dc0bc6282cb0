"""Scalable targets and policies of the hosting, kept where moto keeps them, and refused where the service refuses."""

from __future__ import annotations

import json
from typing import Any

from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend,
    FakeApplicationAutoscalingPolicy,
    FakeScalableTarget,
    applicationautoscaling_backends,
)
from moto.iam.models import iam_backends

from local.authorization.sagemaker_requests import SCALING_ROLE, SCALING_SERVICE
from local.autoscaling import scalables, scaling, tracking
from local.sagemaker.errors import SageMakerError, invalid
from local.sagemaker.minutes import keep_looking
from local.sagemaker.places import Place
from local.sagemaker.simulation import Simulation

_ROLE = f"arn:aws:iam::{{}}:role/aws-service-role/{SCALING_SERVICE}/{SCALING_ROLE}"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": SCALING_SERVICE}, "Action": "sts:AssumeRole"}],
}
PAGE = 50


def register(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Make something scalable, or change between what bounds it is; a capacity outside them is corrected at once."""
    backend = _backend(place)
    resource_id, dimension = request["ResourceId"], request["ScalableDimension"]
    target = backend.targets.get(dimension, {}).get(resource_id)
    least = request.get("MinCapacity", target.min_capacity if target else None)
    most = request.get("MaxCapacity", target.max_capacity if target else None)
    if least is None or most is None:
        raise invalid("MinCapacity and MaxCapacity are required to register a new scalable target.")
    if least > most:
        raise invalid("Maximum capacity cannot be less than minimum capacity.")
    if scalables.find(simulation, place, resource_id, dimension) is None:
        raise invalid(f"No resource found for {_told(request)}.")
    role = request.get("RoleARN") or _ROLE.format(place.account)
    if target is None:
        target = FakeScalableTarget(
            backend, scaling.NAMESPACE, resource_id, dimension, least, most, role, request.get("SuspendedState") or {}
        )
        target.creation_time = simulation.moment
        target.tags = {}
        backend._add_scalable_target(target)
        _make_role(place)
    target.update(least, most, request.get("SuspendedState"))
    target.tags |= request.get("Tags") or {}
    keep_looking(simulation)
    scaling.keep_bounds(simulation, place, target)
    return {"ScalableTargetARN": target.arn}


def deregister(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Make something no longer scalable: its policies go, and the alarms that they brought."""
    backend = _backend(place)
    held = backend.targets.get(request["ScalableDimension"], {})
    if request["ResourceId"] not in held:
        raise _lost(f"No scalable target found for {_told(request)}")
    target = held.pop(request["ResourceId"])
    for policy in scaling.policies_of(place):
        if (policy.resource_id, policy.scalable_dimension) == (target.resource_id, target.scalable_dimension):
            _remove(backend, place, policy)
    simulation.state.activities.pop(
        f"{place.account}/{place.region}/{target.scalable_dimension}/{target.resource_id}", None
    )
    return {}


def put_policy(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Make a policy, or change one: it keeps its ARN, and gets alarms anew if it tracks a target."""
    backend = _backend(place)
    if request["ResourceId"] not in backend.targets.get(request["ScalableDimension"], {}):
        raise _lost(f"No scalable target registered for {_told(request)}")
    key = _key(request)
    old = backend.policies.get(key)
    kind = request.get("PolicyType") or (old.policy_type if old else "StepScaling")
    if kind not in ("StepScaling", "TargetTrackingScaling"):
        raise invalid(f"Policies of type {kind} are not simulated.")
    body = request.get(f"{kind}PolicyConfiguration")
    if body is None:
        raise invalid(f"{kind}PolicyConfiguration is required for a policy of type {kind}.")
    policy = FakeApplicationAutoscalingPolicy(
        place.account,
        place.region,
        request["PolicyName"],
        scaling.NAMESPACE,
        request["ResourceId"],
        request["ScalableDimension"],
        kind,
        body,
    )
    policy.creation_time = old.creation_time if old else simulation.moment
    policy.policy_arn = old.policy_arn if old else policy.policy_arn
    if kind == "TargetTrackingScaling":
        policy.alarms = tracking.make_alarms(place, policy.resource_id, policy.policy_arn, body)
    if old is not None:
        tracking.remove_alarms(place, old.alarms)
    backend.policies[key] = policy
    return {"PolicyARN": policy.policy_arn, "Alarms": _alarms(policy)}


def delete_policy(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Delete a policy with the alarms that it brought. Alarms of the user's own stay."""
    backend = _backend(place)
    policy = backend.policies.get(_key(request))
    if policy is None:
        raise _lost(f"No scaling policy found for {_told(request)}, policy name: {request['PolicyName']}")
    _remove(backend, place, policy)
    return {}


def describe_targets(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """List targets, a page at a time."""
    found = [
        each
        for each in scaling.targets_of(place)
        if request.get("ScalableDimension") in (None, each.scalable_dimension)
        and (not request.get("ResourceIds") or each.resource_id in request["ResourceIds"])
    ]
    return _page("ScalableTargets", [_target(each) for each in found], request)


def describe_policies(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """List policies, a page at a time."""
    found = [
        each
        for each in scaling.policies_of(place)
        if request.get("ResourceId") in (None, each.resource_id)
        and request.get("ScalableDimension") in (None, each.scalable_dimension)
        and (not request.get("PolicyNames") or each.policy_name in request["PolicyNames"])
    ]
    return _page("ScalingPolicies", [_policy(each) for each in found], request)


def tag(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Add tags to a target, or change their values."""
    _tagged(place, request).tags |= request["Tags"]
    return {}


def untag(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Take tags away; those that are not there are not missed."""
    target = _tagged(place, request)
    target.tags = {key: value for key, value in target.tags.items() if key not in request["TagKeys"]}
    return {}


def list_tags(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """List the tags of a target."""
    return {"Tags": dict(_tagged(place, request).tags)}


def _make_role(place: Place) -> None:
    """Make the role that the service acts by, the first time."""
    backend = iam_backends[place.account]["aws"]
    if not any(role.name == SCALING_ROLE for role in backend.roles.values()):
        backend.create_role(
            SCALING_ROLE,
            json.dumps(_TRUST),
            f"/aws-service-role/{SCALING_SERVICE}/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
            linked_service=SCALING_SERVICE,
        )


def _backend(place: Place) -> ApplicationAutoscalingBackend:
    return applicationautoscaling_backends[place.account][place.region]


def _remove(backend: ApplicationAutoscalingBackend, place: Place, policy: Any) -> None:
    tracking.remove_alarms(place, policy.alarms)
    for key in [key for key, each in backend.policies.items() if each is policy]:
        del backend.policies[key]


def _key(request: dict[str, Any]) -> str:
    return str(
        FakeApplicationAutoscalingPolicy.formulate_key(
            scaling.NAMESPACE, request["ResourceId"], request["ScalableDimension"], request["PolicyName"]
        )
    )


def _tagged(place: Place, request: dict[str, Any]) -> Any:
    for target in scaling.targets_of(place):
        if target.arn == request["ResourceARN"]:
            return target
    raise SageMakerError("ResourceNotFoundException", f"Resource not found: {request['ResourceARN']}")


def _told(request: dict[str, Any]) -> str:
    return (
        f"service namespace: {scaling.NAMESPACE}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}"
    )


def _lost(message: str) -> SageMakerError:
    return SageMakerError("ObjectNotFoundException", message)


def _page(name: str, items: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    start, size = int(request.get("NextToken") or 0), request.get("MaxResults") or PAGE
    told: dict[str, Any] = {name: items[start : start + size]}
    return told | ({"NextToken": str(start + size)} if len(items) > start + size else {})


def _target(target: Any) -> dict[str, Any]:
    state = dict.fromkeys(
        ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), False
    )
    return {
        "ServiceNamespace": target.service_namespace,
        "ResourceId": target.resource_id,
        "ScalableDimension": target.scalable_dimension,
        "MinCapacity": target.min_capacity,
        "MaxCapacity": target.max_capacity,
        "RoleARN": target.role_arn,
        "CreationTime": target.creation_time,
        "SuspendedState": state | (target.suspended_state or {}),
        "ScalableTargetARN": target.arn,
    }


def _policy(policy: Any) -> dict[str, Any]:
    return {
        "PolicyARN": policy.policy_arn,
        "PolicyName": policy.policy_name,
        "ServiceNamespace": policy.service_namespace,
        "ResourceId": policy.resource_id,
        "ScalableDimension": policy.scalable_dimension,
        "PolicyType": policy.policy_type,
        f"{policy.policy_type}PolicyConfiguration": policy._policy_body,
        "Alarms": _alarms(policy),
        "CreationTime": policy.creation_time,
    }


def _alarms(policy: Any) -> list[dict[str, str]]:
    return [{"AlarmName": alarm.name, "AlarmARN": alarm.alarm_arn} for alarm in policy.alarms]
