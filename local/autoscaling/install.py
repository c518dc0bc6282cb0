"""Hang autoscaling of the hosting into moto; targets and policies of other services stay moto's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.utils import camelcase_to_underscores

from local.autoscaling import registry, scaling
from local.sagemaker.errors import SageMakerError
from local.sagemaker.places import Place
from local.sagemaker.simulation import Simulation, simulation
from local.sagemaker.validation import validate

Act = Callable[[Simulation, Place, dict[str, Any]], dict[str, Any]]

_ACTIONS: dict[str, Act] = {
    "RegisterScalableTarget": registry.register,
    "DeregisterScalableTarget": registry.deregister,
    "DescribeScalableTargets": registry.describe_targets,
    "PutScalingPolicy": registry.put_policy,
    "DeleteScalingPolicy": registry.delete_policy,
    "DescribeScalingPolicies": registry.describe_policies,
}
_TAGGING: dict[str, Act] = {
    "TagResource": registry.tag,
    "UntagResource": registry.untag,
    "ListTagsForResource": registry.list_tags,
}
# Taken before anything is replaced, so that what is not ours goes on to moto, however often we install.
_MOTO = {name: getattr(ApplicationAutoScalingResponse, camelcase_to_underscores(name)) for name in _ACTIONS}


def install() -> None:
    """Let the installed simulation of SageMaker scale by its targets, policies and alarms."""
    simulation().minutely.append(scaling.act)
    for name, act in (_ACTIONS | _TAGGING).items():
        setattr(ApplicationAutoScalingResponse, camelcase_to_underscores(name), _action(name, act))


def _action(operation: str, act: Act) -> Callable[[Any], Any]:
    def action(self: Any) -> Any:
        request = json.loads(self.body)
        if operation in _MOTO and request.get("ServiceNamespace") != scaling.NAMESPACE:
            return _MOTO[operation](self)
        service = simulation()
        try:
            validate("application-autoscaling", operation, request)
            with service.lock:
                service.settle()
                return json.dumps(act(service, Place(self.current_account, self.region), request))
        except SageMakerError as exc:
            return exc.answer()

    return action
