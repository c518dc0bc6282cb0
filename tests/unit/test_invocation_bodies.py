"""Bodies of invocations in S3: what is not there, and what cannot be read."""

import io
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from pilotlight.adapters.invocation_bodies import S3InvocationBodies
from pilotlight.domain.errors import AccessDenied, NotFound, Terminal, Unavailable

from tests.factories import NOON


def bodies(answer: object) -> S3InvocationBodies:
    """Return the adapter over a client whose every object is this, or raises it."""

    def get_object(**_):
        if isinstance(answer, Exception):
            raise answer
        return {"Body": io.BytesIO(answer)}

    client = SimpleNamespace(get_object=get_object, head_object=get_object)
    return S3InvocationBodies(client, "bucket", lambda: client, lambda: NOON)


def refusal(code: str, status: int) -> ClientError:
    error = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "GetObject")


@pytest.mark.parametrize("code", ["NoSuchKey", "404"])
def test_what_is_not_there_is_absent(code):
    gone = bodies(refusal(code, 404))

    assert gone.get_output("i-1") is None
    with pytest.raises(NotFound):
        gone.get_request("i-1")


def test_a_place_that_was_tried_for_an_answer_holds_none():
    assert bodies(b"{}").get_output("i-1") is None


@pytest.mark.parametrize("code", ["AccessDenied", "403"])
def test_a_body_that_may_not_be_read_is_not_an_absent_one(code):
    denied = bodies(refusal(code, 403))

    with pytest.raises(AccessDenied):
        denied.get_output("i-1")
    with pytest.raises(AccessDenied):
        denied.get_request("i-1")


def test_a_fault_of_the_bucket_is_not_an_absent_body():
    with pytest.raises(Unavailable):
        bodies(refusal("InternalError", 500)).get_output("i-1")


@pytest.mark.parametrize("body", [b"a secret", b'{"prompt": 5, "secret": 1}', b"[]"])
def test_a_body_that_cannot_be_read_is_an_error_of_ours_without_a_word_of_it(body):
    with pytest.raises(Terminal) as caught:
        bodies(body).get_request("i-1")

    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "location",
    [
        "s3://somebody-elses/invocations/i-1/result",
        "s3://bucket/artifacts/a-1/weights/model.safetensors",
        "s3://bucket/invocations",
        "s3://bucket",
        "https://bucket/invocations/i-1/result",
        "",
    ],
)
def test_a_place_that_is_not_ours_is_never_read_or_signed(location):
    never = bodies(AssertionError("S3 is not asked"))

    assert (never.read(location, 10), never.stored(location), never.address_of(location)) == (None, None, None)
    assert not never.is_input(location)


def test_a_place_of_ours_that_is_empty_is_absent():
    gone = bodies(refusal("404", 404))

    assert gone.stored("s3://bucket/results/llama-g1/done/1.out") is None
    assert gone.read("s3://bucket/results/llama-g1/done/1.out", 10) is None


def test_only_so_much_of_a_body_is_read_as_is_asked_for():
    assert bodies(b"0123456789").read("s3://bucket/results/1.out", 4) == b"0123"


def test_a_refusal_is_no_absent_result():
    with pytest.raises(AccessDenied):
        bodies(refusal("403", 403)).stored("s3://bucket/results/1.out")


def test_only_an_uploaded_input_is_one():
    ours = bodies(b"")

    assert ours.is_input("s3://bucket/invocations/inputs/01m7x")
    assert not ours.is_input("s3://bucket/invocations/i-1/request.json")
    assert not ours.is_input("s3://other/invocations/inputs/01m7x")
