"""An endpoint is made once, of its own revision, after nothing that ended it, and never in a stranger's place."""

from collections import deque
from contextlib import nullcontext

import pytest
from pilotlight.domain import names
from pilotlight.domain.deployment import Status
from pilotlight.domain.endpoint import Awaited, RevisionStatus
from pilotlight.domain.errors import (
    ConcurrentChange,
    Conflict,
    NotOurs,
    QuotaExceeded,
    Superseded,
    Throttled,
    Unavailable,
)
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.values import Backend
from pilotlight.ports.endpoints import Found

from tests.fakes.hosting import PREFIX, Hosted
from tests.world import STACK

ENDPOINT, PARTS = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"
OURS = names.ownership_tags(STACK, "llama", 1)
REALTIME = Backend.SAGEMAKER_REALTIME
OF_ANOTHER_STACK = {**OURS, names.TAG_STACK: "pilotlight-of-the-others"}


def begin(world, **request):
    """Bring a deployment to where its endpoint is to be created, and try to."""
    world.host(Status.STAGING, **request)
    return world.creating.start(world.task())


def put_endpoint(world, tags, *, config=PARTS, status="InService"):
    world.endpoints.endpoints[ENDPOINT] = Hosted(config, dict(tags), status=status, instances=1)


def put_part(world, kind, tags):
    held = {"model": world.endpoints.models, "endpoint-config": world.endpoints.configs}[kind]
    held[PARTS] = Found(name=PARTS, arn=f"{PREFIX}{kind}/{PARTS}", tags=tags)


def reasons(world):
    return world.deployments.timeline("llama")


# ---- one of each ------------------------------------------------------------------------------------------------


def test_a_model_a_config_and_an_endpoint_are_made_with_tags_that_say_whose_and_which_they_are(world):
    assert begin(world, tags={"team": "search"}).done

    revision = world.revisions.find("llama", 1, 1)
    whole = {**OURS, names.TAG_REVISION: "1", names.TAG_DIGEST: revision.digest, "team": "search"}
    assert world.endpoints.models[PARTS].tags == whole
    assert world.endpoints.configs[PARTS].tags == whole
    assert world.endpoints.endpoints[ENDPOINT].tags == {**OURS, "team": "search"}
    assert world.endpoints.endpoints[ENDPOINT].config == PARTS
    assert (world.status(), world.endpoint().exists) == (Status.CREATING, True)


@pytest.mark.parametrize("made_before_the_crash", [0, 1, 2, 3])
def test_a_start_that_crashed_finds_what_it_made_and_makes_the_rest(world, made_before_the_crash):
    world.host(Status.STAGING)
    for name in ("create_model", "create_config", "create_endpoint")[made_before_the_crash:]:
        setattr(world.endpoints, name, _crashes)
    with pytest.raises(KeyboardInterrupt) if made_before_the_crash < 3 else nullcontext():
        world.creating.start(world.task())
    for name in ("create_model", "create_config", "create_endpoint"):
        world.endpoints.__dict__.pop(name, None)

    assert world.creating.start(world.task()).done

    assert (list(world.endpoints.models), list(world.endpoints.configs)) == ([PARTS], [PARTS])
    assert list(world.endpoints.endpoints) == [ENDPOINT]
    assert [each.number for each in world.revisions.newest_first("llama", 1)] == [1]


def test_an_endpoint_whose_creation_was_not_heard_of_is_adopted(world):
    world.host(Status.STAGING)
    made = world.endpoints.create_endpoint

    def made_and_lost(*told):
        made(*told)
        raise Unavailable("the answer was lost")

    world.endpoints.create_endpoint = made_and_lost
    with pytest.raises(Unavailable):
        world.creating.start(world.task())
    world.endpoints.create_endpoint = made

    assert world.creating.start(world.task()).done

    assert world.endpoint().arn == f"{PREFIX}endpoint/{ENDPOINT}"
    assert f"endpoint {ENDPOINT} is there already" in reasons(world)


def test_what_another_run_of_the_same_step_makes_between_look_and_call_is_adopted(world):
    world.host(Status.STAGING)
    world.endpoints.meanwhile = lambda: world.creating.start(world.task())

    assert world.creating.start(world.task()).done

    assert list(world.endpoints.endpoints) == [ENDPOINT]
    assert world.endpoint().exists


def test_the_config_begins_with_as_many_instances_as_were_asked_for(world):
    begin(world, scaling={"initial": 2, "max": 4})

    assert world.endpoints.first_counts == {PARTS: 2}


# ---- strangers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["model", "endpoint-config"])
@pytest.mark.parametrize("tags", [{}, OURS, OF_ANOTHER_STACK], ids=["untagged", "of no revision", "of another stack"])
def test_a_part_that_is_a_strangers_is_refused_and_left_alone(world, kind, tags):
    put_part(world, kind, tags)

    with pytest.raises(NotOurs, match="is left alone"):
        begin(world)
    world.fail_deploy()

    held = world.endpoints.models if kind == "model" else world.endpoints.configs
    assert held[PARTS].tags == tags
    assert world.endpoints.endpoints == {}


def test_a_config_of_another_revision_under_our_name_is_not_adopted(world):
    world.host(Status.STAGING)
    put_part(world, "endpoint-config", names.revision_tags(STACK, "llama", 1, 1, "the digest of other settings"))

    with pytest.raises(NotOurs) as refused:
        world.creating.start(world.task())

    assert refused.value.detail["found_tags"][names.TAG_DIGEST] == "the digest of other settings"
    assert world.endpoints.endpoints == {}


def test_an_endpoint_that_is_a_strangers_is_refused_and_outlives_the_failure_and_the_teardown(world):
    put_endpoint(world, OF_ANOTHER_STACK)
    world.autoscaling.bounds[ENDPOINT] = (0, 7, False)

    with pytest.raises(NotOurs):
        begin(world)
    world.fail_deploy()
    world.sweep()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    gone = world.run_teardown()

    assert gone.status is Status.GONE
    assert world.endpoints.endpoints[ENDPOINT].status == "InService"
    assert world.autoscaling.bounds == {ENDPOINT: (0, 7, False)}
    assert ENDPOINT not in world.endpoints.deleted


@pytest.mark.parametrize("config", [PARTS, "of-theirs"])
def test_a_failed_endpoint_of_a_strangers_is_not_cleared_out_of_the_way(world, config):
    put_endpoint(world, OF_ANOTHER_STACK, config=config, status="Failed")

    with pytest.raises(NotOurs):
        begin(world)

    assert world.endpoints.endpoints[ENDPOINT].status == "Failed"


def test_a_stranger_who_is_faster_by_a_moment_keeps_his_endpoint_when_the_deployment_fails(world):
    world.host(Status.STAGING)
    make = world.endpoints.create_endpoint

    def outrun(*told):
        put_endpoint(world, OF_ANOTHER_STACK)
        return make(*told)

    world.endpoints.create_endpoint = outrun
    with pytest.raises(NotOurs):
        world.creating.start(world.task())
    world.fail_deploy()
    world.clock.advance(minutes=5)
    world.sweep()

    assert not world.endpoint().exists, "the record takes a stranger's for ours"
    assert world.endpoints.endpoints[ENDPOINT].status == "InService"
    assert world.endpoints.deleted == []


def test_an_endpoint_that_vanishes_between_two_looks_is_no_riddle_but_a_conflict(world):
    world.host(Status.STAGING)

    def was_there(*_told):
        raise Conflict("Cannot create already existing endpoint.")

    world.endpoints.create_endpoint = was_there
    with pytest.raises(Conflict, match="is not any more"):
        world.creating.start(world.task())


# ---- fences ------------------------------------------------------------------------------------------------------


def test_nothing_is_created_after_a_teardown_began(world):
    world.host(Status.STAGING)
    task = world.task()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    with pytest.raises(Superseded):
        world.creating.start(task)

    assert (world.endpoints.models, world.endpoints.configs, world.endpoints.endpoints) == ({}, {}, {})


@pytest.mark.parametrize(("writes_before", "made"), [(0, []), (1, [PARTS])])
def test_a_teardown_that_begins_before_a_write_of_the_record_is_not_overtaken(world, writes_before, made):
    world.host(Status.STAGING)
    task = world.task()

    def torn():
        world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    world.deployments.shelf.meanwhile = deque([lambda: None] * writes_before + [torn])
    with pytest.raises(Superseded):
        world.creating.start(task)

    assert world.endpoints.endpoints == {}
    assert (list(world.endpoints.models), list(world.endpoints.configs)) == (made, made)


def test_a_teardown_that_begins_before_an_endpoint_is_left_parked_is_not_overtaken_either(world):
    world.host(Status.STAGING, scaling={"initial": 0})
    task = world.task()

    def torn():
        world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    world.deployments.shelf.meanwhile = deque([lambda: None, torn])
    with pytest.raises(Superseded):
        world.creating.start(task)

    assert not world.endpoint().parked


def test_the_record_says_that_an_endpoint_may_be_on_its_way_before_it_is_asked_for(world):
    world.host(Status.STAGING)
    seen = []

    def note(*told):
        seen.append((world.endpoint().exists, world.endpoint().starting_at))
        raise Throttled("slow down")

    world.endpoints.create_endpoint = note
    with pytest.raises(Throttled):
        world.creating.start(world.task())

    assert seen == [(True, world.clock.now())]


def test_a_task_of_an_older_generation_makes_nothing(world):
    world.host(Status.STAGING)
    task = world.task().changed(generation=7)

    with pytest.raises(Superseded):
        world.creating.start(task)

    assert world.endpoints.endpoints == {}


def test_a_wake_makes_the_revision_that_the_record_has_when_it_is_written(world):
    world.host(scaling={"initial": 0})
    first = world.revisions.find("llama", 1, 1)
    world.revisions.add(first.changed(number=2, model_name=f"{ENDPOINT}-v2", config_name=f"{ENDPOINT}-v2"))
    world.creating.make_ready(world.deployment(), world.revisions.find("llama", 1, 2))
    stale = world.deployment()

    def updated():
        before = world.deployment()
        after = before.changed(endpoint=before.endpoint.changed(revision=2))
        world.deployments.shelf.write("llama", after, before.version + 1)

    world.deployments.shelf.meanwhile = deque([updated])
    world.creating.create(stale)

    assert world.endpoints.endpoints[ENDPOINT].config == f"{ENDPOINT}-v2"


# ---- without an instance, without room -----------------------------------------------------------------------------


def test_an_endpoint_that_begins_without_an_instance_is_not_created_before_somebody_calls(world):
    world.host(Status.STAGING, scaling={"initial": 0})
    assert world.creating.start(world.task()).skipped  # `deploy` waits for nothing that was not asked for

    world.begin_warm_up()
    deployment = world.warm_up()

    assert (deployment.status, deployment.endpoint.parked, deployment.endpoint.exists) == (Status.SERVING, True, False)
    assert (list(world.endpoints.configs), world.endpoints.endpoints) == ([PARTS], {})
    assert world.accounting.cost_so_far(deployment, world.clock.advance(hours=5)).usd == 0


def test_a_quota_of_sagemakers_fails_the_step_and_what_was_never_made_is_not_believed_in_for_long(world):
    world.host(Status.STAGING)
    make = world.endpoints.create_endpoint

    def no_room(*_told):
        raise QuotaExceeded("ml.g5.xlarge for endpoint usage is 0 Instances")

    world.endpoints.create_endpoint = no_room
    with pytest.raises(QuotaExceeded):
        world.creating.start(world.task())
    world.endpoints.create_endpoint = make
    world.fail_deploy()
    world.clock.advance(minutes=2)
    world.sweep()

    assert world.status() is Status.FAILED
    assert not world.endpoint().exists


def test_while_the_kill_switch_is_on_nothing_is_created_and_the_step_is_to_be_made_again(world):
    world.host(Status.STAGING)
    world.switch.on()

    waits = world.creating.start(world.task())

    assert (waits.done, waits.held, waits.wait_seconds > 0) == (False, True, True)
    assert world.endpoints.models == {}
    assert "kill switch" in world.deployment().waiting_for
    world.switch.off()
    assert world.creating.start(world.task()).done
    assert world.deployment().waiting_for is None


def test_more_instances_than_the_stack_may_ever_have_fail_at_once(world):
    world.host(Status.STAGING, scaling={"max": 60})

    with pytest.raises(QuotaExceeded):
        world.creating.start(world.task())

    assert world.endpoints.endpoints == {}


def test_what_the_ceiling_does_not_pay_for_is_not_begun(world):
    world.host(Status.STAGING, spend_ceiling={"usd": 500})
    before = world.deployment()
    after = before.changed(spend_ceiling=SpendCeiling(usd=0.01))
    world.deployments.shelf.write("llama", after, before.version + 1)

    with pytest.raises(Conflict):
        world.creating.start(world.task())

    assert world.endpoints.endpoints == {}


# ---- an earlier attempt ---------------------------------------------------------------------------------------------


def retried(world):
    world.requesting.retry("llama", correlation_id="c-again")
    world.stage()
    return world.creating.start(world.task())


def test_a_retry_goes_on_with_the_endpoint_that_is_still_being_created(world):
    world.host(Status.CREATING)
    world.observing.look("llama")
    world.fail_deploy()  # cannot delete what is Creating

    assert retried(world).done

    assert list(world.endpoints.endpoints) == [ENDPOINT]
    assert world.come_into_service().endpoint.is_in_service


def test_a_failed_endpoint_of_an_earlier_attempt_is_removed_and_waited_for(world):
    world.host(Status.CREATING)
    world.endpoints.fail(ENDPOINT, "no capacity")
    world.fail(reason="no capacity")
    world.requesting.retry("llama", correlation_id="c-again")
    world.stage()

    waits = world.creating.start(world.task())

    assert (waits.done, waits.held, waits.wait_seconds) == (False, False, 20)
    assert world.endpoints.endpoints[ENDPOINT].status == "Deleting"
    assert not world.creating.start(world.task()).done
    world.endpoints.settle(ENDPOINT)
    assert world.creating.start(world.task()).done
    assert (world.endpoint().failure, world.endpoint().status) == (None, None)


def test_an_endpoint_of_another_revision_is_not_taken_for_this_one(world):
    world.host(Status.STAGING)
    put_endpoint(world, OURS, config=f"{ENDPOINT}-v9")

    assert not world.creating.start(world.task()).done

    assert world.endpoints.endpoints[ENDPOINT].status == "Deleting"


def test_what_is_under_way_at_an_old_endpoint_is_waited_for_before_it_is_deleted(world):
    world.host(Status.STAGING)
    put_endpoint(world, OURS, config=f"{ENDPOINT}-v9", status="Creating")

    assert not world.creating.start(world.task()).done

    assert world.endpoints.endpoints[ENDPOINT].status == "Creating"


# ---- inference components ------------------------------------------------------------------------------------------


def components(world, to=Status.CREATING, **scaling):
    return world.host(to, backend=REALTIME, scaling={"components": True, **scaling})


def await_created(world):
    return world.observing.await_endpoint("llama", 1, "token-created", Awaited.CREATED)


def test_a_component_is_created_when_its_endpoint_is_in_service_and_not_before(world):
    components(world, initial=2, max=3)
    await_created(world)
    before = dict(world.endpoints.components)

    world.settle()

    assert before == {}
    assert world.endpoints.copies_wanted == {PARTS: 2}


def test_an_endpoint_whose_component_is_not_in_service_counts_as_being_created(world):
    components(world)
    await_created(world)

    world.settle()

    assert (world.endpoint().status, world.tokens.told) == ("Creating", [])
    world.settle_component()
    assert world.tokens.succeeded == {"token-created": {"in_service": True}}


@pytest.mark.parametrize("refusal", [Conflict("it exists already"), ConcurrentChange("another change runs")])
def test_of_two_who_look_at_once_the_slower_one_is_not_told_that_the_component_failed(world, refusal):
    components(world)
    await_created(world)
    world.endpoints.settle(ENDPOINT)
    make = world.endpoints.create_component

    def outrun(*told, **how):
        make(*told, **how)
        raise refusal

    world.endpoints.create_component = outrun
    deployment = world.look()

    assert (deployment.status, deployment.endpoint.status) == (Status.CREATING, "Creating")
    assert list(world.endpoints.components) == [PARTS]


def test_no_component_is_made_of_an_endpoint_that_is_to_go(world):
    components(world)
    world.endpoints.settle(ENDPOINT)

    world.fail_deploy()

    assert world.endpoints.components == {}
    assert world.endpoints.endpoints[ENDPOINT].status == "Deleting"


def test_a_wake_that_finds_no_component_waits_for_whoever_makes_it(world):
    components(world, Status.SERVING)
    del world.endpoints.components[PARTS]

    assert not world.scaling.ensure_capacity(world.deployment())

    assert world.endpoints.components == {}
    world.look()
    assert list(world.endpoints.components) == [PARTS]


def test_no_component_is_made_after_a_teardown_began(world):
    components(world)
    world.endpoints.settle(ENDPOINT)
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    world.observing.look_for(ENDPOINT, {})

    assert world.endpoints.components == {}


# ---- revisions -----------------------------------------------------------------------------------------------------


def test_two_wishes_at_the_same_moment_become_two_revisions_and_neither_is_lost(world):
    world.host()
    deployment, hosting = world.deployment(), world.deployment().hosting
    theirs = hosting.changed(container=hosting.container.changed(environment={"WHO": "they"}))
    ours = hosting.changed(container=hosting.container.changed(environment={"WHO": "we"}))
    made = []
    world.revisions.meanwhile = lambda: made.append(
        world.revising.of(deployment, theirs, deployment.proposal, reason="theirs")
    )

    revision = world.revising.of(deployment, ours, deployment.proposal, reason="ours")

    assert [(each.number, each.environment["WHO"]) for each in (*made, revision)] == [(2, "they"), (3, "we")]
    assert world.revisions.find("llama", 1, 2).environment["WHO"] == "they"


def test_the_same_wish_twice_at_the_same_moment_is_one_revision(world):
    world.host(Status.STAGING)
    task = world.task()
    world.revisions.meanwhile = lambda: world.creating.start(task)

    assert world.creating.start(task).done

    assert [each.number for each in world.revisions.newest_first("llama", 1)] == [1]
    assert list(world.endpoints.endpoints) == [ENDPOINT]


def test_a_bundle_that_a_crash_left_out_is_put_there_by_the_next_run(world):
    handler = {"files": {"model.py": "def handle(inputs):\n    return None\n"}}
    put, kept = world.bucket.put, []
    world.host(Status.STAGING, serving=handler)

    def crash(key, body):
        kept.append(key)
        raise KeyboardInterrupt

    world.bucket.put = crash
    with pytest.raises(KeyboardInterrupt):
        world.creating.start(world.task())
    world.bucket.put = put

    assert world.creating.start(world.task()).done

    (key,) = set(kept)
    assert world.bucket.get(key)
    assert world.revisions.find("llama", 1, 1).bundle_key == key


def test_the_revision_that_serves_is_shown_as_in_service(world):
    world.host()

    (view,) = world.viewing.revisions("llama").items

    assert (view.number, view.status) == (1, RevisionStatus.IN_SERVICE)


def _crashes(*_told, **_how):
    raise KeyboardInterrupt
