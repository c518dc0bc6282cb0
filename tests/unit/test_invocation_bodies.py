"""Bodies of invocations in S3: what is not there, and what cannot be read."""

import io
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from pilotlight.adapters.invocation_queue import S3InvocationBodies
from pilotlight.domain.errors import AccessDenied, NotFound, Terminal, Unavailable


def bodies(answer: object) -> S3InvocationBodies:
    """Return the adapter over a client whose every object is this, or raises it."""

    def get_object(**_):
        if isinstance(answer, Exception):
            raise answer
        return {"Body": io.BytesIO(answer)}

    return S3InvocationBodies(SimpleNamespace(get_object=get_object), "bucket")


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
