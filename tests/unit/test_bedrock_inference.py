"""Bedrock's answers to a call, in the domain's words: what means "still loading", and what will never be answered."""

import io
import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.hooks import HierarchicalEmitter
from pilotlight.adapters.bedrock_inference import BedrockInference
from pilotlight.domain.errors import (
    AccessDenied,
    InvocationFailed,
    InvocationTimedOut,
    NothingAnswered,
    Terminal,
    Throttled,
    Unavailable,
)
from pilotlight.domain.invocation import Parameters

from tests.factories import a_deployment, a_serving_deployment

SECRET = "the vault's code is 4711"


def refusal(code: str, status: int) -> ClientError:
    error = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "InvokeModel")


READ_TIMEOUT = ReadTimeoutError(endpoint_url="https://bedrock")


def backend(says: object) -> BedrockInference:
    """Return the adapter over a client whose every call says this, or raises it."""

    def invoke_model(**_):
        if isinstance(says, Exception):
            raise says
        return {"body": io.BytesIO(json.dumps(says).encode())}

    client = SimpleNamespace(invoke_model=invoke_model, meta=SimpleNamespace(events=HierarchicalEmitter()))
    return BedrockInference(lambda _seconds: client)


def probe(says: object) -> bool:
    return backend(says).probe(a_serving_deployment(), correlation_id="c-1")


def complete(says: object):
    return backend(says).complete(
        a_serving_deployment(), SECRET, Parameters(), timeout_seconds=20, correlation_id="c-1"
    )


@pytest.mark.parametrize(
    "says",
    [
        ConnectTimeoutError(endpoint_url="https://bedrock"),
        refusal("ModelNotReadyException", 429),
        refusal("ModelErrorException", 424),
        refusal("ThrottlingException", 429),
        refusal("ServiceQuotaExceededException", 400),
        refusal("ServiceUnavailableException", 503),
        refusal("InternalServerException", 500),
        refusal("NobodyKnowsException", 502),
    ],
)
def test_a_probe_that_a_loading_model_may_give_is_not_answered_yet(says):
    assert probe(says) is False


@pytest.mark.parametrize(
    "says",
    [
        READ_TIMEOUT,
        refusal("ModelTimeoutException", 408),
        {"choices": []},
        {"choices": [{"finish_reason": "stop"}]},
        {"answer": "in a shape of tomorrow"},
        ["not", "an", "object"],
    ],
)
def test_a_probe_that_was_taken_and_not_answered_may_be_billed_and_says_so(says):
    with pytest.raises(NothingAnswered):
        probe(says)


@pytest.mark.parametrize(
    ("says", "raised"),
    [
        (refusal("AccessDeniedException", 403), AccessDenied),
        (refusal("ResourceNotFoundException", 404), Terminal),
        (refusal("ValidationException", 400), InvocationFailed),
    ],
)
def test_a_probe_that_no_model_will_ever_answer_says_so(says, raised):
    with pytest.raises(raised):
        probe(says)


def test_a_probe_of_a_deployment_without_a_model_says_so():
    with pytest.raises(InvocationFailed, match="no imported model"):
        backend({}).probe(a_deployment(), correlation_id="c-1")


@pytest.mark.parametrize("says", [{"choices": [{"text": ""}]}, {"generation": ""}, {"choices": [{"text": "Hi"}]}])
def test_an_empty_completion_is_an_answer(says):
    assert probe(says) is True


def test_a_call_without_a_completion_found_the_model_loading():
    with pytest.raises(NothingAnswered):
        complete({"choices": [{}]})


@pytest.mark.parametrize(
    ("says", "raised"),
    [
        (READ_TIMEOUT, InvocationTimedOut),
        (refusal("ModelTimeoutException", 408), InvocationTimedOut),
        (refusal("ModelErrorException", 424), InvocationFailed),
        (refusal("ValidationException", 400), InvocationFailed),
        (refusal("ThrottlingException", 429), Throttled),
        (refusal("InternalServerException", 500), Unavailable),
        (refusal("NobodyKnowsException", 400), Terminal),
    ],
)
def test_the_services_own_words_may_quote_a_prompt_and_are_passed_on_to_nobody(says, raised):
    with pytest.raises(raised) as caught:
        complete(says)

    assert type(caught.value) is raised
    assert SECRET not in caught.value.message
    assert SECRET not in str(caught.value.detail)
