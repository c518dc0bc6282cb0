"""The API's edge: which keys make a request unique, how large a body may be, and whose words an answer carries."""

import json

import pytest
from aws_lambda_powertools import Logger
from pilotlight.contracts import PreflightRequest
from pilotlight.domain.errors import InvalidInput, InvocationFailed
from pilotlight.http import (
    LARGEST_BODY_BYTES,
    Api,
    answer,
    idempotency_key_of,
    parse,
    problem_of,
    problem_of_validation,
)
from pydantic import ValidationError

from tests.factories import NOON

ALICE = {"accountId": "123456789012", "userArn": "arn:aws:iam::123456789012:user/alice"}
BOB = {"accountId": "123456789012", "userArn": "arn:aws:iam::123456789012:user/bob"}


def key(given: str, identity=None) -> str | None:
    return idempotency_key_of({"idempotency-key": given}, identity)


@pytest.mark.parametrize("given", ["", " ", "two words", "tab\t", "ü", "\x00", "x" * 201, "line\n"])
def test_a_key_that_is_not_visible_ascii_is_refused(given):
    with pytest.raises(InvalidInput) as caught:
        key(given)

    assert caught.value.detail["field"] == "Idempotency-Key"


def test_a_key_is_its_callers_own():
    accounts = {"accountId": "123456789012"}
    keys = [key("k" * 200, identity) for identity in (ALICE, BOB, accounts, None, {"userArn": None})]

    assert len(set(keys)) == 4
    assert keys[3] == keys[4], "nobody signs in the embedded cloud"
    assert key("k", ALICE) == key("k", ALICE)
    assert idempotency_key_of({}, ALICE) is None


def test_a_body_that_lambda_would_not_carry_is_refused():
    body = json.dumps({"source": "x"}).encode()

    assert parse(PreflightRequest, body.ljust(LARGEST_BODY_BYTES)).source == "x"
    with pytest.raises(InvalidInput, match="6,000,000"):
        parse(PreflightRequest, body.ljust(LARGEST_BODY_BYTES + 1))


@pytest.mark.parametrize(("path", "status"), [("/bodies", 415), ("/none", 200)])
def test_the_type_of_a_body_matters_only_where_one_is_taken(path, status):
    api = Api("sample", logger=Logger, now=lambda: NOON)
    for route, takes in (("/bodies", PreflightRequest), ("/none", None)):
        api.view("POST", route, gives={}, takes=takes)(lambda **_: answer(PreflightRequest(source="x")))
    context = {"resourcePath": path, "httpMethod": "POST", "requestId": "r-1"}
    event = {"headers": {"content-type": "text/plain"}, "requestContext": context, "body": "x", "path": path}
    nothing = {"multiValueQueryStringParameters": None, "pathParameters": None, "stageVariables": None}

    assert api({**event, **nothing, "isBase64Encoded": False}, None)["statusCode"] == status


def test_the_caller_is_told_what_else_is_known():
    told = problem_of(InvocationFailed("Bedrock refused the call.", aws_code="ValidationException"))

    assert json.loads(told.body)["aws_code"] == "ValidationException"
    assert json.loads(told.body)["detail"] == "Bedrock refused the call."


def test_a_field_that_nobody_knows_is_named_only_where_it_is_a_name():
    with pytest.raises(ValidationError) as caught:
        parse(PreflightRequest, json.dumps({"source": "x", "sourze": 1, "the vault's code is 1234": 1}))

    told = str(problem_of_validation(caught.value).body)
    assert "sourze" in told
    assert "vault" not in told
    assert "vault" not in str(caught.value.errors()[0]["msg"])


def test_what_broke_a_rule_is_not_in_the_error_s_text():
    with pytest.raises(ValidationError) as caught:
        parse(PreflightRequest, json.dumps({"source": ["the vault's code is 1234"]}))

    assert "vault" not in str(caught.value)


def passing(event_body: str, content_type: str | None, *, is_base64: bool = False) -> tuple[int, object, object]:
    """Return the status, the answer and what the view was given, of a route that passes bodies."""
    api = Api("sample", logger=Logger, now=lambda: NOON)
    given: list[object] = []

    def view(wanted):
        given.append(wanted)
        return answer(PreflightRequest(source="x"))

    api.view("POST", "/bodies", gives={}, takes=PreflightRequest, passes=True)(view)
    headers = {"content-type": content_type} if content_type else {}
    event = {
        "httpMethod": "POST",
        "path": "/bodies",
        "resource": "/bodies",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {"httpMethod": "POST", "resourcePath": "/bodies", "requestId": "r-1"},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": event_body,
        "isBase64Encoded": is_base64,
    }
    told = api(event, None)
    return told["statusCode"], json.loads(told["body"]), given[0] if given else None


@pytest.mark.parametrize("content_type", [None, "application/json", "Application/JSON; charset=utf-8"])
def test_json_is_parsed_also_where_other_bodies_pass(content_type):
    status, _, wanted = passing('{"source": "x"}', content_type)

    assert (status, wanted) == (200, PreflightRequest(source="x"))


@pytest.mark.parametrize(
    ("body", "is_base64", "content_type", "data"),
    [
        ("iVBOR/8=", True, "image/png", b"\x89PNG\xff"),
        ("é", False, "text/csv; charset=utf-8", "é".encode()),
        ("{}\n{}", False, "application/jsonlines", b"{}\n{}"),
        ("", False, "application/octet-stream", b""),
    ],
)
def test_another_body_passes_as_it_is(body, is_base64, content_type, data):
    status, _, wanted = passing(body, content_type, is_base64=is_base64)

    assert status == 200
    assert (wanted.data, wanted.content_type) == (data, content_type)
    assert data == b"" or repr(data) not in repr(wanted)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "image/x-of-tomorrow", "nonsense", "text"]
)
def test_a_body_that_would_not_come_through_whole_is_refused_with_what_would(content_type):
    status, told, wanted = passing("body", content_type)

    assert (status, wanted) == (415, None)
    assert told["code"] == "unsupported-media-type"
    assert "application/octet-stream" in told["supported"]


def test_a_body_that_is_larger_than_lambda_carries_is_refused():
    status, told, _ = passing("x" * (LARGEST_BODY_BYTES + 1), "text/plain")

    assert (status, told["errors"][0]["field"]) == (422, "body")
