"""The simulated hosting keeps the service's contract, as boto3 sees it: resources, endpoints and their lives."""

import json
from datetime import timedelta

import pytest

from local.sagemaker import Settings
from tests.integration.local.hosting_cloud import LMI, ROLE, TRUST, arn, refusal


@pytest.fixture
def cloud(hosting):
    return hosting


# ── Endpoints ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_endpoint_takes_its_time_and_is_in_service_then(cloud):
    cloud.endpoint(wait=False)
    cloud.clock.sleep(100)
    early = cloud.sagemaker.describe_endpoint(EndpointName="little")
    cloud.clock.sleep(200)
    late = cloud.sagemaker.describe_endpoint(EndpointName="little")

    assert early["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in early
    assert early["PendingDeploymentSummary"]["EndpointConfigName"] == "little"
    assert late["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in late
    assert (late["ProductionVariants"][0]["CurrentInstanceCount"], cloud.counts()) == (1, (1, 1))
    assert late["EndpointArn"] == arn("endpoint", "little")
    assert timedelta(seconds=150) < late["LastModifiedTime"] - late["CreationTime"] < timedelta(seconds=250)


def test_names_keep_the_patterns_of_the_service(cloud):
    code, message = refusal(
        cloud.sagemaker.create_model, ModelName="has_underscore", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": LMI}
    )

    assert code == "ValidationException"
    assert message.startswith("1 validation error detected: Value 'has_underscore' at 'modelName' failed to satisfy")


def test_what_exists_already_is_refused_by_name(cloud):
    cloud.endpoint()

    assert refusal(cloud.model)[1] == f'Cannot create already existing model "{arn("model", "little")}".'
    assert refusal(cloud.config)[1] == (
        f'Cannot create already existing endpoint configuration "{arn("endpoint-config", "little")}".'
    )
    assert refusal(cloud.sagemaker.create_endpoint, EndpointName="little", EndpointConfigName="little") == (
        "ValidationException",
        f'Cannot create already existing endpoint "{arn("endpoint", "little")}".',
    )


def test_what_does_not_exist_is_a_validation_exception(cloud):
    assert refusal(cloud.config, model="lost")[1] == f'Could not find model "{arn("model", "lost")}".'
    assert refusal(cloud.sagemaker.describe_endpoint, EndpointName="lost") == (
        "ValidationException",
        f'Could not find endpoint "{arn("endpoint", "lost")}".',
    )
    assert refusal(cloud.sagemaker.create_endpoint, EndpointName="x", EndpointConfigName="lost")[1] == (
        f'Could not find endpoint configuration "{arn("endpoint-config", "lost")}".'
    )


def test_an_endpoint_that_is_under_way_is_not_deleted(cloud):
    cloud.endpoint(wait=False)

    assert refusal(cloud.sagemaker.delete_endpoint, EndpointName="little") == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{arn("endpoint", "little")}".',
    )


def test_deleting_an_endpoint_leaves_its_configuration_and_its_model(cloud):
    cloud.endpoint()

    cloud.sagemaker.delete_endpoint(EndpointName="little")
    assert cloud.status() == "Deleting"
    cloud.clock.sleep(60)

    assert refusal(cloud.status)[1].startswith("Could not find endpoint")
    assert [each["ModelName"] for each in cloud.sagemaker.list_models()["Models"]] == ["little"]
    configs = cloud.sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert [each["EndpointConfigName"] for each in configs] == ["little"]


def test_a_failed_endpoint_stays_until_it_is_deleted_and_costs_nothing(cloud):
    cloud.simulation.knobs.fail_next_endpoint = "The service says so."
    cloud.endpoint()
    cloud.clock.sleep(86_400)

    assert (cloud.status(), cloud.reason()) == ("Failed", "The service says so.")
    assert cloud.simulation.uptimes() == []
    cloud.sagemaker.delete_endpoint(EndpointName="little")


def test_an_instance_that_is_not_to_be_had_fails_the_endpoint(cloud):
    cloud.simulation.knobs.capacity_fails = 1
    cloud.endpoint()

    assert cloud.status() == "Failed"
    assert "Unable to provision requested ML compute capacity" in cloud.reason()


def test_the_quota_of_an_instance_type_refuses_at_once(cloud):
    cloud.simulation.settings.quotas["ml.g5.xlarge"] = 1
    cloud.endpoint()
    cloud.config("second", model="little")

    code, message = refusal(cloud.sagemaker.create_endpoint, EndpointName="second", EndpointConfigName="second")

    assert code == "ResourceLimitExceeded"
    assert message.startswith(
        "The account-level service limit 'ml.g5.xlarge for endpoint usage' is 1 Instances, with current utilization "
        "of 1 Instances and a request delta of 1 Instances."
    )


def test_endpoints_are_listed_by_name_and_status_a_page_at_a_time(cloud):
    cloud.simulation.settings.quotas["ml.g5.xlarge"] = 20
    for number in range(12):
        cloud.endpoint(f"one-{number}", wait=False)
    cloud.clock.sleep(600)
    cloud.endpoint("another", wait=False)

    first = cloud.sagemaker.list_endpoints(NameContains="one-", StatusEquals="InService")
    second = cloud.sagemaker.list_endpoints(NameContains="one-", StatusEquals="InService", NextToken=first["NextToken"])

    names = [each["EndpointName"] for page in (first, second) for each in page["Endpoints"]]
    assert (len(first["Endpoints"]), len(names), len(set(names))) == (10, 12, 12)
    assert "NextToken" not in second
    assert [each["EndpointName"] for each in cloud.sagemaker.list_endpoints(StatusEquals="Creating")["Endpoints"]] == [
        "another"
    ]


def test_instances_are_paid_for_from_their_start_to_their_stop(cloud):
    cloud.endpoint()
    begun = cloud.simulation.uptimes()
    cloud.clock.sleep(3600)
    cloud.sagemaker.delete_endpoint(EndpointName="little")
    cloud.clock.sleep(7200)
    (uptime,) = cloud.simulation.uptimes()

    assert [(each.endpoint, each.instance_type, each.end) for each in begun] == [("little", "ml.g5.xlarge", None)]
    settings = Settings()
    assert uptime.end - uptime.start == 1200 - settings.start_seconds + 3600 + settings.delete_seconds


def test_a_role_that_does_not_trust_the_service_makes_no_model(cloud):
    other = {**TRUST["Statement"][0], "Principal": {"Service": "lambda.amazonaws.com"}}
    cloud.iam.update_assume_role_policy(RoleName="execution", PolicyDocument=json.dumps(TRUST | {"Statement": [other]}))

    code, message = refusal(cloud.model)

    assert code == "ValidationException"
    assert message.startswith(f"Could not assume role {ROLE}. Please ensure that the role exists")


def test_tags_are_kept_with_what_they_tag(cloud):
    cloud.sagemaker.create_model(
        ModelName="tagged",
        PrimaryContainer={"Image": LMI},
        ExecutionRoleArn=ROLE,
        Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    )
    held = arn("model", "tagged")

    cloud.sagemaker.add_tags(ResourceArn=held, Tags=[{"Key": "b", "Value": "3"}])
    cloud.sagemaker.delete_tags(ResourceArn=held, TagKeys=["a"])

    assert cloud.sagemaker.list_tags(ResourceArn=held)["Tags"] == [{"Key": "b", "Value": "3"}]


def test_each_change_of_status_is_an_event(cloud):
    seen = cloud.event_log()

    cloud.endpoint()
    cloud.sagemaker.delete_endpoint(EndpointName="little")

    assert [each["detail"]["EndpointStatus"] for each in seen] == ["CREATING", "IN_SERVICE", "DELETING"]
    event = seen[1]
    assert (event["source"], event["detail-type"]) == ("aws.sagemaker", "SageMaker Endpoint State Change")
    assert event["resources"] == [event["detail"]["EndpointArn"]] == [arn("endpoint", "little")]
    assert event["detail"]["EndpointConfigName"] == "little"
    assert event["detail"]["CreationTime"] == 1_800_000_000_000
    assert event["detail"]["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert event["detail"]["Tags"] == {}


def test_hours_that_pass_at_once_bring_everything_in_order_and_at_its_moment(cloud):
    seen = cloud.event_log()
    cloud.endpoint("one", wait=False)
    cloud.clock.sleep(30)
    cloud.endpoint("two", wait=False)

    cloud.clock.sleep(36_000)

    moments = [(each["detail"]["EndpointName"], each["detail"]["LastModifiedTime"] / 1000) for each in seen[2:]]
    assert [name for name, _ in moments] == ["one", "two"]
    assert moments[1][1] - moments[0][1] == pytest.approx(30)
    assert moments[1][1] < 1_800_000_400


def test_what_is_put_back_is_as_it_was(cloud):
    cloud.endpoint(wait=False)
    put_back = cloud.simulation.snapshot()
    cloud.clock.sleep(600)
    after = cloud.status()
    cloud.sagemaker.delete_endpoint(EndpointName="little")

    put_back()
    cloud.clock.seconds = cloud.simulation.moment
    before = cloud.status()
    cloud.clock.sleep(600)

    assert (after, before, cloud.status()) == ("InService", "Creating", "InService")
