"""What is left of a ceiling is time for which instances may run: enough to begin with, and enough to stop in."""

from datetime import timedelta

import pytest
from pilotlight.domain.capacity import Unit
from pilotlight.domain.instance_spending import LEAST_UPTIME, STOPPING, InstanceStanding, may_go_on
from pilotlight.domain.kill_switch import KillSwitch, Position, unreadable
from pilotlight.domain.pricing import InstanceTariff
from pilotlight.domain.spending import LONGEST_UPDATE, Purpose, Refusal, SpendCeiling, may_spend

from tests.factories import NOON

OFF = KillSwitch(position=Position.OFF)
ON = KillSwitch(position=Position.ON, reason="too dear")
ONE = InstanceTariff(usd_per_hour=6.0, instances=1, most=2)
NONE = ONE.changed(instances=0)
A_MINUTE = 0.1  # dollars


def standing(**fields):
    sound = {
        "lease_ends_at": NOON + timedelta(days=3),
        "ceiling": SpendCeiling(usd=100),
        "spent_usd": 0.0,
        "tariff": ONE,
        "switch": OFF,
    }
    return InstanceStanding(**{**sound, **fields})


def with_left(minutes, **fields):
    """Return the standing of whose ceiling so many minutes of one instance are left."""
    return standing(spent_usd=100 - minutes * A_MINUTE, **fields)


def allowed(found):
    return {purpose for purpose in Purpose if may_spend(purpose, found, NOON).allowed}


def test_what_is_left_pays_for_a_time():
    assert with_left(30).affordable_until(NOON) == pytest.approx(NOON + timedelta(minutes=30), abs=timedelta(seconds=1))
    two = ONE.changed(instances=2)
    assert with_left(30, tariff=two).affordable_until(NOON) < NOON + timedelta(minutes=16)
    assert with_left(30, tariff=NONE).affordable_until(NOON) > NOON + timedelta(minutes=29), "one is what would run"
    assert with_left(0).affordable_until(NOON) is None


def test_any_ceiling_can_be_looked_ahead_for():
    rich = standing(ceiling=SpendCeiling(usd=1_000_000), tariff=ONE.changed(usd_per_hour=0.0))

    assert rich.affordable_until(NOON) > NOON + timedelta(days=365)
    assert standing(ceiling=SpendCeiling(usd=1_000_000)).affordable_until(NOON) > NOON + timedelta(days=365)


def test_nothing_is_begun_that_could_not_be_stopped_in_time_again():
    least = LEAST_UPTIME / timedelta(minutes=1)

    assert allowed(with_left(least + 0.1, tariff=NONE)) == {*Purpose} - {Purpose.UPDATE}
    assert allowed(with_left(least - 0.1, tariff=NONE)) == {Purpose.CREATE}


def test_instances_that_run_answer_to_the_last_moment_and_are_not_kept_warm_for_nobody():
    assert allowed(with_left(9)) == {*Purpose} - {Purpose.KEEP_WARM, Purpose.UPDATE}
    assert allowed(with_left(1)) == {Purpose.CREATE, Purpose.CALL}
    assert allowed(with_left(0.1)) == {Purpose.CREATE}
    assert allowed(with_left(0)) == set()


def test_an_update_is_begun_only_where_what_is_left_pays_for_both_fleets_to_its_end():
    both = 2 * LONGEST_UPDATE / timedelta(minutes=1)

    assert Purpose.UPDATE in allowed(with_left(both + 1))
    assert Purpose.UPDATE not in allowed(with_left(both - 1))


def test_a_call_may_last_as_long_as_what_is_left_pays_for_and_not_beyond_the_lease():
    assert may_spend(Purpose.CALL, with_left(9), NOON).until == with_left(9).affordable_until(NOON)
    ends = NOON + timedelta(minutes=1)
    assert may_spend(Purpose.CALL, standing(lease_ends_at=ends), NOON).until == ends


def test_a_refusal_says_what_is_spent_and_what_an_hour_costs():
    reason = may_spend(Purpose.WAKE, with_left(5, tariff=NONE), NOON).reason

    assert reason == "$99.50 of $100.00 per month are spent, and an hour of one instance costs $6.00"
    two = ONE.changed(instances=2)
    assert "an hour of 2 instances costs $12.00" in may_spend(Purpose.WAKE, with_left(1, tariff=two), NOON).reason
    closing = may_spend(Purpose.CALL, with_left(0.1), NOON).reason
    assert closing.startswith("what is left pays for its instances until 2026-11-20T12:00:0")


@pytest.mark.parametrize(
    ("switch", "tariff", "purposes"),
    [
        (ON, ONE, set()),
        (ON, NONE, set()),
        (unreadable("no answer"), ONE, {Purpose.WAKE, Purpose.CALL}),
        (OFF, ONE, {*Purpose}),
    ],
    ids=["on", "on at zero", "unreadable", "off"],
)
def test_what_a_switch_stops(switch, tariff, purposes):
    assert allowed(standing(switch=switch, tariff=tariff)) == purposes


def test_nothing_is_spent_after_the_lease():
    assert allowed(standing(lease_ends_at=NOON)) == set()


def test_whoever_begins_claims_what_autoscaling_may_add_and_a_call_that_finds_instances_claims_nothing():
    assert standing().units == {Unit.INSTANCES: 2}
    assert standing(tariff=ONE.changed(instances=3)).units == {Unit.INSTANCES: 3}
    assert standing().room_until(Purpose.CALL, NOON, NOON) is None
    assert standing(tariff=NONE).room_until(Purpose.CALL, NOON, NOON) == NOON + timedelta(minutes=15)
    assert standing().room_until(Purpose.WAKE, NOON, NOON) == NOON + timedelta(minutes=15)


# ---- what runs, and must stop ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (standing(), None),
        (standing(lease_ends_at=NOON), Refusal.LEASE_ENDED),
        (standing(lease_ends_at=None), None),
        (standing(switch=ON), Refusal.KILL_SWITCH_ON),
        (standing(switch=unreadable("no answer")), None),
        (with_left(0), Refusal.SPEND_CEILING_REACHED),
        (with_left(-5), Refusal.SPEND_CEILING_REACHED),
        (with_left(5), None),
        (with_left(5, tariff=NONE), Refusal.SPEND_CEILING_REACHED),
        (with_left(11, tariff=NONE), None),
    ],
)
def test_what_must_stop_and_why(found, refusal):
    permission = may_go_on(found, NOON)

    assert (permission.allowed, permission.refusal) == (refusal is None, refusal)
    assert (permission.reason is None) is permission.allowed


def test_instances_are_stopped_while_what_is_left_still_pays_for_stopping_them():
    minutes = STOPPING / timedelta(minutes=1)

    assert may_go_on(with_left(minutes + 0.1), NOON).allowed
    assert not may_go_on(with_left(minutes - 0.1), NOON).allowed


def test_the_owner_is_told_what_becomes_of_the_instances():
    assert standing().notice(80) == "(80 %): at 100 % its instances are stopped, and nothing is woken for it"
    assert with_left(0).notice(100).startswith("(100 %): its instances are stopped")
    assert "and the rest pays for no start" in with_left(5).notice(100)
