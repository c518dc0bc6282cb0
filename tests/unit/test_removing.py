"""Nothing of a failure bills for long, a teardown leaves no trace, and a stranger's things stay where they are."""

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain import names
from pilotlight.domain.bundle import bundle_folder
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import AccessDenied, ConcurrentChange, QuotaExceeded, Superseded, Throttled
from pilotlight.domain.invocation import InvocationStatus
from pilotlight.domain.values import Backend
from pilotlight.ports.endpoints import Found

from tests.factories import an_invocation
from tests.fakes.hosting import PREFIX, Hosted
from tests.world import STACK

ENDPOINT, PARTS = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"
REALTIME = Backend.SAGEMAKER_REALTIME
THEIRS = {**names.ownership_tags(STACK, "llama", 1), names.TAG_STACK: "pilotlight-of-the-others"}
HANDLER = {"files": {"model.py": "def handle(inputs):\n    return None\n"}}


def hosted(world):
    return world.endpoints.endpoints.get(ENDPOINT)


def status(world):
    return hosted(world).status if hosted(world) else "gone"


def cost_so_far(world):
    return world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd


def everything(world):
    found = {
        "endpoints": list(world.endpoints.endpoints),
        "configs": list(world.endpoints.configs),
        "models": list(world.endpoints.models),
        "components": list(world.endpoints.components),
        "bounds": list(world.autoscaling.bounds),
        "revisions": list(world.revisions.held),
        **world.traces(),
    }
    return {kind: left for kind, left in found.items() if left}


def tear_down(world, polls=40):
    """Do what `teardown` does with an endpoint, and let SageMaker end what it was asked; return the waits."""
    if world.status() is not Status.TEARING_DOWN:
        world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.tearing_down.stop_executions(world.task())
    waits = []
    for _ in range(polls):
        wait = world.removing.delete(world.task())
        if wait.done:
            return waits
        waits.append(wait.wait_seconds)
        world.clock.advance(seconds=wait.wait_seconds)
        for name, each in list(world.endpoints.components.items()):
            if each.status == "Deleting":
                world.endpoints.settle_component(name)
        if status(world) == "Deleting":
            world.endpoints.settle(ENDPOINT)
    raise AssertionError("the teardown has no end")


# ---- a failure stops what bills -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at_rest", ["InService", "Failed", "OutOfService", "UpdateRollbackFailed"])
def test_the_endpoint_of_a_failure_is_deleted_at_once_where_it_is_at_rest(world, at_rest):
    world.host(Status.CREATING)
    world.endpoints.settle(ENDPOINT)
    world.endpoints.break_(ENDPOINT, at_rest)

    world.fail_deploy()

    assert status(world) == "Deleting"
    assert world.status() is Status.FAILED


@pytest.mark.parametrize("moving", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_what_cannot_be_deleted_yet_is_deleted_at_a_later_look(world, moving):
    world.host(Status.CREATING)
    hosted(world).status = moving
    world.fail_deploy()
    world.clock.advance(minutes=1)
    world.sweep()
    meanwhile = status(world)

    hosted(world).status = "InService"
    world.clock.advance(minutes=1)
    world.sweep()

    assert meanwhile == moving
    assert status(world) == "Deleting"
    world.endpoints.settle(ENDPOINT)
    world.clock.advance(minutes=1)
    world.sweep()
    assert not world.endpoint().exists


def test_the_sweep_looks_every_minute_while_a_failed_endpoint_may_bill(world):
    world.host(Status.CREATING)
    world.fail_deploy()

    assert (world.deployment().next_look_at - world.clock.now()).total_seconds() <= 60


def test_what_a_failure_cost_until_its_endpoint_was_gone_is_metered_and_no_more(world):
    world.host(Status.CREATING)
    world.come_into_service()
    world.fail_deploy()
    world.clock.advance(minutes=1)
    world.endpoints.settle(ENDPOINT)
    world.sweep()
    gone_at = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd

    assert gone_at > 0
    assert world.accounting.cost_so_far(world.deployment(), world.clock.advance(hours=9)).usd == gone_at


def test_a_failure_before_there_was_an_endpoint_deletes_nothing(world):
    world.host(Status.STAGING)

    world.fail_deploy()

    assert (world.status(), world.endpoints.deleted) == (Status.FAILED, [])


def test_a_late_word_of_an_earlier_attempt_does_not_touch_what_the_retry_made(world):
    world.host(Status.CREATING)
    world.fail_deploy()
    world.requesting.retry("llama", correlation_id="c-again")
    world.stage()
    world.creating.start(world.task())
    world.endpoints.settle(ENDPOINT)

    world.removing.stop_billing("llama", 1, 1)

    assert status(world) == "InService"


@pytest.mark.parametrize("to", [Status.SERVING, Status.TEARING_DOWN])
def test_a_late_word_of_failure_does_not_stop_what_serves_or_is_being_removed_by_others(world, to):
    world.host()
    if to is Status.TEARING_DOWN:
        world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    world.removing.stop_billing("llama", 1, 1)

    assert status(world) == "InService"


def test_a_failed_deployment_without_an_endpoint_at_sagemaker_is_not_asked_for_its_deletion(world):
    """What is not there has no tag by which its deletion would be allowed."""
    world.host(Status.STAGING)
    make = world.endpoints.create_endpoint

    def no_room(*_told):
        raise QuotaExceeded("no room")

    world.endpoints.create_endpoint = no_room
    with pytest.raises(QuotaExceeded):
        world.creating.start(world.task())
    world.endpoints.create_endpoint = make
    world.fail_deploy()

    assert ENDPOINT not in world.endpoints.deleted


@pytest.mark.parametrize("ends", ["a failure", "a teardown"])
def test_bounds_that_may_not_be_removed_do_not_keep_the_endpoint_billing(world, ends):
    world.host(Status.CREATING if ends == "a failure" else Status.SERVING)
    world.endpoints.settle(ENDPOINT)
    world.autoscaling.refuses = AccessDenied("not authorized to perform cloudwatch:DeleteAlarms")
    if ends == "a teardown":
        world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    with pytest.raises(AccessDenied):
        world.fail_deploy("it broke") if ends == "a failure" else world.removing.delete(world.task())

    assert status(world) == "Deleting"


def test_a_component_is_deleted_before_its_endpoint_which_would_leave_it_behind(world):
    world.host(Status.CREATING, backend=REALTIME, scaling={"components": True})
    world.come_into_service()

    world.fail_deploy()

    assert world.endpoints.deleted == [PARTS, ENDPOINT]


def test_a_component_that_is_going_already_does_not_keep_its_endpoint_billing(world):
    world.host(Status.CREATING, backend=REALTIME, scaling={"components": True})
    world.come_into_service()
    world.endpoints.delete_component(PARTS)

    world.fail_deploy()

    assert status(world) == "Deleting"


def test_a_quota_on_components_does_not_keep_the_endpoint_billing(world):
    world.host(Status.CREATING, backend=REALTIME, scaling={"components": True})
    world.endpoints.settle(ENDPOINT)

    def no_room(*_told, **_how):
        raise QuotaExceeded("no room for a component")

    world.endpoints.create_component = no_room
    with pytest.raises(QuotaExceeded):
        world.look()
    world.fail_deploy()

    assert status(world) == "Deleting"


def test_a_token_that_still_waits_when_its_deployment_has_failed_is_told_in_the_end(world):
    world.host(Status.CREATING)
    world.observing.await_endpoint("llama", 1, "token-created", "created")
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=4)
    world.tokens.refuses = Throttled("slow down")
    with pytest.raises(Throttled):
        world.look()
    world.fail()

    world.sweep()
    world.clock.advance(minutes=1)
    world.sweep()

    assert "token-created" in world.tokens.failed
    assert world.endpoint().waiting == ()


# ---- a teardown leaves no trace ------------------------------------------------------------------------------------


def test_a_teardown_removes_endpoint_bounds_configs_models_bundles_revisions_and_claims(world):
    world.host(serving=HANDLER)
    assert world.bucket.sizes(bundle_folder("llama", 1))
    assert everything(world).keys() >= {"endpoints", "configs", "models", "bounds", "revisions"}

    tear_down(world)
    world.run_teardown()

    assert everything(world) == {}
    assert world.status() is Status.GONE
    assert world.capacity.read().claims == {}


def test_all_revisions_are_removed_and_not_only_the_one_that_serves(world):
    world.host()
    revision = world.revisions.find("llama", 1, 1)
    for number in (2, 3):
        name = f"{ENDPOINT}-v{number}"
        more = revision.changed(number=number, model_name=name, config_name=name, digest=f"d{number}")
        world.revisions.add(more)
        world.creating.make_ready(world.deployment(), more)

    tear_down(world)

    assert (world.endpoints.configs, world.endpoints.models, world.revisions.held) == ({}, {}, {})


@pytest.mark.parametrize("gone_before", ["endpoint", "config", "model", "all"])
def test_what_is_gone_already_is_a_success(world, gone_before):
    world.host()
    if gone_before in ("endpoint", "all"):
        world.endpoints.vanish(ENDPOINT)
    if gone_before in ("config", "all"):
        del world.endpoints.configs[PARTS]
    if gone_before in ("model", "all"):
        del world.endpoints.models[PARTS]

    tear_down(world)
    world.run_teardown()

    assert everything(world) == {}


def test_a_component_whose_endpoint_somebody_deleted_by_hand_is_removed_all_the_same(world):
    """Deleting an endpoint leaves its components behind."""
    world.host(backend=REALTIME, scaling={"components": True})
    world.endpoints.vanish(ENDPOINT)
    assert list(world.endpoints.components) == [PARTS]

    tear_down(world)

    assert everything(world).keys() <= {"objects"}


def test_a_component_goes_before_its_endpoint_and_is_waited_for(world):
    world.host(backend=REALTIME, scaling={"components": True})

    tear_down(world)

    assert world.endpoints.deleted.index(PARTS) < world.endpoints.deleted.index(ENDPOINT)
    assert world.endpoints.components == {}


def test_an_endpoint_that_is_being_created_is_waited_for_and_then_deleted(world):
    world.host(Status.CREATING)
    world.clock.advance(minutes=5)
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    first = world.removing.delete(world.task())
    meanwhile = status(world)
    world.endpoints.settle(ENDPOINT)
    second = world.removing.delete(world.task())

    assert (first.done, meanwhile, second.done, status(world)) == (False, "Creating", False, "Deleting")


def test_a_call_for_an_endpoint_that_may_still_be_on_its_way_is_waited_for(world):
    world.host(Status.STAGING)
    world.endpoints.refuses = Throttled("slow down")
    with pytest.raises(Throttled):
        world.creating.start(world.task())
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    wait = world.removing.delete(world.task())

    assert (wait.done, wait.wait_seconds) == (False, 90)
    world.clock.advance(seconds=91)
    assert world.removing.delete(world.task()).done


def test_what_bills_until_it_is_gone_is_metered_until_it_is_gone(world):
    world.host()
    before = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.removing.delete(world.task())
    world.clock.advance(minutes=30)
    world.endpoints.settle(ENDPOINT)
    world.removing.delete(world.task())

    after = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    assert after - before == pytest.approx(world.endpoint().usd_per_hour / 2)
    assert world.accounting.cost_so_far(world.deployment(), world.clock.advance(hours=9)).usd == after


def test_instances_that_came_unseen_are_paid_for_from_the_moment_that_a_teardown_sees_them(world):
    world.host()
    before = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    hosted(world).instances = hosted(world).desired = 3
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.removing.delete(world.task())
    world.clock.advance(minutes=30)
    world.endpoints.settle(ENDPOINT)
    world.removing.delete(world.task())

    after = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    assert after - before == pytest.approx(3 * world.endpoint().usd_per_hour / 2)


def test_what_was_being_updated_is_paid_for_at_its_dearest_until_it_is_gone_and_its_cost_never_falls(world):
    world.host()
    world.updating.update("llama", UpdateRequest.model_validate({"instance": {"type": "ml.g5.12xlarge"}}))
    world.begin_update()
    world.look()
    dearest = world.endpoint().dearest_usd_per_hour
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    costs = [cost_so_far(world)]

    for status_then in ("Updating", "InService", "Deleting", "gone"):
        if status_then in ("InService", "gone"):
            world.endpoints.settle(ENDPOINT)
        assert status(world) == status_then
        world.removing.delete(world.task())
        costs.append(cost_so_far(world))
        for _ in range(2):
            world.clock.advance(minutes=5)
            costs.append(cost_so_far(world))

    assert costs == sorted(costs)
    assert dearest > world.endpoint().usd_per_hour
    assert costs[-1] - costs[0] == pytest.approx(3 / 6 * 2 * dearest)


def test_the_wait_for_what_takes_long_grows_and_has_a_bound(world):
    world.host(Status.CREATING)
    world.clock.advance(minutes=5)
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    waits = []
    for _ in range(40):
        waits.append(world.removing.delete(world.task()).wait_seconds)
        world.clock.advance(seconds=waits[-1])

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (15, 300)


def test_calls_that_were_under_way_end_with_the_reason(world):
    world.host()
    for number in range(3):
        asked = an_invocation(f"i-{number}", backend=world.deployment().backend, status=InvocationStatus.RUNNING)
        world.invocations.put(asked)
        world.in_flight.put(asked)

    tear_down(world)

    assert {world.invocations.get(f"i-{number}").status for number in range(3)} == {InvocationStatus.FAILED}


def test_a_teardown_is_not_over_before_the_last_of_very_many_calls_has_ended(world):
    world.host()
    for number in range(401):
        asked = an_invocation(f"i-{number:04}", backend=world.deployment().backend, status=InvocationStatus.RUNNING)
        world.invocations.put(asked)
        world.in_flight.put(asked)

    waits = tear_down(world)

    assert waits[-1] == 1
    assert world.in_flight.oldest("llama", 1, 500) == []


def test_a_deployment_of_bedrocks_has_no_endpoint_to_remove(world):
    world.bring(Status.TEARING_DOWN)

    assert world.removing.delete(world.task()).done
    assert world.endpoints.deleted == []


def test_a_task_that_comes_after_the_end_deletes_nothing(world):
    world.host()
    task = world.task()

    with pytest.raises(Superseded):
        world.removing.delete(task)

    assert status(world) == "InService"


def test_a_teardown_during_an_update_stops_its_machine_and_waits_for_sagemaker(world):
    world.host()
    revision = world.revisions.find("llama", 1, 1)
    world.revisions.add(revision.changed(number=2, config_name=f"{ENDPOINT}-v2", model_name=f"{ENDPOINT}-v2"))
    world.updating.roll_back("llama", 2, "blue-green")
    world.begin_update()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.tearing_down.stop_executions(world.task())

    waits = world.removing.delete(world.task())
    (machine,) = world.executions.of("update")
    meanwhile = status(world)
    world.endpoints.settle(ENDPOINT)
    tear_down(world)

    assert (machine.status, meanwhile, waits.done) == ("ABORTED", "Updating", False)
    assert everything(world).keys() <= {"objects"}
    assert world.endpoint().update is None


def test_a_deployment_that_is_gone_is_not_looked_at_any_more_and_waits_for_no_wake(world):
    world.host()
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=2)
    assert world.look().endpoint.parked
    tear_down(world)

    world.run_teardown()

    assert (world.deployment().next_look_at, world.endpoint().parked) == (None, False)


# ---- strangers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["config", "model"])
def test_a_part_of_a_strangers_under_our_name_outlives_the_teardown(world, kind):
    world.host()
    held = world.endpoints.configs if kind == "config" else world.endpoints.models
    held[PARTS] = Found(name=PARTS, arn=f"{PREFIX}{kind}/{PARTS}", tags=THEIRS)

    tear_down(world)

    assert held[PARTS].tags == THEIRS


def test_an_endpoint_of_a_strangers_under_our_name_outlives_teardown_and_failure_with_its_bounds(world):
    world.host(Status.CREATING)
    world.endpoints.endpoints[ENDPOINT] = Hosted(PARTS, THEIRS, "InService", 1, 1)
    world.autoscaling.bounds[ENDPOINT] = (0, 7, False)
    world.fail_deploy()
    world.clock.advance(minutes=3)
    world.sweep()

    tear_down(world)

    assert status(world) == "InService"
    assert world.autoscaling.bounds == {ENDPOINT: (0, 7, False)}


def test_one_part_that_may_not_be_deleted_is_told_and_tried_again(world):
    world.host()
    delete = world.endpoints.delete_config

    def denied(_name):
        raise AccessDenied("not authorized to perform sagemaker:DeleteEndpointConfig")

    world.endpoints.delete_config = denied
    with pytest.raises(AccessDenied):
        tear_down(world)
    world.endpoints.delete_config = delete

    tear_down(world)

    assert world.endpoints.configs == {}


def test_a_deletion_that_meets_another_change_is_no_error(world):
    world.host()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    delete = world.endpoints.delete_endpoint

    def in_progress(_name):
        raise ConcurrentChange("Cannot update in-progress endpoint.")

    world.endpoints.delete_endpoint = in_progress
    assert not world.removing.delete(world.task()).done
    world.endpoints.delete_endpoint = delete
    tear_down(world)

    assert status(world) == "gone"
