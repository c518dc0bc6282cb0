"""Calls of SageMaker's endpoints: what is sent, and what their answers and errors mean."""

import io
import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectTimeoutError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.stub import ANY, Stubber
from pilotlight.adapters.sagemaker_async import AsyncInference
from pilotlight.adapters.sagemaker_calls import call_config
from pilotlight.adapters.sagemaker_realtime import RealtimeInference
from pilotlight.domain.containers import ContainerSettings
from pilotlight.domain.errors import (
    AccessDenied,
    InvalidInput,
    InvocationFailed,
    InvocationTimedOut,
    ModelNotReady,
    NothingAnswered,
    Terminal,
    Throttled,
    Unavailable,
)
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation import Parameters
from pilotlight.domain.invocation_request import Content
from pilotlight.domain.serving import ServingSettings, Task
from pilotlight.domain.values import Backend

from tests.factories import a_deployment, a_hosted_deployment

SECRET = "the vault's code is 4711"
NAME = "pilotlight-llama-g1"
JSON = "application/json"
TIMED_OUT = (
    'Received server error (0) from primary with message "Your invocation timed out while waiting for a response from '
    "container primary. Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try "
    'again."'
)
NO_CAPACITY = "Inference Component has no capacity to process this request."


class Endpoint:
    """A client whose next call is expected to be so, and says this; it refuses what AWS would refuse."""

    def __init__(self):
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        self.client = boto3.client("sagemaker-runtime", region_name="us-east-1", config=call_config(60.0), **keys)
        self.stub = Stubber(self.client)
        self.stub.activate()
        self.waits = []

    def answers(self, body: bytes, content_type=JSON, **asked):
        told = {"Body": io.BytesIO(body), "ContentType": content_type}
        self.stub.add_response("invoke_endpoint", told, asked or None)

    def takes(self, **asked):
        told = {"OutputLocation": "s3://b-b/out", "FailureLocation": "s3://b-b/failed"}
        self.stub.add_response("invoke_endpoint_async", told, asked or None)

    def refuses(self, code, message=SECRET, status=400, operation="invoke_endpoint", **fields):
        self.stub.add_client_error(
            operation, code, service_message=message, http_status_code=status, modeled_fields=fields
        )

    def client_for(self, seconds):
        self.waits.append(seconds)
        return self.client

    @property
    def realtime(self):
        return RealtimeInference(self.client_for)

    @property
    def asynchronous(self):
        return AsyncInference(self.client_for)


@pytest.fixture
def endpoint():
    return Endpoint()


def realtime(**fields):
    return a_hosted_deployment(backend=Backend.SAGEMAKER_REALTIME, **fields)


def pass_on(endpoint, content=None, *, within=20.0, deployment=None):
    return endpoint.realtime.pass_on(
        deployment or realtime(), content or Content(data=b"{}"), timeout_seconds=within, correlation_id="c-1"
    )


# ---- real-time -------------------------------------------------------------------------------------------------


def test_a_body_goes_as_it_is_and_comes_back_as_it_is(endpoint):
    asked = {"Body": b"\x89PNG", "ContentType": "image/png", "Accept": "image/*", "InferenceId": "c-1"}
    endpoint.answers(b"\xff\x00", "image/webp", EndpointName=NAME, **asked)

    answer = pass_on(endpoint, Content(data=b"\x89PNG", content_type="image/png", accept="image/*"))

    assert (answer.data, answer.content_type) == (b"\xff\x00", "image/webp")


def test_a_prompt_goes_in_the_form_of_text_generation(endpoint):
    endpoint.answers(b'{"generated_text": "Yes.", "details": {"generated_tokens": 2, "finish_reason": "length"}}')

    answer = endpoint.realtime.complete(
        realtime(), "Why?", Parameters(max_tokens=2), timeout_seconds=20, correlation_id="c-1"
    )

    assert (answer.completion, answer.stop_reason, answer.usage.output_tokens) == ("Yes.", "length", 2)


def test_a_component_is_named_beside_its_endpoint(endpoint):
    deployment = realtime(revision=3)
    scaling = deployment.endpoint.scaling.changed(components=True)
    deployment = deployment.changed(endpoint=deployment.endpoint.changed(scaling=scaling))
    asked = {"Body": ANY, "ContentType": JSON, "InferenceId": "c-1"}
    endpoint.answers(b"1", EndpointName=NAME, InferenceComponentName=f"{NAME}-v3", **asked)

    assert pass_on(endpoint, deployment=deployment).data == b"1"


@pytest.mark.parametrize("deployment", [a_deployment(backend=Backend.SAGEMAKER_REALTIME), realtime(exists=False)])
def test_a_deployment_without_an_endpoint_is_not_ready(endpoint, deployment):
    with pytest.raises(ModelNotReady):
        pass_on(endpoint, deployment=deployment)


@pytest.mark.parametrize(
    ("code", "message", "status", "raised"),
    [
        ("ModelNotReadyException", SECRET, 429, ModelNotReady),
        ("ValidationError", f"Endpoint {NAME} of account 123456789012 not found.", 400, ModelNotReady),
        ("ValidationError", NO_CAPACITY, 400, ModelNotReady),
        ("ValidationError", SECRET, 400, InvocationFailed),
        ("ThrottlingException", SECRET, 400, Throttled),
        ("ServiceUnavailable", SECRET, 503, Unavailable),
        ("InternalFailure", SECRET, 500, Unavailable),
        ("InternalDependencyException", SECRET, 530, Unavailable),
        ("AccessDeniedException", "no such permission", 403, AccessDenied),
        ("NobodyKnows", SECRET, 400, Terminal),
    ],
)
def test_an_error_means_what_its_code_and_its_words_say(endpoint, code, message, status, raised):
    endpoint.refuses(code, message, status)

    with pytest.raises(raised) as caught:
        pass_on(endpoint)

    assert type(caught.value) is raised
    assert SECRET not in caught.value.message


def test_a_containers_own_error_is_for_the_caller_and_for_nobody_else(endpoint):
    endpoint.refuses("ModelError", f"server error {SECRET}", 424, OriginalStatusCode=500, OriginalMessage=SECRET)

    with pytest.raises(InvocationFailed) as caught:
        pass_on(endpoint)

    assert caught.value.detail["told"] == SECRET
    assert caught.value.detail["container_status"] == 500
    assert SECRET not in caught.value.message
    assert type(caught.value) is InvocationFailed


@pytest.mark.parametrize("fields", [{"OriginalStatusCode": 0}, {}])
def test_the_services_limit_is_told_apart_from_a_failure_and_names_what_has_more(endpoint, fields):
    endpoint.refuses("ModelError", TIMED_OUT if not fields else SECRET, 424, **fields)

    with pytest.raises(InvocationTimedOut, match=r"60 s.*sagemaker-async.*3600 s") as caught:
        pass_on(endpoint, within=60)

    assert caught.value.detail["limit_seconds"] == 60


def test_a_container_that_says_408_by_itself_has_failed_and_not_reached_the_limit(endpoint):
    endpoint.refuses("ModelError", "server error", 424, OriginalStatusCode=408, OriginalMessage="too slow")

    with pytest.raises(InvocationFailed) as caught:
        pass_on(endpoint)

    assert type(caught.value) is InvocationFailed


@pytest.mark.parametrize(("within", "waits"), [(20.0, 20.0), (60.0, 65.0), (840.0, 65.0)])
def test_a_call_waits_as_long_as_asked_and_past_the_services_own_limit(endpoint, within, waits):
    endpoint.answers(b"1")

    pass_on(endpoint, within=within)

    assert endpoint.waits == [waits]


@pytest.mark.parametrize(
    ("breaks", "raised"),
    [
        (ReadTimeoutError(endpoint_url="https://sagemaker"), InvocationTimedOut),
        (ConnectTimeoutError(endpoint_url="https://sagemaker"), Unavailable),
    ],
)
def test_a_connection_that_breaks_is_a_timeout_where_the_call_was_taken(breaks, raised):
    class Broken:
        def invoke_endpoint(self, **_):
            raise breaks

    with pytest.raises(raised) as caught:
        RealtimeInference(lambda _: Broken()).pass_on(
            realtime(), Content(data=b"{}"), timeout_seconds=20, correlation_id="c-1"
        )

    assert raised is Unavailable or "with timeout_seconds 60: it is then queued" in caught.value.message


@pytest.mark.parametrize(
    ("breaks", "raised"),
    [
        (IncompleteReadError(actual_bytes=1, expected_bytes=9), "lost on its way"),
        (ResponseStreamingError(error="reset"), "lost on its way"),
        (ReadTimeoutError(endpoint_url="https://sagemaker"), "did not answer within"),
    ],
)
def test_an_answer_that_is_lost_while_it_is_read_is_not_generated_again(breaks, raised):
    class Body:
        def read(self):
            raise breaks

    class Answering:
        def invoke_endpoint(self, **_):
            return {"Body": Body()}

    with pytest.raises(InvocationFailed, match=raised):
        RealtimeInference(lambda _: Answering()).pass_on(
            realtime(), Content(data=b"{}"), timeout_seconds=20, correlation_id="c-1"
        )


def test_a_body_that_is_too_large_never_leaves(endpoint):
    with pytest.raises(InvalidInput, match="sagemaker-async"):
        pass_on(endpoint, Content(data=b"1" * 6_291_457))


def test_a_call_is_made_once():
    config = call_config(20.0)

    assert isinstance(config, Config)
    assert config.retries["total_max_attempts"] == 1
    assert (config.read_timeout, call_config(20.0) is config) == (20.0, True)


# ---- probes ----------------------------------------------------------------------------------------------------


def probe(endpoint, deployment=None):
    return endpoint.realtime.probe(deployment or realtime(), correlation_id="c-1")


@pytest.mark.parametrize(
    ("task", "body"),
    [(None, {"inputs": "Hi", "parameters": {"max_new_tokens": 1}}), (Task.FEATURE_EXTRACTION, {"inputs": "."})],
)
def test_a_probe_asks_for_the_least_that_a_task_has(endpoint, task, body):
    sent = json.dumps(body, separators=(",", ":")).encode()
    endpoint.answers(b"1", EndpointName=NAME, Body=sent, ContentType=JSON, InferenceId="c-1")

    assert probe(endpoint, realtime().changed(hosting=Hosting(serving=ServingSettings(task=task))))


@pytest.mark.parametrize(
    ("code", "status", "fields", "answered"),
    [
        ("ModelError", 424, {"OriginalStatusCode": 400}, True),  # it is up, and takes something else
        ("ModelError", 424, {"OriginalStatusCode": 500}, False),
        ("ModelError", 424, {}, False),
        ("ModelNotReadyException", 429, {}, False),
        ("ServiceUnavailable", 503, {}, False),
        ("ThrottlingException", 400, {}, False),
    ],
)
def test_a_container_that_refuses_a_probe_is_up_and_one_that_breaks_is_not(endpoint, code, status, fields, answered):
    endpoint.refuses(code, "no", status, **fields)

    assert probe(endpoint) is answered


OWN_IMAGE = Hosting(container=ContainerSettings(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"))
OWN_CODE = Hosting(serving=ServingSettings(files={"model.py": "def handle(inputs): ..."}))
VECTORS = Hosting(serving=ServingSettings(task=Task.FEATURE_EXTRACTION))
JUMPSTART = {"source": "jumpstart://huggingface-txt2img"}


@pytest.mark.parametrize(
    "told",
    [{"hosting": OWN_IMAGE}, {"hosting": OWN_CODE}, {"hosting": VECTORS}, JUMPSTART],
    ids=["own image", "own code", "vectors", "jumpstart"],
)
def test_a_healthy_container_that_breaks_by_a_probe_that_means_nothing_to_it_is_up(endpoint, told):
    endpoint.refuses("ModelError", "KeyError: 'image'", 424, OriginalStatusCode=500)

    assert probe(endpoint, realtime().changed(**told))


def test_a_probe_that_takes_longer_than_it_may_was_not_answered(endpoint):
    endpoint.refuses("ModelError", TIMED_OUT, 424, OriginalStatusCode=0)

    with pytest.raises(NothingAnswered):
        probe(endpoint)


@pytest.mark.parametrize(
    ("code", "raised"), [("AccessDeniedException", AccessDenied), ("ValidationError", InvocationFailed)]
)
def test_a_probe_that_nobody_will_ever_answer_says_so(endpoint, code, raised):
    endpoint.refuses(code, "no", 400)

    with pytest.raises(raised):
        probe(endpoint)


# ---- asynchronous ----------------------------------------------------------------------------------------------


def submit(endpoint, content=None, *, waits=600, runs=900, deployment=None):
    return endpoint.asynchronous.submit(
        deployment or a_hosted_deployment(),
        content or Content(data=b"{}"),
        invocation_id="i-1",
        waits_seconds=waits,
        runs_seconds=runs,
        correlation_id="c-1",
    )


def test_a_short_body_goes_in_the_call_itself(endpoint):
    endpoint.takes(
        EndpointName=NAME,
        Body=b"{}",
        ContentType=JSON,
        InferenceId="i-1",
        CustomAttributes="c-1",
        RequestTTLSeconds=600,
        InvocationTimeoutSeconds=900,
    )

    taken = submit(endpoint)

    assert (taken.output_location, taken.failure_location) == ("s3://b-b/out", "s3://b-b/failed")


def test_a_body_in_a_bucket_is_named(endpoint):
    endpoint.takes(
        EndpointName=NAME,
        InputLocation="s3://b-b/k",
        ContentType="image/png",
        Accept="text/csv",
        InferenceId="i-1",
        CustomAttributes="c-1",
        RequestTTLSeconds=600,
        InvocationTimeoutSeconds=900,
    )

    assert submit(endpoint, Content(location="s3://b-b/k", content_type="image/png", accept="text/csv"))


@pytest.mark.parametrize(
    ("waits", "runs", "sent"),
    [(5, 1, (60, 1)), (60, 3600, (60, 3600)), (21_600, 900, (21_600, 900)), (99_999, 99_999, (21_600, 3600))],
)
def test_times_are_those_that_the_service_takes(endpoint, waits, runs, sent):
    rest = {"EndpointName": ANY, "Body": ANY, "ContentType": ANY, "InferenceId": ANY, "CustomAttributes": ANY}
    endpoint.takes(RequestTTLSeconds=sent[0], InvocationTimeoutSeconds=sent[1], **rest)

    submit(endpoint, waits=waits, runs=runs)


@pytest.mark.parametrize(
    ("code", "message", "status", "raised"),
    [
        ("ValidationError", f"Endpoint {NAME} of account 123456789012 not found.", 400, ModelNotReady),
        ("ValidationError", SECRET, 400, InvocationFailed),
        ("ServiceUnavailable", SECRET, 503, Unavailable),
        ("AccessDeniedException", "no such permission", 403, AccessDenied),
    ],
)
def test_a_call_that_is_not_taken_says_why(endpoint, code, message, status, raised):
    endpoint.refuses(code, message, status, operation="invoke_endpoint_async")

    with pytest.raises(raised) as caught:
        submit(endpoint)

    assert SECRET not in caught.value.message


def test_a_deployment_that_is_parked_takes_no_calls(endpoint):
    with pytest.raises(ModelNotReady):
        submit(endpoint, deployment=a_hosted_deployment(exists=False, parked=True))


def test_a_request_that_aws_would_not_take_is_refused_without_a_word_of_it(endpoint):
    endpoint.takes()
    wrong = Content.model_construct(data=SECRET.encode(), location=None, content_type=5, accept=None)

    with pytest.raises(Terminal) as caught:
        submit(endpoint, wrong)

    assert SECRET not in str(caught.value)
