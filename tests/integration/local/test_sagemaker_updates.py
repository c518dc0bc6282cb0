"""Updates of endpoints of the simulated hosting: the old one serves meanwhile, and comes back if the new one fails."""

import pytest

from tests.integration.local.hosting_cloud import ASYNC, arn, refusal

ALL_AT_ONCE = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


@pytest.fixture
def cloud(hosting):
    hosting.simulation.settings.quotas["ml.g5.xlarge"] = 10
    return hosting


def blue_green(routing=None, wait=0, **more):
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing or ALL_AT_ONCE,
            "TerminationWaitInSeconds": wait,
            **more,
        }
    }


def update(cloud, to="second", **more):
    return cloud.sagemaker.update_endpoint(EndpointName="little", EndpointConfigName=to, **more)


def described(cloud):
    return cloud.sagemaker.describe_endpoint(EndpointName="little")


def statuses(seen):
    return [each["detail"]["EndpointStatus"] for each in seen]


def running_instances(cloud):
    return len([each for each in cloud.simulation.uptimes() if each.end is None])


def test_an_update_serves_from_the_old_instances_until_the_new_ones_are_there(cloud):
    cloud.endpoint()
    cloud.config("second", model="little", InstanceType="ml.g6.xlarge")
    seen = cloud.event_log()

    update(cloud, DeploymentConfig=blue_green(wait=300))
    during = described(cloud)
    answer = cloud.invoke({"inputs": "still here"})
    cloud.clock.sleep(250)
    both = running_instances(cloud)
    cloud.clock.sleep(600)

    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", "little")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "second"
    assert answer["generated_text"]
    assert (both, running_instances(cloud)) == (2, 1)
    after = described(cloud)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "second")
    assert after["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 300
    assert "PendingDeploymentSummary" not in after
    assert statuses(seen) == ["UPDATING", "IN_SERVICE"]


def test_one_update_at_a_time(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    update(cloud)

    message = f'Cannot update in-progress endpoint "{arn("endpoint", "little")}".'
    assert refusal(update, cloud=cloud) == ("ValidationException", message)
    assert refusal(cloud.sagemaker.delete_endpoint, EndpointName="little") == ("ValidationException", message)


def test_an_update_needs_the_old_configuration_too(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName="little")

    assert refusal(update, cloud=cloud)[1] == (
        f'Could not find endpoint configuration "{arn("endpoint-config", "little")}".'
    )


def test_an_update_begins_with_the_first_count_unless_it_retains_what_there_is(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 3}]
    )
    cloud.clock.sleep(600)
    for name in ("second", "third"):
        cloud.config(name, model="little", asynchronous=ASYNC)

    update(cloud, "second", RetainAllVariantProperties=True)
    cloud.clock.sleep(600)
    retained = cloud.counts()
    update(cloud, "third")
    cloud.clock.sleep(600)

    assert (retained, cloud.counts()) == ((3, 3), (1, 1))


def test_new_instances_that_are_ill_are_rolled_back_to_the_old_configuration(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.simulation.knobs.update_fails = 1
    seen = cloud.event_log()

    update(cloud)
    cloud.clock.sleep(1200)

    after = described(cloud)
    assert statuses(seen) == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]
    assert "did not pass the ping health check" in seen[1]["detail"]["FailureReason"]
    assert (after["EndpointStatus"], after["EndpointConfigName"], cloud.counts()) == ("InService", "little", (1, 1))
    assert "FailureReason" not in after
    assert running_instances(cloud) == 1
    assert cloud.invoke({"inputs": "x"})


def test_new_instances_that_are_not_to_be_had_are_rolled_back(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.simulation.knobs.capacity_fails = 1
    cloud.simulation.settings.failure_reason_after_rollback = True

    update(cloud)
    cloud.clock.sleep(1200)

    assert (cloud.status(), described(cloud)["EndpointConfigName"]) == ("InService", "little")
    assert "Unable to provision requested ML compute capacity" in cloud.reason()


def test_an_alarm_during_the_bake_rolls_back(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="Own",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}

    update(cloud, DeploymentConfig=blue_green(wait=600) | alarms)
    cloud.clock.sleep(300)
    baking = cloud.status()
    cloud.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    cloud.clock.sleep(40)
    rolling = cloud.status()
    cloud.clock.sleep(120)

    assert (baking, rolling) == ("Updating", "RollingBack")
    assert (cloud.status(), described(cloud)["EndpointConfigName"]) == ("InService", "little")


def test_a_rollback_that_fails_leaves_the_endpoint_in_between(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.simulation.knobs.update_fails = 1
    cloud.simulation.knobs.rollback_fails = True

    update(cloud)
    cloud.clock.sleep(1200)

    assert cloud.status() == "UpdateRollbackFailed"
    assert "did not pass the ping health check" in cloud.reason()
    assert "with status UpdateRollbackFailed" in refusal(update, cloud=cloud)[1]
    cloud.sagemaker.delete_endpoint(EndpointName="little")


def test_a_deployment_that_takes_too_long_is_rolled_back(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.simulation.knobs.never_ready = True

    update(cloud, DeploymentConfig=blue_green(MaximumExecutionTimeoutInSeconds=600))
    cloud.clock.sleep(599)
    before = cloud.status()
    cloud.clock.sleep(120)

    assert (before, cloud.status()) == ("Updating", "InService")


@pytest.mark.parametrize(
    ("routing", "share"),
    [
        ({"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25}}, 0.25),
        ({"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50}}, 0.5),
    ],
)
def test_a_share_of_the_calls_goes_to_the_new_instances_first(cloud, routing, share):
    cloud.endpoint(InitialInstanceCount=4)
    cloud.config("second", model="little", VariantName="new", InitialInstanceCount=4)

    update(cloud, DeploymentConfig=blue_green({**routing, "WaitIntervalInSeconds": 3600}))
    cloud.clock.sleep(300)
    request = {"EndpointName": "little", "Body": b"{}", "ContentType": "text/plain"}
    reached = [cloud.runtime.invoke_endpoint(**request)["InvokedProductionVariant"] for _ in range(40)]
    cloud.clock.sleep(3600)

    assert reached.count("new") == pytest.approx(40 * share, abs=1)
    assert described(cloud)["EndpointConfigName"] == "second"


@pytest.mark.parametrize("start_seconds", [150, 0])
def test_a_rolling_update_replaces_a_batch_at_a_time(cloud, start_seconds):
    cloud.endpoint(InitialInstanceCount=4)
    cloud.simulation.settings.start_seconds = start_seconds
    cloud.simulation.settings.load_seconds = min(start_seconds, 45)
    cloud.config("second", model="little", InitialInstanceCount=4)
    batch = {"Type": "CAPACITY_PERCENT", "Value": 25}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60}}

    update(cloud, DeploymentConfig=rolling)
    most = 0
    for _ in range(60):
        cloud.clock.sleep(30)
        most = max(most, running_instances(cloud))

    assert most == (5 if start_seconds else 4)
    assert (cloud.status(), described(cloud)["EndpointConfigName"], cloud.counts()) == ("InService", "second", (4, 4))
    assert running_instances(cloud) == 4


def test_a_rolling_update_that_fails_half_way_brings_the_old_instances_back(cloud):
    cloud.endpoint(InitialInstanceCount=2)
    cloud.config("second", model="little", InitialInstanceCount=2)
    batch = {"Type": "CAPACITY_PERCENT", "Value": 50}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60}}

    update(cloud, DeploymentConfig=rolling)
    cloud.clock.sleep(240)  # one of two is replaced
    cloud.simulation.knobs.update_fails = 1
    cloud.clock.sleep(1800)

    assert (cloud.status(), described(cloud)["EndpointConfigName"], cloud.counts()) == ("InService", "little", (2, 2))
    assert running_instances(cloud) == 2


def test_a_batch_is_at_most_half_of_the_capacity(cloud):
    cloud.endpoint()
    cloud.config("second", model="little")
    batch = {"Type": "CAPACITY_PERCENT", "Value": 100}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 0}}

    assert "MaximumBatchSize must be 5% to 50%" in refusal(update, cloud=cloud, DeploymentConfig=rolling)[1]


def test_both_generations_of_instances_count_against_the_quota(cloud):
    cloud.simulation.settings.quotas["ml.g5.xlarge"] = 1
    cloud.endpoint()
    cloud.config("second", model="little")

    assert refusal(update, cloud=cloud)[0] == "ResourceLimitExceeded"
    assert cloud.status() == "InService"


def test_requests_that_wait_are_answered_by_the_new_instances(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.config("second", model="little", asynchronous=ASYNC)
    cloud.simulation.settings.first_token_seconds = 400
    update(cloud)
    accepted = [cloud.submit({"inputs": str(number)})["OutputLocation"] for number in range(3)]

    cloud.clock.sleep(3600)

    assert described(cloud)["EndpointConfigName"] == "second"
    assert all(cloud.read(each) for each in accepted)


def test_an_endpoint_at_zero_is_updated_without_an_instance(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}]
    )
    cloud.clock.sleep(60)
    cloud.config("second", model="little", asynchronous=ASYNC)
    before = len(cloud.simulation.uptimes())

    update(cloud, RetainAllVariantProperties=True)
    cloud.clock.sleep(60)

    assert (cloud.status(), described(cloud)["EndpointConfigName"], cloud.counts()) == ("InService", "second", (0, 0))
    assert len(cloud.simulation.uptimes()) == before
