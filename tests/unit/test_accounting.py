"""Every successful call is entered once, where the money is spent; warmth is read from the same ledger."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.warmth import Warmth

from tests.factories import NOON, a_serving_deployment, a_window, an_invocation
from tests.world import IDLE


@pytest.fixture
def deployment(world):
    deployment = a_serving_deployment()
    return world.deployments.shelf.put("llama", deployment, None)


def answer(world, deployment, **fields):
    return world.accounting.answered(deployment, world.clock.now(), WindowOpener.INVOCATION, **fields)


def test_the_first_call_opens_a_window_and_pays_it_whole(world, deployment):
    assert answer(world, deployment).usd == pytest.approx(0.5718)
    assert answer(world, deployment).usd == 0


def test_calls_within_a_window_are_paid_and_the_next_window_is_not(world, deployment):
    paid = []
    for _ in range(11):
        paid.append(answer(world, deployment).usd > 0)
        world.clock.advance(minutes=1)

    assert paid == [True, False, False, False, False] * 2 + [True]


def test_two_calls_that_open_the_same_window_pay_it_once(world, deployment):
    rival = a_window(starts_at=NOON)
    looked = world.deployments.latest_window("llama", 1)
    world.deployments.open_window("llama", rival)
    assert looked is None

    assert answer(world, deployment).usd == 0
    assert world.deployments.latest_window("llama", 1).ordinal == 1


def test_the_ledger_counts_the_idle_window_only_where_the_setting_says_so(world, deployment):
    answer(world, deployment)
    without = world.accounting_in("us-east-1", idle_window_is_billed=False)

    stored = deployment.changed(imported=None)
    assert world.accounting.cost_so_far(stored, NOON).usd > without.cost_so_far(stored, NOON).usd
    units_of_70b = 8
    assert without.cost_so_far(stored, NOON).usd == pytest.approx(units_of_70b * 5 * 0.05718)


def test_units_that_are_not_known_yet_are_taken_to_be_the_dearest_documented(world):
    fresh = a_serving_deployment().changed(imported=None)

    assert world.accounting.tariff(fresh).units == 8


def test_what_is_stored_costs_by_the_month_until_it_is_gone(world, deployment):
    a_month = NOON + timedelta(days=30)
    gone = deployment.changed(status=Status.GONE, updated_at=NOON + timedelta(days=15))

    assert world.accounting.cost_so_far(deployment, a_month).usd == pytest.approx(3.90)
    assert world.accounting.cost_so_far(gone, a_month).usd == pytest.approx(1.95)


def test_generations_have_ledgers_of_their_own(world, deployment):
    answer(world, deployment)

    assert answer(world, deployment.changed(generation=2)).usd > 0


def test_a_model_is_warm_until_it_has_been_idle_for_long_enough(world, deployment):
    assert world.accounting.warmth(deployment, NOON).state is Warmth.COLD
    answer(world, deployment)
    world.clock.advance(minutes=4)
    answer(world, deployment)

    belief = world.accounting.warmth(deployment, world.clock.now())

    assert (belief.state, belief.warm_until) == (Warmth.WARM, world.clock.now() + IDLE)
    assert world.accounting.warmth(deployment, world.clock.now() + IDLE).state is Warmth.COLD


def test_a_busy_model_does_not_write_a_record_for_every_call(world, deployment):
    answer(world, deployment)
    world.clock.advance(seconds=19)
    answer(world, deployment)
    assert world.deployments.latest_window("llama", 1).last_answer_at == NOON

    world.clock.advance(seconds=1)
    answer(world, deployment)

    assert world.deployments.latest_window("llama", 1).last_answer_at == NOON + timedelta(seconds=20)


def test_the_measured_speed_follows_the_answers_slowly(world, deployment):
    assert world.accounting.speed(deployment) is None
    answer(world, deployment, tokens_per_second=100.0)
    assert world.accounting.speed(deployment) == 100.0

    world.clock.advance(seconds=30)
    answer(world, deployment, tokens_per_second=50.0)

    assert world.accounting.speed(deployment) == pytest.approx(85.0)


def test_the_speed_is_remembered_across_windows(world, deployment):
    answer(world, deployment, tokens_per_second=100.0)
    world.clock.advance(hours=2)
    answer(world, deployment)

    assert world.accounting.speed(deployment) == 100.0


def test_a_cold_call_is_told_what_its_wake_cost_also_where_windows_adjoin(world, deployment):
    answer(world, deployment)
    world.clock.advance(minutes=5, seconds=1)
    asked = world.clock.now()
    world.clock.advance(seconds=90)
    world.accounting.answered(deployment, world.clock.now(), WindowOpener.PROBE)
    world.clock.advance(seconds=1)

    waited = an_invocation("waited", now=asked, was_cold=True)
    came_later = an_invocation("later", now=world.clock.now(), was_cold=True)

    assert answer(world, deployment, invocation=came_later).usd == 0
    assert answer(world, deployment, invocation=waited).usd == pytest.approx(0.5718)


def test_callers_that_waited_for_one_wake_pay_its_window_once(world, deployment):
    callers = [an_invocation(f"i-{number}", now=world.clock.now(), was_cold=True) for number in range(3)]
    world.clock.advance(seconds=90)
    world.accounting.answered(deployment, world.clock.now(), WindowOpener.PROBE)

    paid = [answer(world, deployment, invocation=caller).usd for caller in callers]

    assert paid == pytest.approx([0.5718, 0, 0])
    assert answer(world, deployment, invocation=callers[0]).usd == pytest.approx(0.5718), (
        "told again, not charged twice"
    )
    assert answer(world, deployment, invocation=callers[1]).usd == 0


def test_a_call_that_opened_its_window_is_told_the_same_when_it_is_entered_again(world, deployment):
    caller = an_invocation("i-1", now=world.clock.now())

    assert [answer(world, deployment, invocation=caller).usd for _ in range(2)] == pytest.approx([0.5718, 0.5718])
    assert world.deployments.latest_window("llama", 1).ordinal == 1


def test_an_answer_that_is_entered_after_a_later_window_began_is_charged_its_own_once(world, deployment):
    late = an_invocation("late", now=NOON)
    world.clock.advance(minutes=20)
    answer(world, deployment)
    newest = world.accounting.latest_window(deployment)

    def enter(invocation, after=timedelta()):
        return world.accounting.answered(deployment, NOON + after, WindowOpener.INVOCATION, invocation=invocation).usd

    assert enter(late) == pytest.approx(0.5718)
    assert enter(late) == pytest.approx(0.5718), "told again, not charged again"
    assert enter(an_invocation("other", now=NOON), timedelta(minutes=4)) == 0
    latest = world.accounting.latest_window(deployment)
    assert (latest.ordinal, latest.chains) == (2, 2)
    assert (latest.starts_at, latest.ends_at) == (newest.starts_at, newest.ends_at), "the newest one goes on"
    assert answer(world, deployment).usd == 0
    assert world.deployments.spent_in("llama", "2026-11") == pytest.approx(4 * 0.5718)


def test_an_answer_of_a_window_that_was_entered_is_not_charged_another_one_late(world, deployment):
    answer(world, deployment)
    world.clock.advance(minutes=20)
    answer(world, deployment)

    usd = world.accounting.answered(deployment, NOON + timedelta(minutes=2), WindowOpener.INVOCATION).usd

    assert (usd, world.accounting.latest_window(deployment).ordinal) == (0, 2)


def test_an_answer_that_is_entered_a_moment_after_anothers_shares_its_window(world, deployment):
    answer(world, deployment)

    usd = world.accounting.answered(deployment, NOON - timedelta(seconds=1), WindowOpener.INVOCATION).usd

    assert (usd, world.accounting.latest_window(deployment).ordinal) == (0, 1)


def test_a_call_that_was_cut_off_is_billed_and_tells_that_the_model_is_slower(world, deployment):
    world.accounting.timed_out(deployment, NOON, tokens=500, seconds=20)
    assert world.deployments.latest_window("llama", 1).ordinal == 1
    assert world.accounting.speed(deployment) == 12.5

    world.accounting.timed_out(deployment, NOON + timedelta(seconds=1), tokens=5000, seconds=20)

    assert world.accounting.speed(deployment) == 12.5, "a bound from above never makes it faster"


def test_a_call_within_a_paid_window_costs_nothing_more(world, deployment):
    assert world.accounting.next_call(deployment, NOON).usd == pytest.approx(0.5718)
    answer(world, deployment)

    assert world.accounting.next_call(deployment, NOON).usd == 0
    assert world.accounting.next_call(deployment, NOON + IDLE).usd == pytest.approx(0.5718)
