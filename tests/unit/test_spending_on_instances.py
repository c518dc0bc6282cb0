"""Money for instances is asked for where they are begun, and what runs is stopped before a ceiling is passed."""

import random
from datetime import timedelta

import pytest
from pilotlight.domain.capacity import Caps, Unit
from pilotlight.domain.errors import CapacityReached, Held, KillSwitchOn, LeaseEnded, SpendCeilingReached, Unavailable
from pilotlight.domain.hosting import Hosting, InstanceSettings, ScalingSettings
from pilotlight.domain.kill_switch import Position
from pilotlight.domain.spending import Per, Purpose, SpendCeiling
from pilotlight.domain.values import Backend
from pilotlight.services.holding import hold

from tests.factories import NOON, a_deployment, a_hosted_deployment
from tests.world import World

PRICE = 1.408
HOUR = timedelta(hours=1)


def put(world, name="llama", **endpoint):
    return world.deployments.shelf.put(name, a_hosted_deployment(name, **endpoint), None)


def limited(world, deployment, usd, per=Per.MONTH):
    after = deployment.changed(spend_ceiling=SpendCeiling(usd=usd, per=per))
    return world.deployments.shelf.put(deployment.name, after, deployment.version)


def at_most(count, **scaling):
    return ScalingSettings(max=count, **scaling).for_backend(Backend.SAGEMAKER_ASYNC)


def claims(world):
    live = world.capacity.read().live(world.clock.now())
    return {holder: claim.units.get(Unit.INSTANCES, 0) for holder, claim in live.items()}


@pytest.fixture
def crowded():
    """Return a world with room for four instances, of which `first` may have three."""
    world = World(caps=Caps(instances=4))
    put(world, "first", scaling=at_most(3))
    put(world, "second", scaling=at_most(2), instances=0, desired=0, exists=False)
    world.spending.prolong(world.deployment("first"))
    return world


# ---- room for instances ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", [Purpose.START, Purpose.WAKE, Purpose.KEEP_WARM, Purpose.CALL])
def test_whoever_begins_instances_claims_as_many_as_autoscaling_may_add(world, purpose):
    at_zero = put(world, scaling=at_most(3), instances=0, desired=0)

    assert world.spending.permission(at_zero, purpose).allowed
    assert claims(world) == {"llama-g1": 3}
    assert world.capacity.read().used(Unit.MODEL_UNITS, NOON) == 0


def test_what_is_only_stored_and_a_call_that_finds_an_instance_claim_none(world):
    running = put(world)

    assert world.spending.permission(running, Purpose.CREATE).allowed
    assert world.spending.permission(running, Purpose.CALL).allowed
    assert claims(world) == {}


def test_a_deployment_for_which_there_is_no_room_is_not_woken_and_is_when_there_is(crowded):
    second = crowded.deployment("second")
    with pytest.raises(CapacityReached, match="it needs 2 instances; of 4 are held: first-g1 3"):
        crowded.spending.require(second, Purpose.WAKE)

    crowded.clock.advance(minutes=15)

    assert crowded.spending.require(second, Purpose.WAKE).allowed


def test_who_finds_no_room_is_told_what_fits_and_not_to_scale_down_what_may_grow_again(crowded):
    with pytest.raises(CapacityReached) as refusal:
        crowded.spending.require(crowded.deployment("second"), Purpose.WAKE)

    assert "give it a `max` of 1, for which there is room" in refusal.value.message
    assert "`pilotlight update NAME --max N`" in refusal.value.message
    assert "scale one of them down" not in refusal.value.message


def test_a_lowered_maximum_gives_the_difference_back_with_the_next_look(crowded):
    crowded.deployments.shelf.write("first", a_hosted_deployment("first", scaling=at_most(1)), 2)

    crowded.spending.prolong(crowded.deployment("first"))

    assert claims(crowded) == {"first-g1": 1}
    assert crowded.spending.require(crowded.deployment("second"), Purpose.WAKE).allowed


def test_what_waits_for_room_tells_the_claims_of_now_and_no_amount_of_money_twice(crowded):
    second = crowded.deployment("second")

    def hold_for(error):
        hold(crowded.deployments, second, error, crowded.clock)
        return crowded.deployment("second").waiting_for

    assert hold_for(CapacityReached("of 4 are held: first-g1 3")) == "of 4 are held: first-g1 3"
    assert hold_for(CapacityReached("of 4 are held: first-g1 1")) == "of 4 are held: first-g1 1"
    assert hold_for(Held("$1.20 are spent")) == "$1.20 are spent"
    assert hold_for(Held("$1.30 are spent")) == "$1.20 are spent"


def test_an_endpoint_that_is_looked_at_keeps_its_room(crowded):
    for _ in range(10):
        crowded.clock.advance(minutes=5)
        crowded.spending.prolong(crowded.deployment("first"))
        assert claims(crowded) == {"first-g1": 3}


def test_looks_each_minute_do_not_write_each_minute(crowded):
    before = crowded.capacity.read().version
    for _ in range(30):
        crowded.clock.advance(minutes=1)
        crowded.spending.prolong(crowded.deployment("first"))

    assert crowded.capacity.read().version - before <= 6


def test_others_count_with_what_runs_also_where_there_was_no_room_for_it(crowded):
    third = put(crowded, "third", scaling=at_most(1), instances=2, desired=2)
    crowded.spending.prolong(third)

    assert claims(crowded) == {"first-g1": 3, "third-g1": 2}


def test_a_ledger_of_claims_that_cannot_be_written_does_not_stop_a_look(crowded):
    crowded.capacity.shelf.meanwhile.append(lambda: crowded.spending.prolong(crowded.deployment("second")))
    third = put(crowded, "third")

    crowded.spending.prolong(third)

    assert "third-g1" not in claims(crowded), "the next look claims it"


def test_more_than_all_may_have_together_can_never_be(world):
    deployment = put(world, scaling=at_most(5), instances=0, desired=0)

    permission = world.spending.permission(deployment, Purpose.START)

    assert (permission.allowed, permission.passes) == (False, False)
    with pytest.raises(CapacityReached, match="a `max` of 4, for which there is room, or raise") as refusal:
        world.spending.require(deployment, Purpose.START)
    assert refusal.value.detail["never"]


def test_before_there_is_an_endpoint_the_request_says_how_many_there_may_be(world):
    fresh = a_deployment(backend=Backend.SAGEMAKER_REALTIME, hosting=Hosting(scaling=ScalingSettings(max=4)))

    assert world.spending.permission(fresh, Purpose.START).allowed
    assert claims(world) == {"llama-g1": 4}


def test_a_wake_that_failed_leaves_the_claim_to_an_endpoint_that_is_there(crowded):
    second = crowded.deployment("second")
    crowded.clock.advance(minutes=15)
    crowded.spending.require(second, Purpose.WAKE, wake="w-1")
    created = second.changed(endpoint=second.endpoint.changed(exists=True))

    crowded.spending.let_go(created)
    crowded.spending.let_go_if_cold(created, "w-1")
    assert claims(crowded) == {"second-g1": 2}

    crowded.spending.let_go_if_cold(second, "w-1")
    assert claims(crowded) == {}


def test_an_endpoint_that_is_gone_gives_its_room_back_whoever_claimed_it(crowded):
    first = crowded.deployment("first")
    crowded.spending.require(first, Purpose.WAKE, wake="w-1")

    crowded.spending.vacate(first)

    assert claims(crowded) == {}


# ---- the ceiling ----------------------------------------------------------------------------------------------


def test_a_ceiling_that_cannot_pay_a_start_and_a_stop_is_refused_with_both_amounts(world):
    named = Hosting(instance=InstanceSettings(type="ml.p5.48xlarge"))
    fresh = a_deployment(backend=Backend.SAGEMAKER_ASYNC, hosting=named, spend_ceiling=SpendCeiling(usd=10))

    with pytest.raises(SpendCeilingReached, match=r"\$0.00 of \$10.00 per month are spent, .* costs \$10.55 at least"):
        world.spending.require_affordable(fresh)

    world.spending.require_affordable(fresh.changed(spend_ceiling=SpendCeiling(usd=11)))
    world.spending.require_affordable(fresh.changed(hosting=Hosting()))  # nobody can say yet what it will cost


@pytest.mark.parametrize(("per", "refused"), [(Per.MONTH, True), (Per.DEPLOYMENT, False)])
def test_a_fresh_generation_begins_with_what_its_name_has_spent_this_month(world, per, refused):
    former = put(world)
    world.metering.observe(former, 1, NOON)
    world.metering.observe(former, 0, NOON + 7 * HOUR)
    named = Hosting(instance=InstanceSettings(type="ml.g5.xlarge"))
    fresh = a_deployment(backend=Backend.SAGEMAKER_ASYNC, hosting=named, spend_ceiling=SpendCeiling(usd=10, per=per))

    if refused:
        with pytest.raises(SpendCeilingReached, match=r"\$9.86 of"):
            world.spending.require_affordable(fresh)
    else:
        world.spending.require_affordable(fresh)


def test_at_the_ceiling_nothing_is_woken_or_called_and_what_runs_must_stop(world):
    deployment = limited(world, put(world), PRICE)
    world.clock.set(NOON + HOUR)

    for purpose in (Purpose.CALL, Purpose.WAKE, Purpose.KEEP_WARM):
        with pytest.raises(SpendCeilingReached, match="Raise its spend ceiling"):
            world.spending.require(deployment, purpose)
    assert world.spending.must_stop(deployment).startswith("$1.41 of $1.41 per month are spent")


def test_a_call_near_the_ceiling_is_cut_where_what_is_left_ends(world):
    deployment = limited(world, put(world), PRICE)
    world.clock.set(NOON + HOUR - timedelta(seconds=70))

    assert world.spending.seconds_for_call(deployment, 3600.0) == pytest.approx(56.0)


def test_after_the_lease_nothing_is_begun_and_what_runs_must_stop(world):
    deployment = put(world)
    world.clock.set(deployment.lease.ends_at)

    with pytest.raises(LeaseEnded):
        world.spending.require(deployment, Purpose.CALL)
    assert "the lease ended" in world.spending.must_stop(deployment)


def test_behind_the_switch_calls_wait_and_what_runs_must_stop(world):
    deployment = put(world)
    world.switch.on("audit")

    with pytest.raises(KillSwitchOn, match="audit"):
        world.spending.require(deployment, Purpose.CALL)
    assert "audit" in world.spending.must_stop(deployment)

    world.switch.off()
    assert world.spending.must_stop(deployment) is None


def test_a_switch_that_cannot_be_read_stops_nothing_that_runs_and_lets_nothing_begin(world):
    deployment = put(world)
    world.switch.refusals.extend(Unavailable("away") for _ in range(9))

    assert world.spending.switch().position is Position.UNREADABLE
    assert world.spending.must_stop(deployment) is None
    assert not world.spending.permission(deployment, Purpose.START).allowed


def test_a_model_on_bedrock_need_not_be_stopped(world):
    world.switch.on("audit")

    assert world.spending.must_stop(a_deployment()) is None


def test_the_owner_is_told_at_four_fifths_and_when_the_instances_are_stopped(world):
    deployment = limited(world, put(world), 10 * PRICE)
    for _ in range(11 * 60):
        world.clock.advance(minutes=1)
        world.spending.must_stop(world.deployment())

    told = [each["reason"] for each in world.topic.messages if each["event"] == "spend-ceiling"]
    assert len(told) == 2
    assert "(80 %): at 100 % its instances are stopped" in told[0]
    assert "its instances are stopped, and nothing is woken or kept warm for it any more" in told[1]
    assert deployment.spend_notice is None


@pytest.mark.parametrize("seed", range(8))
def test_instances_that_are_looked_at_each_minute_never_pass_a_ceiling(seed):
    """Autoscaling adds and removes instances as it likes; what must stop is gone a minute later."""
    chance = random.Random(seed)
    world = World()
    most = chance.randint(1, 4)
    deployment = put(world, scaling=at_most(most), instances=0, desired=0)
    ceiling = chance.uniform(1, 30)
    deployment = limited(world, deployment, ceiling)
    count, woken = 0, 0
    for _ in range(1500):
        world.clock.advance(seconds=chance.uniform(20, 60))
        now = world.clock.now()
        if world.spending.must_stop(deployment):
            count = 0
        elif count:
            count = chance.choice([count, count, count, min(count + 1, most)])
        elif world.spending.permission(deployment, Purpose.WAKE).allowed:
            count, woken = 1, woken + 1
        world.metering.observe(deployment, count, now)
        deployment = deployment.changed(
            endpoint=deployment.endpoint.changed(instances=count, desired=count, seen_at=now)
        )

    assert woken
    assert ceiling - 0.3 * most <= world.deployments.spent_in("llama", "2026-11") <= ceiling
