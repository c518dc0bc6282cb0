"""A model is wanted warm in the wall-clock windows of its owners, through nights, weekends and clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pilotlight.domain.keep_warm import DAYS, KeepWarm, Policy, Window, expand_days
from pydantic import ValidationError

from tests.factories import always_warm, at, office_hours

MINUTE = timedelta(minutes=1)
WEEK = 8 * 24 * 60


def in_windows(*windows: Window) -> KeepWarm:
    return KeepWarm(policy=Policy.WINDOW, windows=windows)


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("*", {0, 1, 2, 3, 4, 5, 6}),
        ("MON-FRI", {0, 1, 2, 3, 4}),
        ("sat,sun", {5, 6}),
        ("FRI-MON", {4, 5, 6, 0}),
        ("WED", {2}),
        ("MON,WED-THU", {0, 2, 3}),
    ],
)
def test_days_are_named_singly_in_lists_or_as_ranges_also_over_the_weekend(text, days):
    assert expand_days(text) == days


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": "MONDAY"},
        {"days": ""},
        {"days": "MON-"},
        {"days": "MON-FRI,"},
        {"start": "9:00"},
        {"start": "25:00"},
        {"end": "24:01"},
        {"start": "0٩:00"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc/passwd"},
        {"timezone": "Europe"},
        {"timezone": "localtime"},
        {"timezone": "right/Europe/Berlin"},
        {"start": "24:00"},
        {"zone": "UTC"},
    ],
)
def test_a_window_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Window(**{"days": "*", "start": "09:00", "end": "18:00", **wrong})


@pytest.mark.parametrize("policy", ["none", "always"])
def test_windows_belong_to_the_window_policy_and_only_to_it(policy):
    with pytest.raises(ValidationError, match="windows belong to"):
        KeepWarm(policy=policy, windows=(Window(start="09:00", end="18:00"),))
    with pytest.raises(ValidationError, match="windows belong to"):
        KeepWarm(policy="window")


def test_a_window_is_open_from_its_start_up_to_but_not_including_its_end():
    hours = office_hours("Asia/Shanghai")

    assert not hours.wants_warm(local("2026-11-20T08:59:59", "Asia/Shanghai"))
    assert hours.wants_warm(local("2026-11-20T09:00", "Asia/Shanghai"))
    assert hours.wants_warm(local("2026-11-20T17:59:59", "Asia/Shanghai"))
    assert not hours.wants_warm(local("2026-11-20T18:00", "Asia/Shanghai"))
    assert not hours.wants_warm(local("2026-11-21T12:00", "Asia/Shanghai")), "a Saturday"


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_began():
    friday_night = in_windows(Window(days="FRI", start="22:00", end="02:00"))

    assert friday_night.wants_warm(at("2026-11-20T23:00"))
    assert friday_night.wants_warm(at("2026-11-21T01:59"))
    assert not friday_night.wants_warm(at("2026-11-21T02:00"))
    assert not friday_night.wants_warm(at("2026-11-20T01:00")), "the night before began on Thursday"
    assert not friday_night.wants_warm(at("2026-11-21T23:00"))


def test_a_window_to_the_end_of_the_day_ends_at_midnight():
    evening = in_windows(Window(days="FRI", start="20:00", end="24:00"))

    assert evening.wants_warm(at("2026-11-20T23:59"))
    assert not evening.wants_warm(at("2026-11-21T00:00"))
    assert evening.next_closing(at("2026-11-20T21:00")) == at("2026-11-21T00:00")


def test_the_next_opening_is_after_the_weekend():
    hours = office_hours()

    assert hours.next_opening(at("2026-11-20T17:00")) == at("2026-11-23T09:00")
    assert hours.next_closing(at("2026-11-20T17:00")) == at("2026-11-20T18:00")


def test_windows_that_adjoin_open_once():
    morning, afternoon = Window(start="09:00", end="12:00"), Window(start="12:00", end="18:00")

    assert in_windows(morning, afternoon).next_closing(at("2026-11-20T10:00")) == at("2026-11-20T18:00")


@pytest.mark.parametrize("keep_warm", [KeepWarm(), always_warm()])
def test_without_windows_nothing_opens_and_nothing_closes(keep_warm):
    assert keep_warm.next_opening(at("2026-11-20T10:00")) is None
    assert keep_warm.next_closing(at("2026-11-20T10:00")) is None
    assert keep_warm.wants_warm(at("2026-11-20T10:00")) is (keep_warm.policy is Policy.ALWAYS)


def test_a_window_that_begins_in_a_skipped_hour_opens_when_the_clock_jumps():
    window = in_windows(Window(start="02:30", end="06:00", timezone="Europe/Berlin"))

    assert window.next_opening(at("2026-03-29T00:00")) == at("2026-03-29T01:00"), "02:00 becomes 03:00"
    assert window.next_closing(at("2026-03-29T02:00")) == at("2026-03-29T04:00")


@pytest.mark.parametrize(("start", "end"), [("02:10", "02:40"), ("02:30", "03:00"), ("02:00", "02:30")])
def test_a_window_wholly_inside_a_skipped_hour_opens_at_the_jump_for_as_long_as_it_is_long(start, end):
    window = in_windows(Window(start=start, end=end, timezone="Europe/Berlin"))

    assert window.next_opening(at("2026-03-28T12:00")) == at("2026-03-29T01:00")
    assert window.next_closing(at("2026-03-28T12:00")) == at("2026-03-29T01:30")


def test_a_window_around_a_repeated_hour_stays_open_through_it():
    window = in_windows(Window(start="01:00", end="04:00", timezone="Europe/Berlin"))
    opened = local("2026-10-25T01:00", "Europe/Berlin")

    closed = window.next_closing(opened)

    assert closed == local("2026-10-25T04:00", "Europe/Berlin")
    assert closed is not None
    assert closed - opened == timedelta(hours=4), "three hours by the clock on the wall"


@pytest.mark.parametrize(
    ("start", "end", "opens", "closes"),
    [
        ("02:10", "02:25", "2026-10-25T00:10", "2026-10-25T01:25"),
        ("02:30", "06:00", "2026-10-25T00:30", "2026-10-25T05:00"),
        ("01:00", "02:30", "2026-10-24T23:00", "2026-10-25T01:30"),
        ("01:00", "02:00", "2026-10-24T23:00", "2026-10-25T00:00"),  # at the second 02:00 there is no 01:59 before it
    ],
)
def test_an_edge_that_the_clock_repeats_opens_once_at_its_first_and_closes_once_at_its_last(start, end, opens, closes):
    window = in_windows(Window(days="SUN", start=start, end=end, timezone="Europe/Berlin"))
    before = at("2026-10-24T12:00")

    assert (window.next_opening(before), window.next_closing(before)) == (at(opens), at(closes))
    assert window.next_opening(at(opens)) == local(f"2026-11-01T{start}", "Europe/Berlin")


def test_a_window_that_ends_where_it_starts_is_a_whole_day():
    sunday = in_windows(Window(days="SUN", start="09:00", end="09:00"))
    whole_week = in_windows(Window(start="09:00", end="09:00"))

    assert sunday.next_opening(at("2026-11-20T12:00")) == at("2026-11-22T09:00")
    assert sunday.next_closing(at("2026-11-20T12:00")) == at("2026-11-23T09:00")
    assert whole_week.next_opening(at("2026-11-20T12:00")) is None
    assert whole_week.next_closing(at("2026-11-20T12:00")) is None


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu")
CHANGES = ("2026-03-28T12:00", "2026-10-24T12:00", "2026-03-07T23:00", "2026-10-31T20:00", "2026-04-04T03:15")
TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 10, 29, 30, 45, 59]))
WINDOWS = st.builds(
    Window,
    days=st.sampled_from(["*", "MON-FRI", "SAT,SUN", *DAYS]),
    start=TIMES,
    end=st.one_of(TIMES, st.just("24:00")),
    timezone=st.sampled_from(ZONES),
)


def walked(keep_warm: KeepWarm, now: datetime, *, opening: bool) -> datetime | None:
    """Return the next turn by asking at every minute."""
    wanted = keep_warm.wants_warm(now)
    moment = now.replace(second=0, microsecond=0)
    for _ in range(WEEK):
        moment += MINUTE
        was, wanted = wanted, keep_warm.wants_warm(moment)
        if wanted is opening and was is not opening:
            return moment
    return None


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    windows=st.lists(WINDOWS, min_size=1, max_size=2), start=st.sampled_from(CHANGES), seconds=st.integers(0, 90_000)
)
def test_the_next_opening_and_closing_are_those_that_a_walk_by_the_minute_finds(windows, start, seconds):
    keep_warm, now = in_windows(*windows), at(start) + timedelta(seconds=seconds)

    assert keep_warm.next_opening(now) == walked(keep_warm, now, opening=True)
    assert keep_warm.next_closing(now) == walked(keep_warm, now, opening=False)
