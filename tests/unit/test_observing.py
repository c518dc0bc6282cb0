"""A look records what it saw, keeps why an endpoint failed, and ends whoever waits, once and with the truth."""

import json
from datetime import timedelta

import pytest
from pilotlight.contracts import EndpointEvent, TaskError
from pilotlight.domain import names
from pilotlight.domain.deployment import Status
from pilotlight.domain.endpoint import Awaited, EndpointFailure, Seen, Waiting
from pilotlight.domain.errors import AccessDenied, EndpointFailed, NotFound, Superseded, Throttled
from pilotlight.domain.values import Backend
from pilotlight.services.creating import JUST_ASKED
from pilotlight.services.observing import outcome

from tests.factories import NOON, an_endpoint, an_invocation
from tests.fakes.hosting import Hosted
from tests.world import STACK

ENDPOINT, PARTS = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"
REALTIME = Backend.SAGEMAKER_REALTIME
HEALTH = "The primary container did not pass the ping health check."


def seen(status="InService", **fields):
    return Seen(name=ENDPOINT, arn="arn", status=status, config_name=PARTS, **fields)


def verdict(status, awaited, *, waited_seconds=300, endpoint=None, **fields):
    waiting = Waiting(token="t", awaited=awaited, since=NOON - timedelta(seconds=waited_seconds))
    told = None if status is None else seen(status, **fields)
    return outcome(endpoint or an_endpoint(), told, waiting, NOON)


def created(world, **request):
    """Bring a deployment to where its machine waits for the endpoint."""
    world.host(Status.CREATING, **request)
    return world.observing.await_endpoint("llama", 1, "token-created", Awaited.CREATED)


def timeline(world):
    return world.deployments.timeline("llama")


# ---- what is told to whoever waits -------------------------------------------------------------------------------


@pytest.mark.parametrize("awaited", list(Awaited))
@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_what_is_under_way_is_waited_for(status, awaited):
    assert verdict(status, awaited) is None


@pytest.mark.parametrize("awaited", list(Awaited))
@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_what_will_not_be_in_service_by_itself_is_a_failure_with_sagemakers_words(status, awaited):
    told = verdict(status, awaited, failure_reason=HEALTH)

    assert isinstance(told, EndpointFailed)
    assert told.message == f"Endpoint {ENDPOINT} is {status}: {HEALTH}"


def test_in_service_is_what_a_creation_waits_for():
    assert verdict("InService", Awaited.CREATED) == {"in_service": True}


def test_in_service_without_an_instance_is_not_what_a_wake_waits_for():
    assert verdict("InService", Awaited.CAPACITY, desired=1) is None
    assert verdict("InService", Awaited.CAPACITY, desired=1, instances=1) == {"in_service": True}


@pytest.mark.parametrize("found", [{"desired": 0}, {"desired": 1, "instances": 1, "copies": 0}], ids=str)
def test_a_wake_that_met_a_scale_in_is_told_to_ask_for_an_instance_again(found):
    assert verdict("InService", Awaited.CAPACITY, **found) == {"in_service": False}


def test_an_update_that_was_asked_for_just_now_may_not_be_seen_yet():
    just_asked = JUST_ASKED.total_seconds() - 1

    assert verdict("InService", Awaited.UPDATED, waited_seconds=just_asked) is None
    assert verdict("InService", Awaited.UPDATED) == {"config_name": PARTS}


def test_an_update_that_is_seen_to_be_over_is_not_waited_for_any_longer():
    told = verdict(
        "InService", Awaited.UPDATED, waited_seconds=5, endpoint=an_endpoint(revision=11, newest_revision=11)
    )

    assert told == {"config_name": PARTS}


def test_the_eleventh_revision_is_not_taken_for_the_first():
    moved = seen().changed(config_name=f"{ENDPOINT}-v11")
    waiting = Waiting(token="t", awaited=Awaited.UPDATED, since=NOON)

    assert outcome(an_endpoint(), moved, waiting, NOON) == {"config_name": f"{ENDPOINT}-v11"}


def test_a_creation_whose_endpoint_is_gone_has_failed():
    assert isinstance(verdict(None, Awaited.CREATED), EndpointFailed)


@pytest.mark.parametrize("awaited", [Awaited.CAPACITY, Awaited.UPDATED])
def test_who_waits_for_an_endpoint_that_was_parked_meanwhile_looks_again_and_does_not_fail(awaited):
    assert verdict(None, awaited) == {"in_service": False}


@pytest.mark.parametrize(("in_service_at", "is_told"), [(None, True), (NOON, False)])
def test_the_last_word_of_a_container_that_has_served_may_quote_a_prompt_and_is_not_in_the_message(
    in_service_at, is_told
):
    failure = EndpointFailure(reason=HEALTH, log_lines=("the vault's code is 4711",), at=NOON)
    failed = an_endpoint(exists=True, in_service_at=in_service_at, failure=failure)

    told = verdict("Failed", Awaited.CAPACITY, endpoint=failed)

    assert ("4711" in told.message, "4711" in str(told.detail)) == (is_told, is_told)


def test_a_status_in_capitals_as_events_write_it_is_never_a_verdict():
    assert verdict("IN_SERVICE", Awaited.CREATED) is None
    assert verdict("FAILED", Awaited.CREATED) is None


# ---- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_is_ended_once_however_many_look(world):
    created(world)
    world.settle()

    for _ in range(3):
        world.look()
        world.observing.look_for(ENDPOINT, {})

    assert world.tokens.told == ["token-created"]
    assert world.endpoint().waiting == ()


def test_what_is_there_already_ends_the_token_at_once(world):
    world.host(Status.CREATING)
    world.endpoints.settle(ENDPOINT)

    world.observing.await_endpoint("llama", 1, "token-created", Awaited.CREATED)

    assert world.tokens.succeeded == {"token-created": {"in_service": True}}


def test_a_task_that_is_made_again_takes_the_place_of_its_former_token(world):
    created(world)

    world.observing.await_endpoint("llama", 1, "token-of-the-retry", Awaited.CREATED)
    world.settle()

    assert world.tokens.told == ["token-of-the-retry"]


def test_an_update_and_a_wake_wait_for_the_same_endpoint_and_both_are_told(world):
    """Calls come while an update runs: a wake's token must not take the place of the update's."""
    world.host()
    world.endpoints.set_instances(ENDPOINT, 0)
    world.settle()
    revision = world.revisions.find("llama", 1, 1)
    world.revisions.add(revision.changed(number=2, config_name=f"{ENDPOINT}-v2", model_name=f"{ENDPOINT}-v2"))
    world.updating.roll_back("llama", 2, "blue-green")
    world.begin_update(token="token-updated")

    world.wake_up(token="token-capacity")
    told_meanwhile = {*world.tokens.told} - {"token-created"}
    world.settle(seconds=120)

    assert told_meanwhile == set()
    assert world.tokens.succeeded["token-updated"] == {"config_name": f"{ENDPOINT}-v2"}
    assert "token-capacity" in world.tokens.succeeded


def test_a_token_that_could_not_be_told_is_told_at_the_next_look(world):
    created(world)
    world.clock.advance(minutes=4)
    world.endpoints.settle(ENDPOINT)
    world.tokens.refuses = Throttled("slow down")
    with pytest.raises(Throttled):
        world.look()

    world.look()

    assert world.tokens.told == ["token-created"]


def test_a_token_is_told_also_when_its_endpoint_vanished_and_telling_failed_at_first(world):
    created(world)
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=4)
    world.tokens.refuses = Throttled("slow down")
    with pytest.raises(Throttled):
        world.look()
    assert not world.endpoint().exists
    assert world.deployment().next_look_at - world.clock.now() <= timedelta(minutes=1)

    world.clock.advance(minutes=1)
    world.sweep()

    assert isinstance(world.tokens.failed["token-created"], EndpointFailed)


def test_a_failed_endpoint_fails_its_task_with_reason_and_the_containers_last_word(world):
    created(world)
    world.logs.lines[ENDPOINT] = ["Loading.", "CUDA out of memory.", ""]
    world.endpoints.fail(ENDPOINT, HEALTH)

    world.look()

    error = world.tokens.failed["token-created"]
    assert error.message == f"Endpoint {ENDPOINT} is Failed: {HEALTH} Its container's last word: CUDA out of memory."
    assert error.detail["log"] == ["Loading.", "CUDA out of memory."]


def test_whoever_comes_to_wait_after_a_teardown_began_is_superseded(world):
    world.host(Status.CREATING)
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    with pytest.raises(Superseded):
        world.observing.await_endpoint("llama", 1, "token-late", Awaited.CREATED)

    assert world.endpoint().waiting == ()


def test_whoever_comes_to_wait_for_an_older_generation_is_superseded(world):
    world.host(Status.CREATING)

    with pytest.raises(Superseded):
        world.observing.await_endpoint("llama", 9, "token-late", Awaited.CREATED)


def test_a_deployment_without_an_endpoint_has_nothing_to_wait_for(world):
    world.host(Status.STAGING)
    before = world.deployment()
    moved = before.changed(status=Status.CREATING)
    world.deployments.shelf.write("llama", moved, before.version + 1)

    with pytest.raises(EndpointFailed, match="no endpoint to wait for"):
        world.observing.await_endpoint("llama", 1, "token", Awaited.CREATED)


# ---- why it failed, before it is deleted ---------------------------------------------------------------------------


def test_reason_and_last_lines_of_a_failed_endpoint_are_on_the_record_before_it_is_deleted(world):
    created(world)
    world.logs.lines[ENDPOINT] = [f"line {number}" for number in range(50)]
    world.endpoints.fail(ENDPOINT, HEALTH)

    world.fail_deploy(HEALTH)
    world.endpoints.settle(ENDPOINT)
    world.look()

    failure = world.endpoint().failure
    assert (failure.reason, failure.log_lines[0], failure.log_lines[-1]) == (HEALTH, "line 30", "line 49")
    assert not world.endpoint().exists
    events, _ = world.deployments.events("llama", None, 100)
    told = [event for event in events if "failed:" in event.reason and "log" in event.detail]
    assert told[0].detail["log"] == list(failure.log_lines)


def test_a_failure_without_a_reason_says_that_there_was_none(world):
    created(world)
    world.endpoints.fail(ENDPOINT, None)

    world.look()

    assert world.endpoint().failure.reason == "SageMaker gave no reason"


def test_lines_are_kept_as_they_were_at_the_first_look(world):
    created(world)
    world.logs.lines[ENDPOINT] = ["the cause"]
    world.endpoints.fail(ENDPOINT, HEALTH)
    world.look()
    world.logs.lines[ENDPOINT] = ["something else"]

    world.look()

    assert world.endpoint().failure.log_lines == ("the cause",)


def test_a_log_that_may_not_be_read_keeps_nobody_waiting_and_nothing_billing(world):
    created(world)
    world.logs.refuses = AccessDenied("not authorized to perform logs:GetLogEvents")
    world.endpoints.fail(ENDPOINT, HEALTH)

    world.look()
    world.fail_deploy(HEALTH)

    assert world.tokens.failed["token-created"].message == f"Endpoint {ENDPOINT} is Failed: {HEALTH}"
    assert world.endpoints.endpoints[ENDPOINT].status == "Deleting"


def test_a_log_that_cannot_be_read_just_now_is_read_at_the_next_look(world):
    created(world)
    world.logs.lines[ENDPOINT] = ["the cause"]
    world.endpoints.fail(ENDPOINT, HEALTH)
    world.logs.refuses = Throttled("slow down")
    with pytest.raises(Throttled):
        world.look()
    world.logs.refuses = None

    world.look()

    assert world.endpoint().failure.log_lines == ("the cause",)


def test_what_a_component_wrote_is_looked_for_in_the_components_log(world):
    created(world, backend=REALTIME, scaling={"components": True})
    world.settle()
    world.logs.lines[PARTS] = ["CUDA out of memory."]
    world.endpoints.fail_component(PARTS, "no copy came up")

    world.look()

    assert world.endpoint().failure.log_lines == ("CUDA out of memory.",)
    assert world.tokens.failed["token-created"].message.startswith(f"Endpoint {ENDPOINT} is Failed: no copy came up")


def test_a_failure_reads_well_as_the_deployments_reason():
    error = EndpointFailed("Endpoint x is Failed: it broke", log=["a"])
    cause = json.dumps({"errorType": "Terminal", "errorMessage": error.to_message()})

    told = TaskError.model_validate({"Error": "Terminal", "Cause": cause})

    assert (told.code, told.readable) == ("endpoint-failed", "Endpoint x is Failed: it broke")


# ---- looks -------------------------------------------------------------------------------------------------------


def test_a_look_that_finds_nothing_new_writes_nothing(world):
    world.host()
    before, told = world.deployment(), timeline(world)
    world.clock.advance(seconds=30)

    world.look()

    assert world.deployment().version == before.version
    assert timeline(world) == told


def test_an_endpoint_that_somebody_deleted_is_told_to_be_gone_and_costs_nothing_any_more(world):
    world.host()
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=1)

    deployment = world.look()

    assert (deployment.endpoint.exists, deployment.endpoint.parked) == (False, True)
    assert f"endpoint {ENDPOINT} is gone: nothing of it bills" in timeline(world)
    cost = world.accounting.cost_so_far(deployment, world.clock.now()).usd
    assert world.accounting.cost_so_far(deployment, world.clock.advance(hours=9)).usd == cost


def test_an_endpoint_keeps_its_room_for_as_long_as_it_is_looked_at_and_gives_it_back_when_it_is_gone(world):
    world.host(scaling={"max": 3})
    for _ in range(120):
        world.clock.advance(minutes=1)
        world.look()
    held = world.capacity.read().live(world.clock.now())

    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=2)
    world.look()

    assert list(held) == ["llama-g1"]
    assert world.capacity.read().live(world.clock.now()) == {}


def test_the_timeline_tells_how_many_instances_there_are(world):
    world.host()
    world.endpoints.set_instances(ENDPOINT, 0)
    world.settle()

    told = timeline(world)
    assert f"endpoint {ENDPOINT} is InService, with 1 of 1 instances" in told
    assert f"endpoint {ENDPOINT} is InService, with no instance" in told


def test_an_endpoint_that_was_asked_for_just_now_and_is_not_seen_yet_is_not_taken_to_be_gone(world):
    world.host(Status.STAGING)
    make = world.endpoints.create_endpoint

    def unseen(*told):
        make(*told)
        hidden.append(world.endpoints.endpoints.pop(ENDPOINT))
        raise Throttled("slow down")

    hidden: list[Hosted] = []
    world.endpoints.create_endpoint = unseen
    with pytest.raises(Throttled):
        world.creating.start(world.task())

    assert world.look().endpoint.exists
    world.clock.advance(seconds=91)
    assert not world.look().endpoint.exists


def test_an_endpoint_that_was_made_just_now_and_is_not_seen_yet_is_not_taken_to_be_gone(world):
    world.host(Status.STAGING)
    world.creating.start(world.task())
    hidden = world.endpoints.endpoints.pop(ENDPOINT)

    deployment = world.observing.await_endpoint("llama", 1, "token-created", Awaited.CREATED)

    assert (deployment.endpoint.exists, world.tokens.told) == (True, [])
    world.endpoints.endpoints[ENDPOINT] = hidden
    world.settle(seconds=240)
    assert world.tokens.succeeded["token-created"] == {"in_service": True}


def test_one_that_is_made_again_is_in_service_since_then_and_not_since_its_first_life(world):
    world.host()
    first = world.endpoint().in_service_at
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(hours=3)
    world.look()

    world.wake_up()
    world.settle(seconds=240)

    assert world.endpoint().in_service_at - first > timedelta(hours=3)


@pytest.mark.parametrize("saw", ["nothing", "the failed one"])
def test_a_look_that_is_slower_than_the_next_life_of_its_endpoint_tells_nothing_of_the_former_one(world, saw):
    world.host()
    if saw == "the failed one":
        world.endpoints.break_(ENDPOINT, "Failed", "of its former life")
    see, former = world.endpoints.see, world.endpoints.see(ENDPOINT) if saw == "the failed one" else None

    def outlived(_name):
        world.endpoints.see = see
        world.endpoints.vanish(ENDPOINT)
        world.clock.advance(minutes=2)
        world.look()
        world.wake_up()
        return former

    world.endpoints.see = outlived
    world.look()

    assert (world.endpoint().exists, world.endpoint().parked, world.endpoint().failure) == (True, False, None)
    assert "token-capacity" not in world.tokens.told
    world.settle(seconds=240)
    assert world.tokens.succeeded["token-capacity"] == {"in_service": True}


@pytest.mark.parametrize("broken", ["a call's record", "a token"])
def test_what_must_stop_stops_also_where_the_rest_of_a_look_fails(world, broken):
    world.host()
    if broken == "a token":
        world.observing.await_endpoint("llama", 1, "token-updated", Awaited.UPDATED)
        world.clock.advance(minutes=2)
        world.tokens.refuses = Throttled("slow down")
    else:
        asked = an_invocation("i-1", backend=Backend.SAGEMAKER_ASYNC)
        world.invocations.put(asked)
        world.in_flight.put(asked)
        world.invocations.find = _unreadable
    world.switch.on("too dear")

    with pytest.raises((AccessDenied, Throttled)):
        world.observing.look_and_scale("llama")

    assert world.endpoints.endpoints[ENDPOINT].desired == 0


def _unreadable(_invocation_id):
    raise AccessDenied("not authorized to perform dynamodb:GetItem")


def test_a_look_at_a_deployment_that_there_is_not_says_so(world):
    with pytest.raises(NotFound):
        world.observing.look("nobody")


# ---- events ------------------------------------------------------------------------------------------------------


def event(name=ENDPOINT, status="IN_SERVICE", tags=None):
    detail = {"EndpointName": name, "EndpointStatus": status, "Tags": tags or {}, "CreationTime": 1_800_000_000_000}
    return EndpointEvent.model_validate({"id": "e-1", "detail": detail}).detail


@pytest.mark.parametrize("status", ["IN_SERVICE", "InService", "FAILED", "DELETING", "nonsense"])
def test_an_event_is_only_a_reason_to_look_whatever_status_it_tells(world, status):
    created(world)
    told = event(status=status)

    world.observing.look_for(told.name, told.tags)
    assert world.tokens.told == []
    world.endpoints.settle(ENDPOINT)
    world.observing.look_for(told.name, told.tags)

    assert world.tokens.succeeded == {"token-created": {"in_service": True}}


def test_an_event_without_tags_finds_its_deployment_by_the_endpoints_name(world):
    created(world)
    world.endpoints.settle(ENDPOINT)

    world.observing.look_for(ENDPOINT, {})

    assert world.tokens.told == ["token-created"]


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("pilotlight-llama-g7", {}),
        ("pilotlight-stranger-g1", {}),
        ("somebody-elses", {}),
        ("somebody-elses", names.ownership_tags(STACK, "llama", 1)),
        ("pilotlight-", {}),
    ],
)
def test_an_event_of_a_strangers_endpoint_or_of_an_older_generation_is_passed_over(world, name, tags):
    created(world)
    world.endpoints.settle(ENDPOINT)
    version = world.deployment().version

    world.observing.look_for(name, tags)

    assert (world.tokens.told, world.deployment().version) == ([], version)


def test_an_event_of_an_endpoint_that_the_deployment_does_not_have_is_passed_over(world):
    world.bring(Status.SERVING)

    world.observing.look_for(ENDPOINT, {})

    assert world.deployment().endpoint is None


def test_events_of_a_teardown_are_seen_and_scale_nothing(world):
    world.host()
    writes = world.autoscaling.writes
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.removing.delete(world.task())
    world.endpoints.settle(ENDPOINT)

    world.observing.look_for(ENDPOINT, {})

    assert not world.endpoint().exists
    assert world.autoscaling.writes == writes
