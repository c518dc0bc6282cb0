"""What adds and removes instances: Application Auto Scaling's bounds and policies, and the alarms that some need.

Target tracking alone does not leave zero, because a backlog for each instance is no number without an instance: a
step policy does, on an alarm of ours. Source: Amazon SageMaker Developer Guide, "Autoscale an asynchronous endpoint"
and "Scale an endpoint to zero instances".
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.adapters.sagemaker_errors import ABSENT, sagemaker_errors
from pilotlight.domain.endpoint import VARIANT, Endpoint, rollback_alarm_name
from pilotlight.domain.scaling import reaches_zero
from pilotlight.domain.values import Backend

SERVICE = "sagemaker"
NOT_THERE = "ObjectNotFoundException"
STEP_SUFFIX = "-from-zero"
TARGET_SUFFIX = "-target"
NAMESPACE = "AWS/SageMaker"
MINUTE = 60
LOOKED_BACK = timedelta(hours=1)  # for failures of what serves


class EndpointScaling:
    """Implements `ports.Autoscaling`."""

    def __init__(self, autoscaling: Any, cloudwatch: Any, stack: str) -> None:
        self._autoscaling = autoscaling
        self._cloudwatch = cloudwatch
        self._stack = stack

    def register(
        self, endpoint: Endpoint, backend: Backend, *, floor: int, most: int, suspended: bool, component: str | None
    ) -> None:
        """Register an endpoint's bounds, its policies and its alarms; a repeat changes what differs."""
        target = _target(endpoint.name, component)
        with sagemaker_errors(f"registering the bounds of endpoint {endpoint.name}"):
            self._autoscaling.register_scalable_target(
                **target,
                MinCapacity=floor if reaches_zero(backend, endpoint) else max(1, floor),
                MaxCapacity=most,
                SuspendedState={"DynamicScalingOutSuspended": suspended},
            )
            self._autoscaling.put_scaling_policy(
                **target,
                PolicyName=f"{endpoint.name}{TARGET_SUFFIX}",
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=_tracking(endpoint, backend, component),
            )
            if backend is Backend.SAGEMAKER_ASYNC or component:
                self._leave_zero(endpoint, target, component)
            self._watch_failures(endpoint, backend)

    def deregister(self, endpoint_name: str, component: str | None) -> None:
        """Remove bounds, policies and alarms; what is not there is not missed."""
        target = _target(endpoint_name, component)
        for suffix in (TARGET_SUFFIX, STEP_SUFFIX):
            self._remove("delete_scaling_policy", **target, PolicyName=f"{endpoint_name}{suffix}")
        self._remove("deregister_scalable_target", **target)
        names = [f"{endpoint_name}{STEP_SUFFIX}", rollback_alarm_name(endpoint_name)]
        with translated(f"deleting the alarms of endpoint {endpoint_name}"):
            try:
                self._cloudwatch.delete_alarms(AlarmNames=names)  # those that are there go, whatever others are not
            except ClientError as exc:
                if code_of(exc) not in ABSENT:
                    raise

    def unbind(self, endpoint_name: str) -> None:
        """Remove bounds, and with them their policies; the alarm on which an update is rolled back stays."""
        self._remove("deregister_scalable_target", **_target(endpoint_name, None))

    def _remove(self, operation: str, **what: Any) -> None:
        with sagemaker_errors(f"removing the scaling of {what['ResourceId']}"):
            try:
                getattr(self._autoscaling, operation)(**what)
            except ClientError as exc:
                if code_of(exc) != NOT_THERE:
                    raise

    def _leave_zero(self, endpoint: Endpoint, target: Mapping[str, str], component: str | None) -> None:
        name = f"{endpoint.name}{STEP_SUFFIX}"
        policy = self._autoscaling.put_scaling_policy(
            **target,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "MetricAggregationType": "Average",
                "Cooldown": endpoint.scaling.scale_out_cooldown_seconds,
                "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            },
        )
        if component:  # a single refused call is enough: `> 1`, as it is documented, would miss it
            metric = {"MetricName": "NoCapacityInvocationFailures", "Statistic": "Maximum", "EvaluationPeriods": 1}
            dimensions = [{"Name": "InferenceComponentName", "Value": component}]
        else:
            metric = {"MetricName": "HasBacklogWithoutCapacity", "Statistic": "Average", "EvaluationPeriods": 2}
            dimensions = [{"Name": "EndpointName", "Value": endpoint.name}]
        self._alarm(
            name,
            "Somebody waits at an endpoint without an instance.",
            Dimensions=dimensions,
            DatapointsToAlarm=metric["EvaluationPeriods"],
            AlarmActions=[policy["PolicyARN"]],
            **metric,
        )

    def fails(self, endpoint_name: str, backend: Backend, now: datetime) -> bool:
        """Say whether calls failed lately, so that the alarm on which an update is rolled back rings of what serves."""
        metric = {"Namespace": NAMESPACE, **_failures(endpoint_name, backend)}
        query = {"Id": "failures", "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": "Sum"}}
        with translated(f"reading the failures of endpoint {endpoint_name}"):
            told = self._cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - LOOKED_BACK, EndTime=now)
        return any(value >= 1 for each in told["MetricDataResults"] for value in each["Values"])

    def _watch_failures(self, endpoint: Endpoint, backend: Backend) -> None:
        """Put the alarm on which an update is rolled back."""
        self._alarm(
            rollback_alarm_name(endpoint.name),
            "Calls of an endpoint fail: an update under way is rolled back.",
            **_failures(endpoint.name, backend),
            Statistic="Sum",
            EvaluationPeriods=1,
            DatapointsToAlarm=1,
            AlarmActions=[],
        )

    def _alarm(self, name: str, description: str, **metric: Any) -> None:
        self._cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription=description,
            Namespace=NAMESPACE,
            Period=MINUTE,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="missing",
            Tags=[{"Key": "pilotlight:stack", "Value": self._stack}],
            **metric,
        )


def _failures(endpoint_name: str, backend: Backend) -> dict[str, Any]:
    """Return the metric that counts failed calls: of the old and the new instances of an update together."""
    of_endpoint = {"Name": "EndpointName", "Value": endpoint_name}
    if backend is Backend.SAGEMAKER_ASYNC:
        return {"MetricName": "InvocationFailures", "Dimensions": [of_endpoint]}
    return {"MetricName": "Invocation5XXErrors", "Dimensions": [of_endpoint, {"Name": "VariantName", "Value": VARIANT}]}


def _target(endpoint_name: str, component: str | None) -> dict[str, str]:
    if component:
        resource, dimension = f"inference-component/{component}", "sagemaker:inference-component:DesiredCopyCount"
    else:
        resource, dimension = f"endpoint/{endpoint_name}/variant/{VARIANT}", "sagemaker:variant:DesiredInstanceCount"
    return {"ServiceNamespace": SERVICE, "ResourceId": resource, "ScalableDimension": dimension}


def _tracking(endpoint: Endpoint, backend: Backend, component: str | None) -> dict[str, Any]:
    """Return the target: of the backlog for each instance, or of the invocations a minute for each."""
    scaling = endpoint.scaling
    tracking: dict[str, Any] = {
        "TargetValue": scaling.target,
        "ScaleInCooldown": scaling.scale_in_cooldown_seconds,
        "ScaleOutCooldown": scaling.scale_out_cooldown_seconds,
        "DisableScaleIn": scaling.disable_scale_in,
    }
    if backend is Backend.SAGEMAKER_ASYNC:
        return tracking | {
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": NAMESPACE,
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint.name}],
                "Statistic": "Average",
            }
        }
    kind = "SageMakerInferenceComponentInvocationsPerCopy" if component else "SageMakerVariantInvocationsPerInstance"
    return tracking | {"PredefinedMetricSpecification": {"PredefinedMetricType": kind}}
