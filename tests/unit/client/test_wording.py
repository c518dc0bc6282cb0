from datetime import UTC, datetime

import pytest
from pilotlight_client import wording

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("usd", "per", "written"),
    [
        (27.4464, "/h", "$27.45/h (estimated)"),
        (0, "", "$0.00 (estimated)"),
        (0.0012, "", "$0.0012 (estimated)"),
        (1234.5, "", "$1,234.50 (estimated)"),
    ],
)
def test_money_says_how_sure_it_is(usd, per, written):
    assert wording.money({"usd": usd, "basis": "estimated"}, per) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0 s"), (59.6, "1 min"), (250, "4 min 10 s"), (7200, "2 h"), (25_920, "7 h 12 min"), (270_000, "3 d 3 h")],
)
def test_a_span_is_written_in_its_two_largest_units(seconds, written):
    assert wording.span(seconds) == written


def test_a_moment_is_relative_and_absolute():
    assert wording.moment("2026-11-20T14:00:00Z", NOW).startswith("in 2 h (2026-11-")
    assert wording.moment("2026-11-20T11:57:00Z", NOW).startswith("3 min ago (2026-11-")


def test_what_should_have_happened_is_due_now():
    assert wording.due("2026-11-20T14:00:00Z", NOW).startswith("in 2 h (2026-11-")
    assert wording.due("2026-11-20T11:59:41Z", NOW) == wording.due("2026-11-20T12:00:00Z", NOW) == "due now"


def test_sizes_are_decimal():
    assert [wording.size(n) for n in (12, 4_200, 16.1e9)] == ["12 bytes", "4.2 kB", "16.1 GB"]


def test_nothing_that_commands_a_terminal_remains_in_plain_text():
    assert wording.plain("a\x1b[2Jb\x07\r\n\tü　日本\u009b") == "a[2Jb\n\tü　日本"
