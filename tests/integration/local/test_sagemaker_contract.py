"""What moto lacks of SageMaker's hosting, each gap by name: what is closed here, and that moto still has it open.

A test that fails in its first half says that moto has learnt something: then our part may go.
"""

import json

import pytest
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.cloudwatch.models import CloudWatchBackend
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.models import SageMakerRuntimeBackend

from tests.integration.local.hosting_cloud import ACCOUNT, ASYNC, LMI, REGION, ROLE, arn, refusal

VARIANT = {"VariantName": "main", "ModelName": "little", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


@pytest.fixture
def cloud(hosting):
    return hosting


class Stock:
    """moto's own SageMaker, with nothing of ours."""

    def __init__(self):
        self.backend = SageMakerModelBackend(REGION, ACCOUNT)

    def model(self, image=LMI):
        return self.backend.create_model("little", ROLE, {"Image": image}, None, [], [])

    def config(self, kind="ml.m5.large"):
        variant = {**VARIANT, "InstanceType": kind, "InitialVariantWeight": 1.0}
        return self.backend.create_endpoint_config("little", [variant], None, None, [], None)

    def endpoint(self):
        return self.backend.create_endpoint("little", "little", [])


def test_a_name_that_is_in_use_is_refused_and_not_overwritten(cloud):
    stock = Stock()
    stock.model("first")
    stock.model("second")
    assert stock.backend.describe_model("little").primary_container == {"Image": "second"}

    cloud.model()
    assert refusal(cloud.model)[1] == f'Cannot create already existing model "{arn("model", "little")}".'


def test_an_endpoint_is_not_in_service_at_once(cloud):
    stock = Stock()
    stock.model()
    stock.config()
    assert stock.endpoint().endpoint_status == "InService"

    cloud.endpoint(wait=False)
    assert cloud.status() == "Creating"


def test_an_endpoint_needs_a_configuration_whose_model_is_there(cloud):
    stock = Stock()
    stock.model()
    stock.config()
    stock.backend.delete_model("little")
    assert stock.endpoint().endpoint_status == "InService"

    cloud.model()
    cloud.config()
    cloud.sagemaker.delete_model(ModelName="little")
    refused = refusal(cloud.sagemaker.create_endpoint, EndpointName="little", EndpointConfigName="little")
    assert refused[1] == f'Could not find model "{arn("model", "little")}".'


def test_an_endpoint_can_be_updated(cloud):
    # moto has no such action at all: the class has it from us
    assert not hasattr(SageMakerModelBackend, "update_endpoint")

    cloud.endpoint()
    cloud.config("second", model="little")
    cloud.sagemaker.update_endpoint(EndpointName="little", EndpointConfigName="second")
    assert cloud.status() == "Updating"


def test_there_are_inference_components(cloud):
    assert not hasattr(SageMakerModelBackend, "create_inference_component")

    assert cloud.sagemaker.list_inference_components()["InferenceComponents"] == []
    assert hasattr(SageMakerResponse, "create_inference_component")


def test_instances_with_gpus_of_today_are_accepted(cloud):
    with pytest.raises(ValidationError):
        Stock().config("ml.g5.xlarge")

    cloud.model()
    for kind in ("ml.g5.xlarge", "ml.g6e.12xlarge", "ml.p5.48xlarge"):
        assert cloud.config(kind.replace(".", "-"), model="little", InstanceType=kind)


def test_results_are_written_where_the_configuration_says_and_told_to_its_topics(cloud):
    output, failure = SageMakerRuntimeBackend(REGION, ACCOUNT).invoke_endpoint_async("little", "s3://data/in")
    assert output.startswith("s3://sagemaker-output-")
    assert failure.endswith("failure.json")

    topic = cloud.sns.create_topic(Name="told")["TopicArn"]
    queue = cloud.sqs.create_queue(QueueName="told")["QueueUrl"]
    target = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    cloud.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=target, Attributes={"RawMessageDelivery": "true"})
    output = {**ASYNC["OutputConfig"], "NotificationConfig": {"SuccessTopic": topic}}
    cloud.endpoint(asynchronous={**ASYNC, "OutputConfig": output})
    accepted = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    (message,) = cloud.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert accepted["OutputLocation"].startswith("s3://data/out/")
    assert cloud.read(accepted["OutputLocation"])
    assert json.loads(message["Body"])["responseParameters"]["outputLocation"] == accepted["OutputLocation"]


def test_a_runtime_knows_which_endpoints_there_are(cloud):
    assert SageMakerRuntimeBackend(REGION, ACCOUNT).invoke_endpoint("never made", b"x")[0] == "body"

    assert refusal(cloud.invoke, body={})[1] == f"Endpoint little of account {ACCOUNT} not found."


def test_scalable_targets_and_policies_act(cloud):
    assert not any(name for name in dir(ApplicationAutoscalingBackend) if "alarm" in name or "scale_" in name)

    cloud.endpoint(asynchronous=ASYNC)
    cloud.scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/little/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=2,
        MaxCapacity=2,
    )
    cloud.clock.sleep(600)
    assert cloud.counts() == (2, 2)


def test_alarms_on_the_hosting_are_evaluated(cloud):
    assert not any(name for name in dir(CloudWatchBackend) if "evaluate" in name)

    cloud.endpoint(asynchronous=ASYNC)
    cloud.cloudwatch.put_metric_alarm(
        AlarmName="idle",
        Namespace="AWS/SageMaker",
        MetricName="ApproximateBacklogSize",
        Dimensions=[{"Name": "EndpointName", "Value": "little"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
    )
    cloud.clock.sleep(60)
    (alarm,) = cloud.cloudwatch.describe_alarms(AlarmNames=["idle"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"


def test_changes_of_status_are_events(cloud):
    seen = cloud.event_log()

    cloud.endpoint()

    assert [each["detail"]["EndpointStatus"] for each in seen] == ["CREATING", "IN_SERVICE"]


def test_instances_are_scaled_to_zero_and_components_to_no_copy(cloud):
    dimension = "sagemaker:inference-component:DesiredCopyCount"
    from moto.applicationautoscaling.models import ScalableDimensionValueSet

    assert dimension not in [each.value for each in ScalableDimensionValueSet]
    refused = refusal(
        cloud.scaling.register_scalable_target,
        ServiceNamespace="sagemaker",
        ResourceId="inference-component/lost",
        ScalableDimension=dimension,
        MinCapacity=0,
        MaxCapacity=1,
    )
    assert "No resource found for service namespace: sagemaker" in refused[1]  # and not: no such dimension
