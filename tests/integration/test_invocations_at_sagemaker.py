"""Our calls against the simulated SageMaker: what it takes, what it tells, and where it says no."""

import json

import pytest
from pilotlight.adapters.backlog import CloudWatchBacklog
from pilotlight.adapters.invocation_bodies import S3InvocationBodies
from pilotlight.adapters.sagemaker_async import AsyncInference
from pilotlight.adapters.sagemaker_realtime import RealtimeInference
from pilotlight.contracts import AsyncResult
from pilotlight.domain import lmi
from pilotlight.domain.errors import InvocationFailed, InvocationTimedOut, ModelNotReady, Throttled
from pilotlight.domain.invocation import ChatMessage, Form, InvocationStatus, Parameters, Submission
from pilotlight.domain.invocation_request import Content, payload_bytes
from pilotlight.domain.values import Backend

from tests.factories import a_hosted_deployment, an_invocation
from tests.integration.local.hosting_cloud import FOREIGN
from tests.world import World

INVOCATION = "01m7xjatx3r2mp3v28rfs2rgqb"
RESULTS = {"S3OutputPath": "s3://data/results/llama-g1/done", "S3FailurePath": "s3://data/results/llama-g1/failed"}


@pytest.fixture
def cloud(hosting):
    return hosting


@pytest.fixture
def realtime(cloud):
    return RealtimeInference(lambda _seconds: cloud.runtime)


@pytest.fixture
def topic(cloud):
    """Return a topic, and what arrives at it, as SageMaker writes it."""
    arn = cloud.sns.create_topic(Name="results")["TopicArn"]
    url = cloud.sqs.create_queue(QueueName="results")["QueueUrl"]
    queue = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    cloud.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})

    def told():
        (message,) = cloud.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        cloud.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return AsyncResult.model_validate_json(message["Body"])

    return arn, told


def asynchronous(cloud, topic, **variant):
    output = {**RESULTS, "NotificationConfig": {"SuccessTopic": topic[0], "ErrorTopic": topic[0]}}
    config = {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1}, "OutputConfig": output}
    cloud.endpoint("pilotlight-llama-g1", asynchronous=config, **variant)


def submit(cloud, content, *, waits=600, runs=900):
    return AsyncInference(lambda _seconds: cloud.runtime).submit(
        a_hosted_deployment(),
        content,
        invocation_id=INVOCATION,
        waits_seconds=waits,
        runs_seconds=runs,
        correlation_id="c-1",
    )


def a_world(cloud, submitted, *, form=Form.BODY):
    """Return the services over this bucket, with a record that says what was handed over."""
    world = World()
    world.clock.set(cloud.clock.now())
    world.bodies = S3InvocationBodies(cloud.s3, "data", lambda: cloud.s3, world.clock.now)
    world._build_answering()
    world.deployments.shelf.write("llama", a_hosted_deployment(), 1)
    now = world.clock.now()
    by = now.replace(year=now.year + 1)
    invocation = an_invocation(
        INVOCATION,
        now=now,
        backend=Backend.SAGEMAKER_ASYNC,
        form=form,
        status=InvocationStatus.RUNNING,
        submission=Submission(at=now, by=by, **submitted.dump()),
    )
    world.invocations.put(invocation)
    return world


def pass_on(realtime, content=None, deployment=None):
    return realtime.pass_on(
        deployment or hosted(), content or Content(data=b"{}"), timeout_seconds=60, correlation_id="c-1"
    )


def hosted(**fields):
    return a_hosted_deployment(backend=Backend.SAGEMAKER_REALTIME, **fields)


# ---- real-time -------------------------------------------------------------------------------------------------


def test_a_prompt_is_answered_with_its_tokens(cloud, realtime):
    cloud.endpoint("pilotlight-llama-g1")

    answer = realtime.complete(
        hosted(), "How far is the moon?", Parameters(max_tokens=20), timeout_seconds=20, correlation_id="c-1"
    )

    assert answer.completion.startswith("[simulated]")
    assert (answer.usage.output_tokens, answer.stop_reason) == (20, "length")


def test_messages_are_answered_in_the_chat_form(cloud, realtime):
    cloud.endpoint("pilotlight-llama-g1")
    body = lmi.chat_body((ChatMessage(role="user", content="Hello"),), Parameters(max_tokens=5))

    answer = lmi.require_generation(pass_on(realtime, Content(data=payload_bytes(body))).data, "llama")

    assert (answer.stop_reason, answer.usage.output_tokens) == ("length", 5)


def test_bytes_pass_through_a_container_of_ones_own(cloud, realtime):
    cloud.model("pilotlight-llama-g1", Image=FOREIGN)
    cloud.endpoint("pilotlight-llama-g1")

    answer = pass_on(realtime, Content(data=b"\x89PNG\xff\x00", content_type="image/png"))

    assert (answer.data, answer.content_type) == (b"\x89PNG\xff\x00", "image/png")


def test_an_endpoint_that_is_not_in_service_is_not_ready(cloud, realtime):
    cloud.endpoint("pilotlight-llama-g1", wait=False)

    with pytest.raises(ModelNotReady):
        pass_on(realtime)
    assert realtime.probe(hosted(), correlation_id="c-1") is False
    cloud.clock.sleep(1200)
    assert realtime.probe(hosted(), correlation_id="c-1") is True


def test_the_services_limit_is_told_apart_from_a_failure(cloud, realtime):
    cloud.endpoint("pilotlight-llama-g1")
    cloud.simulation.knobs.stall_calls = 1

    with pytest.raises(InvocationTimedOut, match="sagemaker-async"):
        pass_on(realtime)
    cloud.simulation.knobs.fail_calls = ["CUDA out of memory"]
    with pytest.raises(InvocationFailed) as caught:
        pass_on(realtime)

    assert "CUDA out of memory" in caught.value.detail["told"]
    assert "CUDA" not in caught.value.message


def test_a_throttled_call_says_so(cloud, realtime):
    cloud.endpoint("pilotlight-llama-g1")
    cloud.simulation.knobs.throttle_calls = 1

    with pytest.raises(Throttled):
        pass_on(realtime)


# ---- asynchronous ----------------------------------------------------------------------------------------------


def test_an_answer_is_told_and_taken(cloud, topic):
    asynchronous(cloud, topic)
    body = payload_bytes(lmi.generation_body("Why?", Parameters(max_tokens=20)))
    submitted = submit(cloud, Content(data=body))
    world = a_world(cloud, submitted, form=Form.TEXT)
    cloud.clock.sleep(30)
    world.clock.set(cloud.clock.now())

    told = topic[1]()
    world.async_results.note(told)

    view = world.invocation_views.of(world.invocations.get(INVOCATION))
    assert (told.inference_id, told.output_location) == (INVOCATION, submitted.output_location)
    assert view.status is InvocationStatus.SUCCEEDED
    assert view.output.text.startswith("[simulated]")
    assert (view.usage.output_tokens, view.content_type) == (20, "application/json")
    assert 0 < view.latency_ms < 5_000


def test_bytes_that_lie_in_a_bucket_come_back_as_bytes(cloud, topic):
    cloud.model("pilotlight-llama-g1", Image=FOREIGN)
    asynchronous(cloud, topic)
    location = cloud.put("invocations/i-1/content", b"\x89PNG\xff", bucket="data")
    submitted = submit(cloud, Content(location=location, content_type="image/png"))
    world = a_world(cloud, submitted)
    cloud.clock.sleep(30)

    world.async_results.note(topic[1]())

    view = world.invocation_views.of(world.invocations.get(INVOCATION))
    assert (view.content_type, view.body) == ("image/png", None)
    assert world.bodies.read(view.output_location, 10) == b"\x89PNG\xff"


@pytest.mark.parametrize("on_top", [True, False])
def test_a_failure_is_told_with_the_containers_own_words(cloud, topic, on_top):
    asynchronous(cloud, topic)
    cloud.simulation.settings = cloud.simulation.settings.__class__(failure_location_on_top=on_top)
    cloud.simulation.knobs.fail_calls = ["CUDA out of memory"]
    world = a_world(cloud, submit(cloud, Content(data=b'{"inputs": "a"}')))
    cloud.clock.sleep(30)

    told = topic[1]()
    world.async_results.note(told)

    view = world.invocation_views.of(world.invocations.get(INVOCATION))
    assert told.failure_location
    assert view.error["code"] == "invocation-failed"
    assert "CUDA out of memory" in view.error["told"]


@pytest.mark.parametrize("called", ["Expired", "Failed"])
def test_what_waited_for_too_long_is_expired(cloud, topic, called):
    asynchronous(cloud, topic)
    cloud.simulation.settings = cloud.simulation.settings.__class__(expired_status=called)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="pilotlight-llama-g1",
        DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}],
    )
    cloud.clock.sleep(600)
    world = a_world(cloud, submit(cloud, Content(data=b"{}"), waits=60))
    cloud.clock.sleep(300)

    world.async_results.note(topic[1]())

    assert world.invocations.get(INVOCATION).error_code == "deadline-passed"


def test_a_call_that_ran_for_too_long_is_told_apart_from_a_failure(cloud, topic):
    asynchronous(cloud, topic)
    cloud.simulation.knobs.stall_calls = 1
    body = payload_bytes(lmi.generation_body("Why?", Parameters(max_tokens=5000)))
    world = a_world(cloud, submit(cloud, Content(data=body), runs=1))
    cloud.clock.sleep(300)

    world.async_results.note(topic[1]())

    assert world.invocations.get(INVOCATION).error_code == "invocation-timed-out"


def test_a_result_that_is_never_told_is_found_in_the_bucket(cloud, topic):
    asynchronous(cloud, topic)
    cloud.simulation.knobs.lose_sns = 1
    world = a_world(cloud, submit(cloud, Content(data=b'{"inputs": "a"}')))
    world.in_flight.put(world.invocations.get(INVOCATION))
    cloud.clock.sleep(300)
    world.clock.set(cloud.clock.now())

    assert world.async_results.look(world.deployment()) == 1

    assert world.invocations.get(INVOCATION).status is InvocationStatus.SUCCEEDED


def test_the_backlog_is_what_the_endpoint_measures(cloud, topic):
    asynchronous(cloud, topic)
    cloud.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="pilotlight-llama-g1",
        DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}],
    )
    cloud.clock.sleep(600)
    for _ in range(3):
        submit(cloud, Content(data=b"{}"))
    cloud.clock.sleep(120)

    sizes = CloudWatchBacklog(lambda: cloud.cloudwatch, cloud.clock.now).sizes("pilotlight-llama-g1")

    assert sizes.size == 3
    assert sizes.oldest_age_seconds > 0


def test_a_notice_that_comes_twice_changes_nothing(cloud, topic):
    asynchronous(cloud, topic)
    cloud.simulation.knobs.duplicate_sns = 1
    world = a_world(cloud, submit(cloud, Content(data=b'{"inputs": "a"}')))
    cloud.clock.sleep(30)

    for _ in range(2):
        world.async_results.note(topic[1]())

    assert len(world.journal.invocations) == 1
    assert json.loads(json.dumps(world.invocations.get(INVOCATION).dump()))["status"] == "SUCCEEDED"
