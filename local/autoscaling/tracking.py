"""The two alarms that a target-tracking policy brings with it, and that go with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from local.sagemaker.errors import invalid
from local.sagemaker.metrics import NAMESPACE
from local.sagemaker.places import Place

LOW = 0.9  # of the target: below it, capacity is too large
_OUT_MINUTES, _IN_MINUTES = 3, 15

# What the predefined metrics are: name, statistic.
_PREDEFINED: Mapping[str, tuple[str, str]] = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum"),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": ("ConcurrentRequestsPerModel", "Maximum"),
    "SageMakerInferenceComponentInvocationsPerCopy": ("InvocationsPerCopy", "Sum"),
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": ("ConcurrentRequestsPerCopy", "Maximum"),
}


def make_alarms(place: Place, resource_id: str, policy_arn: str, config: Mapping[str, Any]) -> list[Alarm]:
    """Make the alarms of a policy. Raises: ValidationException for a metric that is none."""
    metric = _metric(resource_id, config)
    action = f"{policy_arn}:createdBy/{uuid.uuid4()}"
    target = float(config["TargetValue"])
    wanted = [("AlarmHigh", "GreaterThanThreshold", target, _OUT_MINUTES)]
    if not config.get("DisableScaleIn"):
        wanted.append(("AlarmLow", "LessThanThreshold", target * LOW, _IN_MINUTES))
    backend = cloudwatch_backends[place.account][place.region]
    return [
        backend.put_metric_alarm(
            name=f"TargetTracking-{resource_id}-{kind}-{uuid.uuid4()}",
            comparison_operator=comparison,
            evaluation_periods=minutes,
            period=60,
            threshold=threshold,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {action}.",
            alarm_actions=[action],
            **metric,
        )
        for kind, comparison, threshold, minutes in wanted
    ]


def remove_alarms(place: Place, alarms: Iterable[Alarm]) -> None:
    """Delete alarms; those that somebody deleted already are not missed."""
    cloudwatch_backends[place.account][place.region].delete_alarms([alarm.name for alarm in alarms])


def _metric(resource_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if own := config.get("CustomizedMetricSpecification"):
        if "Metrics" in own:
            raise invalid("Metric math in a CustomizedMetricSpecification is not simulated.")
        return {
            "namespace": own["Namespace"],
            "metric_name": own["MetricName"],
            "statistic": own["Statistic"],
            "dimensions": own.get("Dimensions", []),
        }
    kind = (config.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType", "")
    if kind not in _PREDEFINED:
        raise invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be given.")
    name, statistic = _PREDEFINED[kind]
    return {
        "namespace": NAMESPACE,
        "metric_name": name,
        "statistic": statistic,
        "dimensions": _dimensions(resource_id),
    }


def _dimensions(resource_id: str) -> list[dict[str, str]]:
    kind, _, rest = resource_id.partition("/")
    if kind == "inference-component":
        return [{"Name": "InferenceComponentName", "Value": rest}]
    endpoint, _, variant = rest.partition("/variant/")
    return [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
