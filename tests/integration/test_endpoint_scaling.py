"""Bounds, policies and alarms as they are registered, and what they do: the adapter against the simulated hosting."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pilotlight.adapters.endpoint_scaling import EndpointScaling
from pilotlight.adapters.sagemaker_endpoints import SageMakerEndpoints
from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.errors import ConcurrentChange, PilotlightError, QuotaExceeded
from pilotlight.domain.hosting import ScalingSettings
from pilotlight.domain.values import Backend

from local.sagemaker.places import Place
from tests.factories import an_endpoint
from tests.integration.local.hosting_cloud import HostingCloud
from tests.integration.test_sagemaker_endpoints import adapter, make, tags

ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME
ENDPOINT, PART = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"
VARIANT = f"endpoint/{ENDPOINT}/variant/main"
COMPONENTS = {"components": True, "max": 2}


@pytest.fixture
def cloud(hosting: HostingCloud) -> HostingCloud:
    hosting.simulation.settings.quotas["ml.g5.xlarge"] = 10
    return hosting


@pytest.fixture
def endpoints(cloud: HostingCloud) -> SageMakerEndpoints:
    return adapter(cloud)


@pytest.fixture
def autoscaling(cloud: HostingCloud) -> EndpointScaling:
    return EndpointScaling(cloud.scaling, cloud.cloudwatch, "pilotlight")


def an_endpoint_of(backend: Backend = ASYNC, **settings: Any) -> Endpoint:
    return an_endpoint(scaling=ScalingSettings.model_validate(settings).for_backend(backend))


def register(
    autoscaling: EndpointScaling,
    backend: Backend = ASYNC,
    *,
    floor: int = 0,
    most: int = 3,
    suspended: bool = False,
    component: str | None = None,
    **settings: Any,
) -> None:
    endpoint = an_endpoint_of(backend, **settings)
    autoscaling.register(endpoint, backend, floor=floor, most=most, suspended=suspended, component=component)


def targets(cloud: HostingCloud) -> dict[str, Any]:
    found = cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return {each["ResourceId"]: each for each in found}


def policies(cloud: HostingCloud) -> dict[str, Any]:
    found = cloud.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return {each["PolicyName"]: each for each in found}


def alarms(cloud: HostingCloud) -> dict[str, Any]:
    found = cloud.cloudwatch.describe_alarms()["MetricAlarms"]
    return {each["AlarmName"]: each for each in found if not each["AlarmName"].startswith("TargetTracking-")}


def component(cloud: HostingCloud, endpoints: SageMakerEndpoints) -> None:
    """Bring an endpoint with one copy of its model into service."""
    revision = make(endpoints, cloud, REALTIME, scaling=COMPONENTS, tensor_parallel_degree=1)
    endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())
    cloud.clock.sleep(1200)


def at_zero(cloud: HostingCloud, endpoints: SageMakerEndpoints) -> None:
    make(endpoints, cloud)
    endpoints.set_instances(ENDPOINT, 0)
    cloud.clock.sleep(60)


def minutes_until(cloud: HostingCloud, done: Any, most: int = 120) -> int:
    for passed in range(most):
        if done():
            return passed
        cloud.clock.sleep(60)
    raise AssertionError(f"not in {most} minutes")


# ---- what is registered --------------------------------------------------------------------------------------------


def test_an_asynchronous_endpoint_tracks_its_backlog_and_leaves_nothing_by_an_alarm_of_its_own(
    cloud, endpoints, autoscaling
):
    """Target tracking alone does not leave zero: a backlog for each instance is no number without one."""
    make(endpoints, cloud)

    register(autoscaling, most=4, backlog_per_instance=7.5, scale_in_cooldown_seconds=120)

    target = targets(cloud)[VARIANT]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 4)
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    tracking = policies(cloud)[f"{ENDPOINT}-target"]["TargetTrackingScalingPolicyConfiguration"]
    assert (tracking["TargetValue"], tracking["ScaleInCooldown"], tracking["ScaleOutCooldown"]) == (7.5, 120, 300)
    metric = tracking["CustomizedMetricSpecification"]
    assert (metric["MetricName"], metric["Statistic"]) == ("ApproximateBacklogSizePerInstance", "Average")
    step = policies(cloud)[f"{ENDPOINT}-from-zero"]
    alarm = alarms(cloud)[f"{ENDPOINT}-from-zero"]
    assert alarm["AlarmActions"] == [step["PolicyARN"]]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("HasBacklogWithoutCapacity", 1)
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Period"]) == (2, 2, 60)
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanOrEqualToThreshold", "missing")


def test_a_real_time_endpoint_tracks_its_invocations_and_has_no_zero_to_leave(cloud, endpoints, autoscaling):
    make(endpoints, cloud, REALTIME)

    register(autoscaling, REALTIME, floor=1, disable_scale_in=True)

    (policy,) = policies(cloud).values()
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "SageMakerVariantInvocationsPerInstance"
    assert (tracking["TargetValue"], tracking["DisableScaleIn"]) == (30.0, True)
    assert list(alarms(cloud)) == [f"{ENDPOINT}-failures"]


@pytest.mark.parametrize(
    ("backend", "metric", "variant"),
    [(ASYNC, "InvocationFailures", ()), (REALTIME, "Invocation5XXErrors", (("VariantName", "main"),))],
)
def test_what_failed_within_the_hour_is_known_by_what_the_alarm_counts(cloud, autoscaling, backend, metric, variant):
    now = datetime.fromtimestamp(cloud.simulation.moment, UTC)
    place, dimensions = Place("123456789012", "us-east-1"), (("EndpointName", ENDPOINT), *variant)

    def publish(value: float, at: datetime) -> None:
        cloud.simulation.state.series.put(place, at.timestamp(), {metric: value}, dimensions, keep=1e9)

    publish(1.0, now - timedelta(hours=2))
    publish(0.0, now - timedelta(minutes=20))
    before = autoscaling.fails(ENDPOINT, backend, now)
    publish(1.0, now - timedelta(minutes=10))

    assert (before, autoscaling.fails(ENDPOINT, backend, now)) == (False, True)


def test_what_is_unbound_keeps_the_alarm_on_which_an_update_goes_back(cloud, endpoints, autoscaling):
    make(endpoints, cloud, REALTIME)
    register(autoscaling, REALTIME, floor=1)

    for _ in range(2):
        autoscaling.unbind(ENDPOINT)

    assert (targets(cloud), policies(cloud)) == ({}, {})
    assert list(alarms(cloud)) == [f"{ENDPOINT}-failures"]


def test_a_component_scales_by_its_copies_and_one_refused_call_is_enough_to_leave_nothing(
    cloud, endpoints, autoscaling
):
    """`> 1`, as it is documented, would miss a single caller."""
    component(cloud, endpoints)

    register(autoscaling, REALTIME, component=PART, **COMPONENTS)

    target = targets(cloud)[f"inference-component/{PART}"]
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    metric = policies(cloud)[f"{ENDPOINT}-target"]["TargetTrackingScalingPolicyConfiguration"]
    kind = metric["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert kind == "SageMakerInferenceComponentInvocationsPerCopy"
    alarm = alarms(cloud)[f"{ENDPOINT}-from-zero"]
    assert (alarm["MetricName"], alarm["EvaluationPeriods"]) == ("NoCapacityInvocationFailures", 1)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert alarm["Dimensions"] == [{"Name": "InferenceComponentName", "Value": PART}]


@pytest.mark.parametrize(
    ("backend", "metric", "dimensions"),
    [
        (ASYNC, "InvocationFailures", ["EndpointName"]),
        (REALTIME, "Invocation5XXErrors", ["EndpointName", "VariantName"]),
    ],
)
def test_the_alarm_on_which_an_update_goes_back_watches_what_the_backend_publishes(
    cloud, endpoints, autoscaling, backend, metric, dimensions
):
    make(endpoints, cloud, backend)

    register(autoscaling, backend, floor=1)

    alarm = alarms(cloud)[f"{ENDPOINT}-failures"]
    assert (alarm["MetricName"], [each["Name"] for each in alarm["Dimensions"]]) == (metric, dimensions)
    assert alarm["AlarmActions"] == [], "it rings for SageMaker, and for nobody else"


def test_alarms_are_tagged_with_the_stack_so_that_what_is_left_behind_is_found(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    register(autoscaling)

    for alarm in alarms(cloud).values():
        told = cloud.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        assert told == [{"Key": "pilotlight:stack", "Value": "pilotlight"}]


def test_a_repeat_changes_what_differs_and_doubles_nothing(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    register(autoscaling, most=3)
    arns = {name: policy["PolicyARN"] for name, policy in policies(cloud).items()}

    register(autoscaling, floor=1, most=5, backlog_per_instance=9)

    assert (targets(cloud)[VARIANT]["MinCapacity"], targets(cloud)[VARIANT]["MaxCapacity"]) == (1, 5)
    assert {name: policy["PolicyARN"] for name, policy in policies(cloud).items()} == arns
    tracking = policies(cloud)[f"{ENDPOINT}-target"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 9
    assert sorted(alarms(cloud)) == [f"{ENDPOINT}-failures", f"{ENDPOINT}-from-zero"]


def test_what_is_taken_away_is_gone_whole_and_may_be_taken_away_again(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    register(autoscaling)

    autoscaling.deregister(ENDPOINT, None)
    autoscaling.deregister(ENDPOINT, None)

    assert (targets(cloud), policies(cloud)) == ({}, {})
    assert cloud.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_alarms_that_are_not_there_are_not_missed(cloud, endpoints):
    class Strict:
        def delete_alarms(self, **_told):
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "Unknown"}}, "DeleteAlarms")

    make(endpoints, cloud)

    EndpointScaling(cloud.scaling, Strict(), "pilotlight").deregister(ENDPOINT, None)

    assert targets(cloud) == {}


def test_a_real_time_variant_is_never_registered_for_less_than_one_instance(cloud, endpoints, autoscaling):
    make(endpoints, cloud, REALTIME)

    register(autoscaling, REALTIME, floor=0)

    assert targets(cloud)[VARIANT]["MinCapacity"] == 1


def test_a_component_is_taken_away_by_its_own_name(cloud, endpoints, autoscaling):
    component(cloud, endpoints)
    register(autoscaling, REALTIME, component=PART, **COMPONENTS)

    autoscaling.deregister(ENDPOINT, PART)

    assert (targets(cloud), policies(cloud), alarms(cloud)) == ({}, {}, {})


def test_bounds_are_left_behind_by_the_endpoint_and_can_be_taken_away_after_it(cloud, endpoints, autoscaling):
    """Deleting an endpoint leaves its scaling behind."""
    make(endpoints, cloud)
    register(autoscaling)
    endpoints.delete_endpoint(ENDPOINT)
    cloud.clock.sleep(60)
    left = list(targets(cloud))

    autoscaling.deregister(ENDPOINT, None)

    assert (left, targets(cloud), alarms(cloud)) == ([VARIANT], {}, {})


def test_what_others_scale_and_watch_stays(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    cloud.endpoint("stranger")
    what = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/stranger/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    cloud.scaling.register_scalable_target(**what, MinCapacity=1, MaxCapacity=2)
    register(autoscaling)

    autoscaling.deregister(ENDPOINT, None)

    assert list(targets(cloud)) == ["endpoint/stranger/variant/main"]


def test_an_endpoint_that_there_is_not_yet_cannot_be_registered(cloud, autoscaling):
    with pytest.raises(PilotlightError):
        register(autoscaling)

    assert targets(cloud) == {}


@pytest.mark.parametrize(
    ("code", "kind"),
    [("ConcurrentUpdateException", ConcurrentChange), ("LimitExceededException", QuotaExceeded)],
)
def test_what_the_service_refuses_is_told_apart_also_when_bounds_are_taken_away(cloud, autoscaling, code, kind):
    class Busy:
        def __getattr__(self, name):
            def refuse(**_told):
                raise ClientError({"Error": {"Code": code, "Message": "another change runs"}}, name)

            return refuse

    busy = EndpointScaling(Busy(), cloud.cloudwatch, "pilotlight")

    with pytest.raises(kind):
        busy.deregister(ENDPOINT, None)
    with pytest.raises(kind):
        register(busy)


# ---- what it does --------------------------------------------------------------------------------------------------


def test_the_first_call_at_zero_brings_an_instance_though_nobody_wakes_it(cloud, endpoints, autoscaling):
    at_zero(cloud, endpoints)
    register(autoscaling)

    taken = cloud.submit({"inputs": "a"}, ENDPOINT)

    assert 2 <= minutes_until(cloud, lambda: cloud.counts(ENDPOINT)[1] == 1) <= 5
    assert minutes_until(cloud, lambda: cloud.read(taken["OutputLocation"])) <= 10


def test_what_must_stop_leaves_zero_for_nobody(cloud, endpoints, autoscaling):
    at_zero(cloud, endpoints)
    register(autoscaling, suspended=True)

    cloud.submit({"inputs": "a"}, ENDPOINT)
    cloud.clock.sleep(1800)

    assert cloud.counts(ENDPOINT) == (0, 0)
    register(autoscaling)
    assert minutes_until(cloud, lambda: cloud.counts(ENDPOINT)[1] == 1) <= 5


def test_after_the_cooldown_an_idle_endpoint_has_no_instance_any_more(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    register(autoscaling)

    assert 1 <= minutes_until(cloud, lambda: cloud.counts(ENDPOINT) == (0, 0)) <= 30


def test_a_floor_of_one_is_kept_however_idle_and_brings_one_where_there_is_none(cloud, endpoints, autoscaling):
    at_zero(cloud, endpoints)

    register(autoscaling, floor=1)

    assert minutes_until(cloud, lambda: endpoints.see(ENDPOINT).has_capacity) <= 10
    cloud.clock.sleep(7200)
    assert cloud.counts(ENDPOINT) == (1, 1)


def test_a_long_queue_brings_as_many_as_there_may_be_and_no_more(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    cloud.simulation.settings.other_answer_seconds = 300.0
    register(autoscaling, most=2)
    for _ in range(40):
        cloud.submit({"inputs": "a"}, ENDPOINT)

    counts = set()
    for _ in range(40):
        cloud.clock.sleep(60)
        counts.add(cloud.counts(ENDPOINT)[1])

    assert max(counts) == 2


def test_a_single_refused_call_brings_the_first_copy(cloud, endpoints, autoscaling):
    component(cloud, endpoints)
    endpoints.set_copies(PART, 0)
    cloud.clock.sleep(900)
    register(autoscaling, REALTIME, component=PART, **COMPONENTS)
    with pytest.raises(ClientError) as refused:
        cloud.invoke({"inputs": "a"}, ENDPOINT, InferenceComponentName=PART)

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert minutes_until(cloud, lambda: endpoints.component(PART).copies == 1) <= 15


def test_what_a_stranger_deleted_is_not_missed_when_it_is_registered_again(cloud, endpoints, autoscaling):
    make(endpoints, cloud)
    register(autoscaling)
    cloud.cloudwatch.delete_alarms(AlarmNames=[f"{ENDPOINT}-from-zero"])
    cloud.scaling.deregister_scalable_target(
        ServiceNamespace="sagemaker", ResourceId=VARIANT, ScalableDimension="sagemaker:variant:DesiredInstanceCount"
    )

    register(autoscaling)

    assert sorted(alarms(cloud)) == [f"{ENDPOINT}-failures", f"{ENDPOINT}-from-zero"]
    assert list(targets(cloud)) == [VARIANT]
