"""A request asks one thing, says it in a form that can be carried, and names no place but an https one to be told."""

import json

import pytest
from pilotlight.domain.invocation import Form, InvocationRequest, RawInvocation
from pilotlight.domain.invocation_request import DEEPEST_PAYLOAD, InputRequest, payload_bytes
from pydantic import ValidationError

NULLS = {"a": None, "b": [None, {"c": None}]}


@pytest.mark.parametrize(
    ("told", "form"),
    [
        ({"prompt": "a"}, Form.TEXT),
        ({"messages": [{"role": "user", "content": "a"}]}, Form.TEXT),
        ({"payload": {"inputs": "a"}}, Form.BODY),
        ({"payload": False}, Form.BODY),
        ({"payload": []}, Form.BODY),
        ({"input": "s3://a-bucket/some key"}, Form.BODY),
        ({"input": "s3://a-bucket/k", "content_type": "image/png", "accept": "application/json"}, Form.BODY),
        ({"payload": 1, "timeout_seconds": 3600, "webhook": "https://example.com:8443/h?a=b"}, Form.BODY),
    ],
)
def test_each_way_of_asking_is_of_a_form(told, form):
    assert InvocationRequest.model_validate(told).form is form


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"prompt": "a", "payload": 1}, "give one of"),
        ({"payload": None}, "give one of"),
        ({"payload": 1, "raw": True}, "raw goes with prompt"),
        ({"payload": 1, "parameters": {"max_tokens": 5}}, "write them into what"),
        ({"input": "s3://b-b/k", "parameters": {"seed": 5}}, "write them into what"),
        ({"payload": 1, "content_type": "text/plain"}, "content_type goes with input"),
        ({"input": "https://example.com/k"}, "input"),
        ({"input": "s3://b-b/"}, "input"),
        ({"input": "s3://b-b/k\n"}, "input"),
        ({"input": "s3://b-b/é"}, "input"),
        ({"input": "s3://b-b/k", "content_type": "nonsense"}, "content_type"),
        ({"input": "s3://b-b/k", "content_type": "text/plain\r\nX-Evil: 1"}, "content_type"),
        ({"prompt": "a", "accept": "no"}, "accept"),
        ({"prompt": "a", "timeout_seconds": 0}, "timeout_seconds"),
        ({"prompt": "a", "timeout_seconds": 3601}, "timeout_seconds"),
        ({"payload": float("nan")}, "what JSON cannot say"),
        ({"payload": {"a": "\ud800"}}, "what JSON cannot say"),
        ({"payload": {"\ud800": 1}}, "what JSON cannot say"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_to_do(told, says):
    with pytest.raises(ValidationError) as caught:
        InvocationRequest.model_validate(told)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    "webhook",
    [
        "http://example.com/h",
        "https://",
        "https:///h",
        "https://user@example.com/h",
        "https://user:hunter2@example.com/h",  # pragma: allowlist secret
        "https://example.com/h#part",
        "https://example.com:25/h",
        "https://example.com:80/h",
        "https://example.com:70000/h",
        "https://example.com:x/h",
        "https://[::1/h",
        "ftp://example.com/h",
        "https://example.com/h\n",
        "https://example.com/ h",
        "https://exämple.com/h",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_a_place_that_must_not_be_told_is_refused(webhook):
    with pytest.raises(ValidationError) as caught:
        InvocationRequest(prompt="a", webhook=webhook)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("webhook", ["https://example.com", "https://example.com:443/h", "https://203.0.113.7:1024/h"])
def test_a_place_that_may_be_told_is_taken_as_it_is(webhook):
    assert InvocationRequest(prompt="a", webhook=webhook).webhook == webhook


def test_an_address_is_in_no_representation():
    asked = InvocationRequest(payload={"inputs": "the vault's code"}, webhook="https://example.com/h?token=4711")

    assert "4711" not in repr(asked)
    assert "vault" not in repr(asked)


def test_a_payload_is_kept_to_the_last_null():
    asked = InvocationRequest(payload=NULLS)

    kept = InvocationRequest.model_validate_json(json.dumps(asked.dump()))

    assert kept == asked
    assert payload_bytes(kept.payload) == b'{"a":null,"b":[null,{"c":null}]}'


def test_a_payload_is_nested_as_deep_as_it_can_be_carried_and_no_deeper():
    def nested(levels):
        value = "leaf"
        for _ in range(levels):
            value = {"a": [value]} if isinstance(value, str) else [value]
        return value

    deep = InvocationRequest(payload=nested(DEEPEST_PAYLOAD - 1))
    assert InvocationRequest.model_validate_json(json.dumps(deep.dump())) == deep
    with pytest.raises(ValidationError, match="levels deep"):
        InvocationRequest(payload=nested(DEEPEST_PAYLOAD + 1))


def test_lengths_are_counted_in_each_form():
    assert InvocationRequest(prompt="four").input_length == 4
    assert InvocationRequest(payload={"a": "é"}).input_length == len(b'{"a":"\xc3\xa9"}')
    assert InvocationRequest(input="s3://a-bucket/k").input_length == 0
    assert RawInvocation(content_type="image/png", data=b"12345").input_length == 5


def test_a_raw_body_that_has_to_wait_becomes_an_input_of_the_same_kind():
    raw = RawInvocation(content_type="image/png", data=b"1", accept="text/plain", timeout_seconds=9)

    asked = raw.lying_at("s3://a-bucket/k")

    assert (asked.input, asked.content_type, asked.accept) == ("s3://a-bucket/k", "image/png", "text/plain")
    assert (asked.timeout_seconds, asked.form) == (9, Form.BODY)


def test_an_input_has_a_gigabyte_at_most():
    assert InputRequest(size_bytes=1_000_000_000).content_type == "application/octet-stream"
    with pytest.raises(ValidationError):
        InputRequest(size_bytes=1_000_000_001)
