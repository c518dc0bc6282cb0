"""One wake at a time, bounded in attempts, seconds and dollars; what we believe of a model's memory has its moment."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pilotlight.domain.errors import Superseded
from pilotlight.domain.warmth import (
    ASSUMED_COLD_START_SECONDS,
    LONGEST_WAIT_SECONDS,
    WakeBudget,
    Warmth,
    after_probe,
    estimate,
    median_cold_start,
    new_wake,
    probe_is_due,
)

from tests.factories import NOON, a_wake

BUDGET = WakeBudget(max_attempts=10, max_seconds=300, max_usd=1.0)
IDLE = timedelta(minutes=5)


def after(seconds: float):
    return NOON + timedelta(seconds=seconds)


def decide(answered: bool = False, *, elapsed: float = 10, cold_start: float = 100, **wake):
    held = a_wake(budget=BUDGET, **{"attempts": 1, **wake})
    return after_probe(held, answered, budget=BUDGET, cold_start_seconds=cold_start, now=after(elapsed))


def test_a_model_that_answers_is_ready_and_the_reason_says_how_long_it_took():
    decision = decide(True, elapsed=96, attempts=12)

    assert (decision.ready, decision.give_up, decision.wait_seconds) == (True, False, 0)
    assert decision.reason == "answered after 96 s, 12 probes"
    assert decide(True, elapsed=3, attempts=1).reason == "answered after 3 s, 1 probe"


@pytest.mark.parametrize(
    ("wake", "elapsed", "reason"),
    [
        ({"attempts": 10}, 10, "no answer after 10 of 10 probes"),
        ({}, 300, "no answer within 300 s"),
        ({"usd": 1.0}, 10, r"\$1.00 of \$1.00 spent on probes"),
    ],
)
def test_a_wake_out_of_attempts_time_or_money_gives_up_and_says_of_what(wake, elapsed, reason):
    decision = decide(elapsed=elapsed, **wake)

    assert decision.give_up
    assert re.fullmatch(reason, decision.reason)


@pytest.mark.parametrize(("wake", "elapsed"), [({"attempts": 9}, 10), ({}, 299), ({"usd": 0.99}, 10)])
def test_a_wake_just_inside_its_bounds_goes_on(wake, elapsed):
    assert not decide(elapsed=elapsed, **wake).give_up


def test_an_answer_counts_though_the_bounds_are_reached():
    assert decide(True, elapsed=300, attempts=10).ready


def test_the_wait_doubles_up_to_a_tenth_of_the_measured_cold_start():
    waits = [decide(attempts=attempts, cold_start=100).wait_seconds for attempts in range(1, 6)]

    assert waits == [2, 4, 8, 10, 10]


@settings(derandomize=True, max_examples=50)
@given(attempts=st.integers(0, 9), cold_start=st.floats(0, 10_000))
def test_the_wait_is_never_nothing_and_never_long(attempts, cold_start):
    assert 1 <= decide(attempts=attempts, cold_start=cold_start).wait_seconds <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize(
    ("spent", "price", "goes_on"), [(0, 1.0, True), (0, 1.01, False), (0.5, 0.51, False), (1, 0, True)]
)
def test_a_wake_does_not_probe_where_the_window_of_an_answer_is_more_than_is_left(spent, price, goes_on):
    reason = a_wake(budget=BUDGET, usd=spent).cannot_afford(price, BUDGET)

    assert (reason is None) is goes_on
    assert goes_on or f"${price:.2f}" in reason


def test_only_the_holder_of_a_wake_goes_on():
    wake = a_wake("mine")

    wake.require("mine")
    with pytest.raises(Superseded, match="replaced by mine"):
        wake.require("another")


def test_a_wake_lives_a_little_longer_than_its_seconds_so_that_it_can_say_why_it_ends():
    wake = new_wake("w", BUDGET, NOON)

    assert wake.is_live(after(300))
    assert not wake.is_live(after(420))


@pytest.mark.parametrize(
    ("wake", "answered", "now", "state"),
    [
        (None, None, 0, Warmth.COLD),
        (None, 0, 299, Warmth.WARM),
        (None, 0, 300, Warmth.COLD),
        ("live", None, 10, Warmth.WAKING),
        ("live", 0, 10, Warmth.WARM),
        ("live", 0, 310, Warmth.WAKING),
        ("live", None, 10_000, Warmth.COLD),
    ],
)
def test_what_to_believe_follows_from_the_wake_and_the_last_answer(wake, answered, now, state):
    held = a_wake(wake, budget=BUDGET) if wake else None
    answered_at = None if answered is None else after(answered)

    belief = estimate(held, answered_at, idle=IDLE, now=after(now))

    assert belief.state is state
    assert belief.warm_until == (after(300) if state is Warmth.WARM else None)
    assert belief.as_of == (answered_at if state is Warmth.WARM else after(now))


def test_a_keep_warm_probe_is_due_when_the_look_after_next_would_come_too_late():
    assert not probe_is_due(NOON + timedelta(seconds=121), NOON)
    assert probe_is_due(NOON + timedelta(seconds=120), NOON)


def test_the_median_cold_start_is_assumed_until_one_is_measured():
    assert median_cold_start(()) == ASSUMED_COLD_START_SECONDS
    assert median_cold_start((300.0, 90.0, 100.0)) == 100.0
