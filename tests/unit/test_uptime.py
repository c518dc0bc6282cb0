"""The time between two looks at an endpoint is charged once, at the dearer of what the two saw, and adds up."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pilotlight.domain.endpoint import Seen, Strategy, Update
from pilotlight.domain.hosting import ScalingSettings
from pilotlight.domain.uptime import (
    Uptime,
    believed_instances,
    metered,
    none_before,
    paid_instances,
    paid_usd_per_hour,
)
from pilotlight.domain.values import Backend

from tests.factories import NOON, an_endpoint, an_uptime, at

PRICE = 1.408
HOUR = timedelta(hours=1)


class Ledger:
    """The newest record, and what was charged to which month, after looks."""

    def __init__(self) -> None:
        self.latest: Uptime | None = None
        self.months: dict[str, float] = {}

    def look(self, moment: datetime, instances: int, *, price: float = PRICE, none_before: datetime | None = None):
        found = metered(
            self.latest,
            generation=1,
            instances=instances,
            usd_per_hour=price,
            at=moment,
            none_before=none_before,
        )
        if found:
            self.latest = found.latest
            for month, usd in found.charges.items():
                self.months[month] = round(self.months.get(month, 0.0) + usd, 6)
        return found.usd if found else 0.0


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def ledger():
    return Ledger()


def test_a_first_look_begins_the_ledger_and_charges_nothing(ledger):
    assert ledger.look(NOON, 2) == 0
    assert (ledger.latest.ordinal, ledger.latest.instances, ledger.latest.usd) == (1, 2, 0)


def test_an_instance_is_paid_for_by_the_second(ledger):
    ledger.look(NOON, 1)

    assert ledger.look(NOON + timedelta(seconds=90), 1) == pytest.approx(PRICE / 40)
    assert (ledger.latest.ordinal, ledger.latest.seconds) == (1, 90)


def test_a_first_look_that_comes_late_pays_since_the_endpoint_was_asked_for(ledger):
    assert ledger.look(after(30), 1, none_before=NOON) == pytest.approx(PRICE / 2)
    assert ledger.latest.starts_at == NOON


@pytest.mark.parametrize(("before", "now"), [(1, 3), (3, 1), (0, 3), (3, 0)])
def test_the_time_between_two_looks_is_charged_at_the_larger_count(ledger, before, now):
    ledger.look(NOON, before)

    assert ledger.look(after(60), now) == pytest.approx(3 * PRICE)
    assert (ledger.latest.ordinal, ledger.latest.instances) == (2, now)


def test_a_dearer_instance_is_charged_for_the_time_in_which_it_may_have_run(ledger):
    ledger.look(NOON, 1, price=1.0)

    assert ledger.look(after(60), 1, price=7.0) == 7.0
    assert ledger.look(after(120), 1, price=1.0) == 7.0
    assert ledger.look(after(180), 1, price=1.0) == 1.0


def test_a_time_without_an_instance_costs_nothing_and_is_followed_closely(ledger):
    ledger.look(NOON, 1)
    ledger.look(after(60), 0)
    charged = [ledger.look(after(minutes), 0) for minutes in range(65, 600, 5)]

    assert sum(charged) == 0
    assert ledger.look(after(600), 1) == pytest.approx(PRICE / 12, abs=1e-6), "since the last look that saw none"


def test_an_endpoint_that_is_made_again_is_not_charged_for_the_time_in_which_there_was_none(ledger):
    ledger.look(NOON, 1)
    ledger.look(after(60), 0)
    days_later = after(3 * 24 * 60)

    assert ledger.look(days_later, 1, none_before=days_later - timedelta(minutes=6)) == pytest.approx(PRICE / 10)


def test_when_an_endpoint_was_made_excuses_nothing_while_it_runs(ledger):
    ledger.look(NOON, 1)

    assert ledger.look(after(60), 2, none_before=after(59)) == pytest.approx(2 * PRICE)


def test_a_look_that_is_repeated_charges_nothing(ledger):
    ledger.look(NOON, 1)
    ledger.look(after(60), 2)
    before = ledger.latest

    assert ledger.look(after(60), 2) == 0
    assert ledger.latest == before


def test_a_clock_that_goes_backwards_charges_nothing_and_hides_nothing(ledger):
    ledger.look(NOON, 2)
    ledger.look(after(60), 2)

    assert [ledger.look(after(50), count) for count in (2, 1, 0)] == [0, 0, 0]
    assert ledger.latest.instances == 2, "an older look that saw fewer says nothing of now"
    assert ledger.look(after(50), 3) == 0
    assert ledger.look(after(120), 2) == pytest.approx(3 * PRICE), "one that saw more may still hold"


def test_months_are_split_at_their_border(ledger):
    midnight = at("2026-12-01T00:00")
    ledger.look(midnight - HOUR, 1)

    ledger.look(midnight + 2 * HOUR, 1)

    assert ledger.months == {"2026-11": PRICE, "2026-12": 2 * PRICE}


def test_a_look_after_months_charges_each_of_them(ledger):
    ledger.look(at("2026-11-30T00:00"), 1, price=1.0)

    ledger.look(at("2027-02-02T00:00"), 1, price=1.0)

    assert ledger.months == {"2026-11": 24, "2026-12": 31 * 24, "2027-01": 31 * 24, "2027-02": 24}


def test_speed_and_last_answer_outlive_a_stretch():
    stretch = an_uptime(tokens_per_second=40.0, last_answer_at=NOON)

    next_one = metered(stretch, generation=1, instances=2, usd_per_hour=PRICE, at=after(1)).latest

    assert (next_one.tokens_per_second, next_one.last_answer_at) == (40.0, NOON)


# ---- whatever happens -----------------------------------------------------------------------------------------

gaps = st.one_of(st.floats(0.001, 7200), st.floats(86_400, 40 * 86_400))
"""Seconds between two looks: a moment to two hours, or days to more than a month."""
stories = st.lists(st.tuples(gaps, st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=30)
"""What happens between looks: how long it takes, how many there are then, and how far on the way the count changed."""
prices = st.sampled_from([0.1, 1.408, 7.09, 63.296])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(first=st.integers(0, 5), story=stories, price=prices)
def test_never_less_is_charged_than_ran_and_the_charges_add_up(first, story, price):
    ledger, moment, count = Ledger(), NOON, first
    ledger.look(moment, count, price=price)
    ran = charged = 0.0
    for elapsed, following, share in story:
        ran += elapsed * (share * count + (1 - share) * following)
        moment, count = moment + timedelta(seconds=elapsed), following
        charged += ledger.look(moment, count, price=price)

    slack = 1e-6 * (len(story) + 1)
    assert charged >= ran * price / 3600 - slack
    assert charged == pytest.approx(ledger.latest.usd, abs=1e-9)
    assert sum(ledger.months.values()) == pytest.approx(ledger.latest.usd, abs=1e-9)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(story=stories, price=prices)
def test_nothing_is_charged_twice_however_often_it_is_looked_at_in_between(story, price):
    """Where the count stays the same, no number of looks costs more than the first and the last alone."""
    often, seldom, moment = Ledger(), Ledger(), NOON
    often.look(NOON, 2, price=price)
    seldom.look(NOON, 2, price=price)
    for elapsed, _, _ in story:
        moment += timedelta(seconds=elapsed)
        often.look(moment, 2, price=price)
        assert often.look(moment, 2, price=price) == 0
        assert often.look(moment - timedelta(seconds=elapsed / 2), 2, price=price) == 0
    seldom.look(moment, 2, price=price)

    assert often.latest.usd == pytest.approx(seldom.latest.usd, abs=1e-9)
    assert often.months == pytest.approx(seldom.months, abs=1e-9)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    looks=st.lists(st.tuples(st.floats(-7200, 7200), st.integers(0, 5)), min_size=2, max_size=30),
    price=prices,
)
def test_looks_in_any_order_never_take_back_what_was_charged(looks, price):
    ledger, moment, totals = Ledger(), NOON, [0.0]
    for elapsed, count in looks:
        moment += timedelta(seconds=elapsed)
        assert ledger.look(moment, count, price=price) >= 0
        totals.append(ledger.latest.usd)

    assert totals == sorted(totals)
    assert sum(ledger.months.values()) == pytest.approx(totals[-1], abs=1e-9)


# ---- how many are paid for ------------------------------------------------------------------------------------


def seen(status="InService", **counts):
    return Seen(name="e", arn="arn:e", status=status, config_name="e-v1", **counts)


@pytest.mark.parametrize(
    ("sight", "count"),
    [
        (None, 0),
        (seen(instances=0, desired=0), 0),
        (seen(instances=2, desired=2), 2),
        (seen("Updating", instances=0, desired=1), 1),
        (seen("Updating", instances=3, desired=1), 3),
        (seen("Creating"), 2),
    ],
    ids=["gone", "at zero", "running", "starting", "stopping", "created"],
)
def test_an_instance_is_paid_for_from_when_it_is_asked_for_until_it_is_gone(sight, count):
    scaling = ScalingSettings(initial=2, max=4).for_backend(Backend.SAGEMAKER_ASYNC)

    assert paid_instances(sight, an_endpoint(scaling=scaling)) == count


@pytest.mark.parametrize("strategy", Strategy)
def test_while_an_update_runs_old_and_new_instances_are_paid_for(strategy):
    update = Update(number=1, revision=2, previous=1, strategy=strategy, started_at=NOON)
    updated = an_endpoint(update=update)

    assert paid_instances(seen("Updating", instances=2, desired=2), updated) == 4
    assert paid_instances(seen("RollingBack", instances=2, desired=2), updated) == 4
    assert paid_instances(seen("InService", instances=2, desired=2), updated) == 2


def test_new_instances_that_are_told_are_not_paid_for_twice():
    update = Update(number=1, revision=2, previous=1, strategy=Strategy.BLUE_GREEN, started_at=NOON)
    updated = an_endpoint(update=update)

    assert paid_instances(seen("Updating", instances=2, desired=2, pending=2), updated) == 4
    assert paid_instances(seen("Updating", instances=2, desired=2, pending=3), updated) == 5
    assert paid_instances(seen("Updating", instances=1, desired=1, pending=1), an_endpoint()) == 2


def test_an_update_brings_no_instance_where_there_is_none_and_none_is_told():
    update = Update(number=1, revision=2, previous=1, strategy=Strategy.BLUE_GREEN, started_at=NOON)
    updated = an_endpoint(update=update, exists=True, status="Updating")

    assert paid_instances(seen("Updating"), updated) == believed_instances(updated) == 0
    assert paid_instances(seen("Updating", pending=1), updated) == 1


@pytest.mark.parametrize(("old", "new"), [(1.0, 7.0), (7.0, 1.0)])
def test_each_fleet_of_an_update_is_paid_for_at_its_own_price(old, new):
    update = Update(number=1, revision=2, previous=1, started_at=NOON, usd_per_hour=new)
    updated = an_endpoint(update=update, usd_per_hour=old)

    def hourly(sight):
        return paid_instances(sight, updated) * paid_usd_per_hour(sight, updated)

    one = {"instances": 1, "desired": 1}
    assert hourly(seen(**one)) == old, "it is yet to move"
    assert hourly(seen("Updating", **one)) == hourly(seen("RollingBack", **one)) == old + new
    assert hourly(seen("Updating", **one, pending=2)) == pytest.approx(old + 2 * new)
    assert hourly(seen("Deleting", **one)) == old + new
    assert hourly(seen(**one).changed(config_name="e-v2")) == new, "it has moved"
    assert hourly(seen(**one).changed(config_name="e-v12")) == max(old, new), "nobody knows where to"
    assert hourly(seen("UpdateRollbackFailed", **one)) == max(old, new)


def test_between_looks_the_instances_of_both_revisions_are_believed_to_run():
    update = Update(number=1, revision=2, previous=1, strategy=Strategy.BLUE_GREEN, started_at=NOON)
    moved = an_endpoint(exists=True, status="Updating", instances=2, desired=2, update=update)

    assert believed_instances(moved) == 4
    assert believed_instances(moved.changed(status="InService")) == 2
    assert believed_instances(moved.changed(update=None)) == 2
    assert believed_instances(moved.changed(exists=False)) == 0


def test_before_an_endpoint_was_asked_for_it_had_no_instance():
    assert none_before(None) is None
    assert none_before(an_endpoint(created_at=after(1))) == after(1)
    assert none_before(an_endpoint(starting_at=NOON, created_at=after(1))) == NOON
