"""SagemakerAsyncEndpoint with boto3's own clients, whose requests a fake of SageMaker and S3 answers."""

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from pilotlight_client import NotReachable, TimedOut
from pilotlight_client.async_endpoint import AnswerExpired, AnswerFailed, AsyncEndpointError, EndpointNotThere
from pilotlight_client.errors import ModelIsCold
from pilotlight_client.langchain import LLMContentHandler, SagemakerAsyncEndpoint
from pydantic import ValidationError

BUCKET = "inputs"
ANSWER = b'{"generated_text": "Four."}'
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "very-secret", "region_name": "us-east-1"}


class FakeAws:
    """One asynchronous endpoint and the buckets around it; what is `due` comes when its time has come."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.status = "InService"
        self.instances = 1
        self.failure_reason: str | None = None
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.requests: list[Any] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.denied: set[str] = set()
        self.is_reachable = True

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.due.append((seconds, act))

    def put(self, key: str, content: bytes) -> Callable[[], None]:
        return lambda: self.objects.__setitem__(f"{BUCKET}/{key}", content)

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        if not self.is_reachable:
            raise EndpointConnectionError(endpoint_url=request.url)
        for moment, act in self.due:
            if moment <= self._now():
                act()
        status, headers, content = self._answer(request)
        raw = io.BytesIO(content)
        raw.stream = lambda *_args, **_named: iter([content])  # type: ignore[attr-defined] # as urllib3's has
        return AWSResponse(request.url, status, headers, raw)

    def _answer(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(request.url)
        target = _text(request.headers.get("X-Amz-Target", ""))
        if url.hostname and url.hostname.startswith("runtime.sagemaker"):
            return self._invoke(request)
        return self._describe() if target else self._s3(request, url.hostname or "", unquote(url.path))

    def _invoke(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        self.requests.append(request)
        if self.status == "gone":
            return _error(400, "ValidationError", "Endpoint demo of account 123456789012 not found.")
        headers = {
            "X-Amzn-SageMaker-OutputLocation": f"s3://{BUCKET}/out/1.out",
            "X-Amzn-SageMaker-FailureLocation": f"s3://{BUCKET}/err/1-error.out",
        }
        return 202, headers, json.dumps({"InferenceId": "n1"}).encode()

    def _describe(self) -> tuple[int, dict[str, str], bytes]:
        if "describe" in self.denied:
            return _error(400, "AccessDeniedException", "is not authorized to perform: sagemaker:DescribeEndpoint")
        if self.status == "gone":
            return _error(400, "ValidationException", 'Could not find endpoint "arn:aws:sagemaker:…/demo".')
        told = {
            "EndpointName": "demo",
            "EndpointStatus": self.status,
            "ProductionVariants": [{"VariantName": "main", "CurrentInstanceCount": self.instances}],
        }
        return (
            200,
            {},
            json.dumps(told | ({"FailureReason": self.failure_reason} if self.failure_reason else {})).encode(),
        )

    def _s3(self, request: Any, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
        place = path.removeprefix("/") if host.startswith("s3.") else f"{host.partition('.')[0]}{path}"
        if request.method == "PUT":
            body = request.body
            self.objects[place] = body.read() if hasattr(body, "read") else bytes(body)
            self.types[place] = _text(request.headers["Content-Type"])
            return 200, {"ETag": '"x"'}, b""
        if place in self.objects:
            return 200, {"Content-Length": str(len(self.objects[place]))}, self.objects[place]
        code = "AccessDenied" if "list" in self.denied else "NoSuchKey"
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        return (403 if code == "AccessDenied" else 404), {}, body


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _error(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"x-amzn-ErrorType": code}, json.dumps({"__type": code, "message": message}).encode()


@pytest.fixture(scope="module")
def clients():
    names = {"client": "sagemaker-runtime", "sm_client": "sagemaker", "s3_client": "s3"}
    config = Config(
        request_checksum_calculation="when_required"
    )  # else a body comes in chunks, with its checksum after
    return {field: boto3.client(service, config=config, **KEYS) for field, service in names.items()}


@pytest.fixture
def aws(elapsing, clients):
    fake = FakeAws(elapsing.monotonic)
    for client in clients.values():
        client.meta.events.register("before-send", fake)
    yield fake
    for client in clients.values():
        client.meta.events.unregister("before-send", fake)


@pytest.fixture
def llm(aws, clients, elapsing):
    def make(**fields) -> SagemakerAsyncEndpoint:
        given = {"endpoint_name": "demo", "input_bucket": BUCKET, "input_prefix": "in/mine/", **clients, **fields}
        made = SagemakerAsyncEndpoint(**given)
        made._time = elapsing
        return made

    return make


def test_a_prompt_goes_through_the_bucket_and_its_answer_is_looked_for_in_s3(llm, call, aws, elapsing):
    aws.after(5, aws.put("out/1.out", ANSWER))

    said = call(llm(model_kwargs={"max_new_tokens": 9}, endpoint_kwargs={"RequestTTLSeconds": 600}), "2+2?")

    assert said == "Four."
    (place,) = [key for key in aws.objects if key.startswith(f"{BUCKET}/in/mine/")]
    assert json.loads(aws.objects[place]) == {"inputs": "2+2?", "parameters": {"max_new_tokens": 9}}
    assert (place[-5:], aws.types[place]) == (".json", "application/json")
    headers = {name.lower(): _text(value) for name, value in aws.requests[0].headers.items()}
    assert headers["x-amzn-sagemaker-inputlocation"] == f"s3://{place}"
    assert headers["x-amzn-sagemaker-content-type"] == headers["x-amzn-sagemaker-accept"] == "application/json"
    assert headers["x-amzn-sagemaker-requestttlseconds"] == "600"
    assert elapsing.seconds == 6


def test_without_a_bucket_the_input_goes_along_up_to_its_limit(llm, call, aws):
    aws.objects[f"{BUCKET}/out/1.out"] = ANSWER

    assert call(llm(input_bucket=None), "2+2?") == "Four."
    assert json.loads(aws.requests[0].body)["inputs"] == "2+2?"
    with pytest.raises(AsyncEndpointError, match=r"above 128,000 it needs an input_bucket"):
        call(llm(input_bucket=None), "x" * 128_000)


def test_a_cold_endpoint_is_given_the_time_of_a_start_more(llm, call, aws, elapsing):
    aws.instances = 0
    aws.after(600, lambda: setattr(aws, "instances", 1))
    aws.after(640, aws.put("out/1.out", ANSWER))

    assert call(llm(max_request_timeout=60, cold_start_timeout=900), "2+2?") == "Four."
    assert 640 <= elapsing.seconds < 660


def test_a_warm_endpoint_is_not(llm, call, aws, elapsing):
    with pytest.raises(TimedOut, match=r"no answer after 60 s: the endpoint is InService with 1 instances. It goes on"):
        call(llm(max_request_timeout=60, cold_start_timeout=900), "2+2?")

    assert elapsing.seconds == 60


def test_a_cold_endpoint_may_be_woken_and_not_waited_for(llm, call, aws, elapsing):
    aws.instances = 0

    with pytest.raises(ModelIsCold, match=f"its answer will lie at s3://{BUCKET}/out/1.out"):
        call(llm(when_cold="raise"), "2+2?")

    assert len(aws.requests) == 1
    assert elapsing.seconds == 0


def test_a_failure_is_read_from_where_it_lies(llm, call, aws, elapsing):
    aws.after(10, aws.put("err/1-error.out", b'{"error": "CUDA out of memory"}\n'))

    with pytest.raises(AnswerFailed, match=r'n1 to demo failed: {"error": "CUDA out of memory"}$'):
        call(llm(), "2+2?")

    assert elapsing.seconds == 10


def test_a_request_that_can_no_longer_be_answered_has_expired(llm, call, aws, elapsing):
    aws.instances = 0

    with pytest.raises(AnswerExpired, match="n1 to demo expired"):
        call(llm(endpoint_kwargs={"RequestTTLSeconds": 60, "InvocationTimeoutSeconds": 60}), "2+2?")

    assert elapsing.seconds == 120


def test_an_endpoint_that_is_not_there_takes_nothing(llm, call, aws):
    aws.status = "gone"

    with pytest.raises(EndpointNotThere, match="There is no endpoint demo: Could not find"):
        call(llm(), "2+2?")

    assert aws.requests == []
    assert aws.objects == {}


def test_an_endpoint_that_fails_meanwhile_is_not_waited_for(llm, call, aws, elapsing):
    aws.instances = 0
    aws.failure_reason = "Unable to provision requested ML compute capacity"
    aws.after(100, lambda: setattr(aws, "status", "Failed"))

    with pytest.raises(EndpointNotThere, match="demo is Failed: Unable to provision"):
        call(llm(), "2+2?")

    assert elapsing.seconds < 140


def test_whoever_may_not_ask_how_the_endpoint_is_waits_as_if_it_were_cold(llm, call, aws, elapsing):
    aws.denied = {"describe"}
    aws.after(700, aws.put("out/1.out", ANSWER))

    assert call(llm(when_cold="raise"), "2+2?") == "Four."


def test_an_endpoint_that_takes_no_request_says_why(llm, call, aws):
    aws.denied = {"describe"}
    aws.status = "gone"

    with pytest.raises(EndpointNotThere, match=r"took no request: Endpoint demo of account 123456789012 not found"):
        call(llm(), "2+2?")


def test_without_the_right_to_list_what_is_not_there_yet_is_forbidden_and_waited_for(llm, call, aws, elapsing):
    aws.denied = {"list"}
    aws.after(20, aws.put("out/1.out", ANSWER))

    assert call(llm(), "2+2?") == "Four."


def test_a_right_that_never_comes_is_told_at_the_end(llm, call, aws):
    aws.denied = {"list"}

    with pytest.raises(TimedOut, match=r"S3 lets nobody here see .* \(s3:GetObject, s3:ListBucket\)"):
        call(llm(), "2+2?")


def test_an_aws_that_cannot_be_reached_is_told_apart(llm, call, aws):
    aws.is_reachable = False

    with pytest.raises(NotReachable, match="endpoint demo cannot be reached"):
        call(llm(), "2+2?")


class Plain(LLMContentHandler):
    content_type = "text/plain"
    accepts = "text/plain"

    def transform_input(self, prompt, model_kwargs):  # noqa: ARG002 (the form of LangChain's)
        return prompt.encode()

    def transform_output(self, output):
        return output.read().decode()


def test_a_content_handler_says_what_goes_each_way_and_stop_words_end_the_text(llm, call, aws):
    aws.objects[f"{BUCKET}/out/1.out"] = b"one\ntwo END three"

    assert call(llm(content_handler=Plain()), "2+2?", stop=["END", "three"]) == "one\ntwo "
    (place,) = [key for key in aws.objects if "/in/mine/" in key]
    assert (aws.objects[place], place[-4:], aws.types[place]) == (b"2+2?", ".txt", "text/plain")


@pytest.mark.parametrize("wrong", [{"content_handler": "x"}, {"max_request_timeout": 0}, {"when_cold": "sometimes"}])
def test_what_cannot_be_meant_is_refused_when_it_is_made(llm, wrong):
    with pytest.raises(ValidationError):
        llm(**wrong)


def test_nothing_secret_is_shown_or_traced(llm):
    model = llm(credentials_profile_name="mine")

    shown = f"{model!r} {model} {model.model_dump()} {model._identifying_params}"

    assert not [secret for secret in ("very-secret", "AKID", "botocore") if secret in shown]


def test_clients_that_nobody_gave_are_made_and_a_request_is_never_sent_twice(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    endpoint = SagemakerAsyncEndpoint(endpoint_name="demo", region_name="eu-west-1")._connected()

    assert endpoint._runtime.meta.region_name == endpoint._s3.meta.region_name == "eu-west-1"
    assert endpoint._runtime.meta.config.retries["total_max_attempts"] == 1
