"""Money is asked for in the task that spends it: with the sweep dead, at the ceiling, and while the switch is on."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest
from pilotlight.contracts import WakeStarted, WarmUpTask
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    InvocationTimedOut,
    KillSwitchOn,
    LeaseEnded,
    NothingAnswered,
    PilotlightError,
    SpendCeilingReached,
    Unavailable,
)
from pilotlight.domain.invocation import InvocationStatus
from pilotlight.domain.kill_switch import Position
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.spending import Per, Purpose, SpendCeiling
from pilotlight.domain.upload import UploadStatus
from pilotlight.domain.warmth import Warmth

from tests.factories import a_checkpoint, a_question, a_request, always_warm, at
from tests.world import IDLE, UPLOAD_BUCKET, World

WINDOW_USD = 0.5718


def ask(world, wait=0):
    question = a_question(parameters={"max_tokens": 32})
    return world.invoking.invoke("llama", question, wait_seconds=wait, correlation_id="c-ask")


def go_cold(world):
    world.clock.advance(seconds=IDLE.total_seconds() + 1)


def limit(world, usd, per=Per.MONTH):
    return world.requesting.limit_spending("llama", SpendCeiling(usd=usd, per=per))


def queued(world):
    (invocation,) = world.invocations.shelf.all()
    return invocation


def run(world):
    return world.queue_work.run(queued(world).id, receipt="r", receives=1)


def spent(world):
    return world.spending.view(world.deployment()).spent.usd


@pytest.fixture
def serving(world):
    world.bring(Status.SERVING)
    return world


# ---- the lease, with the sweep dead ---------------------------------------------------------------------------


def test_after_the_lease_a_warm_model_is_not_called_though_nobody_took_it_down(world):
    world.bring(Status.SERVING, lease="1h")
    world.clock.set(world.deployment().lease.ends_at - timedelta(minutes=1))
    world.accounting.answered(world.deployment(), world.clock.now(), WindowOpener.PROBE)
    world.clock.advance(minutes=1)

    with pytest.raises(LeaseEnded, match="ended"):
        ask(world)

    assert world.backend.prompts == []


def test_after_the_lease_a_queued_question_fails_and_wakes_nothing(world):
    world.bring(Status.SERVING, lease="1h")
    go_cold(world)
    ask(world)
    world.clock.advance(hours=1)
    wakes = len(world.executions.of("warm"))

    assert run(world)

    assert (queued(world).status, queued(world).error_code) == (InvocationStatus.FAILED, "lease-ended")
    assert (world.backend.prompts, len(world.executions.of("warm"))) == ([], wakes)


def test_after_the_lease_a_wake_under_way_calls_nothing_more(world):
    world.bring(Status.SERVING, lease="1h")
    go_cold(world)
    world.backend.cold_for = 100
    world.warming.wake("llama", reason="x", correlation_id="c")
    world.clock.set(world.deployment().lease.ends_at)
    probes = world.backend.probes

    decision = world.probing.probe(world.probe_task())

    assert (decision.give_up, decision.refusal, world.backend.probes) == (True, "lease-ended", probes)


@pytest.mark.parametrize(("status", "step"), [(Status.REQUESTED, "deploying"), (Status.STAGING, "importing")])
def test_after_the_lease_nothing_is_staged_or_imported(world, status, step):
    world.bring(status, lease="1h")
    if status is Status.STAGING:
        world.run_staging()
    world.clock.advance(hours=1)

    with pytest.raises(LeaseEnded):
        world.deploying.start_staging(world.task()) if step == "deploying" else world.importing.start(world.task())

    assert world.imports.jobs == []


# ---- the ceiling ---------------------------------------------------------------------------------------------


def test_at_the_ceiling_a_cold_question_is_refused_and_a_paid_window_still_answers(serving):
    limit(serving, spent(serving) + 0.1)

    assert ask(serving).status is InvocationStatus.SUCCEEDED
    go_cold(serving)
    with pytest.raises(SpendCeilingReached, match="Raise its spend ceiling"):
        ask(serving)

    assert len(serving.backend.prompts) == 1


def test_at_the_ceiling_a_queued_question_fails_with_what_to_do(serving):
    go_cold(serving)
    serving.backend.cold_for = 1
    ask(serving)
    limit(serving, 0.5)

    assert run(serving)

    assert queued(serving).error_code == "spend-ceiling-reached"
    assert "Raise its spend ceiling" in queued(serving).error_message


def test_a_ceiling_that_is_reached_in_the_middle_of_a_wake_ends_it_without_an_answer(serving):
    go_cold(serving)
    serving.backend.cold_for = 100
    serving.warming.wake("llama", reason="x", correlation_id="c")
    assert not serving.probing.probe(serving.probe_task()).give_up
    limit(serving, 0.5)

    decision = serving.run_wake()

    assert (decision.give_up, decision.refusal) == (True, "spend-ceiling-reached")
    assert serving.deployment().failed_wakes == 0


def test_at_the_ceiling_nothing_is_kept_warm_and_more_money_lets_it_go_on(world):
    world.bring(Status.SERVING, keep_warm=always_warm().dump(), lease="permanent")
    limit(world, spent(world))
    world.clock.advance(minutes=4)
    world.sweep()
    assert world.deployment().wake is None
    go_cold(world)
    world.sweep()
    assert world.deployment().wake is None

    limit(world, 100)
    world.clock.advance(minutes=1)
    world.sweep()

    assert world.wake().purpose is Purpose.KEEP_WARM


def test_a_long_call_near_the_ceiling_is_cut_at_the_end_of_what_is_paid(serving):
    limit(serving, spent(serving))
    serving.clock.advance(seconds=270)

    ask(serving)

    assert serving.backend.timeouts == [pytest.approx(20.0)], "30 seconds are left, and the API has 20"
    serving.clock.advance(seconds=14)
    assert serving.spending.seconds_for_call(serving.deployment(), 840.0) == pytest.approx(14.0)


@pytest.mark.parametrize("error", [InvocationTimedOut, NothingAnswered])
def test_a_call_that_is_cut_at_the_end_of_what_is_paid_opens_no_window(serving, error):
    limit(serving, spent(serving))
    serving.clock.advance(seconds=270)

    def noticed_late(*_, **__):
        serving.clock.advance(seconds=31)
        raise error("it took too long")

    serving.backend.complete = noticed_late
    with suppress(PilotlightError):
        ask(serving)

    assert serving.deployments.latest_window("llama", 1).ordinal == 1


def test_a_call_ends_a_second_before_what_is_paid(serving):
    limit(serving, spent(serving))
    serving.clock.advance(seconds=286)

    assert serving.spending.seconds_for_call(serving.deployment(), 14.0) == 10.0, "14 seconds are left"


def test_a_redeployed_name_goes_on_with_this_months_sum(serving):
    before = serving.deployments.spent_in("llama", "2026-11")
    serving.bring(Status.GONE)
    serving.bring(Status.SERVING)

    assert serving.deployment().generation == 2
    assert serving.deployments.spent_in("llama", "2026-11") == pytest.approx(2 * before)


def test_a_month_begins_at_zero_but_for_what_is_stored(serving):
    serving.clock.set(at("2026-12-02T00:00"))

    view = serving.spending.view(serving.deployment())

    assert (view.period, view.spent.usd) == ("2026-12", pytest.approx(2 * 1.95 / 30))


def test_per_deployment_the_whole_life_of_a_generation_counts(serving):
    limit(serving, 50, Per.DEPLOYMENT)
    serving.clock.set(at("2026-12-02T00:00"))

    view = serving.spending.view(serving.deployment())

    assert (view.period, view.spent) == (
        "generation 1",
        serving.accounting.cost_so_far(serving.deployment(), serving.clock.now()),
    )
    assert view.spent.usd > 2 * WINDOW_USD


def test_the_owner_is_told_once_at_four_fifths_and_once_at_the_whole(serving):
    limit(serving, 2.5 * WINDOW_USD + spent(serving))
    for _ in range(10):
        serving.clock.advance(minutes=4)
        if serving.spending.permission(serving.deployment(), Purpose.CALL).allowed:
            ask(serving)

    told = [each["reason"] for each in serving.topic.messages if each["event"] == "spend-ceiling"]
    assert len(told) == 2
    assert "(80 %)" in told[0]
    assert "and the rest pays for no window): nothing is woken" in told[1]


@pytest.mark.parametrize("seed", range(12))
def test_many_callers_at_once_pass_a_ceiling_by_one_window_at_most(seed):
    """Each caller asks, and is answered whenever he likes until the moment he was given, or two seconds late."""
    chance = random.Random(seed)
    world = World()
    world.bring(Status.SERVING, lease="permanent")
    ceiling = spent(world) + chance.uniform(1, 8) * WINDOW_USD
    limit(world, ceiling)
    under_way = []
    for _ in range(1500):
        world.clock.advance(seconds=chance.expovariate(1 / 20))
        now = world.clock.now()
        for answered_at in sorted(each for each in under_way if each <= now):
            world.accounting.answered(world.deployment(), answered_at, WindowOpener.INVOCATION)
        under_way = [each for each in under_way if each > now]
        permission = world.spending.permission(world.deployment(), chance.choice([Purpose.CALL, Purpose.WAKE]))
        if permission.allowed:
            longest = min(permission.until + timedelta(seconds=2), now + timedelta(seconds=840))
            under_way.append(now + chance.choice([1.0, chance.random()]) * (longest - now))

    assert world.deployments.latest_window("llama", 1).ordinal > 1
    assert world.deployments.spent_in("llama", "2026-11") <= ceiling + WINDOW_USD


def test_a_probe_that_was_taken_and_not_answered_counts_as_spent_and_proves_no_warmth(serving):
    go_cold(serving)
    serving.warming.wake("llama", reason="x", correlation_id="c")
    before = spent(serving)
    serving.backend.refusals.append(NothingAnswered("an answer of an unknown shape"))

    decision = serving.probing.probe(serving.probe_task())

    assert (decision.ready, decision.give_up) == (False, False)
    assert serving.deployment().wake.usd == pytest.approx(WINDOW_USD)
    assert spent(serving) >= before + WINDOW_USD
    assert serving.accounting.warmth(serving.deployment(), serving.clock.now()).state is Warmth.WAKING


def test_probes_that_are_taken_and_never_answered_end_at_the_ceiling(serving):
    go_cold(serving)
    limit(serving, spent(serving) + 3 * WINDOW_USD)
    serving.warming.wake("llama", reason="x", correlation_id="c")
    serving.backend.refusals.extend(NothingAnswered("an answer of an unknown shape") for _ in range(100))

    decisions = []
    while not (decisions and decisions[-1].give_up):
        decisions.append(serving.probing.probe(serving.probe_task()))
        serving.clock.advance(seconds=60)

    assert decisions[-1].refusal == "spend-ceiling-reached"
    assert serving.backend.probes < 30


def test_a_question_that_was_taken_and_not_answered_counts_as_spent(serving):
    go_cold(serving)
    ask(serving)
    before = spent(serving)
    serving.backend.refusals.append(NothingAnswered("an answer of an unknown shape"))

    assert not run(serving)

    assert queued(serving).status is InvocationStatus.QUEUED
    assert spent(serving) >= before + WINDOW_USD


def test_a_call_that_must_be_over_soon_may_take_one_of_a_few_lengths(world):
    world.bring(Status.SERVING, lease="1h")
    ends_at = world.deployment().lease.ends_at
    lengths = {}
    for left in range(700, 30, -1):
        world.clock.set(ends_at - timedelta(seconds=left))
        lengths[left] = world.spending.seconds_for_call(world.deployment(), 840.0)

    assert all(left / 2 <= length <= left for left, length in lengths.items())
    assert len(set(lengths.values())) < 20, "a client is made, and kept, for each"


# ---- the kill switch -----------------------------------------------------------------------------------------


def test_while_the_switch_is_on_nothing_is_asked_for_or_retried(world):
    world.bring(Status.FAILED)
    world.switch.on("audit")

    with pytest.raises(KillSwitchOn, match="audit"):
        world.requesting.request(a_request("other"), correlation_id="c")
    with pytest.raises(KillSwitchOn):
        world.requesting.retry("llama", correlation_id="c")

    assert world.deployments.find("other") is None
    assert world.status() is Status.FAILED


def test_a_repeat_of_a_request_that_was_answered_is_answered_the_same_while_the_switch_is_on(world):
    first = world.requesting.request(a_request(), correlation_id="c", idempotency_key="k")
    world.switch.on()

    assert world.requesting.request(a_request(), correlation_id="c", idempotency_key="k") == first


@pytest.mark.parametrize("position", ["on", "unreadable"])
def test_a_deployment_waits_before_its_next_expensive_step_and_goes_on_by_itself(world, position):
    world.bring(Status.REQUESTED)
    stop(world, position)
    held = world.deploying.start_staging(world.task())
    assert (held.done, held.held, world.status()) == (False, True, Status.REQUESTED)
    assert "kill switch" in world.deployment().waiting_for
    world.switch.off()
    world.bring(Status.STAGING)
    assert world.deployment().waiting_for is None
    world.run_staging()

    stop(world, position)
    waits = world.importing.start(world.task())
    assert (waits.done, world.imports.jobs) == (False, [])
    world.switch.off()
    assert world.importing.start(world.task()).done

    assert world.bring(Status.WARMING).waiting_for is None


def stop(world, position):
    if position == "on":
        world.switch.on()
    else:
        world.switch.refusals.append(Unavailable("Systems Manager does not answer"))


def test_a_first_warm_up_waits_for_the_switch_and_begins_again_after_it(world):
    world.bring(Status.IMPORTING)
    world.clock.advance(hours=1)
    world.importing.check(world.task())
    world.switch.on()
    task = world.task()
    held = world.first_warm_up.start(task)
    assert (held.held, world.executions.of("warm")) == (True, [])
    world.switch.off()
    started = world.first_warm_up.start(task)
    world.switch.on()
    assert world.run_wake().refusal == "kill-switch-on"

    again = world.first_warm_up.check(WarmUpTask(**dict(task), warm_up=WakeStarted(wake_id=started.wake_id)))

    assert (again.done, again.held) == (False, True)
    world.switch.off()
    assert world.first_warm_up.start(task).wake_id not in ("", started.wake_id)


def test_while_the_switch_is_on_a_question_waits_and_is_answered_after_it(serving):
    go_cold(serving)
    serving.switch.on("audit")
    wakes = len(serving.executions.of("warm"))

    view = ask(serving)

    assert (view.status, len(serving.executions.of("warm"))) == (InvocationStatus.QUEUED, wakes)
    assert "audit" in view.waiting_for
    assert run(serving) is False
    assert serving.backend.prompts == []
    serving.switch.off()
    assert run(serving)
    assert queued(serving).status is InvocationStatus.SUCCEEDED


def test_a_question_that_expires_behind_the_switch_says_so(serving):
    go_cold(serving)
    serving.switch.on("audit")
    ask(serving)
    run(serving)
    serving.clock.advance(hours=6)

    run(serving)

    assert "audit" in queued(serving).error_message


def test_within_a_paid_window_a_question_is_answered_though_the_switch_is_on(serving):
    serving.switch.on()

    assert ask(serving).status is InvocationStatus.SUCCEEDED
    assert serving.deployments.latest_window("llama", 1).ordinal == 1


def test_a_wake_under_way_ends_at_its_next_probe(serving):
    go_cold(serving)
    serving.backend.cold_for = 100
    serving.warming.wake("llama", reason="x", correlation_id="c")
    serving.probing.probe(serving.probe_task())
    serving.switch.on()
    probes = serving.backend.probes

    assert serving.run_wake().refusal == "kill-switch-on"

    assert serving.backend.probes == probes
    assert serving.accounting.warmth(serving.deployment(), serving.clock.now()).state is Warmth.COLD


@pytest.mark.parametrize("position", ["on", "unreadable"])
def test_nothing_is_kept_warm_behind_the_switch(world, position):
    world.bring(Status.SERVING, keep_warm=always_warm().dump())
    go_cold(world)
    reads = 3 if position == "unreadable" else 0
    world.switch.refusals.extend(Unavailable("away") for _ in range(reads))
    if position == "on":
        world.switch.on()

    world.sweep()

    assert world.deployment().wake is None


def test_a_caller_wakes_a_model_though_the_switch_cannot_be_read(serving):
    go_cold(serving)
    serving.switch.refusals.extend(Unavailable("away") for _ in range(5))

    serving.warming.wake("llama", reason="a caller", correlation_id="c")

    assert serving.wake().purpose is Purpose.WAKE


def test_a_teardown_goes_on_behind_the_switch(serving):
    serving.switch.on()

    serving.bring(Status.GONE)

    assert serving.traces() == {}


def test_an_uploaded_folder_is_held_and_starts_after_the_switch(world):
    world.source.upload(f"{UPLOAD_BUCKET}/uploads/mine/", {**a_checkpoint(), "_COMPLETE": b""})
    world.switch.on("audit")
    world.uploading.note_event("uploads/mine/_COMPLETE", correlation_id="c")
    held = world.uploads.find("mine")
    assert (held.status, world.deployments.find("mine")) == (UploadStatus.HELD, None)
    assert "audit" in held.reason

    world.switch.off()
    world.clock.advance(minutes=1)
    world.sweep()

    assert world.uploads.find("mine").status is UploadStatus.STARTED
    assert world.status("mine") is Status.REQUESTED


@pytest.fixture
def held(world):
    """Return a world in which a cold model shall be warm, and the switch, which is off again, has held its wake."""
    world.bring(Status.SERVING, keep_warm=always_warm().dump(), lease="permanent")
    go_cold(world)
    world.switch.on("audit")
    world.sweep()
    assert "audit" in world.deployment().waiting_for
    world.switch.off()
    return world


def test_a_model_that_is_warm_again_waits_for_nothing(held):
    held.accounting.answered(held.deployment(), held.clock.now(), WindowOpener.INVOCATION)
    held.clock.advance(minutes=1)

    held.sweep()

    assert (held.deployment().wake, held.deployment().waiting_for) == (None, None)


def test_a_model_that_nobody_wants_warm_any_more_waits_for_nothing(held):
    held.clock.set(held.deployment().keep_warm_ends_at)

    held.sweep()

    assert (held.deployment().wake, held.deployment().waiting_for) == (None, None)


def test_a_model_that_is_scaled_down_waits_for_nothing(held):
    held.warming.scale_down("llama")

    assert held.deployment().waiting_for is None


def test_the_topic_is_told_once_of_each_turn_whoever_turned_it(serving):
    serving.sweep()
    serving.switch.text = "on"
    serving.sweep()
    serving.sweep()
    serving.switch.text = "off"
    serving.sweep()

    told = [each["reason"] for each in serving.topic.messages if each["event"] == "kill-switch"]
    assert told == ["the kill switch is on: set by hand", "the kill switch is off"]
    assert [value for name, value in serving.journal.measures if name == "kill_switch"] == [0, 1, 1, 0]


def test_turning_the_switch_twice_keeps_the_moment_of_the_first(world):
    first = world.spending.turn(on=True, reason="audit", by="ada")
    world.clock.advance(hours=1)

    assert world.spending.turn(on=True, reason="audit", by="bob") == first
    assert world.spending.turn(on=False, reason=None, by="bob").is_off
    assert world.spending.switch().by == "bob"


def test_a_switch_that_another_process_turned_meanwhile_is_turned_again(world):
    world.spending.turn(on=True, reason="audit", by="ada")
    on = world.switch.text
    world.switch.off()
    world.switch.remembered.append(on)

    assert world.spending.turn(on=True, reason="audit", by="ada").position is Position.ON

    assert world.switch.refresh().position is Position.ON


def told_of_the_switch(world):
    return [each["reason"] for each in world.topic.messages if each["event"] == "kill-switch"]


def test_a_turn_that_the_topic_did_not_take_is_told_by_the_next_look(serving):
    serving.switch.on("audit")
    serving.topic.refusals.append(Unavailable("the topic is away"))
    serving.sweep()
    assert told_of_the_switch(serving) == []

    serving.sweep()

    assert told_of_the_switch(serving) == ["the kill switch is on: audit"]


def test_a_switch_that_could_not_be_read_once_is_told_to_nobody(serving):
    for _ in range(2):
        serving.switch.refusals.append(Unavailable("away"))
        serving.sweep()
        serving.sweep()

    assert told_of_the_switch(serving) == []


def test_a_switch_that_two_looks_could_not_read_is_told_of_and_so_is_its_return(serving):
    serving.switch.refusals.extend(Unavailable("away") for _ in range(3))
    for _ in range(4):
        serving.sweep()

    assert told_of_the_switch(serving) == ["the kill switch cannot be read: away", "the kill switch is off"]


# ---- a permanent lease -----------------------------------------------------------------------------------------


def test_a_permanent_deployment_is_kept_warm_for_ninety_days_and_its_owner_is_told_before(world):
    world.bring(Status.SERVING, lease="permanent", keep_warm=always_warm().dump())
    limit(world, 1_000_000)
    ends = world.viewing.deployment("llama").keep_warm_until
    assert ends == world.deployment().created_at + timedelta(days=90)
    world.clock.set(ends - timedelta(days=7))
    world.sweep()
    world.sweep()
    assert world.topic.events.count("keep-warm-ending") == 1

    world.clock.set(ends)
    world.deployments.reschedule(world.deployment(), (ends, "look"))
    before = len(world.executions.of("warm"))
    world.sweep()

    assert len(world.executions.of("warm")) == before
    assert world.status() is Status.SERVING
    world.warming.wake("llama", reason="a caller", correlation_id="c")
    assert world.wake()


@pytest.mark.parametrize("confirm", ["keep_warm", "lease"])
def test_whoever_confirms_it_lets_it_be_kept_warm_again(world, confirm):
    world.bring(Status.SERVING, lease="permanent", keep_warm=always_warm().dump())
    world.clock.advance(days=100)
    assert not world.deployment().wants_warm(world.clock.now())

    if confirm == "lease":
        world.requesting.renew_lease("llama", "permanent")
    else:
        world.requesting.keep_warm("llama", always_warm())

    assert world.deployment().wants_warm(world.clock.now())
