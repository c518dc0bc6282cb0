"""What a caller may ask, how an answer is told apart from its thinking, and what fits into a held request."""

from datetime import timedelta

import pytest
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.invocation import (
    DEFAULT_MAX_TOKENS,
    ChatMessage,
    InvocationRequest,
    InvocationStatus,
    Parameters,
    fits,
    redelivery_seconds,
    split_reasoning,
)
from pilotlight.services.invoking import parse_prefer
from pydantic import ValidationError

from tests.factories import NOON, an_invocation


@pytest.mark.parametrize(
    ("completion", "opened", "text", "reasoning"),
    [
        ("Paris.", False, "Paris.", None),
        ("<think>France…</think>\n\nParis.", False, "Paris.", "France…"),
        ("\n<think>\nFrance…\n</think>\nParis.", False, "Paris.", "France…"),
        ("<think></think>Paris.", False, "Paris.", None),
        ("France…</think>\n\nParis.", True, "Paris.", "France…"),
        ("<think>\nFrance…</think>Paris.", True, "Paris.", "France…"),
        ("still thinking", True, "", "still thinking"),
        ("<think>still thinking", False, "", "still thinking"),
        ("", True, "", None),
        ("A tag </think> in the middle.", False, "A tag </think> in the middle.", None),
        ("a</think>b</think>c", True, "b</think>c", "a"),
        ("Use <think> like this.", False, "Use <think> like this.", None),
    ],
)
def test_thinking_is_told_apart_from_the_answer(completion, opened, text, reasoning):
    output = split_reasoning(completion, opened_by_prompt=opened)

    assert (output.text, output.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": "a", "messages": [{"role": "user", "content": "b"}]},
        {"prompt": ""},
        {"messages": []},
        {"messages": [{"role": "wizard", "content": "b"}]},
        {"messages": [{"role": "user", "content": "b", "name": "c"}]},
        {"messages": [{"role": "user", "content": "b"}], "raw": True},
        {"prompt": "a", "stream": True},
        {"prompt": "a", "parameters": {"max_tokens": 0}},
        {"prompt": "a", "parameters": {"temperature": 2.1}},
        {"prompt": "a", "parameters": {"top_p": 0}},
        {"prompt": "a", "parameters": {"stop": []}},
        {"prompt": "a", "parameters": {"max_new_tokens": 5}},
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(body):
    with pytest.raises(ValidationError):
        InvocationRequest.model_validate(body)


def test_a_prompt_is_a_conversation_of_one_message():
    request = InvocationRequest(prompt="Hello")

    assert request.conversation == (ChatMessage(role="user", content="Hello"),)
    assert request.input_length == 5


def test_characters_of_all_messages_are_counted():
    messages = (ChatMessage(role="system", content="Be kind."), ChatMessage(role="user", content="Hi"))

    assert InvocationRequest(messages=messages).input_length == 10


@pytest.mark.parametrize(
    ("max_tokens", "speed", "expected"),
    [
        (100, None, True),
        (101, None, False),
        (None, None, False),
        (2000, 100.0, True),
        (2001, 100.0, False),
        (None, 25.0, False),
    ],
)
def test_an_answer_fits_where_its_tokens_come_in_time_at_the_measured_speed(max_tokens, speed, expected):
    parameters = Parameters(max_tokens=max_tokens)

    assert fits(parameters, speed, within_seconds=20) is expected
    assert Parameters().token_limit == DEFAULT_MAX_TOKENS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=20", 20),
        ("respond-async, wait=5", 5),
        ("Wait = 7", 7),
        ("return=minimal", 0),
    ],
)
def test_a_caller_prefers_to_wait_that_long(header, seconds):
    assert parse_prefer(header) == seconds


@pytest.mark.parametrize("header", ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", "wait=²", "wait=inf"])
def test_a_wait_that_is_no_number_of_seconds_is_refused(header):
    with pytest.raises(InvalidInput, match="write wait=20"):
        parse_prefer(header)


def test_a_message_comes_back_soon_at_first_and_lasts_for_six_hours_within_two_hundred_receives():
    waits = [redelivery_seconds(receives) for receives in range(1, 201)]

    assert (waits[0], waits[-1]) == (5, 120)
    assert waits == sorted(waits)
    assert sum(waits) >= 6 * 3600
    assert redelivery_seconds(10**9) == 120


def test_an_invocation_is_lost_when_it_expired_and_nobody_is_at_it():
    waiting = an_invocation(expires_at=NOON)
    claimed = waiting.changed(status=InvocationStatus.RUNNING, claimed_until=NOON + timedelta(minutes=1))

    assert waiting.is_lost(NOON)
    assert not waiting.is_lost(NOON - timedelta(seconds=1))
    assert [claimed.is_lost(NOON + timedelta(seconds=after)) for after in (0, 59, 60)] == [False, False, True]
    assert not waiting.changed(status=InvocationStatus.SUCCEEDED).is_lost(NOON)


def test_an_invocation_expires_at_its_time_and_is_over_when_it_has_its_end():
    invocation = an_invocation(expires_at=NOON)

    assert invocation.has_expired(NOON)
    assert not invocation.has_expired(NOON - timedelta(seconds=1))
    assert {status for status in InvocationStatus if an_invocation(status=status).is_over} == {
        InvocationStatus.SUCCEEDED,
        InvocationStatus.FAILED,
    }
