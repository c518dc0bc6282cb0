"""A container's answer is shown where it can be read, and fetched where it cannot."""

import pytest
from pilotlight.domain.container_answers import LARGEST_SHOWN_BYTES, is_json, is_shown, shown


@pytest.mark.parametrize(
    ("content_type", "readable"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/geo+json", True),
        ("text/csv; charset=utf-8", True),
        ("application/jsonlines", False),
        ("image/png", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
def test_json_and_text_are_shown(content_type, readable):
    assert is_shown(content_type, 10) is readable


def test_what_is_long_is_not_shown():
    assert is_shown("application/json", LARGEST_SHOWN_BYTES)
    assert not is_shown("application/json", LARGEST_SHOWN_BYTES + 1)


@pytest.mark.parametrize(
    ("data", "content_type", "body"),
    [
        (b"[0.5, null]", "application/json", [0.5, None]),
        (b"a,b\n1,2", "text/csv", "a,b\n1,2"),
        (b"not json", "application/json", "not json"),
        (b"5", "text/plain", "5"),
        (b"\xff", "text/plain", None),
        (b"[" * 100_000, "application/json", "[" * 100_000),
    ],
)
def test_a_body_is_what_it_says(data, content_type, body):
    assert shown(data, content_type) == body


def test_a_type_is_read_without_its_parameters():
    assert is_json(" application/JSON ;charset=utf-8")
