"""What a backend does not take is refused with what would work."""

import pytest
from pilotlight.domain.errors import InvalidInput, UnsupportedParameter
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation import InvocationRequest, RawInvocation
from pilotlight.domain.invocation_request import Content
from pilotlight.domain.invocation_rules import LARGEST_REALTIME_BYTES, require_inline, require_taken
from pilotlight.domain.serving import ServingSettings, Task
from pilotlight.domain.values import Backend

BEDROCK, REALTIME, ASYNC = Backend.BEDROCK, Backend.SAGEMAKER_REALTIME, Backend.SAGEMAKER_ASYNC
EVERY = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "repetition_penalty"})
VECTORS = Hosting(serving=ServingSettings(task=Task.FEATURE_EXTRACTION))


def asked(**told):
    return InvocationRequest(**told)


@pytest.mark.parametrize(
    ("request_", "backend", "hosting"),
    [
        (asked(prompt="a"), BEDROCK, None),
        (asked(prompt="a", timeout_seconds=840), BEDROCK, None),
        (asked(prompt="a", parameters={"top_k": 5}), REALTIME, None),
        (asked(payload=1, timeout_seconds=60), REALTIME, VECTORS),
        (RawInvocation(content_type="image/png", data=b""), REALTIME, None),
        (asked(payload=1, timeout_seconds=3600, accept="text/csv"), ASYNC, VECTORS),
        (asked(input="s3://b-b/k"), ASYNC, None),
        (RawInvocation(content_type="image/png", data=b""), ASYNC, VECTORS),
    ],
)
def test_what_a_backend_takes_is_let_through(request_, backend, hosting):
    require_taken(request_, backend, hosting, EVERY)


@pytest.mark.parametrize(
    ("request_", "backend", "hosting", "field", "says"),
    [
        (asked(payload=1), BEDROCK, None, "payload", "sagemaker-async or sagemaker-realtime"),
        (asked(input="s3://b-b/k"), BEDROCK, None, "input", "sagemaker-async or sagemaker-realtime"),
        (RawInvocation(content_type="image/png", data=b""), BEDROCK, None, "body", "prompt"),
        (asked(prompt="a", accept="text/csv"), BEDROCK, None, "accept", "leave accept out"),
        (asked(prompt="a", timeout_seconds=841), BEDROCK, None, "timeout_seconds", "sagemaker-async has 3600"),
        (asked(input="s3://b-b/k"), REALTIME, None, "input", "the backend sagemaker-async"),
        (asked(payload=1, timeout_seconds=61), REALTIME, None, "timeout_seconds", "sagemaker-async has 3600"),
        (asked(prompt="a"), ASYNC, VECTORS, "prompt", "payload"),
        (asked(messages=[{"role": "user", "content": "a"}]), REALTIME, VECTORS, "messages", "feature-extraction"),
    ],
)
def test_what_it_does_not_take_is_refused_with_what_would_work(request_, backend, hosting, field, says):
    with pytest.raises(InvalidInput) as caught:
        require_taken(request_, backend, hosting, EVERY)

    assert caught.value.detail["field"] == field
    assert says in caught.value.message


def test_a_parameter_that_would_be_ignored_is_named():
    with pytest.raises(UnsupportedParameter) as caught:
        require_taken(asked(prompt="a", parameters={"top_k": 5}), BEDROCK, None, frozenset({"seed"}))

    assert (caught.value.detail["field"], caught.value.detail["supported"]) == ("parameters.top_k", ["seed"])


def test_a_body_that_a_real_time_endpoint_does_not_take_names_the_one_that_does():
    assert require_inline(Content(data=b"1" * LARGEST_REALTIME_BYTES), "llama")
    with pytest.raises(InvalidInput, match="sagemaker-async") as caught:
        require_inline(Content(data=b"1" * (LARGEST_REALTIME_BYTES + 1)), "llama")

    assert caught.value.http_status == 422
    with pytest.raises(InvalidInput):
        require_inline(Content(location="s3://b-b/k"), "llama")
