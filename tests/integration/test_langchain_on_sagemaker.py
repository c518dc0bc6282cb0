"""SagemakerAsyncEndpoint against the simulated SageMaker, over HTTP: cold, slow, failed, expired."""

import pytest
from pilotlight_client import TimedOut
from pilotlight_client.async_endpoint import AnswerExpired, AnswerFailed, EndpointNotThere
from pilotlight_client.errors import ModelIsCold
from pilotlight_client.langchain import SagemakerAsyncEndpoint

from tests.integration.local.hosting_cloud import ASYNC

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/little/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
FROM_ZERO = {
    "AdjustmentType": "ChangeInCapacity",
    "MetricAggregationType": "Maximum",
    "Cooldown": 60,
    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
}


@pytest.fixture
def cloud(hosting):
    return hosting


class CloudTime:
    """The simulated cloud's own time: waiting lets it pass there."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self.began = clock.timestamp()

    @property
    def passed(self) -> float:
        return self._clock.timestamp() - self.began

    def monotonic(self) -> float:
        return float(self._clock.timestamp())

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def llm(cloud):
    def make(**fields) -> SagemakerAsyncEndpoint:
        clients = {"client": cloud.runtime, "sm_client": cloud.sagemaker, "s3_client": cloud.s3}
        made = SagemakerAsyncEndpoint(
            endpoint_name="little", model_kwargs={"max_new_tokens": 32}, **{"input_bucket": "data", **clients, **fields}
        )
        made._time = CloudTime(cloud.clock)
        return made

    return make


def bring_to_zero(cloud) -> None:
    """Let an endpoint have no instance, and one as soon as something waits."""
    cloud.endpoint(asynchronous=ASYNC)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}]
    )
    cloud.scaling.register_scalable_target(**VARIANT, MinCapacity=0, MaxCapacity=1)
    policy = cloud.scaling.put_scaling_policy(
        **VARIANT, PolicyName="from-zero", PolicyType="StepScaling", StepScalingPolicyConfiguration=FROM_ZERO
    )
    cloud.cloudwatch.put_metric_alarm(
        AlarmName="from-zero",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": "little"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )
    cloud.clock.sleep(300)
    assert cloud.counts() == (0, 0)


@pytest.mark.parametrize("bucket", ["data", None])
def test_a_warm_endpoint_answers_a_prompt(cloud, llm, bucket):
    cloud.endpoint(asynchronous=ASYNC)

    said = llm(input_bucket=bucket, input_prefix="mine").invoke("What keeps a model warm?")

    assert "What keeps a model warm?" in said
    inputs = cloud.s3.list_objects_v2(Bucket="data", Prefix="mine/").get("Contents", [])
    assert len(inputs) == (1 if bucket else 0)


def test_a_cold_endpoint_wakes_for_the_request_and_answers_it(cloud, llm):
    bring_to_zero(cloud)
    model = llm(max_request_timeout=60)

    said = model.invoke("Is anybody there?")

    assert "Is anybody there?" in said
    assert 120 < model._time.passed < 1800


def test_a_cold_endpoint_that_is_not_waited_for_wakes_all_the_same(cloud, llm):
    bring_to_zero(cloud)

    with pytest.raises(ModelIsCold):
        llm(when_cold="raise").invoke("Is anybody there?")

    cloud.clock.sleep(600)
    assert "Is anybody there?" in llm(when_cold="raise").invoke("Is anybody there?")


def test_an_answer_that_takes_longer_than_it_may_is_left_where_it_will_lie(cloud, llm):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.simulation.settings.first_token_seconds = 300

    with pytest.raises(TimedOut, match=r"no answer after 90 s: the endpoint is InService with 1 instances") as caught:
        llm().invoke("What takes so long?")

    cloud.clock.sleep(600)
    location = str(caught.value).rpartition(" ")[2].rstrip(".")
    assert cloud.read(location) is not None


def test_what_the_container_refuses_is_told(cloud, llm):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.simulation.knobs.fail_calls = ["CUDA out of memory"]

    with pytest.raises(AnswerFailed, match="CUDA out of memory"):
        llm().invoke("Why?")


def test_a_request_that_nobody_takes_expires(cloud, llm):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="little", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}]
    )
    cloud.clock.sleep(60)
    kwargs = {"RequestTTLSeconds": 60, "InvocationTimeoutSeconds": 60}

    with pytest.raises((AnswerExpired, AnswerFailed)):
        llm(endpoint_kwargs=kwargs).invoke("Is anybody there?")


def test_an_endpoint_that_does_not_exist_is_said_not_to(cloud, llm):
    with pytest.raises(EndpointNotThere, match="There is no endpoint little"):
        llm().invoke("Hello?")
