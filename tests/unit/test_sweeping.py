"""Every minute what is due is looked at, each record alone: leases, windows, wakes and executions that died."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import Throttled
from pilotlight.domain.warmth import Warmth

from tests.factories import a_checkpoint, always_warm, at, office_hours


def pass_time(world, **span):
    """Let time pass, with a sweep in every minute of it."""
    for _ in range(round(timedelta(**span) / timedelta(minutes=1))):
        world.clock.advance(minutes=1)
        world.sweep()


def run_wakes(world, **span):
    """Let time pass, with a sweep in every minute of it, and the wakes that it starts."""
    for _ in range(round(timedelta(**span) / timedelta(minutes=1))):
        pass_time(world, minutes=1)
        if world.deployment().wake:
            world.run_wake()


def warmth(world):
    return world.accounting.warmth(world.deployment(), world.clock.now()).state


def test_nothing_is_looked_at_before_it_is_due(world):
    world.bring(Status.SERVING)

    report = world.sweep()

    assert (report.deployments, report.uploads, report.failed) == (0, 0, 0)


# ---- leases ----------------------------------------------------------------------------------------------------


def test_a_lease_that_ends_takes_its_deployment_down(world):
    world.bring(Status.SERVING, lease="60m")

    pass_time(world, hours=1)

    assert world.status() is Status.TEARING_DOWN
    assert world.executions.names("teardown") == ["llama-g1-t1"]
    assert "lease of 60m ended" in world.deployments.timeline("llama")


@pytest.mark.parametrize("status", [Status.REQUESTED, Status.STAGING, Status.IMPORTING, Status.WARMING, Status.FAILED])
def test_a_lease_ends_whatever_its_deployment_is_doing(world, status):
    world.bring(status, lease="90m")
    world.clock.advance(hours=2)

    world.sweep()

    assert world.status() is Status.TEARING_DOWN


def test_the_owner_is_warned_once_and_says_how_to_keep_it(world):
    world.bring(Status.SERVING, lease="10h")
    pass_time(world, hours=9, minutes=30)

    warnings = [message for message in world.topic.messages if message["event"] == "lease-ending"]

    assert len(warnings) == 1
    assert warnings[0]["reason"].endswith("renew it to keep the model")
    assert world.status() is Status.SERVING


def test_a_renewed_lease_is_not_ended_by_the_old_one(world):
    world.bring(Status.SERVING, lease="60m")
    world.clock.advance(minutes=40)
    world.requesting.renew_lease("llama", "60m")
    pass_time(world, minutes=40)

    assert world.status() is Status.SERVING


def test_a_lease_that_is_renewed_between_the_look_and_the_teardown_is_not_ended(world):
    world.bring(Status.SERVING, lease="60m")
    world.clock.advance(minutes=61)
    old = world.deployments.get("llama")
    world.requesting.renew_lease("llama", "60m")

    world.tearing_down.begin("llama", reason="x", correlation_id="c", still=lambda now: now.lease == old.lease)

    assert world.status() is Status.SERVING


def test_a_permanent_lease_never_ends(world):
    world.bring(Status.SERVING, lease="permanent")
    world.clock.advance(days=2000)

    world.sweep()

    assert world.status() is Status.SERVING


# ---- windows ---------------------------------------------------------------------------------------------------


def test_a_window_wakes_the_model_keeps_it_warm_and_lets_it_go(world):
    world.clock.set(at("2026-11-20T08:00"))
    world.bring(Status.SERVING, lease="permanent", keep_warm=office_hours(start="09:00", end="10:00"))
    world.clock.set(at("2026-11-20T08:58"))
    assert warmth(world) is Warmth.COLD

    pass_time(world, minutes=2)
    assert world.wake(), "09:00"
    world.run_wake()
    run_wakes(world, minutes=55)
    assert warmth(world) is Warmth.WARM

    probes = world.backend.probes
    run_wakes(world, minutes=15)
    assert world.backend.probes - probes <= 1
    assert warmth(world) is Warmth.COLD
    assert world.deployment().next_look_at == at("2026-11-23T09:00")


def test_a_model_that_is_always_wanted_costs_one_probe_in_each_idle_time(world):
    world.bring(Status.SERVING, lease="permanent", keep_warm=always_warm())
    probes = world.backend.probes

    run_wakes(world, minutes=60)

    assert warmth(world) is Warmth.WARM
    assert world.backend.probes - probes == 20


def test_a_model_that_was_scaled_down_is_left_alone_until_its_next_window(world):
    world.clock.set(at("2026-11-19T10:00"))
    world.bring(Status.SERVING, lease="permanent", keep_warm=office_hours())
    world.warming.scale_down("llama")
    probes = world.backend.probes

    pass_time(world, minutes=30)
    assert (world.backend.probes, warmth(world)) == (probes, Warmth.COLD)
    world.clock.set(at("2026-11-20T09:00"))
    world.sweep()

    assert world.wake()


# ---- what died -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.STAGING, Status.IMPORTING, Status.WARMING])
def test_a_deployment_whose_execution_died_without_a_word_fails(world, status):
    world.bring(status)
    world.executions.end("deploy", "llama-g1", "ABORTED")
    world.clock.advance(minutes=6)

    world.sweep()

    failure = world.deployment().failure
    assert failure is not None
    assert (failure.code, failure.during) == ("execution-ended", status)
    assert "failed" in world.topic.events


def test_a_deployment_whose_execution_is_alive_is_left_alone(world):
    world.bring(Status.STAGING)
    pass_time(world, minutes=30)

    assert world.status() is Status.STAGING


def test_a_request_whose_execution_never_began_is_begun(world):
    world.executions.refusals.append(Throttled("slow down"))
    with pytest.raises(Throttled):
        world.bring(Status.REQUESTED)

    pass_time(world, minutes=6)

    assert world.executions.is_running("deploy", "llama-g1")


def test_a_request_whose_execution_died_before_its_first_step_fails(world):
    world.bring(Status.REQUESTED)
    world.executions.end("deploy", "llama-g1", "TIMED_OUT")

    pass_time(world, minutes=6)

    assert world.status() is Status.FAILED


@pytest.mark.parametrize(("generation", "attempt"), [(1, 1), (2, 2)])
def test_word_of_an_earlier_run_does_not_fail_a_retry(world, generation, attempt):
    world.bring(Status.FAILED)
    world.requesting.retry("llama", correlation_id="c-2")

    world.sweeping.fail_execution("llama", generation, attempt, "execution llama-g1 ended as FAILED")

    assert world.status() is Status.REQUESTED
    world.sweeping.fail_execution("llama", 1, 2, "execution llama-g1-r2 ended as TIMED_OUT")
    assert world.status() is Status.FAILED


def let_a_wake_die(world):
    world.clock.advance(minutes=10)
    world.warming.wake("llama", reason="asked for", correlation_id="c")
    wake = world.wake()
    world.executions.end("warm", f"llama-g1-w{wake.id}", "TIMED_OUT")
    return wake


def test_a_wake_that_died_is_replaced_where_the_model_shall_be_warm(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    old = let_a_wake_die(world)

    pass_time(world, minutes=2)

    assert world.wake().id != old.id


def test_a_wake_that_died_is_ended_where_nobody_wants_the_model_warm(world):
    world.bring(Status.SERVING)
    old = let_a_wake_die(world)
    wakes = len(world.executions.of("warm"))

    pass_time(world, seconds=world.budget.max_seconds + 600)

    deployment = world.deployment()
    assert (deployment.wake, deployment.last_wake.id) == (None, old.id)
    assert len(world.executions.of("warm")) == wakes
    assert deployment.next_look_at == deployment.lease.warn_at


def test_a_wake_that_died_holds_an_instance_no_longer_than_until_the_next_look(world):
    world.host()
    old = let_a_wake_die(world)

    pass_time(world, minutes=2)

    deployment = world.deployment()
    assert (deployment.wake, deployment.last_wake.id, deployment.last_wake.warm) == (None, old.id, False)


def test_a_wake_of_instances_whose_execution_is_at_work_goes_on(world):
    world.host()
    world.warming.wake("llama", reason="asked for", correlation_id="c")

    pass_time(world, minutes=5)

    assert world.wake()


def test_a_first_warm_up_whose_wake_died_goes_on_with_another_a_few_times(world):
    world.bring(Status.WARMING)
    for _ in range(5):
        run = f"llama-g1-w{world.wake().id}"
        if world.executions.is_running("warm", run):
            world.executions.end("warm", run, "FAILED")
        pass_time(world, minutes=6)

    assert len(world.executions.of("warm")) == 4


def test_a_teardown_that_died_goes_on_in_its_next_round(world):
    world.bring(Status.TEARING_DOWN)
    world.executions.end("teardown", "llama-g1-t1", "TIMED_OUT")

    pass_time(world, minutes=6)

    assert world.executions.names("teardown") == ["llama-g1-t1", "llama-g1-t2"]


# ---- a sweep starts work and does none ----


def test_no_model_is_called_by_a_sweep(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    probes = world.backend.probes
    world.clock.advance(minutes=4)

    world.sweep()

    assert world.backend.probes == probes
    assert world.executions.is_running("warm", f"llama-g1-w{world.wake().id}")


def test_what_costs_money_is_looked_at_first_then_folders_then_the_rest(world):
    world.bring(Status.SERVING, "aaa", keep_warm=always_warm())
    world.source.push("acme/second", a_checkpoint(weights=b"2" * 2048))
    world.bring(Status.SERVING, "bbb", lease="60m", source="hf://acme/second")
    world.clock.advance(hours=2)
    world.source.upload("uploads-bucket/uploads/ccc/", {**a_checkpoint(), "_COMPLETE": b""})
    world.uploads.note_event("ccc", world.clock.now(), world.clock.now())
    before = set(world.executions.by_name)

    world.sweep()

    started = [machine for machine, name in world.executions.by_name if (machine, name) not in before]
    assert started == ["teardown", "deploy", "warm"]


# ---- each alone ------------------------------------------------------------------------------------------------


def test_one_look_that_fails_does_not_keep_the_others_from_theirs(world):
    world.source.push("acme/second", a_checkpoint(weights=b"2" * 2048))
    world.bring(Status.SERVING, "aaa", lease="60m")
    world.bring(Status.SERVING, "bbb", lease="60m", source="hf://acme/second")
    world.clock.advance(hours=2)
    world.executions.refusals.append(Throttled("slow down"))

    report = world.sweep()

    assert (report.deployments, report.failed) == (2, 1)
    (surprise,) = world.journal.surprises
    assert surprise[1] == {"kind": "deployment", "record": "aaa", "code": "throttled", "reason": "slow down"}
    assert world.executions.names("teardown") == ["bbb-g1-t1"]


def test_a_record_whose_looks_keep_failing_is_looked_at_more_and_more_seldom(world):
    def slow_down(machine, name):
        raise Throttled("slow down")

    world.bring(Status.STAGING, lease="permanent")
    is_running, world.executions.is_running = world.executions.is_running, slow_down
    world.clock.advance(minutes=10)
    rests = []
    for _ in range(8):
        assert world.sweep().failed == 1
        rests.append((world.deployment().next_look_at - world.clock.now()).total_seconds() / 60)
        world.clock.set(world.deployment().next_look_at)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]

    world.executions.is_running = is_running
    assert world.sweep().failed == 0
    assert world.deployment().failed_looks == 0
    assert world.deployments.timeline("llama")[-1] == "a look succeeded again"


def test_what_has_instances_is_looked_at_every_two_minutes_however_often_its_looks_fail(world):
    world.host(lease="permanent")
    world.endpoints.see = _slow_down
    rests = []
    for _ in range(5):
        world.clock.set(world.deployment().next_look_at)
        assert world.sweep().failed == 1
        rests.append((world.deployment().next_look_at - world.clock.now()).total_seconds() / 60)

    assert rests == [1, 2, 2, 2, 2]


def test_no_rest_after_looks_that_failed_outlasts_the_lease(world):
    world.bring(Status.STAGING, lease="60m")
    world.executions.is_running = _slow_down
    while world.deployment().next_look_at < world.deployment().lease.ends_at:
        world.clock.set(world.deployment().next_look_at)
        assert world.sweep().failed == 1

    assert world.deployment().next_look_at == world.deployment().lease.ends_at


def _slow_down(*_told):
    raise Throttled("slow down")


def test_a_folder_whose_looks_keep_failing_is_looked_at_more_and_more_seldom(world):
    world.uploads.note_event("llama", world.clock.now(), world.clock.now())
    world.source.trouble["uploads-bucket/uploads/llama/"] = Throttled("slow down")
    rests = []
    for _ in range(8):
        assert world.sweep().failed == 1
        rests.append((world.uploads.find("llama").look_at - world.clock.now()).total_seconds() / 60)
        world.clock.set(world.uploads.find("llama").look_at)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]

    world.source.trouble.clear()
    assert world.sweep().failed == 0
    assert world.uploads.find("llama").failed_looks == 0


def test_records_that_cannot_be_read_neither_end_a_sweep_nor_fill_the_next(world):
    world.bring(Status.SERVING, lease="60m")
    world.clock.advance(hours=2)
    now = world.clock.now()
    for number in range(99):
        world.deployments.shelf.spoil(f"aa{number:02}", "next_look_at", now - timedelta(hours=3))
        world.uploads.shelf.spoil(f"aa{number:02}", "look_at", now - timedelta(hours=3))

    assert world.sweep().failed == 198
    assert world.status() is Status.TEARING_DOWN
    world.clock.advance(minutes=1)
    assert world.sweep().failed == 0


def test_a_look_that_breaks_in_a_way_that_nobody_expected_is_noted_like_any_other(world):
    world.bring(Status.SERVING, lease="60m")
    world.uploads.note_event("second", world.clock.now(), world.clock.now())
    world.clock.advance(hours=2)
    world.executions.refusals.append(KeyError("a field that is not there"))

    report = world.sweep()

    assert (report.failed, world.uploads.find("second").reason) == (1, "the folder is empty")
    assert world.journal.surprises[0][1]["code"] == "surprise"


def test_a_look_that_failed_is_made_up_for(world):
    world.bring(Status.SERVING, lease="60m")
    world.clock.advance(hours=2)
    world.executions.refusals.append(Throttled("slow down"))
    world.sweep()

    pass_time(world, minutes=6)

    assert any(execution.machine == "teardown" for execution in world.executions.by_name.values())


def test_a_sweep_that_comes_twice_changes_nothing_more(world):
    world.bring(Status.SERVING, lease="60m")
    world.clock.advance(hours=2)
    world.sweep()
    before = world.deployment(), world.executions.names("teardown"), list(world.topic.messages)

    world.sweep()

    assert (world.deployment(), world.executions.names("teardown"), list(world.topic.messages)) == before


def test_a_folder_whose_bucket_fails_keeps_nobody_from_their_turn(world):
    world.uploads.note_event("llama", world.clock.now(), world.clock.now())
    world.source.trouble["uploads-bucket/uploads/llama/"] = Throttled("slow down")
    world.uploads.note_event("second", world.clock.now(), world.clock.now())

    report = world.sweep()

    assert (report.uploads, report.failed) == (2, 1)
    assert world.uploads.find("second").reason == "the folder is empty"
