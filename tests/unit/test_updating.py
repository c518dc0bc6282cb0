"""An update makes the next revision and no gap; what fails goes back, and the record tells what runs."""

from datetime import timedelta

import pytest
from pilotlight.contracts import RollbackRequest, UpdateFailureTask, UpdateRequest
from pilotlight.domain.deployment import Status
from pilotlight.domain.endpoint import REVISIONS_KEPT, RevisionStatus, Strategy
from pilotlight.domain.errors import (
    CapacityReached,
    ConcurrentChange,
    Conflict,
    EndpointFailed,
    InvalidInput,
    KillSwitchOn,
    NotFound,
    NotServing,
    PilotlightError,
    PreflightRefused,
    QuotaExceeded,
    SpendCeilingReached,
    Superseded,
    Throttled,
)
from pilotlight.domain.hosting import ScaleIn
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.spending import Purpose, SpendCeiling
from pilotlight.domain.values import Backend
from pydantic import ValidationError

ENDPOINT = "pilotlight-llama-g1"
REALTIME = Backend.SAGEMAKER_REALTIME
BROKE = PilotlightError("it broke")


def wanted(**sections):
    return UpdateRequest.model_validate(sections)


def environment(value, **more):
    """Ask for another variable in the container: a revision of its own for each value."""
    return wanted(container={"environment": {"VALUE": str(value)}}, **more)


def update(world, value="b", **more):
    return world.updating.update("llama", environment(value, **more))


def updated(world, value="b", **more):
    update(world, value, **more)
    return world.run_update()


def hosted(world):
    return world.endpoints.endpoints[ENDPOINT]


def numbers(world):
    return [each.number for each in world.revisions.newest_first("llama", 1)]


def statuses(world):
    return {each.number: each.status for each in world.revisions.newest_first("llama", 1)}


def timeline(world):
    return world.deployments.timeline("llama")


def change(world, **fields):
    before = world.deployment()
    return world.deployments.shelf.write("llama", before.changed(**fields), before.version + 1)


# ---- what is an update -------------------------------------------------------------------------------------------


def test_other_settings_become_the_next_revision_which_serves_in_the_end(world):
    world.host()

    begun = update(world, reason="because of the variable")
    before = (begun.endpoint.revision, begun.endpoint.update.revision, len(world.executions.of("update")))
    done = world.run_update()

    assert before == (1, 2, 1)
    assert (done.endpoint.revision, done.endpoint.update, hosted(world).config) == (2, None, f"{ENDPOINT}-v2")
    assert done.hosting.container.environment == {"VALUE": "b"}
    assert world.revisions.find("llama", 1, 2).reason == "because of the variable"
    assert statuses(world) == {1: RevisionStatus.RETIRED, 2: RevisionStatus.IN_SERVICE}


def test_the_timeline_tells_why_somebody_wanted_an_update_and_else_why_that_instance(world):
    world.host()

    update(world, reason="because of the variable")
    with_a_reason = timeline(world)[-1]
    world.fail_update(BROKE)
    update(world, "c")

    assert with_a_reason == "to revision 2, blue-green: because of the variable"
    assert timeline(world)[-1] == f"to revision 3, blue-green: {world.revisions.find('llama', 1, 3).why}"


def test_the_timeline_tells_why_somebody_wanted_other_bounds(world):
    world.host()

    world.updating.update("llama", wanted(scaling={"max": 4}, reason="more callers"))

    assert timeline(world)[-1] == "scales between 0 and 4 instances from now on: more callers"


def test_the_proposal_is_that_of_the_revision_that_serves_and_so_is_what_is_measured(world):
    world.host()
    first = world.deployment().proposal

    world.updating.update("llama", wanted(instance={"type": "ml.g5.12xlarge"}, serving={"tensor_parallel_degree": 2}))
    meanwhile = world.deployment().proposal
    deployment = world.run_update()
    world.clock.advance(minutes=1)
    now = world.clock.now()
    world.accounting.answered(deployment, now, WindowOpener.INVOCATION, tokens_per_second=80.0, seconds=1.0)

    (measured,) = world.speeds.of(deployment.artifact_id)
    assert meanwhile == first
    assert (measured.instance_type, measured.tensor_parallel_degree) == ("ml.g5.12xlarge", 2)
    world.updating.roll_back("llama", 1, Strategy.BLUE_GREEN)
    assert world.run_update().proposal == first


def test_the_same_settings_change_nothing(world):
    world.host()
    before = world.deployment()

    same = world.updating.update("llama", wanted(container={}, serving={}))

    assert (same.version, numbers(world), world.executions.of("update")) == (before.version, [1], [])


def test_a_section_that_is_named_replaces_the_one_there_is_whole(world):
    world.host(container={"environment": {"A": "1", "B": "2"}})

    world.updating.update("llama", wanted(container={"environment": {"A": "1"}}))

    assert world.revisions.find("llama", 1, 2).hosting.container.environment == {"A": "1"}


def test_bounds_alone_make_no_revision_and_are_registered_at_the_next_look(world):
    world.host()
    world.clock.advance(minutes=1)

    world.updating.update("llama", wanted(scaling={"max": 4, "scale_in_cooldown_seconds": 60}))
    world.look()

    assert (numbers(world), world.executions.of("update"), world.endpoints.updates) == ([1], [], [])
    assert world.autoscaling.bounds == {ENDPOINT: (0, 4, False)}
    assert "scales between 0 and 4 instances from now on" in timeline(world)


def test_what_of_scaling_is_in_the_config_makes_a_revision(world):
    world.host()

    world.updating.update("llama", wanted(scaling={"concurrent_invocations": 3}))

    assert numbers(world) == [2, 1]


def test_how_many_it_begins_with_brings_up_no_second_fleet_and_counts_from_the_next_revision(world):
    world.host()

    world.updating.update("llama", wanted(scaling={"max": 3, "initial": 2}))
    before = (numbers(world), world.endpoint().update, world.endpoint().scaling.initial, world.endpoint().scaling.max)
    updated(world)

    assert before == ([1], None, 1, 3)
    assert (world.endpoint().scaling.initial, world.endpoints.first_counts[f"{ENDPOINT}-v2"]) == (2, 2)


def test_an_endpoint_that_is_parked_begins_with_as_many_as_are_wished_by_then(world):
    world.host(scaling={"initial": 0})
    world.updating.update("llama", wanted(scaling={"max": 3, "initial": 2}))
    assert world.moving.start(world.update_task()).skipped
    world.moving.finish(world.update_task())

    world.wake_up()

    assert (hosted(world).config, hosted(world).desired) == (f"{ENDPOINT}-v2", 2)


def test_bounds_that_cost_less_are_changed_whatever_is_spent_and_whatever_the_switch_says(world):
    world.host(scaling={"max": 4})
    change(world, spend_ceiling=SpendCeiling(usd=0.01))
    world.switch.on()

    world.updating.update("llama", wanted(scaling={"max": 1}))

    assert world.endpoint().scaling.max == 1


@pytest.mark.parametrize("scaling", [{"max": 9}, {"min": 1}])
def test_bounds_that_cost_more_are_asked_for_like_any_money(world, scaling):
    world.host(scaling={"max": 4})
    world.switch.on()

    with pytest.raises(KillSwitchOn):
        world.updating.update("llama", wanted(scaling=scaling))
    world.switch.off()
    change(world, spend_ceiling=SpendCeiling(usd=0.01))
    with pytest.raises(PilotlightError):
        world.updating.update("llama", wanted(scaling=scaling))

    assert (world.endpoint().scaling.min, world.endpoint().scaling.max) == (0, 4)


def left(world, usd):
    """Leave so much of the ceiling."""
    spent = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    change(world, spend_ceiling=SpendCeiling(usd=round(spent + usd, 2)))


@pytest.mark.parametrize("back", [False, True])
def test_an_update_begins_only_with_the_money_for_both_fleets_for_as_long_as_it_may_take(world, back):
    """Nothing can stop them before it is over: an hour of each costs $1.52 at the dearer of the two prices."""
    world.host()
    updated(world)
    dearer = wanted(instance={"type": "ml.g5.2xlarge"})

    def begin():
        return (
            world.updating.roll_back("llama", 1, Strategy.BLUE_GREEN)
            if back
            else world.updating.update("llama", dearer)
        )

    price = world.endpoint().usd_per_hour if back else rate_of("ml.g5.2xlarge", "us-east-1").usd_per_hour
    left(world, 2 * 2 * price - 0.02)
    with pytest.raises(SpendCeilingReached, match="an update may take twice as many for 2 hours"):
        begin()
    assert world.endpoint().update is None
    left(world, 2 * 2 * price + 0.02)

    assert begin().endpoint.update


def test_while_the_switch_is_on_nothing_is_rolled_back(world):
    world.host()
    updated(world)
    world.switch.on()

    with pytest.raises(KillSwitchOn):
        world.updating.roll_back("llama", 1, Strategy.BLUE_GREEN)


def test_what_must_stop_while_its_update_waits_is_not_updated_and_stops(world):
    world.host(backend=REALTIME)
    update(world)
    task = world.update_task()
    world.switch.on()

    with pytest.raises(EndpointFailed, match="is to be stopped, and not updated"):
        world.moving.start(task)
    world.fail_update(BROKE)
    world.look()

    assert (world.endpoints.updates, hosted(world).status) == ([], "Deleting")


def test_an_update_that_waited_until_its_money_was_spent_does_not_begin(world):
    world.host()
    update(world)
    left(world, 1.0)

    with pytest.raises(SpendCeilingReached):
        world.moving.start(world.update_task())

    assert world.endpoints.updates == []


def test_while_an_update_runs_its_dearer_price_is_what_an_hour_costs(world):
    world.host()
    cheap = world.endpoint().usd_per_hour

    world.updating.update("llama", wanted(instance={"type": "ml.g5.2xlarge"}))

    dear = rate_of("ml.g5.2xlarge", "us-east-1").usd_per_hour
    assert world.accounting.tariff(world.deployment()).usd_per_hour == dear > cheap


def test_bounds_that_the_backend_does_not_have_are_refused_and_nothing_is_written(world):
    world.host()
    before = world.deployment().version

    with pytest.raises(InvalidInput, match="publishes no invocations"):
        world.updating.update("llama", wanted(scaling={"invocations_per_instance": 5}))

    assert (world.deployment().version, numbers(world)) == (before, [1])


def test_while_the_switch_is_on_no_update_begins(world):
    world.host()
    world.switch.on()

    with pytest.raises(KillSwitchOn):
        update(world)

    assert numbers(world) == [1]


def test_what_instances_could_not_host_is_refused_before_anything_is_made(world):
    world.host()

    with pytest.raises(PreflightRefused):
        world.updating.update("llama", wanted(instance={"type": "ml.g5.3xlarge"}))

    assert (numbers(world), world.endpoint().update) == ([1], None)


def test_an_update_of_nothing_is_no_request():
    with pytest.raises(ValidationError, match="name what shall change"):
        wanted()


@pytest.mark.parametrize("to", [Status.REQUESTED, Status.CREATING, Status.WARMING])
def test_only_what_serves_is_updated_or_rolled_back(world, to):
    world.host(to)

    with pytest.raises(NotServing):
        update(world)
    with pytest.raises(NotServing):
        world.updating.roll_back("llama", None, Strategy.BLUE_GREEN)


def test_a_deployment_of_bedrocks_has_no_revisions(world):
    world.bring(Status.SERVING)

    with pytest.raises(InvalidInput, match="only deployments on instances have revisions"):
        update(world)
    with pytest.raises(InvalidInput, match="only deployments on instances have revisions"):
        world.updating.roll_back("llama", 1, Strategy.BLUE_GREEN)


# ---- one at a time -----------------------------------------------------------------------------------------------


def test_a_second_update_is_refused_while_one_runs_and_is_told_which(world):
    world.host()
    update(world)

    with pytest.raises(Conflict, match="being updated to revision 2 since 12:"):
        update(world, "c")
    with pytest.raises(Conflict, match="revision 2"):
        world.updating.roll_back("llama", 1, Strategy.BLUE_GREEN)
    with pytest.raises(Conflict, match="revision 2"):
        world.updating.update("llama", wanted(scaling={"max": 7}))

    assert world.endpoint().update.revision == 2


def test_of_two_at_the_same_moment_one_begins_with_what_it_asked_for_and_the_other_is_refused(world):
    world.host()
    world.revisions.meanwhile = lambda: update(world, "theirs")

    with pytest.raises(Conflict):
        update(world, "ours")
    world.run_update()

    serving = world.revisions.find("llama", 1, world.endpoint().revision)
    assert serving.environment["VALUE"] == "theirs"


def test_a_request_that_is_repeated_while_its_update_runs_is_told_so(world):
    world.host()
    update(world)

    with pytest.raises(Conflict):
        update(world)

    assert (numbers(world), len(world.executions.of("update"))) == ([2, 1], 1)


def test_the_next_update_has_a_machine_of_its_own(world):
    world.host()
    updated(world, "b")
    updated(world, "c")

    assert len({each.name for each in world.executions.of("update")}) == 2
    assert world.endpoint().updated == 2


# ---- the steps ---------------------------------------------------------------------------------------------------


def test_the_endpoint_is_moved_with_the_strategy_that_was_asked_for_and_its_alarm(world):
    world.host()
    update(world, strategy="rolling")

    world.run_update()

    assert world.endpoints.updates == [
        (ENDPOINT, f"{ENDPOINT}-v2", Strategy.ROLLING, ("pilotlight-llama-g1-failures",))
    ]


def test_other_instances_are_taken_by_an_endpoint_that_scales_and_it_scales_again_after(world):
    world.host()
    world.updating.update("llama", wanted(instance={"type": "ml.g5.2xlarge"}))

    begun = world.begin_update()
    meanwhile = dict(world.autoscaling.bounds)
    task = world.update_task()
    world.settle(seconds=300)
    world.moving.finish(task)
    world.look()

    assert (begun.done, meanwhile, world.endpoint().instance_type) == (True, {}, "ml.g5.2xlarge")
    assert world.endpoints.updates[0][3] == ("pilotlight-llama-g1-failures",), "its rollback alarm stays"
    assert list(world.autoscaling.bounds) == [ENDPOINT]


def test_an_endpoint_that_was_unbound_scales_again_where_its_update_failed(world):
    world.host()
    world.updating.update("llama", wanted(instance={"type": "ml.g5.2xlarge"}))
    world.begin_update()
    world.endpoints.roll_back(ENDPOINT, "no capacity")
    world.look()

    world.fail_update(BROKE)
    world.look()

    assert list(world.autoscaling.bounds) == [ENDPOINT]


def test_what_serves_and_fails_is_updated_without_the_alarm_that_it_would_ring_itself(world):
    """Otherwise no update could ever mend it."""
    world.host()
    world.autoscaling.failing.add(ENDPOINT)
    update(world)

    world.begin_update()

    assert world.endpoints.updates[0][3] == ()


def test_without_registered_bounds_there_is_no_alarm_to_name(world):
    """SageMaker refuses an update that names an alarm that there is not."""
    world.host()
    change(world, endpoint=world.endpoint().changed(most=None))
    update(world)

    world.begin_update()

    assert world.endpoints.updates[0][3] == ()


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "Deleting"])
def test_an_endpoint_that_changes_just_now_is_asked_again(world, status):
    world.host()
    update(world)
    hosted(world).status = status

    started = world.moving.start(world.update_task())

    assert (started.done, started.skipped, started.wait_seconds) == (False, False, 30)


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_that_nothing_moves_any_more_fails_the_update_and_says_what_would_help(world, status):
    world.host()
    update(world)
    world.endpoints.break_(ENDPOINT, status)

    with pytest.raises(EndpointFailed, match="Scale it down"):
        world.moving.start(world.update_task())


def test_a_change_that_meets_another_one_is_asked_again(world):
    world.host()
    update(world)
    task = world.update_task()
    world.creating.make_ready(world.deployment(), world.revisions.find("llama", 1, 2))
    world.endpoints.refuses = ConcurrentChange("Cannot update in-progress endpoint.")

    assert world.moving.start(task).wait_seconds == 30
    assert world.moving.start(task).done


def test_a_start_whose_answer_is_lost_does_not_move_again_what_sagemaker_takes_back(world):
    world.host()
    update(world)
    task = world.update_task()
    world.moving.start(task)

    repeated = world.moving.start(task)
    world.endpoints.roll_back(ENDPOINT)

    assert repeated.done
    with pytest.raises(EndpointFailed, match="rolled back to revision 1"):
        world.moving.finish(task)
    assert len(world.endpoints.updates) == 1


def test_a_start_that_has_stood_still_until_its_update_was_over_does_not_move_the_endpoint(world):
    world.host()
    update(world)
    task = world.update_task()

    world.endpoints.meanwhile = lambda: world.fail_update(BROKE)
    with pytest.raises(Superseded):
        world.moving.start(task)

    assert world.endpoints.updates == []


def test_a_start_that_is_repeated_while_sagemaker_goes_back_does_not_wait_to_move_again(world):
    world.host()
    update(world)
    task = world.update_task()
    world.moving.start(task)
    hosted(world).status, hosted(world).next_config = "RollingBack", None

    assert world.moving.start(task).done


def test_a_start_that_is_repeated_moves_the_endpoint_once(world):
    world.host()
    update(world)
    task = world.update_task()
    world.moving.start(task)
    world.endpoints.settle(ENDPOINT)

    assert world.moving.start(task).done

    assert len(world.endpoints.updates) == 1


def test_a_task_of_an_update_that_is_over_makes_nothing(world):
    world.host()
    update(world)
    task = world.update_task()
    world.fail_update(BROKE)

    with pytest.raises(Superseded):
        world.moving.start(task)

    assert world.endpoints.updates == []


def test_after_a_teardown_began_no_update_goes_on(world):
    world.host()
    update(world)
    task = world.update_task()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    with pytest.raises(Superseded):
        world.moving.start(task)
    with pytest.raises(Superseded):
        world.moving.finish(task)

    assert list(world.endpoints.configs) == [f"{ENDPOINT}-v1"]


def test_a_parked_endpoint_is_updated_without_sagemaker_and_made_of_the_new_revision_when_it_is_woken(world):
    world.host(scaling={"initial": 0})
    update(world)

    started = world.moving.start(world.update_task())
    done = world.moving.finish(world.update_task())

    assert (started.skipped, started.done, world.endpoints.updates) == (True, False, [])
    assert (done.endpoint.revision, done.endpoint.parked) == (2, True)
    world.wake_up()
    assert hosted(world).config == f"{ENDPOINT}-v2"


def test_an_endpoint_that_was_asked_for_just_now_is_not_taken_to_be_parked(world):
    world.host(scaling={"initial": 0})
    world.wake_up()
    hidden = world.endpoints.endpoints.pop(ENDPOINT)
    change(world, endpoint=world.endpoint().changed(starting_at=world.clock.now()))
    update(world)

    started = world.moving.start(world.update_task())

    assert (started.skipped, started.wait_seconds) == (False, 30)
    world.endpoints.endpoints[ENDPOINT] = hidden


def test_a_wake_that_makes_the_old_revision_meanwhile_is_not_recorded_as_the_new_one(world):
    world.host(scaling={"initial": 0})
    update(world)
    task = world.update_task()
    assert world.moving.start(task).skipped
    world.wake_up()

    with pytest.raises(EndpointFailed, match="revision 1"):
        world.moving.finish(task)

    assert hosted(world).config == f"{ENDPOINT}-v1"
    assert world.endpoint().revision == 1


def test_a_wake_between_the_last_look_and_the_write_is_looked_at_again(world):
    world.host(scaling={"initial": 0})
    update(world)
    task = world.update_task()
    assert world.moving.start(task).skipped
    see = world.endpoints.see

    def woken_meanwhile(name):
        seen = see(name)
        world.endpoints.see = see
        deployment = world.deployment()
        starting = deployment.endpoint.changed(exists=True, starting_at=world.clock.now())
        change(world, endpoint=starting)
        return seen

    change(world, endpoint=world.endpoint().changed(exists=True))
    world.endpoints.see = woken_meanwhile
    with pytest.raises(ConcurrentChange):
        world.moving.finish(task)

    assert world.endpoint().revision == 1


def test_while_an_update_runs_the_instances_of_both_revisions_are_paid_for(world):
    world.host()
    before = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    update(world)
    world.begin_update()
    world.clock.advance(minutes=30)
    world.look()

    both = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd - before
    assert both == pytest.approx(2 * world.endpoint().usd_per_hour / 2)


def cost(world):
    return world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd


OTHERS = [("ml.g5.xlarge", "ml.g5.12xlarge"), ("ml.g5.12xlarge", "ml.g5.xlarge")]


@pytest.mark.parametrize(("before", "after"), OTHERS, ids=["dearer", "cheaper"])
def test_until_an_endpoint_moves_its_instances_cost_what_they_did_and_then_each_its_own_price(world, before, after):
    world.host(instance={"type": before})
    old, new = (rate_of(each, "us-east-1").usd_per_hour for each in (before, after))
    begun = cost(world)

    world.updating.update("llama", wanted(instance={"type": after}))
    task = world.update_task()
    world.clock.advance(minutes=6)
    world.look()
    world.clock.advance(minutes=6)
    world.begin_update()
    until_it_moved = cost(world) - begun
    world.clock.advance(minutes=6)
    world.look()
    of_both = cost(world) - begun - until_it_moved
    world.settle(seconds=360)
    world.moving.finish(task)
    moved = cost(world)
    world.clock.advance(minutes=6)
    world.look()

    assert until_it_moved == pytest.approx(old / 5)
    assert of_both == pytest.approx((old + new) / 10)
    assert cost(world) - moved == pytest.approx(new / 10)


@pytest.mark.parametrize(("before", "after"), OTHERS, ids=["dearer", "cheaper"])
def test_the_cost_of_an_update_never_falls(world, before, after):
    world.host(instance={"type": before})
    costs = []

    def wait():
        for _ in range(3):
            costs.append(cost(world))
            world.clock.advance(minutes=1)
        costs.append(cost(world))

    world.updating.update("llama", wanted(instance={"type": after}))
    task = world.update_task()
    for step in (world.begin_update, world.look, world.settle, lambda: world.moving.finish(task), world.look):
        wait()
        step()
    wait()

    assert costs == sorted(costs)


def test_an_update_without_an_instance_costs_nothing(world):
    world.host()
    world.endpoints.set_instances(ENDPOINT, 0)
    world.settle()
    world.look()
    before = cost(world)

    update(world)
    world.begin_update()
    world.clock.advance(minutes=5)
    world.look()
    world.settle(seconds=300)
    world.moving.finish(world.update_task())

    assert (cost(world), world.endpoint().revision) == (before, 2)


# ---- how it ends -------------------------------------------------------------------------------------------------


def test_finishing_again_after_a_crash_changes_nothing_and_loses_nothing(world):
    world.host()
    update(world)
    task = world.update_task()
    world.begin_update()
    world.settle(seconds=300)
    put = world.revisions.put

    def crash(_revision):
        raise KeyboardInterrupt

    world.revisions.put = crash
    with pytest.raises(KeyboardInterrupt):
        world.moving.finish(task)
    world.revisions.put = put
    version = world.deployment().version

    world.moving.finish(task)

    assert world.deployment().version == version
    assert statuses(world) == {1: RevisionStatus.RETIRED, 2: RevisionStatus.IN_SERVICE}
    assert world.updating.roll_back("llama", None, Strategy.BLUE_GREEN).endpoint.update.revision == 1


def test_what_sagemaker_rolled_back_is_noticed_and_the_former_revision_serves_on(world):
    world.host()
    update(world)
    world.begin_update()
    world.endpoints.roll_back(ENDPOINT, "an alarm rang")
    world.clock.advance(minutes=10)
    world.look()

    with pytest.raises(EndpointFailed, match="rolled back to revision 1: an alarm rang"):
        world.moving.finish(world.update_task())
    after = world.fail_update(EndpointFailed("rolled back to revision 1: an alarm rang"))

    assert world.tokens.succeeded["token-updated"] == {"config_name": f"{ENDPOINT}-v1"}
    assert (after.endpoint.revision, after.endpoint.update, after.status) == (1, None, Status.SERVING)
    assert after.hosting.container.environment == {}
    assert statuses(world) == {1: RevisionStatus.IN_SERVICE, 2: RevisionStatus.FAILED}
    assert "the update to revision 2 failed, revision 1 serves on: rolled back" in timeline(world)[-1]
    assert world.topic.events[-1] == "failed"


def test_an_update_that_could_not_be_rolled_back_fails_with_sagemakers_words(world):
    world.host()
    update(world)
    world.begin_update()
    world.endpoints.break_(ENDPOINT, "UpdateRollbackFailed", "out of capacity on the way back")

    world.look()

    assert "out of capacity on the way back" in world.tokens.failed["token-updated"].message


def test_a_failure_is_told_once(world):
    world.host()
    update(world)
    task = world.update_task()
    world.fail_update(BROKE)
    told = len(world.topic.messages)

    world.moving.fail(failure_of(world, task))

    assert len(world.topic.messages) == told


def test_a_failure_of_an_earlier_update_does_not_end_the_one_that_runs(world):
    world.host()
    update(world)
    first = world.update_task()
    world.fail_update(BROKE)
    update(world, "c")

    world.moving.fail(failure_of(world, first))

    assert world.endpoint().update.number == 2


def test_the_end_of_an_update_leaves_the_wake_waiting_that_waits(world):
    world.host()
    world.endpoints.set_instances(ENDPOINT, 0)
    world.settle()
    update(world)
    world.wake_up(token="token-capacity")

    world.fail_update(BROKE)
    world.settle()

    assert world.tokens.succeeded["token-capacity"] == {"in_service": True}


def test_after_a_failed_update_the_same_wish_may_be_made_again(world):
    world.host()
    update(world)
    world.fail_update(BROKE)

    updated(world)

    assert (numbers(world), world.endpoint().revision) == ([2, 1], 2)


def test_a_parking_in_the_midst_of_an_update_is_not_its_failure(world):
    world.host()
    update(world)
    task = world.update_task()
    world.begin_update()
    world.clock.advance(minutes=5)
    world.endpoints.vanish(ENDPOINT)
    world.look()

    done = world.moving.finish(task)

    assert (done.endpoint.revision, done.endpoint.parked) == (2, True)


# ---- machines that die ---------------------------------------------------------------------------------------------


def die(world):
    """Let the machine of the update end without a word, and time pass."""
    number = world.endpoint().update.number
    world.executions.end("update", world.update_run("llama", number), "TIMED_OUT")
    world.clock.advance(minutes=3)


def test_the_death_of_its_machine_ends_an_update(world):
    world.host()
    update(world)
    die(world)

    world.look()

    assert world.endpoint().update is None
    assert "ended without a word" in timeline(world)[-1]
    assert statuses(world)[2] is RevisionStatus.FAILED


def test_a_machine_that_never_began_is_started(world):
    world.host()
    world.executions.refusals.append(Throttled("slow down"))
    with pytest.raises(Throttled):
        update(world)
    assert world.executions.of("update") == []
    world.clock.advance(minutes=3)

    world.look()

    assert len(world.executions.of("update")) == 1
    assert world.endpoint().update is not None


def test_a_young_machine_is_not_taken_for_dead(world):
    world.host()
    update(world)
    world.executions.by_name.clear()

    world.look()

    assert world.endpoint().update is not None


def test_an_update_whose_machine_died_is_ended_by_what_the_endpoint_runs_then(world):
    """The record must not tell of one revision while another one runs, and is paid for."""
    world.host()
    update(world)
    world.begin_update()
    die(world)

    world.look()
    meanwhile = world.endpoint().update
    world.settle(seconds=300)

    assert meanwhile is not None, "it moves yet"
    assert (world.endpoint().update, world.endpoint().revision, hosted(world).config) == (None, 2, f"{ENDPOINT}-v2")
    assert statuses(world) == {1: RevisionStatus.RETIRED, 2: RevisionStatus.IN_SERVICE}


def test_an_update_that_failed_while_the_endpoint_moves_is_ended_when_it_rests(world):
    world.host()
    update(world)
    world.begin_update()
    world.fail_update(BROKE)
    meanwhile = world.endpoint().update
    world.clock.advance(minutes=3)
    world.endpoints.roll_back(ENDPOINT)

    world.look()

    assert meanwhile is not None
    assert (world.endpoint().update, world.endpoint().revision) == (None, 1)


def test_an_update_that_came_into_service_all_the_same_is_recorded_so(world):
    world.host()
    update(world)
    world.begin_update()
    world.endpoints.settle(ENDPOINT)

    after = world.fail_update(BROKE)

    assert (after.endpoint.revision, after.endpoint.update) == (2, None)


def test_an_update_of_a_parked_endpoint_whose_machine_died_ends_too(world):
    world.host(scaling={"initial": 0})
    update(world)
    die(world)
    assert world.deployment().next_look_at - world.clock.now() <= timedelta(minutes=1)

    world.sweep()

    assert world.endpoint().update is None


# ---- back --------------------------------------------------------------------------------------------------------


def roll_back(world, number=None):
    world.updating.roll_back("llama", number, RollbackRequest(revision=number).strategy)
    return world.run_update() if world.endpoint().update else world.deployment()


def test_a_rollback_goes_to_the_revision_that_served_before(world):
    world.host()
    updated(world, "b")
    updated(world, "c")

    done = roll_back(world)

    assert (done.endpoint.revision, hosted(world).config) == (2, f"{ENDPOINT}-v2")
    assert done.hosting.container.environment == {"VALUE": "b"}
    assert numbers(world) == [3, 2, 1]


def test_a_rollback_passes_over_what_never_served(world):
    world.host()
    updated(world, "b")
    update(world, "never")
    world.fail_update(BROKE)

    assert roll_back(world).endpoint.revision == 1


def test_a_rollback_of_a_rollback_goes_forward_again(world):
    world.host()
    updated(world, "b")
    roll_back(world)

    assert roll_back(world).endpoint.revision == 2


def test_what_served_before_is_what_did_and_not_what_is_newest(world):
    world.host()
    updated(world, "b")
    updated(world, "c")
    roll_back(world, 1)
    roll_back(world, 2)

    assert roll_back(world).endpoint.revision == 1


def test_a_rollback_may_name_its_revision(world):
    world.host()
    updated(world, "b")
    updated(world, "c")

    assert roll_back(world, 1).endpoint.revision == 1


def test_a_rollback_to_what_serves_changes_nothing(world):
    world.host()
    version = world.deployment().version

    assert world.updating.roll_back("llama", 1, Strategy.ROLLING).version == version


def test_a_rollback_to_what_is_not_kept_names_those_that_are(world):
    world.host()
    updated(world, "b")

    with pytest.raises(NotFound, match=r"keeps no revision 7; it keeps 1, 2\."):
        world.updating.roll_back("llama", 7, Strategy.BLUE_GREEN)


def test_where_nothing_else_has_served_there_is_nothing_to_roll_back_to(world):
    world.host()

    with pytest.raises(Conflict, match="nothing to roll back to"):
        world.updating.roll_back("llama", None, Strategy.BLUE_GREEN)


def test_bounds_that_were_changed_at_once_outlive_a_rollback(world):
    world.host(scaling={"min": 1, "max": 2})
    updated(world)
    world.updating.update("llama", wanted(scaling={"min": 0, "max": 1, "scale_in": "immediate"}))

    done = roll_back(world)
    world.clock.advance(minutes=10)  # for so long what was woken is held
    world.look()

    assert (done.endpoint.revision, done.hosting.container.environment) == (1, {})
    assert (done.hosting.scaling.min, done.hosting.scaling.max) == (0, 1)
    assert (done.endpoint.scaling.min, done.endpoint.scaling.scale_in) == (0, ScaleIn.IMMEDIATE)
    assert world.autoscaling.bounds == {ENDPOINT: (0, 1, False)}


def test_bounds_that_were_named_beside_something_else_outlive_a_rollback_too(world):
    world.host(scaling={"max": 2})
    updated(world, scaling={"max": 4})
    world.look()
    assert world.autoscaling.bounds == {ENDPOINT: (1, 4, False)}

    done = roll_back(world)

    assert (done.endpoint.revision, done.endpoint.scaling.max, done.hosting.scaling.max) == (1, 4, 4)


def test_bounds_that_were_changed_at_once_outlive_the_next_revision(world):
    world.host(scaling={"max": 2})
    world.updating.update("llama", wanted(scaling={"max": 4}))

    done = updated(world)

    assert (done.endpoint.revision, done.endpoint.scaling.max, done.hosting.scaling.max) == (2, 4, 4)


def test_bounds_that_were_named_with_an_update_that_failed_stay_as_they_were(world):
    world.host(scaling={"max": 2})
    update(world, scaling={"max": 4})

    after = world.fail_update(BROKE)

    assert (after.endpoint.scaling.max, after.hosting.scaling.max) == (2, 2)


def test_a_revision_that_began_with_more_than_the_bounds_allow_begins_with_fewer_after_a_rollback(world):
    """Its config asks for three, which autoscaling takes away; the record must be one that can be read."""
    world.host(scaling={"max": 3, "initial": 3})
    updated(world, scaling={"max": 1, "initial": 1})

    done = roll_back(world)

    assert (done.hosting.scaling.initial, done.hosting.scaling.max) == (1, 1)
    assert (done.endpoint.scaling.initial, done.endpoint.scaling.max) == (3, 1)
    assert type(done).model_validate(done.dump()) == done


def test_a_most_that_followed_from_how_many_it_began_with_stays_after_a_rollback(world):
    world.host()
    updated(world, scaling={"initial": 3})

    done = roll_back(world)

    assert (done.endpoint.scaling.max, done.hosting.scaling.for_backend(done.backend).max) == (3, 3)


# ---- what is kept ------------------------------------------------------------------------------------------------


def test_the_last_ten_revisions_are_kept_and_what_older_ones_were_made_of_is_deleted(world):
    handler = {"files": {"model.py": "def handle(inputs):\n    return None\n"}}
    world.host(serving=handler)
    for value in range(12):
        updated(world, value)

    kept = list(range(13, 3, -1))
    assert numbers(world) == kept
    assert len(kept) == REVISIONS_KEPT
    assert sorted(world.endpoints.configs) == sorted(f"{ENDPOINT}-v{number}" for number in kept)
    assert sorted(world.endpoints.models) == sorted(f"{ENDPOINT}-v{number}" for number in kept)
    bundles = world.bucket.sizes("bundles/llama-g1/")
    assert {key.split("/")[2] for key in bundles} == {f"v{number}" for number in kept}


def test_neither_the_revision_in_use_nor_the_one_before_it_is_forgotten_however_old(world):
    world.host()
    for value in range(10):
        updated(world, value)
    roll_back(world, 2)
    for value in range(20, 24):
        update(world, value)
        world.fail_update(BROKE)
    roll_back(world, 3)
    roll_back(world, 2)

    assert {2, 3} <= set(numbers(world))
    assert {f"{ENDPOINT}-v2", f"{ENDPOINT}-v3"} <= set(world.endpoints.configs)
    assert hosted(world).config == f"{ENDPOINT}-v2"
    assert roll_back(world).endpoint.revision == 3


def test_a_revision_whose_parts_somebody_deleted_is_made_again_for_a_rollback(world):
    world.host()
    updated(world, "b")
    del world.endpoints.models[f"{ENDPOINT}-v1"], world.endpoints.configs[f"{ENDPOINT}-v1"]

    roll_back(world)

    assert hosted(world).config == f"{ENDPOINT}-v1"
    assert f"{ENDPOINT}-v1" in world.endpoints.models


# ---- inference components ------------------------------------------------------------------------------------------


def components(world, **scaling):
    return world.host(backend=REALTIME, scaling={"components": True, **scaling})


def test_of_an_endpoint_with_components_only_bounds_can_change(world):
    components(world, max=3)

    with pytest.raises(InvalidInput, match="Deploy it under another name"):
        update(world)
    with pytest.raises(InvalidInput, match="Deploy it under another name"):
        world.updating.update("llama", wanted(scaling={"components": False}))
    world.updating.update("llama", wanted(scaling={"components": True, "max": 2}))

    assert world.endpoint().scaling.max == 2


def test_what_has_components_is_told_that_only_its_bounds_can_change(world):
    components(world)

    with pytest.raises(InvalidInput, match="only its bounds can change"):
        update(world)


def test_components_are_not_rolled_back_either(world):
    components(world)
    revision = world.revisions.find("llama", 1, 1)
    world.revisions.add(revision.changed(number=2, model_name=f"{ENDPOINT}-v2", config_name=f"{ENDPOINT}-v2"))

    with pytest.raises(InvalidInput, match="only its bounds can change"):
        world.updating.roll_back("llama", 2, Strategy.BLUE_GREEN)


def test_more_copies_than_the_endpoint_was_made_for_are_refused(world):
    """SageMaker adds instances up to the config's most; a copy beyond it would never find a place."""
    components(world, max=2)

    with pytest.raises(InvalidInput, match="made for 2 instances at most"):
        world.updating.update("llama", wanted(scaling={"components": True, "max": 3}))

    assert world.endpoint().scaling.max == 2


def test_an_endpoint_cannot_be_given_components(world):
    world.host(backend=REALTIME)

    with pytest.raises(InvalidInput, match="cannot be given inference components"):
        world.updating.update("llama", wanted(scaling={"components": True}))


def test_a_quota_fails_an_update_and_the_former_revision_serves_on(world):
    world.host()
    update(world)
    world.creating.make_ready(world.deployment(), world.revisions.find("llama", 1, 2))
    world.endpoints.refuses = QuotaExceeded("no more of ml.g5.xlarge")

    with pytest.raises(QuotaExceeded):
        world.moving.start(world.update_task())
    world.fail_update(QuotaExceeded("no more of ml.g5.xlarge"))

    assert (world.status(), world.endpoint().revision) == (Status.SERVING, 1)


def failure_of(world, task):
    return UpdateFailureTask(**dict(task), error=world.task_error(BROKE))


def test_a_revision_that_may_have_more_instances_than_there_is_room_for_is_refused(world):
    world.host()
    world.host(name="other", scaling={"max": 3})

    with pytest.raises(CapacityReached, match="other-g1 3"):
        update(world, scaling={"max": 2})

    assert world.endpoint().update is None


def test_room_for_the_larger_revision_is_kept_while_it_comes_into_service(world):
    world.host()
    update(world, scaling={"max": 3})
    world.begin_update()
    world.look()

    with pytest.raises(CapacityReached, match="llama-g1 3"):
        world.spending.require(world.host(Status.STAGING, name="other", scaling={"max": 2}), Purpose.START)
