"""What may be warm at once over all deployments: claimed before it is woken, and let go by time alone."""

from datetime import timedelta

import pytest
from pilotlight.contracts import WakeFailureTask
from pilotlight.domain.capacity import Capacity, Caps, Shortage, Unit, claimed, released
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import CapacityReached, ConcurrentChange, PilotlightError, QuotaExceeded, WakesExhausted
from pilotlight.domain.invocation import InvocationStatus
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.warmth import WakeBudget, WakeCount

from tests.factories import NOON, a_question, a_serving_deployment, always_warm
from tests.world import IDLE, World

LATER = NOON + timedelta(minutes=10)
TWO = {Unit.MODEL_UNITS: 2}


def claim(capacity, holder, units=TWO, *, until=LATER, now=NOON, cap=4):
    return claimed(capacity, holder, units, until, caps=Caps(model_units=cap), now=now)


def test_claims_are_granted_up_to_the_cap_and_the_next_one_names_the_holders():
    two = claim(claim(Capacity(), "a-g1"), "b-g1")

    short = claim(two, "c-g1")

    assert two.used(Unit.MODEL_UNITS, NOON) == 4
    assert isinstance(short, Shortage)
    assert str(short) == "it needs 2 custom-model-units; of 4 are held: a-g1 2, b-g1 2"
    assert not short.never


def test_a_claim_ends_by_itself():
    two = claim(claim(Capacity(), "a-g1"), "b-g1", until=LATER + timedelta(minutes=1))

    third = claim(two, "c-g1", now=LATER, until=LATER + timedelta(minutes=10))

    assert set(third.claims) == {"b-g1", "c-g1"}


def test_a_holder_prolongs_its_claim_though_the_cap_was_lowered_and_never_shortens_it():
    full = claim(claim(Capacity(), "a-g1"), "b-g1")

    longer = claim(full, "a-g1", until=LATER + timedelta(minutes=5), cap=2)

    assert longer.claims["a-g1"].until == LATER + timedelta(minutes=5)
    assert claim(longer, "a-g1", until=NOON).claims["a-g1"].until == LATER + timedelta(minutes=5)


def test_what_is_larger_than_the_cap_can_never_be():
    assert claim(Capacity(), "a-g1", {Unit.MODEL_UNITS: 5}).never


def test_kinds_of_units_have_caps_of_their_own():
    full = claim(claim(Capacity(), "a-g1"), "b-g1")

    with_instance = claimed(full, "c-g1", {Unit.INSTANCES: 1}, LATER, caps=Caps(model_units=4, instances=1), now=NOON)
    short = claimed(with_instance, "d-g1", {Unit.INSTANCES: 1}, LATER, caps=Caps(instances=1), now=NOON)

    assert isinstance(with_instance, Capacity)
    assert short.unit is Unit.INSTANCES


def test_a_released_claim_is_free_at_once():
    full = claim(claim(Capacity(), "a-g1"), "b-g1")

    assert isinstance(claim(released(full, "a-g1", NOON), "c-g1"), Capacity)


# ---- two deployments, room for one ----------------------------------------------------------------------------


@pytest.fixture
def crowded():
    """Return a world with room for one model: `first` is warm, `second` serves and is cold."""
    world = World(caps=Caps(model_units=3))
    world.bring(Status.SERVING, "second")
    world.clock.advance(minutes=30)
    world.bring(Status.SERVING, "first")
    return world


def ask(world, name):
    question = a_question(parameters={"max_tokens": 32})
    return world.invoking.invoke(name, question, wait_seconds=0, correlation_id="c")


def test_a_second_model_is_not_woken_while_the_first_is_warm_and_is_when_it_is_cold(crowded):
    view = ask(crowded, "second")
    assert view.status is InvocationStatus.QUEUED
    assert "first-g1 2" in view.waiting_for
    assert crowded.deployment("second").wake is None
    with pytest.raises(CapacityReached, match="first-g1 2"):
        crowded.warming.wake("second", reason="asked for", correlation_id="c")

    crowded.clock.advance(minutes=11)

    assert crowded.queue_work.run(view.id, receipt="r", receives=1)
    assert crowded.invoking.view(view.id).status is InvocationStatus.SUCCEEDED


def test_who_is_warm_stays_so_at_the_cap(crowded):
    for _ in range(6):
        crowded.clock.advance(minutes=4)
        assert ask(crowded, "first").status is InvocationStatus.SUCCEEDED
        assert ask(crowded, "second").status is InvocationStatus.QUEUED
        crowded.queue.messages.clear()


def test_keep_warm_waits_says_so_and_begins_by_itself(crowded):
    crowded.requesting.keep_warm("second", always_warm())
    crowded.clock.advance(minutes=1)
    crowded.sweep()
    assert "first-g1" in crowded.viewing.deployment("second").waiting_for

    crowded.clock.advance(minutes=11)
    crowded.sweep()

    assert crowded.wake("second")
    assert crowded.viewing.deployment("second").waiting_for is None


def test_what_waits_says_so_once(crowded):
    crowded.requesting.keep_warm("second", always_warm())
    for _ in range(5):
        crowded.clock.advance(minutes=1)
        crowded.sweep()

    assert sum("is not woken" in reason for reason in crowded.deployments.timeline("second")) == 1


def test_a_wake_that_failed_makes_room_at_once(crowded):
    crowded.clock.advance(minutes=11)
    crowded.backend.cold_for = 10_000
    crowded.warming.wake("second", reason="x", correlation_id="c")
    crowded.run_wake("second")

    crowded.warming.wake("first", reason="x", correlation_id="c")

    assert crowded.wake("first")


def test_a_first_warm_up_waits_for_room_but_not_for_what_can_never_be():
    world = World(caps=Caps(model_units=3))
    world.bring(Status.SERVING, "first")
    world.bring(Status.IMPORTING, "second")
    world._until_done(lambda: world.importing.check(world.task("second")))
    ask(world, "first")
    held = world.first_warm_up.start(world.task("second"))
    assert held.held
    assert "first-g1" in world.viewing.deployment("second").waiting_for

    alone = World(caps=Caps(model_units=1))
    alone.bring(Status.IMPORTING)
    alone._until_done(lambda: alone.importing.check(alone.task()))
    with pytest.raises(QuotaExceeded, match="all deployments together may have 1"):
        alone.first_warm_up.start(alone.task())


def test_two_who_claim_at_the_same_moment_are_not_both_granted():
    one, other = (a_serving_deployment(name) for name in ("one", "other"))
    world = World(caps=Caps(model_units=3))
    claiming = world.spending._claiming
    world.capacity.shelf.meanwhile.append(lambda: claiming.claim(other, TWO, LATER))

    short = claiming.claim(one, TWO, LATER)

    assert short.holders == {"other-g1": 2}
    assert world.capacity.read().used(Unit.MODEL_UNITS, NOON) == 2


def test_who_keeps_losing_is_told_to_come_again(world):
    one = a_serving_deployment("one")
    shelf = world.capacity.shelf
    for number in range(20):
        shelf.meanwhile.append(lambda number=number: shelf.write("ledger", Capacity(), 100 + number))

    with pytest.raises(ConcurrentChange):
        world.spending._claiming.claim(one, TWO, LATER)


def claims(world):
    return set(world.capacity.read().live(world.clock.now()))


@pytest.fixture
def empty():
    """Return a world in which `second` serves, and nothing is warm or claimed."""
    world = World(WakeBudget(max_per_hour=1), caps=Caps(model_units=3))
    world.bring(Status.SERVING, "second")
    world.clock.advance(minutes=30)
    assert claims(world) == set()
    return world


def test_a_question_whose_model_may_not_be_woken_claims_nothing(empty):
    view = ask(empty, "second")

    assert view.status is InvocationStatus.QUEUED
    assert empty.deployment("second").wake is None, "it was woken as often as it may be"
    assert claims(empty) == set()


def test_a_queued_question_that_finds_its_model_cold_gives_back_what_it_claimed(empty):
    view = ask(empty, "second")
    empty.backend.cold_for = 10_000

    assert not empty.queue_work.run(view.id, receipt="r", receives=1)

    assert claims(empty) == set()


def test_a_wake_that_was_not_begun_gives_back_what_it_claimed(empty):
    empty.clock.advance(hours=1)
    empty.deployments.shelf.meanwhile.append(lambda: empty.tearing_down.begin("second", reason="x", correlation_id="c"))

    with pytest.raises(PilotlightError):
        empty.warming.wake("second", reason="x", correlation_id="c")

    assert claims(empty) == set()


def test_a_call_leaves_a_claim_to_the_wake_that_has_it(crowded):
    crowded.clock.advance(minutes=11)
    view = ask(crowded, "second")
    crowded.backend.cold_for = 10_000

    crowded.queue_work.run(view.id, receipt="r", receives=1)

    assert claims(crowded) == {"second-g1"}


def test_a_wake_that_failed_leaves_the_claim_of_the_next_one_alone(crowded):
    crowded.clock.advance(minutes=11)
    crowded.backend.cold_for = 10_000
    crowded.warming.wake("second", reason="x", correlation_id="c")
    read = crowded.capacity.read

    def another_wakes_first():
        crowded.capacity.read = read
        crowded.warming.wake("second", reason="y", correlation_id="c")
        return read()

    crowded.capacity.read, task = another_wakes_first, crowded.probe_task("second")
    crowded.probing.mark_wake_failed(WakeFailureTask(**dict(task)))

    assert crowded.wake("second").id != task.wake_id
    assert claims(crowded) == {"second-g1"}


def test_a_window_that_is_opened_while_the_standing_is_read_is_not_counted_upon(world):
    world.bring(Status.SERVING)
    deployment, spent_in = world.deployment(), world.deployments.spent_in
    world.clock.advance(minutes=6)
    now = world.clock.now()

    def opened_meanwhile(*month):
        found = spent_in(*month)
        world.deployments.spent_in = spent_in
        world.accounting.answered(deployment, now, WindowOpener.INVOCATION)
        return found

    world.deployments.spent_in = opened_meanwhile
    standing = world.spending.standing(deployment)

    assert standing.latest.ordinal == 1, "what is not in the sum may not be in the window either"


# ---- wakes within an hour -------------------------------------------------------------------------------------


def test_wakes_are_counted_by_the_hour():
    budget = WakeBudget(max_per_hour=2)
    twice = WakeCount().one_more(budget, NOON).one_more(budget, NOON + timedelta(minutes=59))

    assert twice.one_more(budget, NOON + timedelta(minutes=59)) is None
    assert twice.one_more(budget, NOON + timedelta(minutes=60)).count == 1


def test_wakes_that_keep_failing_cannot_go_on_without_end():
    world = World(WakeBudget(max_attempts=1, max_seconds=600, max_per_hour=3))
    world.bring(Status.SERVING)
    world.clock.advance(seconds=IDLE.total_seconds() + 1)
    world.backend.cold_for = 10_000
    for _ in range(2):
        world.warming.wake("llama", reason="somebody asks", correlation_id="c")
        world.run_wake()

    with pytest.raises(WakesExhausted, match="3 times within this hour"):
        world.warming.wake("llama", reason="somebody asks", correlation_id="c")
    view = ask(world, "llama")
    assert view.status is InvocationStatus.QUEUED

    world.clock.advance(hours=1)
    world.warming.wake("llama", reason="somebody asks", correlation_id="c")
    assert world.wake()


def test_a_model_that_another_callers_wake_has_warmed_meanwhile_is_not_woken_again(world):
    world.bring(Status.SERVING)
    world.clock.advance(seconds=IDLE.total_seconds() + 1)
    send = world.queue.send

    def warmed_meanwhile(*message):
        world.warming.wake("llama", reason="another caller", correlation_id="c")
        world.run_wake()
        send(*message)

    world.queue.send = warmed_meanwhile
    wakes = len(world.executions.of("warm"))

    ask(world, "llama")

    assert len(world.executions.of("warm")) == wakes + 1
