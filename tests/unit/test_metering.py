"""Instances are metered by looks at their endpoint, once whoever looks, and a deployment's money is read from that."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import ConcurrentChange
from pilotlight.domain.hosting import Hosting, InstanceSettings, ScaleIn, ScalingSettings
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.spending import Per
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import Warmth

from tests.factories import NOON, a_deployment, a_hosted_deployment, a_proposal, a_wake, an_invocation, at

PRICE = 1.408
HOUR = timedelta(hours=1)


@pytest.fixture
def deployment(world):
    return world.deployments.shelf.put("llama", a_hosted_deployment(), None)


def look(world, deployment, instances, moment):
    return world.metering.observe(deployment, instances, moment).usd


def test_each_look_returns_what_the_time_since_the_last_one_costs(world, deployment):
    assert look(world, deployment, 1, NOON) == 0
    assert look(world, deployment, 1, NOON + HOUR) == PRICE
    assert look(world, deployment, 1, NOON + HOUR) == 0
    assert look(world, deployment, 0, NOON + 2 * HOUR) == PRICE
    assert look(world, deployment, 0, NOON + 9 * HOUR) == 0

    assert world.deployments.latest_uptime("llama", 1).usd == 2 * PRICE
    assert world.deployments.spent_in("llama", "2026-11") == 2 * PRICE


def test_of_two_who_look_at_once_each_is_charged_what_the_other_was_not(world, deployment):
    look(world, deployment, 1, NOON)
    read, meanwhile = world.deployments.latest_uptime, [NOON + timedelta(minutes=59)]

    def another_looks_first(*key):
        found = read(*key)
        if meanwhile:
            look(world, deployment, 1, meanwhile.pop())
        return found

    world.deployments.latest_uptime = another_looks_first

    assert look(world, deployment, 1, NOON + HOUR) == pytest.approx(PRICE / 60, abs=1e-6)
    assert world.deployments.spent_in("llama", "2026-11") == pytest.approx(PRICE)


def test_an_answer_that_is_entered_while_a_look_begins_a_stretch_is_not_lost(world, deployment):
    look(world, deployment, 1, NOON)
    touch, begins = world.deployments.touch_uptime, [2]

    def a_look_begins_a_stretch_first(name, uptime):
        if begins:
            look(world, deployment, begins.pop(), NOON + HOUR)
        touch(name, uptime)

    world.deployments.touch_uptime = a_look_begins_a_stretch_first

    world.accounting.answered(deployment, NOON + HOUR, WindowOpener.INVOCATION)

    latest = world.deployments.latest_uptime("llama", 1)
    assert (latest.ordinal, latest.last_answer_at) == (2, NOON + HOUR)


def test_who_keeps_losing_is_told_to_come_again(world, deployment):
    world.deployments.meter = lambda *_: False

    with pytest.raises(ConcurrentChange):
        look(world, deployment, 1, NOON)


def test_another_price_may_be_told_where_a_dearer_instance_runs_beside(world, deployment):
    world.metering.observe(deployment, 2, NOON, usd_per_hour=5.0)

    assert world.metering.observe(deployment, 2, NOON + HOUR, usd_per_hour=5.0).usd == 10.0


def test_what_has_no_endpoint_any_more_is_metered_at_the_price_that_it_had(world, deployment):
    look(world, deployment, 1, NOON)

    assert look(world, deployment.changed(endpoint=None), 0, NOON + HOUR) == PRICE


def test_generations_have_ledgers_of_their_own_and_one_month(world, deployment):
    look(world, deployment, 1, NOON)
    look(world, deployment, 0, NOON + HOUR)
    following = deployment.changed(generation=2)
    later = NOON + 5 * HOUR
    look(world, following.changed(endpoint=following.endpoint.changed(created_at=later)), 1, later + HOUR)

    assert [world.deployments.latest_uptime("llama", generation).usd for generation in (1, 2)] == [PRICE, PRICE]
    assert world.deployments.spent_in("llama", "2026-11") == 2 * PRICE


# ---- what it costs --------------------------------------------------------------------------------------------


def test_an_hour_costs_what_runs_or_is_on_its_way(world, deployment):
    def of(**fields):
        return world.accounting.tariff(a_hosted_deployment(**fields))

    assert of(instances=2, desired=2).hour.usd == 2 * PRICE
    assert of(instances=0, desired=2).hour.usd == 2 * PRICE
    assert of(instances=0, desired=0).hour.usd == 0
    assert of(instances=1, exists=False).hour.usd == 0
    assert of(instances=0, desired=0).instance_hour.usd == PRICE


def test_before_there_is_an_endpoint_nothing_runs_and_a_named_instance_has_its_price(world):
    named = Hosting(instance=InstanceSettings(type="ml.g5.12xlarge"), scaling=ScalingSettings(max=3))
    fresh = a_deployment(backend=Backend.SAGEMAKER_ASYNC, hosting=named)
    open_choice = fresh.changed(hosting=Hosting())
    proposal = a_proposal("ml.g5.2xlarge", usd_per_hour=1.515)

    tariff = world.accounting.tariff(fresh)

    assert (tariff.hour.usd, tariff.instance_hour.usd, tariff.most, tariff.is_known) == (0, 7.09, 3, True)
    assert world.accounting.tariff(open_choice.changed(proposal=proposal)).instance_hour.usd == 1.515
    assert not world.accounting.tariff(open_choice).is_known
    assert world.accounting.tariff(open_choice).instance_hour.usd > 60, "what nobody knows is never cheap"


def test_the_cost_so_far_goes_on_between_looks_while_instances_run(world, deployment):
    look(world, deployment, 1, NOON)
    look(world, deployment, 1, NOON + HOUR)

    assert world.accounting.cost_so_far(deployment, NOON + 1.5 * HOUR).usd == pytest.approx(1.5 * PRICE)
    assert world.deployments.spent_in("llama", "2026-11") == PRICE, "looking at it charges nothing"
    parked = deployment.changed(endpoint=deployment.endpoint.changed(exists=False))
    assert world.accounting.cost_so_far(parked, NOON + 9 * HOUR).usd == PRICE


def test_before_the_first_look_an_endpoint_costs_since_it_was_asked_for(world, deployment):
    assert world.accounting.cost_so_far(deployment, NOON + HOUR).usd == PRICE
    assert world.accounting.spent(deployment, Per.MONTH, NOON + HOUR).usd == PRICE


def test_an_instance_that_is_on_its_way_counts_since_the_last_look(world, deployment):
    at_zero = deployment.changed(endpoint=deployment.endpoint.changed(instances=0, desired=0))
    look(world, at_zero, 0, NOON)
    waking = at_zero.changed(endpoint=at_zero.endpoint.changed(desired=1))

    assert world.accounting.cost_so_far(at_zero, NOON + HOUR).usd == 0
    assert world.accounting.cost_so_far(waking, NOON + HOUR).usd == PRICE


def test_what_counts_against_a_ceiling_is_of_the_month_or_of_the_generation(world, deployment):
    midnight = at("2026-12-01T00:00")
    look(world, deployment, 1, midnight - HOUR)
    look(world, deployment, 1, midnight + HOUR)
    now = midnight + 1.5 * HOUR
    ran = (now - NOON) / HOUR  # since it was asked for

    assert world.accounting.spent(deployment, Per.MONTH, now).usd == pytest.approx(1.5 * PRICE)
    assert world.accounting.spent(deployment, Per.DEPLOYMENT, now).usd == pytest.approx(ran * PRICE)


def test_a_month_goes_on_over_a_deployment_on_bedrock_and_one_on_instances(world, deployment):
    look(world, deployment, 1, NOON)
    look(world, deployment, 0, NOON + HOUR)
    on_bedrock = a_deployment(generation=2)

    assert world.accounting.spent(on_bedrock, Per.MONTH, NOON + 2 * HOUR).usd == PRICE


# ---- calls ----------------------------------------------------------------------------------------------------


def answer(world, deployment, moment=NOON, **fields):
    return world.accounting.answered(deployment, moment, WindowOpener.INVOCATION, **fields).usd


def test_a_call_is_told_its_share_of_the_time_and_is_charged_nothing(world, deployment):
    look(world, deployment, 1, NOON)
    took_a_minute = an_invocation(latency_ms=60_000)

    assert answer(world, deployment, invocation=took_a_minute) == pytest.approx(PRICE / 60, abs=1e-6)
    assert answer(world, deployment, seconds=1800) == PRICE / 2
    assert answer(world, deployment) == 0
    assert world.deployments.spent_in("llama", "2026-11") == 0


def test_a_call_that_gives_no_answer_costs_nothing_beside_the_time(world, deployment):
    look(world, deployment, 1, NOON)

    assert world.accounting.unanswered(deployment, NOON, WindowOpener.PROBE).usd == 0
    assert world.accounting.last_answer_at(deployment) is None


def test_an_answer_is_remembered_with_its_speed_also_by_the_next_stretch(world, deployment):
    look(world, deployment, 1, NOON)
    answer(world, deployment, NOON + timedelta(minutes=1), tokens_per_second=100.0)
    look(world, deployment, 2, NOON + timedelta(minutes=2))

    belief = world.accounting.belief(deployment, NOON + timedelta(minutes=3))

    assert (belief.tokens_per_second, belief.last_answer_at) == (100.0, NOON + timedelta(minutes=1))
    assert world.accounting.last_answer_at(deployment) == NOON + timedelta(minutes=1)


def test_a_busy_model_does_not_write_a_record_for_every_call(world, deployment):
    look(world, deployment, 1, NOON)
    answer(world, deployment, NOON)
    answer(world, deployment, NOON + timedelta(seconds=19))
    assert world.accounting.last_answer_at(deployment) == NOON

    answer(world, deployment, NOON + timedelta(seconds=20))

    assert world.accounting.last_answer_at(deployment) == NOON + timedelta(seconds=20)


def test_the_first_measured_speed_is_entered_at_once_and_followed_slowly(world, deployment):
    look(world, deployment, 1, NOON)
    answer(world, deployment)
    answer(world, deployment, NOON + timedelta(seconds=1), tokens_per_second=100.0)
    assert world.accounting.speed(deployment) == 100.0

    answer(world, deployment, NOON + timedelta(minutes=1), tokens_per_second=50.0)

    assert world.accounting.speed(deployment) == pytest.approx(85.0)


def test_a_call_that_was_cut_off_tells_that_the_model_is_slower(world, deployment):
    look(world, deployment, 1, NOON)

    world.accounting.timed_out(deployment, NOON, tokens=500, seconds=20)

    assert world.accounting.speed(deployment) == 12.5
    assert world.accounting.last_answer_at(deployment) is None, "it proves no answer"


def test_what_was_never_looked_at_remembers_nothing_and_breaks_nothing(world, deployment):
    answer(world, deployment, tokens_per_second=100.0)
    world.accounting.timed_out(deployment, NOON, tokens=500, seconds=20)

    assert world.accounting.speed(deployment) is None
    assert world.accounting.latest_window(deployment) is None


def test_a_call_costs_nothing_more_while_instances_run_and_else_a_start_and_a_stop(world, deployment):
    at_zero = a_hosted_deployment(instances=0, desired=0)

    assert world.accounting.next_call(deployment, NOON).usd == 0
    assert world.accounting.next_call(at_zero, NOON).usd == pytest.approx(PRICE / 6, abs=1e-6)


# ---- warmth ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "state"),
    [
        ({}, Warmth.WARM),
        ({"status": "Updating", "instances": 1, "desired": 2}, Warmth.WARM),
        ({"status": "RollingBack"}, Warmth.WARM),
        ({"status": "Creating", "instances": 0, "desired": 0}, Warmth.WAKING),
        ({"status": "Updating", "instances": 0, "desired": 1}, Warmth.WAKING),
        ({"instances": 0, "desired": 1}, Warmth.WAKING),
        ({"instances": 0, "desired": 0}, Warmth.COLD),
        ({"status": "Updating", "instances": 0, "desired": 0}, Warmth.COLD),
        ({"status": "Failed"}, Warmth.COLD),
        ({"status": "Deleting"}, Warmth.COLD),
        ({"exists": False}, Warmth.COLD),
        ({"copies": 0}, Warmth.COLD),
        ({"copies": 1}, Warmth.WARM),
    ],
)
def test_what_to_believe_follows_from_what_was_seen_of_the_endpoint(world, endpoint, state):
    belief = world.accounting.warmth(a_hosted_deployment(**endpoint), NOON + HOUR)

    assert belief.state is state
    assert belief.warm_until is None


def test_a_wake_under_way_is_told_also_where_nothing_is_seen_yet(world):
    parked = a_hosted_deployment(exists=False, instances=0).changed(wake=a_wake())

    assert world.accounting.warmth(parked, NOON).state is Warmth.WAKING
    assert world.accounting.warmth(a_deployment(backend=Backend.SAGEMAKER_ASYNC), NOON).state is Warmth.COLD


def test_a_belief_has_the_moment_of_what_was_seen(world):
    assert world.accounting.warmth(a_hosted_deployment(seen_at=NOON), NOON + HOUR).as_of == NOON


def test_instances_that_go_with_the_last_answer_may_go_with_a_look_and_are_not_told_of_as_cold_by_now(world):
    scaling = ScalingSettings(scale_in=ScaleIn.IMMEDIATE).for_backend(Backend.SAGEMAKER_ASYNC)

    belief = world.accounting.warmth(a_hosted_deployment(scaling=scaling), NOON + HOUR)

    assert (belief.state, belief.warm_until) == (Warmth.WARM, NOON + HOUR + timedelta(minutes=1))


# ---- what is shown --------------------------------------------------------------------------------------------


def test_a_view_tells_what_instances_cost_and_that_none_cost_nothing(world):
    world.clock.set(NOON + HOUR)
    running = world.viewing.of(a_hosted_deployment())
    at_zero = world.viewing.of(a_hosted_deployment(instances=0, desired=0))

    assert (running.cost_so_far.usd, running.cost_per_hour.usd) == (PRICE, PRICE)
    assert (at_zero.cost_so_far.usd, at_zero.cost_per_hour.usd) == (0, 0)
    assert (running.warmth.state, at_zero.warmth.state) == (Warmth.WARM, Warmth.COLD)
    assert running.spending.spent.usd == PRICE
    assert "its instances are stopped" in running.spending.at_ceiling


def test_an_endpoint_that_is_still_there_is_shown_with_its_price_whatever_became_of_its_deployment(world):
    removing = a_hosted_deployment().changed(status=Status.TEARING_DOWN)

    assert world.viewing.of(removing).cost_per_hour.usd == PRICE
    gone = removing.changed(status=Status.GONE, endpoint=removing.endpoint.changed(exists=False))
    assert world.viewing.of(gone).cost_per_hour is None
