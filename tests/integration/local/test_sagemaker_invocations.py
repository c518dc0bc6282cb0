"""Invoking the simulated hosting: answers at once with their limits, and results that are written and told."""

import json

import pytest

from tests.integration.local.hosting_cloud import ASYNC, FOREIGN, refusal


@pytest.fixture
def cloud(hosting):
    return hosting


@pytest.fixture
def topics(cloud):
    """Give the ARNs of two topics, and what arrives at them."""
    return Topics(cloud)


class Topics:
    def __init__(self, cloud):
        self._sqs = cloud.sqs
        self.good, self.bad = (cloud.sns.create_topic(Name=name)["TopicArn"] for name in ("good", "bad"))
        self._queues = {}
        for arn in (self.good, self.bad):
            url = cloud.sqs.create_queue(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            queue = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            cloud.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
            self._queues[arn] = url

    def config(self, **more):
        output = {**ASYNC["OutputConfig"], "NotificationConfig": {"SuccessTopic": self.good, "ErrorTopic": self.bad}}
        return {**ASYNC, "OutputConfig": {**output, **more}}

    def told(self, arn, *, at_least=1):
        found = []
        while len(found) < at_least:
            got = self._sqs.receive_message(QueueUrl=self._queues[arn], MaxNumberOfMessages=10, WaitTimeSeconds=5)
            assert "Messages" in got, f"{len(found)} messages of {at_least}"
            for message in got["Messages"]:
                self._sqs.delete_message(QueueUrl=self._queues[arn], ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def silent(self, arn):
        return "Messages" not in self._sqs.receive_message(QueueUrl=self._queues[arn], WaitTimeSeconds=0)


# ── Real-time ────────────────────────────────────────────────────────────────────────────────────────────


def test_lmi_generates_text_that_says_that_it_is_simulated(cloud):
    cloud.endpoint()

    one = cloud.invoke({"inputs": "How far is the moon?", "parameters": {"max_new_tokens": 200, "details": True}})
    many = cloud.invoke({"inputs": ["a", "b"]})

    assert one["generated_text"].startswith("[simulated] You asked about “How far is the moon?”")
    assert one["details"]["generated_tokens"] > 20
    assert one["details"]["finish_reason"] == "eos_token"
    assert len(many) == 2


def test_lmi_answers_openai_chats_and_completions_with_usage(cloud):
    cloud.endpoint()

    chat = cloud.invoke({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5})
    completion = cloud.invoke({"prompt": "Hello", "max_tokens": 5})

    assert chat["choices"][0]["message"]["content"].startswith("[simulated]")
    assert chat["choices"][0]["finish_reason"] == "length"
    assert chat["usage"]["completion_tokens"] == 5
    assert completion["choices"][0]["text"].startswith("[simulated]")


def test_a_bundle_with_a_handler_answers_the_same_numbers_for_the_same_text(cloud):
    cloud.bundle(serving__properties="engine=Python\noption.task=feature-extraction\n", model__py="")
    cloud.model("bart", ModelDataSource=None, ModelDataUrl="s3://weights/bundle/model.tar.gz")
    cloud.endpoint("bart")

    first, second, other = (cloud.invoke({"inputs": text}, "bart") for text in ("a", "a", "b"))

    assert first == second != other
    assert all(isinstance(number, float) for number in first)


def test_bytes_and_their_content_type_pass_through_a_foreign_container(cloud):
    cloud.model("own", Image=FOREIGN)
    cloud.endpoint("own")

    answer = cloud.runtime.invoke_endpoint(EndpointName="own", Body=b"\x89PNG\xff\x00{", ContentType="image/png")

    assert (answer["Body"].read(), answer["ContentType"]) == (b"\x89PNG\xff\x00{", "image/png")
    assert answer["InvokedProductionVariant"] == "main"


def test_a_call_takes_as_long_as_its_text(cloud):
    cloud.endpoint()
    began = cloud.clock.timestamp()

    tokens = cloud.invoke({"inputs": "x", "parameters": {"max_new_tokens": 40, "details": True}})["details"]

    assert cloud.clock.timestamp() - began == pytest.approx(0.4 + tokens["generated_tokens"] / 40)


def test_an_endpoint_that_is_not_in_service_is_not_found_by_the_runtime(cloud):
    cloud.endpoint(wait=False)

    assert refusal(cloud.invoke, body={}) == (
        "ValidationError",
        "Endpoint little of account 123456789012 not found.",
    )


def test_a_call_that_takes_longer_than_sixty_seconds_is_a_model_error_without_a_status_of_the_model(cloud):
    cloud.endpoint()
    cloud.simulation.knobs.stall_calls = 1
    began = cloud.clock.timestamp()

    with pytest.raises(cloud.runtime.exceptions.ModelError) as refused:
        cloud.invoke({"inputs": "x"})

    assert cloud.clock.timestamp() - began == 60
    assert refused.value.response["OriginalStatusCode"] == 0
    assert refused.value.response["OriginalMessage"].startswith("Your invocation timed out while waiting")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_a_model_error_carries_what_the_container_said(cloud):
    cloud.endpoint()
    cloud.simulation.knobs.fail_calls = ["it broke"]

    with pytest.raises(cloud.runtime.exceptions.ModelError) as refused:
        cloud.invoke({"inputs": "x"})

    assert (refused.value.response["OriginalStatusCode"], refused.value.response["OriginalMessage"]) == (
        500,
        "it broke",
    )
    assert 'Received server error (500) from primary with message "it broke"' in str(refused.value)
    assert "/aws/sagemaker/Endpoints/little" in refused.value.response["LogStreamArn"]


def test_a_request_that_the_container_does_not_understand_is_its_error(cloud):
    cloud.endpoint()

    with pytest.raises(cloud.runtime.exceptions.ModelError) as refused:
        cloud.invoke(b"{broken")

    assert refused.value.response["OriginalStatusCode"] == 424


def test_a_body_over_six_mebibytes_is_refused(cloud):
    cloud.endpoint()

    code, message = refusal(cloud.invoke, body=b"0" * 6_291_457)

    assert code == "ValidationError"
    assert "length less than or equal to 6291456" in message


def test_calls_are_throttled_as_often_as_the_knob_says(cloud):
    cloud.endpoint()
    cloud.simulation.knobs.throttle_calls = 1

    assert refusal(cloud.invoke, body={"inputs": "x"}) == ("ThrottlingException", "Rate exceeded")
    assert cloud.invoke({"inputs": "x"})


def test_weights_share_the_calls_out_between_variants(cloud):
    cloud.model()
    variants = [
        {"VariantName": name, "ModelName": "little", "InstanceType": kind, "InitialInstanceCount": 1}
        | {"InitialVariantWeight": weight}
        for name, kind, weight in (("a", "ml.g5.xlarge", 3.0), ("b", "ml.g6.xlarge", 1.0))
    ]
    cloud.sagemaker.create_endpoint_config(EndpointConfigName="little", ProductionVariants=variants)
    cloud.sagemaker.create_endpoint(EndpointName="little", EndpointConfigName="little")
    cloud.clock.sleep(600)

    request = {"EndpointName": "little", "Body": b"{}", "ContentType": "text/plain"}
    reached = [cloud.runtime.invoke_endpoint(**request)["InvokedProductionVariant"] for _ in range(40)]
    aimed = cloud.runtime.invoke_endpoint(**request, TargetVariant="b")["InvokedProductionVariant"]

    assert reached.count("a") == pytest.approx(30, abs=2)
    assert aimed == "b"


def test_an_asynchronous_endpoint_answers_no_call_at_once_and_the_other_way_round(cloud):
    cloud.endpoint(asynchronous=ASYNC)
    cloud.endpoint("now")

    assert refusal(cloud.invoke, body={})[1] == "Endpoint little does not support this inference type."
    assert refusal(cloud.submit, body={}, name="now")[1] == "Endpoint now does not support this inference type."


# ── Asynchronous ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_asynchronous_request_is_accepted_at_once_and_its_result_written_later(cloud):
    cloud.endpoint(asynchronous=ASYNC)

    accepted = cloud.submit({"inputs": "Hello"}, InferenceId="mine")
    early = cloud.read(accepted["OutputLocation"])
    cloud.clock.sleep(60)

    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "mine"
    assert accepted["OutputLocation"].startswith("s3://data/out/")
    assert accepted["OutputLocation"].endswith(".out")
    assert accepted["FailureLocation"].startswith("s3://data/failed/")
    assert accepted["FailureLocation"].endswith("-error.out")
    assert early is None
    assert json.loads(cloud.read(accepted["OutputLocation"]))["generated_text"].startswith("[simulated]")


def test_a_result_is_told_to_the_topic_as_the_service_does(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())
    where = cloud.put("in/1.json", json.dumps({"inputs": "Hello"}), bucket="data")

    accepted = cloud.submit(InputLocation=where, InferenceId="mine")
    cloud.clock.sleep(60)

    (told,) = topics.told(topics.good)
    assert told["invocationStatus"] == "Completed"
    assert told["eventName"] == "InferenceResult"
    assert told["inferenceId"] == "mine"
    assert told["requestParameters"] == {
        "contentType": "application/json",
        "endpointName": "little",
        "inputLocation": where,
    }
    assert told["responseParameters"] == {
        "contentType": "application/json",
        "outputLocation": accepted["OutputLocation"],
    }


def test_bytes_and_their_content_type_pass_through_to_the_result(cloud, topics):
    cloud.model("own", Image=FOREIGN)
    cloud.endpoint("own", asynchronous=topics.config())

    accepted = cloud.submit(b"\xff\x00", "own", ContentType="image/png")
    cloud.clock.sleep(60)

    bucket, _, key = accepted["OutputLocation"].removeprefix("s3://").partition("/")
    written = cloud.s3.get_object(Bucket=bucket, Key=key)
    assert (written["Body"].read(), written["ContentType"]) == (b"\xff\x00", "image/png")
    assert topics.told(topics.good)[0]["responseParameters"]["contentType"] == "image/png"


def test_requests_wait_while_all_slots_are_taken(cloud):
    cloud.endpoint(asynchronous=ASYNC)  # two at once
    cloud.simulation.settings.first_token_seconds = 100
    accepted = [cloud.submit({"inputs": str(number)})["OutputLocation"] for number in range(3)]

    cloud.clock.sleep(150)
    early = [cloud.read(each) is not None for each in accepted]
    cloud.clock.sleep(100)

    assert early == [True, True, False]
    assert cloud.read(accepted[2]) is not None


def test_a_failure_is_written_and_told_with_its_reason(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())
    cloud.simulation.knobs.fail_calls = ["it broke"]

    accepted = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    (told,) = topics.told(topics.bad)
    assert told["invocationStatus"] == "Failed"
    assert "it broke" in told["failureReason"]
    assert told["responseParameters"]["failureLocation"] == accepted["FailureLocation"]
    assert b"it broke" in cloud.read(accepted["FailureLocation"])
    assert cloud.read(accepted["OutputLocation"]) is None


def test_the_failure_location_is_seen_at_either_level(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())
    cloud.simulation.settings.failure_location_on_top = True
    cloud.simulation.knobs.fail_calls = ["it broke"]

    accepted = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    assert topics.told(topics.bad)[0]["failureLocation"] == accepted["FailureLocation"]


@pytest.mark.parametrize("status", ["Expired", "Failed"])
def test_a_request_that_waits_longer_than_its_time_to_live_expires(cloud, topics, status):
    cloud.endpoint(asynchronous=topics.config())
    cloud.simulation.settings.expired_status = status
    cloud.simulation.settings.first_token_seconds = 300
    for number in range(2):
        cloud.submit({"inputs": str(number)})

    late = cloud.submit({"inputs": "late"}, RequestTTLSeconds=60)
    cloud.clock.sleep(61)

    (told,) = topics.told(topics.bad)
    assert (told["invocationStatus"], told["inferenceId"]) == (status, late["InferenceId"])


def test_a_request_that_takes_longer_than_its_timeout_fails(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())
    cloud.simulation.settings.first_token_seconds = 300

    cloud.submit({"inputs": "x"}, InvocationTimeoutSeconds=100)
    cloud.clock.sleep(101)

    assert "timed out" in topics.told(topics.bad)[0]["failureReason"]


def test_an_input_that_is_not_there_fails_when_its_turn_comes(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())

    cloud.submit(InputLocation="s3://data/in/lost.json")
    cloud.clock.sleep(60)

    assert "could not be read" in topics.told(topics.bad)[0]["failureReason"]


def test_an_output_that_cannot_be_written_is_a_failure(cloud, topics):
    cloud.endpoint(asynchronous=topics.config(S3OutputPath="s3://nowhere/out"))

    cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    assert "could not be written" in topics.told(topics.bad)[0]["failureReason"]


def test_a_body_of_more_than_128_kb_must_come_from_s3(cloud):
    cloud.endpoint(asynchronous=ASYNC)

    code, message = refusal(cloud.submit, body=b"0" * 128_001)

    assert code == "ValidationError"
    assert "length less than or equal to 128000" in message
    assert refusal(cloud.submit, InputLocation="s3://data/x", Body=b"{}")[0] == "ValidationError"


def test_limits_of_an_asynchronous_request_are_the_service_s_own(cloud):
    cloud.endpoint(asynchronous=ASYNC)

    assert "requestTTLSeconds" in refusal(cloud.submit, body={}, RequestTTLSeconds=59)[1]
    assert "invocationTimeoutSeconds" in refusal(cloud.submit, body={}, InvocationTimeoutSeconds=3601)[1]


def test_deleting_the_endpoint_loses_what_waits(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())
    accepted = cloud.submit({"inputs": "x"}, InvocationTimeoutSeconds=900)
    cloud.simulation.settings.first_token_seconds = 500
    waiting = cloud.submit({"inputs": "y"})

    cloud.sagemaker.delete_endpoint(EndpointName="little")
    cloud.clock.sleep(3600 * 24)

    assert cloud.read(accepted["OutputLocation"]) is not None  # it was answered before the endpoint was gone
    assert cloud.read(waiting["OutputLocation"]) is None
    assert topics.silent(topics.bad)


def test_results_are_lost_or_told_twice_where_a_knob_says_so(cloud, topics):
    cloud.endpoint(asynchronous=topics.config())
    cloud.simulation.knobs.lose_sns = 1
    cloud.simulation.knobs.duplicate_sns = 1

    lost = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)
    twice = cloud.submit({"inputs": "x"})
    cloud.clock.sleep(60)

    told = topics.told(topics.good, at_least=2)
    assert [each["inferenceId"] for each in told] == [twice["InferenceId"]] * 2
    assert cloud.read(lost["OutputLocation"]) is not None
