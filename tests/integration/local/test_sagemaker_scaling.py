"""Autoscaling of the simulated hosting acts by the clock: policies, alarms, cooldowns, bounds, and copies at zero."""

import pytest

from tests.integration.local.hosting_cloud import ASYNC, ROLE, refusal

VARIANT = "endpoint/little/variant/main"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
WHAT = {"ServiceNamespace": "sagemaker", "ResourceId": VARIANT, "ScalableDimension": DIMENSION}
COMPONENT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/part",
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
}
BACKLOG = {
    "MetricName": "ApproximateBacklogSizePerInstance",
    "Namespace": "AWS/SageMaker",
    "Dimensions": [{"Name": "EndpointName", "Value": "little"}],
    "Statistic": "Average",
}


@pytest.fixture
def cloud(hosting):
    hosting.simulation.settings.quotas["ml.g5.xlarge"] = 10
    return hosting


def track(cloud, target=5.0, *, least=0, most=3, what=WHAT, **more):
    """Register a target and let it track its backlog, with the article's cooldowns."""
    cloud.scaling.register_scalable_target(**what, MinCapacity=least, MaxCapacity=most)
    config = {"TargetValue": target, "ScaleInCooldown": 600, "ScaleOutCooldown": 300, **more}
    if "PredefinedMetricSpecification" not in config:
        config["CustomizedMetricSpecification"] = BACKLOG
    return cloud.scaling.put_scaling_policy(
        **what,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=config,
    )


def leave_zero(cloud, what=WHAT, **alarm):
    """Let one instance come as soon as something waits at zero."""
    policy = cloud.scaling.put_scaling_policy(
        **what,
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Maximum",
            "Cooldown": 60,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    wanted = {
        "AlarmName": "from-zero",
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": BACKLOG["Dimensions"],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy["PolicyARN"]],
        **alarm,
    }
    cloud.cloudwatch.put_metric_alarm(**wanted)
    return policy


def minutes_until(cloud, done, most=120):
    """Let minutes pass until something is so; give how many."""
    for passed in range(most):
        if done():
            return passed
        cloud.clock.sleep(60)
    raise AssertionError(f"not in {most} minutes")


def at_zero(cloud, asynchronous=ASYNC):
    cloud.endpoint(asynchronous=asynchronous)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}]
    )
    cloud.clock.sleep(60)
    assert cloud.counts() == (0, 0)


def test_what_scales_keeps_its_instance_type_until_it_is_deregistered(cloud):
    cloud.endpoint()
    cloud.config("second", model="little", InstanceType="ml.g6.xlarge")
    track(cloud)

    def update(to):
        return cloud.sagemaker.update_endpoint(EndpointName="little", EndpointConfigName=to)

    code, told = refusal(update, to="second")
    cloud.scaling.deregister_scalable_target(**WHAT)
    update("second")

    assert code == "ValidationException"
    assert told.startswith('The variant(s) "[main]" must be deregistered as a scalable target')


def test_what_scales_is_updated_where_its_instance_type_stays(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    track(cloud)

    cloud.sagemaker.update_endpoint(EndpointName="little", EndpointConfigName="second")

    assert cloud.sagemaker.describe_endpoint(EndpointName="little")["EndpointStatus"] == "Updating"


# ── Counts by hand ───────────────────────────────────────────────────────────────────────────────────────


def test_a_change_of_counts_makes_the_endpoint_updating_and_then_in_service(cloud):
    cloud.endpoint()
    wanted = [{"VariantName": "main", "DesiredInstanceCount": 2, "DesiredWeight": 3.0}]

    cloud.sagemaker.update_endpoint_weights_and_capacities(EndpointName="little", DesiredWeightsAndCapacities=wanted)
    during = (cloud.status(), cloud.counts())
    answer = cloud.invoke({"inputs": "still here"})
    cloud.clock.sleep(600)

    assert during == ("Updating", (1, 2))
    assert answer["generated_text"]
    assert (cloud.status(), cloud.counts(), cloud.variant()["CurrentWeight"]) == ("InService", (2, 2), 3.0)
    assert len([each for each in cloud.simulation.uptimes() if each.end is None]) == 2


def test_counts_of_what_is_not_in_service_are_not_changed(cloud):
    cloud.endpoint(wait=False)
    wanted = [{"VariantName": "main", "DesiredInstanceCount": 2}]
    request = {"EndpointName": "little", "DesiredWeightsAndCapacities": wanted}

    creating = refusal(cloud.sagemaker.update_endpoint_weights_and_capacities, **request)
    cloud.clock.sleep(600)
    cloud.sagemaker.update_endpoint_weights_and_capacities(**request)
    updating = refusal(cloud.sagemaker.update_endpoint_weights_and_capacities, **request)

    assert creating == updating
    assert creating[1].startswith("Cannot update in-progress endpoint")


def test_only_an_asynchronous_endpoint_goes_to_zero(cloud):
    cloud.endpoint()
    wanted = [{"VariantName": "main", "DesiredInstanceCount": 0}]

    refused = refusal(
        cloud.sagemaker.update_endpoint_weights_and_capacities,
        EndpointName="little",
        DesiredWeightsAndCapacities=wanted,
    )

    assert "must be at least 1" in refused[1]


def test_an_instance_that_does_not_come_leaves_the_endpoint_as_it_was(cloud):
    cloud.endpoint()
    cloud.simulation.knobs.capacity_fails = 1

    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 2}]
    )
    cloud.clock.sleep(600)

    assert (cloud.status(), cloud.counts()) == ("InService", (1, 1))


def test_a_request_waits_at_zero_until_an_instance_has_come_and_loaded(cloud):
    at_zero(cloud)
    accepted = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(900)
    early = cloud.read(accepted["OutputLocation"])

    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 1}]
    )
    cloud.clock.sleep(150)
    coming = cloud.read(accepted["OutputLocation"])
    cloud.clock.sleep(60)

    assert (early, coming) == (None, None)
    assert cloud.read(accepted["OutputLocation"]) is not None


# ── Metrics ──────────────────────────────────────────────────────────────────────────────────────────────


def statistics(cloud, name, minutes=10, statistic="Average", **dimensions):
    found = cloud.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in (dimensions or {"EndpointName": "little"}).items()],
        StartTime=cloud.clock.timestamp() - 60 * minutes,
        EndTime=cloud.clock.timestamp(),
        Period=60,
        Statistics=[statistic],
    )
    return [each[statistic] for each in sorted(found["Datapoints"], key=lambda each: each["Timestamp"])]


def test_the_backlog_is_measured_each_minute(cloud):
    at_zero(cloud)
    cloud.clock.sleep(600)
    for number in range(3):
        cloud.submit({"inputs": str(number)})
    cloud.clock.sleep(180)

    assert statistics(cloud, "ApproximateBacklogSize", 3) == [3, 3, 3]
    assert statistics(cloud, "HasBacklogWithoutCapacity", 3) == [1, 1, 1]
    assert statistics(cloud, "ApproximateAgeOfOldestRequest", 3) == pytest.approx([60, 120, 180], abs=60)
    assert statistics(cloud, "ApproximateBacklogSizePerInstance", 3) == []  # of no instances there is none
    assert statistics(cloud, "Invocations", 600) == []  # not published of asynchronous endpoints


def test_metrics_of_two_dimensions_are_found_in_either_order(cloud):
    cloud.endpoint()
    for number in range(3):
        cloud.invoke({"inputs": str(number)})
    cloud.clock.sleep(60)
    dimensions = [{"Name": "EndpointName", "Value": "little"}, {"Name": "VariantName", "Value": "main"}]

    def total(listed):
        metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations", "Dimensions": listed}
        query = {"Id": "q", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
        now = cloud.clock.timestamp()
        found = cloud.cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - 3600, EndTime=now)
        return sum(found["MetricDataResults"][0]["Values"])

    assert total(dimensions) == total(dimensions[::-1]) == 3
    latency = statistics(cloud, "ModelLatency", EndpointName="little", VariantName="main")
    assert latency[0] > 400_000  # microseconds


def test_failures_are_counted_of_either_kind_of_endpoint(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.endpoint("now")
    cloud.simulation.knobs.fail_calls = ["it broke", "it broke"]
    cloud.submit({"inputs": "x"})
    refusal(cloud.invoke, body={"inputs": "x"}, name="now")
    cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    assert sum(statistics(cloud, "InvocationFailures", statistic="Sum")) == 1
    assert sum(statistics(cloud, "InvocationsProcessed", statistic="Sum")) == 2
    failed = statistics(cloud, "Invocation5XXErrors", statistic="Sum", EndpointName="now", VariantName="main")
    assert sum(failed) == 1


# ── Policies ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backlog_scales_out_after_three_minutes_and_no_sooner(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.simulation.settings.first_token_seconds = 10_000
    for number in range(12):
        cloud.submit({"inputs": str(number)}, InvocationTimeoutSeconds=3600)
    track(cloud)

    assert minutes_until(cloud, lambda: cloud.counts()[1] > 1) == 3
    assert (cloud.status(), cloud.counts()) == ("Updating", (1, 3))  # 12 wait, 5 for each: three
    cloud.clock.sleep(600)
    assert (cloud.status(), cloud.counts()) == ("InService", (3, 3))


def test_quiet_scales_in_to_zero_after_fifteen_minutes(cloud):
    cloud.endpoint(asynchronous=ASYNC, wait=False)
    minutes_until(cloud, lambda: cloud.status() == "InService")
    track(cloud)

    assert minutes_until(cloud, lambda: cloud.counts()[1] == 0) in (14, 15)


def test_the_quiet_before_a_policy_counts_too(cloud):
    cloud.endpoint(asynchronous=ASYNC)  # and has been in service for a quarter of an hour
    track(cloud)

    cloud.clock.sleep(120)

    assert cloud.counts()[1] == 0


def test_target_tracking_alone_does_not_leave_zero(cloud):
    at_zero(cloud)
    track(cloud)
    cloud.submit({"inputs": "x"})

    cloud.clock.sleep(3600)

    assert cloud.counts() == (0, 0)


def test_the_step_policy_leaves_zero_and_the_request_is_answered(cloud):
    at_zero(cloud)
    track(cloud)
    leave_zero(cloud)
    cloud.clock.sleep(300)
    accepted = cloud.submit({"inputs": "x"})

    passed = minutes_until(cloud, lambda: cloud.counts()[1] == 1)
    cloud.clock.sleep(300)

    assert passed in (2, 3)  # two whole minutes with something waiting
    assert cloud.read(accepted["OutputLocation"]) is not None
    cloud.clock.sleep(1800)
    assert cloud.counts() == (0, 0)


def test_a_cooldown_holds_the_next_scale_in_back(cloud):
    cloud.endpoint(asynchronous=ASYNC, InitialInstanceCount=3)
    track(cloud, ScaleInCooldown=1200)
    cloud.simulation.settings.first_token_seconds = 1e6
    for number in range(6):  # two for each of three: that is under the target, and half of it
        cloud.submit({"inputs": str(number)}, InvocationTimeoutSeconds=3600)

    first = minutes_until(cloud, lambda: cloud.counts()[1] < 3)
    after_first = cloud.counts()[1]
    second = minutes_until(cloud, lambda: cloud.counts()[1] != after_first)

    assert first <= 16
    assert after_first == 2
    assert second >= 20


def test_scale_in_can_be_disabled(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    policy = track(cloud, DisableScaleIn=True)

    cloud.clock.sleep(7200)

    assert cloud.counts() == (1, 1)
    assert len(policy["Alarms"]) == 1


def test_invocations_scale_a_real_time_endpoint(cloud):
    cloud.endpoint()
    kind = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    track(cloud, 2.0, least=1, PredefinedMetricSpecification=kind)

    for _ in range(4):
        for _ in range(4):
            cloud.invoke({"inputs": "x", "parameters": {"max_new_tokens": 1}})
        cloud.clock.sleep(60 - cloud.clock.timestamp() % 60)

    assert cloud.counts()[1] >= 2


def test_a_raised_minimum_scales_out_at_once(cloud):
    cloud.endpoint(asynchronous=ASYNC)

    cloud.scaling.register_scalable_target(**WHAT, MinCapacity=2, MaxCapacity=3)

    assert (cloud.status(), cloud.counts()) == ("Updating", (1, 2))


def test_a_count_outside_the_bounds_is_allowed_and_corrected_later(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.scaling.register_scalable_target(**WHAT, MinCapacity=0, MaxCapacity=2)

    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 4}]
    )
    during = cloud.counts()[1]
    cloud.clock.sleep(1200)

    assert during == 4
    assert cloud.counts() == (2, 2)


def test_suspended_scaling_does_nothing(cloud):
    at_zero(cloud)
    track(cloud)
    leave_zero(cloud)
    cloud.scaling.register_scalable_target(**WHAT, SuspendedState={"DynamicScalingOutSuspended": True})
    cloud.submit({"inputs": "x"})

    cloud.clock.sleep(1800)

    assert cloud.counts() == (0, 0)


def test_the_quota_holds_scaling_back(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.simulation.settings.quotas["ml.g5.xlarge"] = 1

    cloud.scaling.register_scalable_target(**WHAT, MinCapacity=2, MaxCapacity=3)
    cloud.clock.sleep(600)

    assert (cloud.status(), cloud.counts()) == ("InService", (1, 1))


# ── What goes and what stays ─────────────────────────────────────────────────────────────────────────────


def alarms(cloud):
    return sorted(each["AlarmName"] for each in cloud.cloudwatch.describe_alarms()["MetricAlarms"])


def test_tracking_brings_alarms_of_its_own_that_go_with_the_policy(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    policy = track(cloud)
    leave_zero(cloud)
    held = alarms(cloud)
    again = track(cloud, 6.0)

    cloud.scaling.delete_scaling_policy(**WHAT, PolicyName="track")
    cloud.scaling.delete_scaling_policy(**WHAT, PolicyName="from-zero")

    assert [name.rpartition("-Alarm")[0] for name in held] == [f"TargetTracking-{VARIANT}"] * 2 + [""]
    assert again["PolicyARN"] == policy["PolicyARN"]
    assert {each["AlarmName"] for each in again["Alarms"]}.isdisjoint(held)
    assert alarms(cloud) == ["from-zero"]


def test_deleting_an_endpoint_leaves_target_policies_and_alarms(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    track(cloud)
    leave_zero(cloud)

    cloud.sagemaker.delete_endpoint(EndpointName="little")
    cloud.clock.sleep(3600)

    assert len(cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1
    assert len(cloud.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 2
    assert len(alarms(cloud)) == 3


def test_deregistering_takes_policies_and_their_alarms_along(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    track(cloud)
    leave_zero(cloud)

    cloud.scaling.deregister_scalable_target(**WHAT)

    assert cloud.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert alarms(cloud) == ["from-zero"]
    assert refusal(cloud.scaling.deregister_scalable_target, **WHAT)[0] == "ObjectNotFoundException"


def test_what_is_not_there_is_not_registered_and_without_a_target_there_is_no_policy(cloud):
    lost = {**WHAT, "ResourceId": "endpoint/lost/variant/main"}

    assert refusal(cloud.scaling.register_scalable_target, **lost, MinCapacity=0, MaxCapacity=1)[0] == (
        "ValidationException"
    )
    config = {"TargetValue": 5.0, "CustomizedMetricSpecification": BACKLOG}
    code, message = refusal(
        cloud.scaling.put_scaling_policy,
        **WHAT,
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=config,
    )
    assert code == "ObjectNotFoundException"
    assert message.startswith("No scalable target registered for service namespace: sagemaker, resource ID: endpoint/")
    assert refusal(cloud.scaling.delete_scaling_policy, **WHAT, PolicyName="p")[0] == "ObjectNotFoundException"


def test_a_target_keeps_its_tags(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    made = cloud.scaling.register_scalable_target(**WHAT, MinCapacity=0, MaxCapacity=1, Tags={"a": "1"})
    arn = made["ScalableTargetARN"]

    cloud.scaling.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    cloud.scaling.untag_resource(ResourceARN=arn, TagKeys=["a"])

    assert cloud.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}


# ── Inference components ─────────────────────────────────────────────────────────────────────────────────


def with_component(cloud, copies=0, *, most=2, gpus=1):
    cloud.model("little")
    variant = {
        "VariantName": "main",
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": most},
    }
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName="little", ProductionVariants=[variant], ExecutionRoleArn=ROLE
    )
    cloud.sagemaker.create_endpoint(EndpointName="little", EndpointConfigName="little")
    cloud.clock.sleep(200)
    cloud.sagemaker.create_inference_component(
        InferenceComponentName="part",
        EndpointName="little",
        VariantName="main",
        Specification={
            "ModelName": "little",
            "ComputeResourceRequirements": {"NumberOfAcceleratorDevicesRequired": gpus, "MinMemoryRequiredInMb": 1024},
        },
        RuntimeConfig={"CopyCount": copies},
    )
    cloud.clock.sleep(200)


def copies(cloud):
    told = cloud.sagemaker.describe_inference_component(InferenceComponentName="part")
    counts = told["RuntimeConfig"]
    return told["InferenceComponentStatus"], counts["CurrentCopyCount"], counts["DesiredCopyCount"]


def test_a_component_answers_through_its_copy(cloud):
    with_component(cloud, 1)

    answer = cloud.invoke({"inputs": "x"}, InferenceComponentName="part")

    assert copies(cloud) == ("InService", 1, 1)
    assert answer["generated_text"].startswith("[simulated]")
    listed = cloud.sagemaker.list_inference_components(EndpointNameEquals="little")["InferenceComponents"]
    assert [each["InferenceComponentName"] for each in listed] == ["part"]


def test_copies_at_zero_give_the_instances_back_and_a_call_fails_at_once_and_is_counted(cloud):
    with_component(cloud, 1)
    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="part", DesiredRuntimeConfig={"CopyCount": 0}
    )
    cloud.clock.sleep(600)

    code, message = refusal(cloud.invoke, body={"inputs": "x"}, InferenceComponentName="part")
    cloud.clock.sleep(60)

    assert (copies(cloud), cloud.counts()) == (("InService", 0, 0), (0, 0))
    assert code == "ValidationError"
    assert "has no capacity to process this request" in message
    counted = statistics(cloud, "NoCapacityInvocationFailures", statistic="Sum", InferenceComponentName="part")
    assert counted == [1]


def test_a_refused_call_brings_a_copy_and_its_instance_back(cloud):
    with_component(cloud, 0)
    cloud.clock.sleep(900)
    assert cloud.counts() == (0, 0)
    cloud.scaling.register_scalable_target(**COMPONENT, MinCapacity=0, MaxCapacity=2)
    leave_zero(
        cloud,
        COMPONENT,
        MetricName="NoCapacityInvocationFailures",
        Dimensions=[{"Name": "InferenceComponentName", "Value": "part"}],
        Statistic="Maximum",
        EvaluationPeriods=1,
        DatapointsToAlarm=1,
    )

    refusal(cloud.invoke, body={"inputs": "x"}, InferenceComponentName="part")
    passed = minutes_until(cloud, lambda: copies(cloud)[1] == 1)

    assert 4 <= passed <= 10
    assert cloud.invoke({"inputs": "x"}, InferenceComponentName="part")


def test_copies_that_find_no_room_bring_instances_up_to_the_maximum(cloud):
    with_component(cloud, 1)

    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="part", DesiredRuntimeConfig={"CopyCount": 3}
    )
    cloud.clock.sleep(1200)

    told = cloud.sagemaker.describe_inference_component(InferenceComponentName="part")
    assert (copies(cloud), cloud.counts()) == (("InService", 2, 2), (2, 2))
    assert told["FailureReason"].startswith("Not enough hardware resources")


def test_deleting_the_endpoint_leaves_its_components_behind(cloud):
    with_component(cloud, 1)

    cloud.sagemaker.delete_endpoint(EndpointName="little")
    cloud.clock.sleep(60)

    assert copies(cloud)[1] == 0
    cloud.sagemaker.delete_inference_component(InferenceComponentName="part")
    cloud.clock.sleep(60)
    assert cloud.sagemaker.list_inference_components()["InferenceComponents"] == []
