"""IAM decides what callers may do with the simulated hosting, and what that may do in its execution role's name."""

import json
from contextlib import ExitStack

import boto3
import pytest
from moto.sns.models import sns_backends

from local import authorization
from local.authorization import sessions
from tests.integration.local.hosting_cloud import ACCOUNT, ASYNC, LMI, REGION, ROLE, arn, refusal

TRUST_ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
CALLER = f"arn:aws:iam::{ACCOUNT}:role/caller"
MINE = [{"Key": "owner", "Value": "me"}]


@pytest.fixture
def cloud(hosting):
    with ExitStack() as closing:
        authorization.install(closing)
        grant(hosting)
        hosting.iam.create_role(RoleName="caller", AssumeRolePolicyDocument=json.dumps(TRUST_ANYBODY))
        yield hosting


def policy(*statements):
    listed = [
        {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": condition} if condition else {})}
        for action, resource, condition in statements
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": listed})


def grant(cloud, without=""):
    """Grant the execution role what a container needs, without one action."""
    needed = [
        ("s3:GetObject", ["arn:aws:s3:::weights/*", "arn:aws:s3:::data/in/*"], None),
        ("s3:ListBucket", "arn:aws:s3:::weights", {"StringLike": {"s3:prefix": "little/*"}}),
        ("s3:PutObject", ["arn:aws:s3:::data/out/*", "arn:aws:s3:::data/failed/*"], None),
        ("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:*", None),
        ("ecr:GetAuthorizationToken", "*", None),
        ("ecr:BatchCheckLayerAvailability", f"arn:aws:ecr:{REGION}:*:repository/djl-inference", None),
        ("ecr:GetDownloadUrlForLayer", f"arn:aws:ecr:{REGION}:*:repository/djl-inference", None),
        ("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:*:repository/djl-inference", None),
        ("logs:CreateLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/*", None),
        ("logs:CreateLogStream", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/*", None),
        ("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/*", None),
    ]
    document = policy(*(each for each in needed if each[0] != without))
    cloud.iam.put_role_policy(RoleName="execution", PolicyName="hosting", PolicyDocument=document)


def as_caller(cloud, service, *statements):
    """Give a client of a role that may do only this."""
    cloud.iam.put_role_policy(RoleName="caller", PolicyName="own", PolicyDocument=policy(*statements))
    keys = sessions.of_role(CALLER, "test").credentials
    return boto3.client(
        service,
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
    )


# ── The execution role ───────────────────────────────────────────────────────────────────────────────────


def test_a_role_that_may_do_what_it_needs_serves(cloud):
    cloud.endpoint()

    assert cloud.status() == "InService"
    assert cloud.log()


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:ListBucket"])
def test_model_data_that_the_role_may_not_read_fails_the_endpoint(cloud, action):
    grant(cloud, without=action)

    cloud.endpoint()

    assert cloud.status() == "Failed"
    assert "Failed to download model data" in cloud.reason()


def test_an_image_that_the_role_may_not_pull_fails_the_endpoint(cloud):
    grant(cloud, without="ecr:BatchGetImage")

    cloud.endpoint()

    assert cloud.status() == "Failed"
    assert cloud.reason().startswith(f"Failed to pull the image {LMI}")


@pytest.mark.parametrize("action", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_role_that_may_not_log_leaves_no_log_and_nobody_is_told(cloud, action):
    grant(cloud, without=action)

    cloud.endpoint()

    assert cloud.status() == "InService"
    assert cloud.log() == []


def test_what_the_role_may_not_do_becomes_the_failure_of_a_request(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.put("in/x.json", b'{"inputs": "x"}', bucket="data")
    cloud.put("elsewhere/x.json", b'{"inputs": "x"}', bucket="data")

    forbidden = cloud.submit(InputLocation="s3://data/elsewhere/x.json")
    cloud.clock.sleep(60)
    grant(cloud, without="s3:PutObject")
    unwritten = cloud.submit(InputLocation="s3://data/in/x.json")
    cloud.clock.sleep(60)

    assert b"could not be read" in cloud.read(forbidden["FailureLocation"])
    assert cloud.read(unwritten["OutputLocation"]) is None
    assert cloud.read(unwritten["FailureLocation"]) is None


def test_a_topic_that_the_role_may_not_publish_to_hears_nothing_although_the_result_is_there(cloud):
    grant(cloud, without="sns:Publish")
    topic = cloud.sns.create_topic(Name="told")["TopicArn"]
    output = {**ASYNC["OutputConfig"], "NotificationConfig": {"SuccessTopic": topic}}
    cloud.endpoint(asynchronous={**ASYNC, "OutputConfig": output})

    accepted = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    assert cloud.read(accepted["OutputLocation"]) is not None
    assert sns_backends[ACCOUNT][REGION].topics[topic].sent_notifications == []


# ── Callers ──────────────────────────────────────────────────────────────────────────────────────────────


def make_model(client, name="little", tags=MINE):
    return client.create_model(
        ModelName=name, PrimaryContainer={"Image": LMI}, ExecutionRoleArn=ROLE, **({"Tags": tags} if tags else {})
    )


def test_whoever_makes_a_model_hands_on_its_role_and_tags_it(cloud):
    create = ("sagemaker:CreateModel", arn("model", "little"), {"StringEquals": {"aws:RequestTag/owner": "me"}})
    tag = ("sagemaker:AddTags", arn("model", "*"), None)
    hand_on = ("iam:PassRole", ROLE, {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})

    def refused(*statements, **more):
        code, message = refusal(make_model, client=as_caller(cloud, "sagemaker", *statements), **more)
        assert code == "AccessDeniedException"
        return message.partition("perform: ")[2].partition(" on resource")[0]

    assert refused(create, tag) == "iam:PassRole"
    assert refused(create, hand_on) == "sagemaker:AddTags"
    assert refused(create, tag, hand_on, name="other") == "sagemaker:CreateModel"
    assert refused(create, tag, hand_on, tags=None) == "sagemaker:CreateModel"
    assert make_model(as_caller(cloud, "sagemaker", create, tag, hand_on))["ModelArn"] == arn("model", "little")


def test_an_endpoint_is_made_and_updated_with_a_configuration_that_the_caller_may_use(cloud):
    cloud.model()
    cloud.config()
    create = ("sagemaker:CreateEndpoint", arn("endpoint", "little"), None)
    use = ("sagemaker:CreateEndpoint", arn("endpoint-config", "little"), None)
    request = {"EndpointName": "little", "EndpointConfigName": "little"}

    refused = refusal(as_caller(cloud, "sagemaker", create).create_endpoint, **request)

    assert refused[0] == "AccessDeniedException"
    assert arn("endpoint-config", "little") in refused[1]
    assert as_caller(cloud, "sagemaker", create, use).create_endpoint(**request)


def test_only_what_carries_the_tag_is_deleted(cloud):
    own = {"StringEquals": {"aws:ResourceTag/owner": "me"}}
    cloud.endpoint("little")
    cloud.endpoint("other")
    cloud.sagemaker.add_tags(ResourceArn=arn("endpoint", "little"), Tags=MINE)
    caller = as_caller(cloud, "sagemaker", ("sagemaker:DeleteEndpoint", arn("endpoint", "*"), own))

    assert refusal(caller.delete_endpoint, EndpointName="other")[0] == "AccessDeniedException"
    caller.delete_endpoint(EndpointName="little")
    assert cloud.status() == "Deleting"


def test_invoking_is_allowed_by_endpoint_whatever_the_body_looks_like(cloud):
    cloud.endpoint()
    cloud.endpoint("later", asynchronous=ASYNC)
    allowed = ("sagemaker:InvokeEndpoint", arn("endpoint", "little"), None)
    caller = as_caller(cloud, "sagemaker-runtime", allowed)

    answer = caller.invoke_endpoint(EndpointName="little", Body=b"{ no JSON \xff", ContentType="image/png")
    refused = refusal(caller.invoke_endpoint_async, EndpointName="later", Body=b"x")

    assert answer["Body"].read() == b"{ no JSON \xff"
    assert refused[0] == "AccessDeniedException"
    assert "sagemaker:InvokeEndpointAsync" in refused[1]


def test_a_component_that_a_call_names_must_be_allowed_as_well(cloud):
    cloud.endpoint()
    of_endpoint = ("sagemaker:InvokeEndpoint", arn("endpoint", "little"), None)
    of_component = ("sagemaker:InvokeEndpoint", arn("inference-component", "part"), None)
    request = {"EndpointName": "little", "InferenceComponentName": "part", "Body": b"x"}

    refused = refusal(as_caller(cloud, "sagemaker-runtime", of_endpoint).invoke_endpoint, **request)
    heard = refusal(as_caller(cloud, "sagemaker-runtime", of_endpoint, of_component).invoke_endpoint, **request)

    assert refused[0] == "AccessDeniedException"
    assert arn("inference-component", "part") in refused[1]
    assert heard[0] == "ModelError"


def test_lists_have_no_resource_and_the_hub_has_one_of_aws(cloud):
    hub = f"arn:aws:sagemaker:{REGION}:aws:hub-content/SageMakerPublicHub/Model/*"
    caller = as_caller(
        cloud, "sagemaker", ("sagemaker:ListEndpoints", "*", None), ("sagemaker:DescribeHubContent", hub, None)
    )
    request = {"HubName": "SageMakerPublicHub", "HubContentType": "Model", "HubContentName": "some-model"}

    assert caller.list_endpoints()["Endpoints"] == []
    assert refusal(caller.list_models)[0] == "AccessDeniedException"
    assert refusal(caller.describe_hub_content, **request)[0] == "ResourceNotFound"


NAMESPACE = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
TARGETS = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/*"
REGISTER = ("application-autoscaling:RegisterScalableTarget", TARGETS, NAMESPACE)
DEREGISTER = ("application-autoscaling:DeregisterScalableTarget", TARGETS, NAMESPACE)
MADE_ROLE = (
    "iam:CreateServiceLinkedRole",
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/*",
    {"StringEquals": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}},
)
ALARMS = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
TRIED = (
    ("sagemaker:DescribeEndpoint", arn("endpoint", "*"), None),
    ("sagemaker:DescribeEndpointConfig", arn("endpoint-config", "*"), None),
    ("sagemaker:UpdateEndpointWeightsAndCapacities", arn("endpoint", "*"), None),
    ("cloudwatch:PutMetricAlarm", ALARMS, None),
    ("cloudwatch:DescribeAlarms", ALARMS, None),
    ("cloudwatch:DeleteAlarms", ALARMS, None),
)
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/little/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
BOUNDS = {"MinCapacity": 0, "MaxCapacity": 1}


def test_the_first_scalable_target_needs_the_role_that_autoscaling_acts_by(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    without = as_caller(cloud, "application-autoscaling", REGISTER, *TRIED)

    refused = refusal(without.register_scalable_target, **TARGET, **BOUNDS)
    as_caller(cloud, "application-autoscaling", REGISTER, MADE_ROLE, *TRIED).register_scalable_target(
        **TARGET, **BOUNDS
    )
    again = as_caller(cloud, "application-autoscaling", REGISTER, *TRIED).register_scalable_target(**TARGET, **BOUNDS)

    assert "iam:CreateServiceLinkedRole" in refused[1]
    assert again["ScalableTargetARN"]


@pytest.mark.parametrize("missing", TRIED, ids=lambda each: each[0])
def test_autoscaling_tries_in_its_caller_s_name_what_it_will_do_itself(cloud, missing):
    cloud.endpoint(asynchronous=ASYNC)
    others = [each for each in TRIED if each is not missing]
    caller = as_caller(cloud, "application-autoscaling", REGISTER, MADE_ROLE, *others)

    refused = refusal(caller.register_scalable_target, **TARGET, **BOUNDS)

    assert (refused[0], missing[0] in refused[1]) == ("AccessDeniedException", True)


def test_autoscaling_tries_with_names_that_no_prefix_allows(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    ours = [(action, resource.replace("*", "little*"), condition) for action, resource, condition in TRIED]
    caller = as_caller(cloud, "application-autoscaling", REGISTER, MADE_ROLE, *ours)

    assert refusal(caller.register_scalable_target, **TARGET, **BOUNDS)[0] == "AccessDeniedException"


def test_whoever_deletes_an_endpoint_that_scales_must_be_allowed_to_end_that(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    as_caller(cloud, "application-autoscaling", REGISTER, MADE_ROLE, *TRIED).register_scalable_target(
        **TARGET, **BOUNDS
    )
    delete = ("sagemaker:DeleteEndpoint", arn("endpoint", "little"), None)

    refused = refusal(as_caller(cloud, "sagemaker", delete).delete_endpoint, EndpointName="little")
    as_caller(cloud, "sagemaker", delete, DEREGISTER).delete_endpoint(EndpointName="little")

    assert "application-autoscaling:DeregisterScalableTarget" in refused[1]
    assert cloud.status() == "Deleting"


def test_alarms_logs_and_quotas_are_allowed_by_their_own_arns(cloud):
    cloud.endpoint()
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/little*"
    watching = as_caller(
        cloud, "cloudwatch", ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:little-*", None)
    )
    watching.delete_alarms(AlarmNames=["little-a", "little-b"])
    refused = refusal(watching.delete_alarms, AlarmNames=["little-a", "other"])

    reading = as_caller(cloud, "logs", ("logs:FilterLogEvents", group, None), ("logs:DescribeLogStreams", group, None))
    name = "/aws/sagemaker/Endpoints/little"
    events = reading.filter_log_events(logGroupName=name)["events"]
    counting = as_caller(cloud, "service-quotas", ("servicequotas:ListServiceQuotas", "*", None))

    assert "cloudwatch:DeleteAlarms" in refused[1]
    assert events
    assert refusal(reading.get_log_events, logGroupName=name, logStreamName="x")[0] == "AccessDeniedException"
    assert counting.list_service_quotas(ServiceCode="sagemaker")["Quotas"]
