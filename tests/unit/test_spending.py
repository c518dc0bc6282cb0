"""What may be spent, and until when: the lease, the switch and the ceiling, each by itself, whoever asks."""

from datetime import timedelta

import pytest
from pilotlight.domain.kill_switch import KillSwitch, Position, read_switch, unreadable
from pilotlight.domain.pricing import WINDOW, Tariff, rate_in, window_at
from pilotlight.domain.spending import (
    Per,
    Purpose,
    Refusal,
    SpendCeiling,
    WindowStanding,
    charges,
    may_spend,
    notice_due,
)
from pydantic import ValidationError

from tests.factories import NOON, a_window, at

OFF = KillSwitch(position=Position.OFF)
ON = KillSwitch(position=Position.ON, reason="too dear")
TARIFF = Tariff(rate=rate_in("us-east-1"), units=2)  # $0.5718 a window
PAID = a_window(starts_at=NOON - timedelta(minutes=2))  # covers the next three minutes


def standing(**fields):
    sound = {
        "lease_ends_at": NOON + timedelta(days=3),
        "ceiling": SpendCeiling(usd=100),
        "spent_usd": 0.0,
        "tariff": TARIFF,
        "latest": None,
        "switch": OFF,
    }
    return WindowStanding(**{**sound, **fields})


@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_is_spent_after_the_lease_whoever_asks(purpose):
    ended = standing(lease_ends_at=NOON)

    assert may_spend(purpose, ended, NOON).refusal is Refusal.LEASE_ENDED
    assert may_spend(purpose, ended, NOON - timedelta(minutes=1)).allowed


def test_a_call_may_not_last_beyond_the_lease():
    ends = NOON + timedelta(seconds=40)

    assert may_spend(Purpose.CALL, standing(lease_ends_at=ends), NOON).until == ends
    assert may_spend(Purpose.CALL, standing(lease_ends_at=ends), ends - timedelta(seconds=9)).refusal == "lease-ended"


@pytest.mark.parametrize(
    ("switch", "allowed"),
    [
        (OFF, {*Purpose}),
        (ON, set()),
        (unreadable("no answer"), {Purpose.WAKE, Purpose.CALL}),
    ],
    ids=["off", "on", "unreadable"],
)
def test_what_a_switch_stops(switch, allowed):
    assert {purpose for purpose in Purpose if may_spend(purpose, standing(switch=switch), NOON).allowed} == allowed


def test_a_call_within_a_paid_window_is_answered_though_the_switch_is_on_but_not_beyond_it():
    paid = standing(switch=ON, latest=PAID)

    assert may_spend(Purpose.CALL, paid, NOON).until == PAID.ends_at
    assert may_spend(Purpose.CALL, paid, PAID.ends_at - timedelta(seconds=5)).refusal is Refusal.KILL_SWITCH_ON
    assert may_spend(Purpose.CALL, paid, PAID.ends_at).refusal is Refusal.KILL_SWITCH_ON


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("on", Position.ON),
        (" ON\n", Position.ON),
        ("off", Position.OFF),
        ('"off"', Position.OFF),
        ('{"on": true}', Position.ON),
        ('{"on": false, "by": "ada"}', Position.OFF),
        ("", Position.ON),
        ("no", Position.ON),
        ("{}", Position.ON),
        ('{"on": "perhaps"}', Position.ON),
        ("[]", Position.ON),
    ],
)
def test_what_an_operator_may_write_and_anything_else_counts_as_on(text, position):
    assert read_switch(text, NOON).position is position


def test_a_switch_is_read_as_it_was_written():
    switch = KillSwitch(position=Position.ON, reason="a “quoted” reason", since=NOON, by="ada")

    assert read_switch(switch.written(), at("2026-11-21T00:00")) == switch


def test_a_ceiling_that_is_reached_refuses_what_would_open_a_window():
    reached = standing(spent_usd=99.5)

    assert not any(may_spend(purpose, reached, NOON).allowed for purpose in (Purpose.CALL, Purpose.WAKE))
    assert may_spend(Purpose.CALL, reached, NOON).reason == (
        "$99.50 of $100.00 per month are spent, and the next window costs $0.57"
    )


def test_the_idle_window_after_a_fresh_chain_counts_where_it_is_billed():
    one_window_left = standing(spent_usd=100 - 1.5 * TARIFF.window.usd)
    unbilled = TARIFF.changed(idle_window_is_billed=False)

    assert not may_spend(Purpose.WAKE, one_window_left, NOON).allowed
    assert may_spend(Purpose.WAKE, one_window_left.changed(tariff=unbilled), NOON).allowed
    adjoining = one_window_left.changed(latest=a_window(starts_at=NOON - timedelta(minutes=6)))
    assert may_spend(Purpose.WAKE, adjoining, NOON).until == NOON + timedelta(minutes=4)


def test_at_the_ceiling_a_paid_window_still_answers_and_keeps_nothing_warm():
    at_ceiling = standing(spent_usd=100.0, latest=PAID)

    assert may_spend(Purpose.CALL, at_ceiling, NOON).until == PAID.ends_at
    assert not may_spend(Purpose.KEEP_WARM, at_ceiling, NOON).allowed
    assert not may_spend(Purpose.CREATE, at_ceiling, NOON).allowed


def test_beyond_the_ceiling_a_paid_window_answers_no_more():
    """Else a call that ends a moment late would open a window for the next one, and so on without end."""
    beyond = standing(spent_usd=100.01, latest=PAID)

    assert may_spend(Purpose.CALL, beyond, NOON).refusal is Refusal.SPEND_CEILING_REACHED


def test_a_call_may_last_as_many_windows_as_there_is_money_for():
    two_left = standing(spent_usd=100 - 2 * TARIFF.window.usd, latest=PAID)

    assert may_spend(Purpose.CALL, two_left, NOON).until == PAID.ends_at + 2 * WINDOW


@pytest.mark.parametrize("usd", [0, -1, float("nan"), float("inf"), 1_000_001, "200", True])
def test_a_ceiling_is_an_amount_of_dollars(usd):
    with pytest.raises(ValidationError):
        SpendCeiling(usd=usd)


@pytest.mark.parametrize(("per", "windows"), [(Per.MONTH, 1), (Per.DEPLOYMENT, 2)])
def test_the_first_window_of_a_month_takes_the_idle_one_along(per, windows):
    midnight = at("2026-12-01T00:00")
    latest = a_window(starts_at=midnight - timedelta(minutes=4))
    now = midnight + timedelta(minutes=2)

    until = standing(
        ceiling=SpendCeiling(usd=2.2 * TARIFF.window.usd, per=per), latest=latest, lease_ends_at=None
    ).affordable_until(now)

    assert until == latest.ends_at + windows * WINDOW


def test_a_window_that_is_paid_answers_to_its_end_also_where_that_is_in_the_next_month():
    latest = a_window(starts_at=at("2026-11-30T23:56"))

    paid = standing(spent_usd=99.9, latest=latest, lease_ends_at=None)

    assert paid.affordable_until(at("2026-11-30T23:57")) == latest.ends_at


def test_a_window_counts_in_the_month_in_which_it_starts_and_moves_the_idle_one_along():
    eve = at("2026-11-30T23:56")
    first = a_window(starts_at=eve)
    second = window_at(eve + timedelta(minutes=6), first, generation=1, opener=first.opened_by)
    third = window_at(eve + timedelta(minutes=11), second, generation=1, opener=first.opened_by)
    price = TARIFF.window.usd

    assert charges(first, None, TARIFF) == {"2026-11": pytest.approx(2 * price)}
    assert charges(second, first, TARIFF) == {"2026-11": -price, "2026-12": pytest.approx(2 * price)}
    assert charges(third, second, TARIFF) == {"2026-12": price}


def test_a_fresh_chain_brings_its_own_idle_window():
    first = a_window()
    later = window_at(NOON + timedelta(hours=1), first, generation=1, opener=first.opened_by)

    assert charges(later, first, TARIFF) == {"2026-11": pytest.approx(2 * TARIFF.window.usd)}


@pytest.mark.parametrize(
    ("percent", "told", "due"),
    [(79.9, 0, None), (80, 0, 80), (85, 80, None), (100, 80, 100), (130, 0, 100), (130, 100, None)],
)
def test_the_owner_is_told_at_four_fifths_and_at_the_whole(percent, told, due):
    assert notice_due(percent, told) == due


def test_a_ceiling_says_what_it_is_counted_over():
    assert str(SpendCeiling(usd=1200, per=Per.DEPLOYMENT)) == "$1,200.00 per deployment"
