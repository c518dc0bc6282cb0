"""A deployment lives as long as somebody said, and its owner hears in time that the end is near."""

from datetime import timedelta

import pytest
from pilotlight.domain.lease import Lease, lease_from, parse_duration
from pydantic import ValidationError

from tests.factories import NOON


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("8h", timedelta(hours=8)),
        ("3d", timedelta(days=3)),
        ("365d", timedelta(days=365)),
    ],
)
def test_a_term_is_minutes_hours_or_days(text, duration):
    assert parse_duration(text) == duration
    assert lease_from(text, NOON).ends_at == NOON + duration


@pytest.mark.parametrize("text", ["", "8", "h", "0h", "08h", "8 h", "8H", "-8h", "1.5h", "8h30m", "٣d", "366d", "8h\n"])
def test_anything_else_is_no_term(text):
    with pytest.raises(ValueError, match=r"duration|longer than a year"):
        parse_duration(text)


def test_a_permanent_lease_never_ends_and_never_warns():
    lease = lease_from("permanent", NOON)

    assert (lease.ends_at, lease.warn_at) == (None, None)
    assert not lease.has_ended(NOON + timedelta(days=10_000))


def test_a_lease_ends_at_its_end_and_not_before():
    lease = lease_from("8h", NOON)

    assert not lease.has_ended(NOON + timedelta(hours=8) - timedelta(seconds=1))
    assert lease.has_ended(NOON + timedelta(hours=8))


@pytest.mark.parametrize(("term", "before_the_end"), [("10h", "1h"), ("90m", "9m"), ("3d", "6h"), ("365d", "6h")])
def test_the_owner_hears_a_tenth_before_the_end_but_at_most_six_hours(term, before_the_end):
    lease = lease_from(term, NOON)

    assert lease.ends_at is not None
    assert lease.warn_at == lease.ends_at - parse_duration(before_the_end)


@pytest.mark.parametrize("fields", [{"term": "permanent", "ends_at": NOON}, {"term": "8h"}])
def test_a_lease_has_an_end_exactly_when_it_is_not_permanent(fields):
    with pytest.raises(ValidationError, match="has an end exactly"):
        Lease(**fields)
