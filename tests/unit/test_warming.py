"""One wake for however many callers, bounded and accounted for; probes only when they are due; quiet when asked."""

from datetime import timedelta

import pytest
from pilotlight.contracts import WakeFailureTask, WakeStarted, WarmUpTask
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import NotServing, Superseded, Throttled, WarmUpExhausted
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.warmth import WakeBudget, Warmth

from tests.factories import always_warm, at, office_hours
from tests.world import IDLE, World


def wake(world, name="llama", **fields):
    return world.warming.wake(name, **{"reason": "somebody asks", "correlation_id": "c", **fields})


def let_it_go_cold(world):
    world.clock.advance(seconds=IDLE.total_seconds() + 1)


@pytest.fixture
def cold(world):
    world.bring(Status.SERVING)
    let_it_go_cold(world)
    world.backend.cold_for = 5
    return world


def warmth(world):
    return world.accounting.warmth(world.deployment(), world.clock.now()).state


def wakes(world):
    return world.executions.names("warm")


def test_fifty_callers_begin_one_wake(cold):
    before = len(wakes(cold))

    for _ in range(50):
        wake(cold)

    assert len(wakes(cold)) == before + 1
    assert warmth(cold) is Warmth.WAKING


def test_callers_that_race_begin_one_wake(cold):
    before = len(wakes(cold))
    cold.deployments.shelf.meanwhile.append(lambda: wake(cold))

    wake(cold)

    assert len(wakes(cold)) == before + 1


def test_a_model_that_loads_is_warm_after_its_probes_and_the_cold_start_is_measured(cold):
    began = cold.clock.now()
    wake(cold)

    decision = cold.run_wake()

    assert decision.ready
    assert warmth(cold) is Warmth.WARM
    deployment = cold.deployment()
    assert deployment.cold_starts == ((cold.clock.now() - began).total_seconds(),)
    assert (deployment.wake, deployment.last_wake.warm, deployment.last_wake.began_at) == (None, True, began)


def test_a_model_that_answers_the_first_probe_had_no_cold_start(world):
    world.bring(Status.SERVING)

    assert world.deployment().cold_starts == ()


def test_every_probe_is_on_the_timeline_and_those_during_loading_cost_nothing(cold):
    windows = cold.accounting.cost_so_far(cold.deployment(), cold.clock.now())
    wake(cold)
    for _ in range(5):
        cold.probing.probe(cold.probe_task())

    assert cold.wake().usd == 0
    assert "probe 5 not ready" in cold.deployments.timeline("llama")[-1]
    assert cold.accounting.cost_so_far(cold.deployment(), cold.clock.now()) == windows
    cold.probing.probe(cold.probe_task())
    assert cold.wake().usd == pytest.approx(cold.accounting.tariff(cold.deployment()).window.usd)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (WakeBudget(max_attempts=3, max_seconds=600), "no answer after 3 of 3 probes"),
        (WakeBudget(max_attempts=100, max_seconds=30), "no answer within 30 s"),
    ],
)
def test_a_wake_ends_within_its_bounds_with_the_reason(budget, reason):
    world = World(budget)
    world.bring(Status.SERVING)
    let_it_go_cold(world)
    world.backend.cold_for = 10_000
    wake(world)

    decision = world.run_wake()

    assert (decision.give_up, decision.reason) == (True, reason)
    assert (world.deployment().wake, world.deployment().last_wake.reason) == (None, reason)
    assert world.status() is Status.SERVING


def test_after_a_wake_that_gave_up_the_next_caller_begins_another(cold):
    wake(cold)
    task = cold.probe_task()
    cold.probing.mark_wake_failed(WakeFailureTask(**dict(task)))

    wake(cold)

    assert cold.wake().id != task.wake_id


def test_a_wake_that_never_began_is_started_again_under_its_name(cold):
    before = len(wakes(cold))
    cold.executions.refusals.append(Throttled("slow down"))
    with pytest.raises(Throttled):
        wake(cold)

    wake(cold)

    assert wakes(cold)[before:] == [f"llama-g1-w{cold.wake().id}"]


def test_a_wake_whose_execution_died_is_replaced_by_the_next_who_asks(cold):
    wake(cold)
    old = cold.probe_task()
    cold.executions.end("warm", f"llama-g1-w{old.wake_id}", "FAILED")
    cold.clock.advance(seconds=20)

    wake(cold)

    assert cold.wake().id != old.wake_id
    assert cold.executions.is_running("warm", f"llama-g1-w{cold.wake().id}")
    assert cold.deployment().last_wake.reason == "its execution died"
    with pytest.raises(Superseded):
        cold.probing.probe(old)


def test_a_wake_that_ends_while_somebody_asks_for_it_is_not_followed_by_another(cold):
    wake(cold)
    task = cold.probe_task()
    cold.clock.advance(seconds=20)
    start = cold.executions.start

    def ended_just_now(machine, name, work):
        cold.backend.cold_for = 0
        cold.probing.probe(task)
        cold.probing.mark_warm(task)
        cold.executions.end(machine, name)
        return start(machine, name, work)

    cold.executions.start = ended_just_now
    deployment = wake(cold)

    assert (deployment.wake, deployment.last_wake.id) == (None, task.wake_id)


def test_a_wake_whose_dollars_do_not_cover_a_window_gives_up_before_it_probes():
    world = World(budget=WakeBudget(max_attempts=20, max_seconds=600, max_usd=0.5))
    world.bring(Status.WARMING)

    decision = world.run_wake()

    assert decision.give_up
    assert "$0.57" in decision.reason
    assert (world.backend.probes, world.deployments.latest_window("llama", 1)) == (0, None)


def test_a_wake_past_its_deadline_is_replaced_and_its_probes_are_refused(cold):
    wake(cold)
    old = cold.probe_task()
    cold.clock.advance(seconds=cold.budget.max_seconds + 121)

    wake(cold)

    assert cold.wake().id != old.wake_id
    with pytest.raises(Superseded, match="was replaced"):
        cold.probing.probe(old)
    with pytest.raises(Superseded):
        cold.probing.mark_warm(old)
    cold.probing.mark_wake_failed(WakeFailureTask(**dict(old)))
    assert cold.deployment().wake is not None, "the old one does not end the new one"


def test_a_probe_that_comes_back_after_its_wake_is_over_is_refused(cold):
    wake(cold)
    task = cold.probe_task()
    cold.run_wake()

    with pytest.raises(Superseded, match="is over"):
        cold.probing.probe(task)
    assert cold.probing.mark_warm(task).last_wake.id == task.wake_id


@pytest.mark.parametrize("status", [Status.IMPORTING, Status.FAILED, Status.TEARING_DOWN, Status.GONE])
def test_only_a_model_that_exists_is_woken(world, status):
    world.bring(status)

    with pytest.raises(Superseded):
        wake(world)


# ---- the first warm-up -----------------------------------------------------------------------------------------


def warm_up_task(world):
    return WarmUpTask(**dict(world.task()), warm_up=WakeStarted(wake_id=world.wake().id))


def test_the_first_warm_up_is_waited_for(world):
    world.backend.cold_for = 3
    world.bring(Status.WARMING)
    task = warm_up_task(world)

    assert not world.first_warm_up.check(task).done
    world.run_wake()
    assert world.first_warm_up.check(task).done


def test_a_first_warm_up_that_gives_up_fails_with_the_reason_of_the_wake(world):
    world.backend.cold_for = 10_000
    world.bring(Status.WARMING)
    task = warm_up_task(world)
    world.run_wake()

    with pytest.raises(WarmUpExhausted, match="no answer after 20 of 20 probes"):
        world.first_warm_up.check(task)


def test_a_first_warm_up_whose_execution_died_fails_after_its_deadline(world):
    world.bring(Status.WARMING)
    task = warm_up_task(world)
    world.clock.advance(seconds=world.budget.max_seconds + 121)

    with pytest.raises(WarmUpExhausted, match="its execution died"):
        world.first_warm_up.check(task)


def test_a_warm_up_that_is_started_twice_is_one_wake(world):
    world.bring(Status.WARMING)

    started = world.first_warm_up.start(world.task())

    assert started.wake_id == world.wake().id
    assert len(wakes(world)) == 1


def test_a_retry_is_not_warm_because_an_earlier_attempt_was(world):
    world.bring(Status.WARMING)
    world.run_wake()
    world.fail()
    world.requesting.retry("llama", correlation_id="c-2")
    world.backend.cold_for = 3
    world.bring(Status.WARMING)

    assert not world.first_warm_up.check(warm_up_task(world)).done


# ---- keeping warm ----------------------------------------------------------------------------------------------


def keep_warm(world):
    world.warming.keep_warm(world.deployment(), correlation_id="c")


def test_a_warm_model_is_probed_only_when_its_idle_time_runs_out_and_by_an_execution_of_its_own(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    probes, before = world.backend.probes, len(wakes(world))

    keep_warm(world)
    world.clock.advance(minutes=2, seconds=59)
    keep_warm(world)
    assert len(wakes(world)) == before
    world.clock.advance(seconds=1)
    keep_warm(world)
    assert (len(wakes(world)), world.backend.probes) == (before + 1, probes)
    assert warmth(world) is Warmth.WARM
    world.run_wake()

    assert world.backend.probes == probes + 1
    assert world.deployment().cold_starts == ()


def test_a_model_that_callers_keep_warm_needs_no_probes(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    before = len(wakes(world))

    for _ in range(10):
        world.clock.advance(minutes=1)
        world.accounting.answered(world.deployment(), world.clock.now(), WindowOpener.INVOCATION)
        keep_warm(world)

    assert len(wakes(world)) == before


def test_a_cold_model_is_woken_once_and_left_to_its_wake(cold):
    before = len(wakes(cold))

    keep_warm(cold)
    keep_warm(cold)

    assert len(wakes(cold)) == before + 1


def test_a_model_found_cold_by_a_keep_warm_probe_is_loaded_by_the_same_wake(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    world.clock.advance(minutes=4)
    keep_warm(world)
    world.backend.cold_for = 3
    before = len(wakes(world))

    assert world.run_wake().ready

    assert len(wakes(world)) == before


def test_wakes_that_fail_in_a_row_are_put_off_longer_each_time_unless_a_caller_asks(cold):
    cold.backend.cold_for = 10_000
    rests = []
    for _ in range(7):
        keep_warm(cold)
        cold.run_wake()
        before, ended = len(wakes(cold)), cold.clock.now()
        while len(wakes(cold)) == before:
            cold.clock.advance(seconds=30)
            keep_warm(cold)
        rests.append((cold.clock.now() - ended).total_seconds() / 60)
    assert rests == [1, 2, 4, 8, 16, 30, 30]

    cold.run_wake()
    before = len(wakes(cold))
    wake(cold)
    assert len(wakes(cold)) == before + 1


def test_a_wake_that_succeeds_ends_the_rests(cold):
    cold.backend.cold_for = 21
    wake(cold)
    cold.run_wake()
    assert cold.deployment().failed_wakes == 1
    wake(cold)
    cold.run_wake()

    assert (cold.deployment().failed_wakes, cold.deployment().wake_rests_until) == (0, None)


# ---- letting go ------------------------------------------------------------------------------------------------


def test_scale_down_says_by_when_the_model_is_cold(world):
    world.bring(Status.SERVING)
    cold_by = (world.clock.now() + IDLE).strftime("%Y-%m-%dT%H:%M:%SZ")

    world.warming.scale_down("llama")

    assert f"cold by {cold_by} unless somebody calls it" in world.deployments.timeline("llama")[-1]


def test_scale_down_of_a_cold_model_says_so(cold):
    cold.warming.scale_down("llama")

    assert "cold already" in cold.deployments.timeline("llama")[-1]


def test_scale_down_is_quiet_until_the_next_window(world):
    world.bring(Status.SERVING, keep_warm=office_hours())
    world.clock.set(at("2026-11-20T14:00"))

    deployment = world.warming.scale_down("llama")

    assert deployment.quiet_until == at("2026-11-23T09:00")
    assert not deployment.wants_warm(at("2026-11-20T17:59"))
    assert deployment.wants_warm(at("2026-11-23T09:00"))


def test_scale_down_without_a_window_is_quiet_until_somebody_asks_for_a_warm_up(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    world.warming.scale_down("llama")
    assert not world.deployment().wants_warm(world.clock.now() + timedelta(days=300))
    assert "no probes until somebody asks for a warm-up" in world.deployments.timeline("llama")[-1]

    wake(world, end_quiet=True)

    assert world.deployment().wants_warm(world.clock.now())


def test_scale_down_ends_the_wake_under_way(cold):
    wake(cold)
    task = cold.probe_task()

    cold.warming.scale_down("llama")

    with pytest.raises(Superseded):
        cold.probing.probe(task)


def test_a_caller_may_wake_a_model_that_was_scaled_down_and_it_stays_quiet_after(cold):
    cold.warming.scale_down("llama")

    wake(cold)

    assert cold.wake()
    assert cold.deployment().quiet_until is not None


def test_only_what_serves_is_scaled_down(world):
    world.bring(Status.WARMING)

    with pytest.raises(NotServing):
        world.warming.scale_down("llama")


def test_a_wake_that_is_written_late_begins_when_it_is_written(cold):
    asked_at = cold.clock.now()
    cold.capacity.shelf.meanwhile.append(lambda: cold.clock.advance(seconds=1800))

    wake(cold)

    assert cold.wake("llama").elapsed(cold.clock.now()) == 0
    assert cold.clock.now() > asked_at
