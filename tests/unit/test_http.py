"""The API's edge: which keys make a request unique, how large a body may be, and whose words an answer carries."""

import json

import pytest
from aws_lambda_powertools import Logger
from pilotlight.contracts import PreflightRequest
from pilotlight.domain.errors import InvalidInput, InvocationFailed
from pilotlight.http import LARGEST_BODY_BYTES, Api, answer, idempotency_key_of, parse, problem_of

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


def test_the_caller_is_told_the_backends_own_words():
    told = problem_of(InvocationFailed("Bedrock refused the call.", told="too many tokens"))

    assert json.loads(told.body)["told"] == "too many tokens"
    assert json.loads(told.body)["detail"] == "Bedrock refused the call."
