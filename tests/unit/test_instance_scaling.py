"""Instances are as many as there shall be: of what is and what shall be, only the difference is asked for."""

from datetime import timedelta

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    AccessDenied,
    ConcurrentChange,
    NotFound,
    NotOurs,
    PilotlightError,
    QuotaExceeded,
    Superseded,
)
from pilotlight.domain.keep_warm import KeepWarm, Policy
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.values import Backend

from tests.factories import always_warm, an_invocation
from tests.fakes.hosting import Hosted

ENDPOINT, PARTS = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"
BROKE = PilotlightError("it broke")
ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME
WINDOW = {"policy": "window", "windows": [{"days": "*", "start": "20:00", "end": "21:00", "timezone": "UTC"}]}


def timeline(world):
    return world.deployments.timeline("llama")


def hosted(world):
    return world.endpoints.endpoints[ENDPOINT]


def change(world, **fields):
    before = world.deployment()
    return world.deployments.shelf.write("llama", before.changed(**fields), before.version + 1)


def call(world, invocation_id="i-1"):
    """Let a call be under way."""
    asked = an_invocation(invocation_id, backend=world.deployment().backend)
    world.invocations.put(asked)
    world.in_flight.put(asked)


def reach_ceiling(world):
    change(world, spend_ceiling=SpendCeiling(usd=0.01))


def at_zero(world, **request):
    """Bring a deployment to where it serves without an instance."""
    world.host(**request)
    world.endpoints.set_instances(ENDPOINT, 0)
    return world.settle()


def scale_down(world):
    """Scale down on request, and look when no direct call can be under way any more."""
    world.warming.scale_down("llama")
    world.clock.advance(minutes=1)
    return world.look()


def components(world, **scaling):
    return world.host(backend=REALTIME, scaling={"components": True, **scaling})


# ---- bounds ------------------------------------------------------------------------------------------------------


def test_bounds_are_registered_once_and_again_when_they_differ(world):
    world.host(scaling={"max": 4})
    once = (world.autoscaling.writes, dict(world.autoscaling.bounds))

    for _ in range(3):
        world.clock.advance(minutes=1)
        world.look()
    again = world.autoscaling.writes
    world.clock.advance(minutes=10)
    world.look()

    assert once == (1, {ENDPOINT: (1, 4, False)})
    assert again == 1
    assert (world.autoscaling.writes, world.autoscaling.bounds) == (2, {ENDPOINT: (0, 4, False)})


def test_what_was_woken_stays_for_a_cooldown_whatever_alarm_rings_of_before(world):
    at_zero(world)
    world.clock.advance(minutes=20)
    world.look()
    before = dict(world.autoscaling.bounds)

    world.wake_up()
    world.settle()
    waking = dict(world.autoscaling.bounds)
    world.run_wake()
    world.look()
    woken = dict(world.autoscaling.bounds)
    world.clock.advance(minutes=10)
    world.look()

    assert (before, waking, woken) == tuple({ENDPOINT: (floor, 1, False)} for floor in (0, 1, 1))
    assert world.autoscaling.bounds == {ENDPOINT: (0, 1, False)}


def test_what_is_called_every_other_minute_stays_and_goes_a_cooldown_after_the_last_call(world):
    world.host()
    held = []
    for _ in range(15):
        world.clock.advance(minutes=2)
        world.accounting.answered(world.deployment(), world.clock.now(), None, seconds=1.0)
        world.look()
        held.append(world.autoscaling.bounds[ENDPOINT])
    writes = world.autoscaling.writes
    world.clock.advance(minutes=10)
    world.look()

    assert (set(held), writes) == ({(1, 1, False)}, 1)
    assert world.autoscaling.bounds == {ENDPOINT: (0, 1, False)}


def test_a_change_of_bounds_is_told_once(world):
    world.host(scaling={"max": 4})
    before = len(timeline(world))

    world.clock.advance(minutes=10)
    world.look()

    assert timeline(world)[before:] == ["scales between 0 and 4 instances: by its load"]


def test_bounds_that_were_written_and_not_noted_are_written_again(world):
    """A record that told of the former bounds would take them for written when they are wanted again."""
    world.host()
    world.clock.advance(minutes=10)
    world.look()
    world.requesting.keep_warm("llama", always_warm())
    register = world.autoscaling.register

    def and_die(*endpoint, **bounds):
        register(*endpoint, **bounds)
        raise BROKE

    world.autoscaling.register = and_die
    with pytest.raises(PilotlightError):
        world.look()
    world.autoscaling.register = register
    raised = dict(world.autoscaling.bounds)

    world.requesting.keep_warm("llama", KeepWarm(policy=Policy.NONE))
    world.look()

    assert (raised, world.autoscaling.bounds) == ({ENDPOINT: (1, 1, False)}, {ENDPOINT: (0, 1, False)})


def beside_the_next_bounds(world, act):
    """Let somebody act when the next bounds are written, and before that is noted."""
    register = world.autoscaling.register

    def and_then(*endpoint, **bounds):
        world.autoscaling.register = register
        register(*endpoint, **bounds)
        act()

    world.autoscaling.register = and_then


def test_of_two_looks_that_write_bounds_at_once_neither_is_believed(world):
    """The bounds of the late one would stay, the record tell of the other's, and nobody write them again."""
    world.host()
    world.requesting.keep_warm("llama", always_warm())
    read_before = world.deployment()
    late = read_before.changed(endpoint=read_before.endpoint.changed(floor=None))
    world.look()
    world.clock.advance(minutes=10)
    world.requesting.keep_warm("llama", KeepWarm(policy=Policy.NONE))
    beside_the_next_bounds(world, lambda: world.scaling.apply(late))

    world.look()
    meanwhile = (world.autoscaling.bounds[ENDPOINT], world.endpoint().floor)
    world.look()

    assert meanwhile == ((1, 1, False), None)
    assert (world.autoscaling.bounds, world.endpoint().floor) == ({ENDPOINT: (0, 1, False)}, 0)


def test_what_must_stop_is_suspended_whatever_a_late_look_has_written(world):
    world.host()
    world.switch.on("too dear")

    def look_as_before():
        world.switch.off()
        world.scaling.apply(world.deployment())
        world.switch.on("too dear")

    beside_the_next_bounds(world, look_as_before)
    world.look()
    meanwhile = dict(world.autoscaling.bounds)
    world.settle()

    assert (meanwhile, world.autoscaling.bounds) == ({ENDPOINT: (1, 1, False)}, {ENDPOINT: (0, 1, True)})


def test_bounds_that_were_written_beside_a_parking_are_removed_with_what_is_gone(world):
    world.host(backend=REALTIME)
    bounds = world.autoscaling.bounds
    read_before = world.deployment()
    late = read_before.changed(endpoint=read_before.endpoint.changed(floor=None))

    def park():
        reach_ceiling(world)
        world.look()
        bounds[ENDPOINT] = (1, 3, False)  # the late one's come after they were removed

    beside_the_next_bounds(world, park)
    world.scaling.apply(late)
    world.settle()

    assert (world.endpoint().exists, bounds) == (False, {})


def test_nothing_is_registered_before_the_deployment_serves(world):
    world.host(Status.WARMING)

    world.look()

    assert world.autoscaling.writes == 0


def test_what_serves_without_bounds_is_looked_at_at_once_so_that_an_update_has_its_alarm(world):
    world.host(Status.WARMING)
    world.run_wake()
    world.clock.advance(seconds=10)

    served = world.deploying.mark_serving(world.task())
    world.sweep()

    assert (served.next_look_at, served.next_step) == (world.clock.now(), "set what scales its endpoint")
    assert world.autoscaling.bounds == {ENDPOINT: (1, 1, False)}
    assert world.deployment().next_look_at == world.clock.now() + timedelta(minutes=1)


def test_bounds_of_components_are_those_of_their_copies(world):
    components(world, max=2)

    assert world.autoscaling.bounds == {PARTS: (1, 2, False)}


# ---- what must stop ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["the ceiling", "the switch"])
def test_what_must_stop_goes_at_once_and_does_not_begin_by_itself_whoever_waits(world, why):
    world.host()
    call(world)
    reach_ceiling(world) if why == "the ceiling" else world.switch.on("too dear")

    world.look()

    assert (hosted(world).status, hosted(world).desired) == ("Updating", 0)
    assert world.autoscaling.bounds == {ENDPOINT: (0, 1, True)}


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
@pytest.mark.parametrize("why", ["the ceiling", "on request"])
def test_bounds_that_may_not_be_written_keep_nothing_running(world, backend, why):
    world.host(backend=backend, scaling={"min": 1})
    world.autoscaling.refuses = AccessDenied("not authorized to perform cloudwatch:PutMetricAlarm")

    if why == "the ceiling":
        reach_ceiling(world)

    with pytest.raises(AccessDenied):
        world.look() if why == "the ceiling" else scale_down(world)

    assert (hosted(world).status, hosted(world).desired) == (("Updating", 0) if backend is ASYNC else ("Deleting", 1))


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
@pytest.mark.parametrize("status", [Status.CREATING, Status.WARMING])
def test_what_must_stop_stops_before_it_serves(world, backend, status):
    world.host(status, backend=backend)
    world.endpoints.settle(ENDPOINT)
    world.look()
    meanwhile = (hosted(world).status, world.autoscaling.writes)
    world.switch.on("too dear")

    world.look()

    assert meanwhile == ("InService", 0)
    assert (hosted(world).status, hosted(world).desired) == (("Updating", 0) if backend is ASYNC else ("Deleting", 1))


def test_a_first_warm_up_that_the_switch_stopped_gets_its_instance_when_that_is_off(world):
    world.host(Status.WARMING)
    world.switch.on("too dear")
    world.endpoints.settle(ENDPOINT)
    world.look()
    world.settle()
    meanwhile = world.probing.probe(world.probe_task())
    world.switch.off()

    world.probing.probe(world.probe_task())

    assert meanwhile.give_up
    assert (hosted(world).status, hosted(world).desired) == ("Updating", 1)


def test_autoscaling_may_add_again_when_nothing_must_stop_any_more(world):
    world.host()
    world.switch.on("too dear")
    world.look()
    world.settle()
    world.switch.off()

    world.look()

    assert world.autoscaling.bounds == {ENDPOINT: (0, 1, False)}


def test_a_real_time_endpoint_that_must_stop_is_deleted_and_its_model_and_config_stay(world):
    world.host(backend=REALTIME)
    reach_ceiling(world)

    world.look()
    world.settle()

    assert (world.endpoints.endpoints, list(world.endpoints.configs), list(world.endpoints.models)) == (
        {},
        [PARTS],
        [PARTS],
    )
    assert (world.endpoint().exists, world.endpoint().parked, world.status()) == (False, True, Status.SERVING)
    assert world.autoscaling.bounds == {}


def test_components_that_must_stop_have_no_copy_and_their_instances_follow(world):
    components(world, min=1)
    reach_ceiling(world)

    world.look()

    assert world.endpoints.copies_wanted == {PARTS: 0}
    assert world.autoscaling.bounds == {PARTS: (0, 3, True)}


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
def test_an_endpoint_whose_rollback_failed_bills_and_is_stopped_like_any_other(world, backend):
    """SageMaker scales only what is in service: this one can but be removed."""
    world.host(backend=backend)
    world.endpoints.break_(ENDPOINT)
    world.look()
    before = hosted(world).status
    reach_ceiling(world)

    world.look()

    assert before == "UpdateRollbackFailed"
    assert hosted(world).status == "Deleting"


def test_an_endpoint_whose_rollback_failed_goes_on_answering_while_it_may(world):
    world.host(backend=REALTIME)
    world.endpoints.break_(ENDPOINT)
    call(world)

    world.look()
    world.clock.advance(minutes=30)
    world.look()

    assert hosted(world).status == "UpdateRollbackFailed"


# ---- what changes just now -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_changes_just_now_is_left_for_the_next_look_with_its_bounds(world, status, backend):
    world.host(backend=backend)
    before = dict(world.autoscaling.bounds)
    hosted(world).status = status
    reach_ceiling(world)

    world.look()

    assert (hosted(world).status, world.autoscaling.bounds) == (status, before)
    hosted(world).status = "InService"
    world.look()
    assert hosted(world).status == ("Updating" if backend is ASYNC else "Deleting")


def test_a_change_that_meets_another_one_is_made_at_the_next_look(world):
    world.host()
    world.endpoints.refuses = ConcurrentChange("Cannot update in-progress endpoint.")
    reach_ceiling(world)

    world.look()
    assert hosted(world).desired == 1
    world.look()

    assert hosted(world).desired == 0


def test_an_endpoint_under_an_update_is_not_scaled_beneath_it(world):
    world.host()
    world.updating.update("llama", _other_container())
    writes = world.autoscaling.writes
    reach_ceiling(world)

    world.look()

    assert (hosted(world).desired, world.autoscaling.writes) == (1, writes)


def test_bounds_that_went_with_a_parking_that_failed_are_registered_again(world):
    world.host(backend=REALTIME, keep_warm=WINDOW)
    world.clock.advance(minutes=10)
    delete = world.endpoints.delete_endpoint

    def in_progress(_name):
        raise ConcurrentChange("Cannot update in-progress endpoint.")

    world.endpoints.delete_endpoint = in_progress
    world.look()
    world.endpoints.delete_endpoint = delete
    call(world)  # somebody calls meanwhile, so that it stays
    world.look()

    assert hosted(world).status == "InService"
    assert world.autoscaling.bounds == {ENDPOINT: (1, 3, False)}


def test_bounds_that_could_not_be_removed_are_removed_by_a_look_at_what_is_gone(world):
    world.host(backend=REALTIME)
    reach_ceiling(world)
    world.autoscaling.refuses = AccessDenied("not now")
    for deletes in (world.look, world.settle):
        with pytest.raises(AccessDenied):
            deletes()
    now = world.clock.now()
    waits_for = world.deployment().next_look(now)

    world.autoscaling.refuses = None
    world.tending.tidy(world.deployment())

    assert waits_for == (now + timedelta(minutes=1), "remove what scaled its endpoint")
    assert (world.endpoint().exists, world.autoscaling.bounds) == (False, {})
    assert world.deployment().next_look(now) != waits_for


def left_behind(world):
    """Let a real-time endpoint be gone, and what scaled it not be removed."""
    world.host(backend=REALTIME)
    world.autoscaling.refuses = AccessDenied("not now")
    world.endpoints.vanish(ENDPOINT)
    with pytest.raises(AccessDenied):
        world.look()


def test_bounds_that_cannot_be_removed_keep_nobody_waiting(world):
    left_behind(world)
    world.requesting.keep_warm("llama", always_warm())
    world.clock.advance(minutes=2)

    report = world.sweep()

    assert report.failed == 1
    assert world.deployment().wake, "it is woken all the same"
    assert world.autoscaling.bounds


def test_bounds_that_cannot_be_removed_are_tried_more_and_more_seldom_and_told_of_once(world):
    left_behind(world)
    before, failed_at = timeline(world), []

    for minute in range(1, 130):
        world.clock.advance(minutes=1)
        if world.sweep().failed:
            failed_at.append(minute)
    told = timeline(world)[len(before) :]
    world.autoscaling.refuses = None
    world.clock.advance(hours=1)

    assert failed_at == [1, 2, 4, 8, 16, 32, 64, 124]
    assert told == ["what scaled its endpoint could not be removed, which is tried again: not now"]
    assert (world.sweep().failed, world.autoscaling.bounds) == (0, {})
    assert (world.endpoint().failed_tidies, world.endpoint().tidy_rests_until) == (0, None)


def test_bounds_beside_an_endpoint_of_somebody_else_are_left_alone(world):
    left_behind(world)
    world.autoscaling.refuses = None
    world.endpoints.endpoints[ENDPOINT] = Hosted("another", {}, status="InService")

    world.tending.tidy(world.deployment())

    assert world.autoscaling.bounds
    assert not world.endpoint().has_bounds_left


def test_the_bounds_of_an_endpoint_that_somebody_deleted_are_removed(world):
    world.host(backend=REALTIME)
    world.endpoints.vanish(ENDPOINT)

    world.look()

    assert world.autoscaling.bounds == {}


# ---- waking ------------------------------------------------------------------------------------------------------


def test_a_wake_asks_for_the_first_instance_once_and_waits(world):
    at_zero(world)

    world.wake_up()
    asked = timeline(world).count("asking for an instance")
    world.probing.probe(world.probe_task())

    assert (hosted(world).desired, asked, timeline(world).count("asking for an instance")) == (1, 1, 1)
    world.settle()
    assert world.scaling.ensure_capacity(world.deployment())


def test_an_instance_is_in_the_ledger_before_it_is_asked_for_so_that_it_is_paid_for_if_nobody_looks(world, monkeypatch):
    at_zero(world)
    ask, known = world.endpoints.set_instances, []

    def asked(*told):
        known.append(world.deployments.latest_uptime("llama", 1).instances)
        return ask(*told)

    monkeypatch.setattr(world.endpoints, "set_instances", asked)

    world.wake_up()

    assert known == [1]


def test_a_wake_asks_for_as_many_as_are_the_least(world):
    at_zero(world, scaling={"min": 2, "initial": 2})

    world.wake_up()

    assert hosted(world).desired == 2


def test_a_parked_real_time_endpoint_is_made_again_by_a_wake_with_the_same_config(world):
    world.host(backend=REALTIME, keep_warm=WINDOW)
    world.clock.advance(minutes=10)
    world.look()
    world.settle()
    assert world.endpoints.endpoints == {}

    world.wake_up()
    world.settle(seconds=240)

    assert (hosted(world).config, world.endpoint().parked) == (PARTS, False)
    assert world.tokens.succeeded["token-capacity"] == {"in_service": True}
    assert world.probing.probe(world.probe_task()).ready


def test_a_wake_that_meets_an_endpoint_that_is_being_parked_makes_it_again(world):
    world.host(backend=REALTIME)
    scale_down(world)
    assert hosted(world).status == "Deleting"

    world.wake_up()
    world.settle()
    assert world.tokens.succeeded["token-capacity"] == {"in_service": False}
    world.probing.probe(world.probe_task())

    assert hosted(world).status == "Creating"


def test_a_wake_that_meets_a_scale_in_asks_for_an_instance_when_that_is_done(world):
    world.host()
    world.warming.scale_down("llama")

    world.wake_up()
    world.settle()
    world.probing.probe(world.probe_task())

    assert hosted(world).desired == 1


def test_an_endpoint_that_failed_while_it_was_made_for_a_wake_is_made_anew_by_the_next_one(world):
    world.host(scaling={"initial": 0})
    world.wake_up()
    world.endpoints.fail(ENDPOINT, "InsufficientInstanceCapacity")

    world.look()
    why = timeline(world)[-1]
    world.settle()
    world.warming.end_dead_wake("llama")
    before = world.deployment()
    world.deployments.shelf.write("llama", before.changed(wake=None), before.version + 1)
    world.wake_up(token="token-again")

    assert why == "parked: it is Failed, InsufficientInstanceCapacity"
    assert hosted(world).status == "Creating"
    assert world.status() is Status.SERVING


def test_a_wake_of_what_is_being_torn_down_makes_nothing(world):
    stale = world.host(scaling={"initial": 0})
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    with pytest.raises(Superseded):
        world.scaling.ensure_capacity(stale)

    assert world.endpoints.endpoints == {}


def test_a_quota_ends_the_wake_with_its_reason_and_not_the_deployment(world):
    deployment = world.host(scaling={"initial": 0})
    world.endpoints.refuses = QuotaExceeded("ml.g5.xlarge for endpoint usage is 0 Instances")

    with pytest.raises(QuotaExceeded):
        world.scaling.ensure_capacity(deployment)

    assert world.status() is Status.SERVING


def test_a_deployment_without_an_endpoint_has_no_capacity_to_ensure(world):
    with pytest.raises(NotFound):
        world.scaling.ensure_capacity(world.bring(Status.SERVING))


def test_what_begins_again_is_not_charged_for_the_time_in_which_nothing_ran(world):
    at_zero(world)
    before = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    world.clock.advance(minutes=5)

    world.wake_up()
    world.settle(seconds=60)

    cost = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd - before
    assert cost == pytest.approx(world.endpoint().usd_per_hour / 60, rel=0.01)


def test_a_wake_of_components_at_zero_asks_for_a_copy_while_the_last_instance_still_idles(world):
    components(world)
    scale_down(world)
    world.settle_component()
    assert (hosted(world).instances, world.endpoint().copies) == (1, 0)

    world.wake_up()

    assert world.endpoints.copies_wanted == {PARTS: 1}


# ---- letting go --------------------------------------------------------------------------------------------------


def test_a_scale_down_lets_go_of_all_instances_at_once(world):
    world.host()

    world.warming.scale_down("llama")

    assert (hosted(world).status, hosted(world).desired) == ("Updating", 0)


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
def test_a_scale_down_waits_for_the_calls_that_are_under_way(world, backend):
    world.host(backend=backend)
    call(world)

    world.warming.scale_down("llama")
    world.look()
    meanwhile = (hosted(world).status, hosted(world).desired)
    world.in_flight.forget(world.invocations.get("i-1"))
    world.clock.advance(minutes=1)
    world.look()

    assert meanwhile == ("InService", 1)
    assert hosted(world).status == ("Updating" if backend is ASYNC else "Deleting")


@pytest.mark.parametrize("settings", [{}, {"components": True}])
def test_a_scale_down_waits_for_calls_that_leave_no_mark_for_as_long_as_they_may_last(world, settings):
    """The API answers them itself, and nobody else knows of them before they are answered."""
    world.host(backend=REALTIME, scaling=settings)

    world.warming.scale_down("llama")
    at_once = (hosted(world).status, dict(world.endpoints.copies_wanted))
    world.clock.advance(seconds=59)
    world.look()
    soon = (hosted(world).status, dict(world.endpoints.copies_wanted))
    world.clock.advance(seconds=1)
    world.look()

    assert at_once == soon == ("InService", {PARTS: 1} if settings else {})
    assert (hosted(world).status, world.endpoints.copies_wanted) == (
        ("InService", {PARTS: 0}) if settings else ("Deleting", {})
    )


def test_a_scale_down_of_a_real_time_endpoint_that_answers_nobody_waits_for_nobody(world):
    world.host(backend=REALTIME)
    change(world, endpoint=world.endpoint().changed(status="Failed"))
    hosted(world).status = "Failed"

    world.warming.scale_down("llama")

    assert hosted(world).status == "Deleting"


def test_a_scale_down_of_what_has_no_instance_asks_for_nothing(world):
    at_zero(world)

    world.warming.scale_down("llama")

    assert hosted(world).status == "InService"


def test_a_scale_down_during_an_update_leaves_it_to_the_update(world):
    world.host(backend=REALTIME)
    world.updating.update("llama", _other_container())

    world.warming.scale_down("llama")

    assert hosted(world).status == "InService"


def test_a_scale_down_removes_an_endpoint_that_nobody_can_update_any_more(world):
    world.host()
    world.endpoints.break_(ENDPOINT)
    world.look()

    world.warming.scale_down("llama")

    assert hosted(world).status == "Deleting"


def test_instances_of_an_immediate_scale_in_go_with_the_last_answer(world):
    world.host(scaling={"scale_in": "immediate"})
    world.clock.advance(minutes=1)
    world.accounting.answered(world.deployment(), world.clock.now(), None, seconds=1.0)
    world.look()

    assert (hosted(world).status, hosted(world).desired) == ("Updating", 0)


def test_components_are_not_parked_they_reach_zero(world):
    components(world)

    scale_down(world)

    assert (hosted(world).status, world.endpoints.copies_wanted) == ("InService", {PARTS: 0})
    world.settle_component()
    assert world.endpoint().copies == 0


def test_a_strangers_endpoint_under_our_name_is_not_parked(world):
    world.host(backend=REALTIME)
    world.endpoints.endpoints[ENDPOINT] = Hosted(PARTS, {"pilotlight:stack": "theirs"}, "InService", 1, 1)
    bounds = dict(world.autoscaling.bounds)

    with pytest.raises(NotOurs):
        scale_down(world)

    assert (hosted(world).status, world.autoscaling.bounds) == ("InService", bounds)


def test_a_component_that_failed_goes_with_its_endpoint_and_both_are_made_anew(world):
    components(world)
    world.endpoints.fail_component(PARTS, "no copy came up")

    world.look()
    world.settle_component()
    world.settle()

    assert (world.endpoints.endpoints, world.endpoints.components) == ({}, {})
    world.wake_up()
    world.settle(seconds=240)
    assert world.endpoints.copies_wanted == {PARTS: 1}


def test_a_component_that_failed_is_not_made_again_while_its_endpoint_cannot_go_yet(world):
    components(world)
    world.endpoints.fail_component(PARTS, "no copy came up")
    delete = world.endpoints.delete_endpoint

    def in_progress(_name):
        raise ConcurrentChange("Cannot update in-progress endpoint.")

    world.endpoints.delete_endpoint = in_progress
    world.look()
    world.settle_component()
    world.look()
    left = dict(world.endpoints.components)
    world.endpoints.delete_endpoint = delete
    world.look()

    assert left == {}
    assert hosted(world).status == "Deleting"


# ---- keeping -----------------------------------------------------------------------------------------------------


def test_an_open_window_asks_for_its_instance_at_once(world):
    at_zero(world)
    world.requesting.keep_warm("llama", always_warm())

    world.look()

    assert (hosted(world).status, hosted(world).desired) == ("Updating", 1)
    assert world.autoscaling.bounds == {ENDPOINT: (1, 1, False)}


def test_an_open_window_asks_for_a_copy_where_only_an_instance_is_left(world):
    components(world)
    scale_down(world)
    world.settle_component()
    world.requesting.keep_warm("llama", always_warm())

    world.look()

    assert (hosted(world).instances, world.endpoints.copies_wanted) == (1, {PARTS: 1})


def test_what_serves_is_looked_at_every_minute_while_it_costs_and_seldom_at_zero(world):
    world.host()
    while_it_costs = world.deployment().next_look_at - world.clock.now()
    world.endpoints.set_instances(ENDPOINT, 0)
    world.settle()

    assert while_it_costs <= timedelta(minutes=1)
    assert world.deployment().next_look(world.clock.now())[0] - world.clock.now() == timedelta(minutes=5)


def _other_container():
    return UpdateRequest.model_validate({"container": {"environment": {"A": "b"}}})
