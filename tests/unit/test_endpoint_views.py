"""What an endpoint looks like from outside: what it is, what it has, what it costs, and why it failed."""

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.deployment import Status
from pilotlight.domain.endpoint import RevisionStatus, Strategy
from pilotlight.domain.errors import NotFound, PilotlightError
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import Warmth

from tests.factories import always_warm
from tests.unit.test_revising import jumpstart

ENDPOINT = "pilotlight-llama-g1"
REALTIME = Backend.SAGEMAKER_REALTIME


def view(world):
    return world.viewing.deployment("llama")


def updating(world):
    return world.updating.update("llama", UpdateRequest.model_validate({"container": {"environment": {"A": "b"}}}))


@pytest.mark.parametrize(
    "to", [Status.REQUESTED, Status.STAGING, Status.CREATING, Status.WARMING, Status.SERVING], ids=str
)
@pytest.mark.parametrize("backend", [Backend.SAGEMAKER_ASYNC, REALTIME])
def test_every_status_can_be_shown_and_read_back(world, to, backend):
    world.host(to, backend=backend)

    shown = view(world)

    assert (shown.status, shown.backend) == (to, backend)
    assert type(shown).model_validate(shown.dump()) == shown
    assert (shown.endpoint is None) == (to in (Status.REQUESTED, Status.STAGING))


def test_what_serves_shows_its_instances_bounds_price_and_revision(world):
    world.host(scaling={"max": 3})

    shown = view(world).endpoint

    assert (shown.name, shown.status, shown.instances, shown.desired) == (ENDPOINT, "InService", 1, 1)
    assert (shown.min, shown.max, shown.revision) == (1, 3, 1)
    assert shown.arn.endswith(f"endpoint/{ENDPOINT}")
    assert shown.usd_per_instance_hour == world.endpoint().usd_per_hour > 0
    assert shown.seen_at is not None


def test_the_least_that_is_shown_is_the_one_that_holds_now(world):
    world.host(scaling={"max": 3})
    world.clock.advance(minutes=10)  # for so long what was woken is held
    world.look()
    world.requesting.keep_warm("llama", always_warm())

    before, _ = view(world).endpoint.min, world.look()

    assert (before, view(world).endpoint.min) == (0, 1)


def test_what_is_not_asked_for_yet_is_planned_and_what_is_not_seen_yet_is_requested(world):
    world.host(Status.CREATING)
    requested = view(world).endpoint.status
    before = world.deployment()
    planned = before.changed(endpoint=before.endpoint.changed(exists=False))

    assert requested == "Requested"
    assert world.viewing.of(planned).endpoint.status == "Planned"


def test_a_parked_endpoint_is_shown_as_parked_and_costs_nothing_by_the_hour(world):
    world.host(scaling={"initial": 0})

    shown = view(world)

    assert (shown.endpoint.status, shown.endpoint.instances, shown.status) == ("Parked", 0, Status.SERVING)
    assert shown.warmth.state is Warmth.COLD


def test_an_update_under_way_is_shown_from_where_to_where_and_how(world):
    world.host()
    updating(world)

    shown = view(world).endpoint

    assert (shown.revision, shown.update.previous, shown.update.revision) == (1, 1, 2)
    assert (shown.update.strategy, shown.update.started_at) == (Strategy.BLUE_GREEN, world.clock.now())


@pytest.mark.parametrize(("before", "after"), [("ml.g5.xlarge", "ml.g5.12xlarge"), ("ml.g5.12xlarge", "ml.g5.xlarge")])
def test_what_an_update_will_cost_is_shown_before_it_begins(world, before, after):
    world.host(instance={"type": before})

    world.updating.update("llama", UpdateRequest.model_validate({"instance": {"type": after}}))

    shown = view(world).endpoint
    assert (shown.instance_type, shown.usd_per_instance_hour) == (before, rate_of(before, "us-east-1").usd_per_hour)
    assert (shown.update.instances, shown.update.instance_type) == (1, after)
    assert shown.update.usd_per_instance_hour == rate_of(after, "us-east-1").usd_per_hour


def test_why_an_update_failed_is_shown_until_the_next_one_begins(world):
    world.host()
    updating(world)
    world.fail_update(PilotlightError("no capacity"))
    failed = view(world).endpoint.failed_update

    updating(world)

    assert (failed.revision, failed.at) == (2, world.clock.now())
    assert "no capacity" in failed.reason
    assert view(world).endpoint.failed_update is None


def test_why_an_endpoint_failed_is_shown_with_the_last_lines_of_its_log(world):
    world.host(Status.CREATING)
    world.logs.lines[ENDPOINT] = ["CUDA out of memory."]
    world.endpoints.fail(ENDPOINT, "did not pass the ping health check")
    world.look()
    world.fail_deploy("did not pass the ping health check")

    shown = view(world)

    assert (shown.status, shown.failure["reason"]) == (Status.FAILED, "did not pass the ping health check")
    assert shown.endpoint.failure.reason == "did not pass the ping health check"
    assert shown.endpoint.failure.log_lines == ("CUDA out of memory.",)


@pytest.mark.parametrize("to", [Status.REQUESTED, Status.STAGING], ids=str)
def test_what_has_no_endpoint_yet_has_no_price_by_the_hour(world, to):
    world.host(to)

    assert view(world).cost_per_hour is None


def test_a_failed_deployment_costs_by_the_hour_for_as_long_as_its_endpoint_is_there(world):
    world.host(Status.CREATING)
    world.look()
    world.fail_deploy()
    while_it_is_there = view(world).cost_per_hour

    world.endpoints.settle(ENDPOINT)
    world.look()
    world.endpoints.settle(ENDPOINT)
    world.look()

    assert while_it_is_there.usd > 0
    assert view(world).cost_per_hour is None


def test_what_is_gone_has_no_endpoint_and_its_token_is_shown_nowhere(world):
    world.host(Status.CREATING)
    world.observing.await_endpoint("llama", 1, "a secret token", "created")
    shown = view(world).model_dump_json()
    world.settle()
    world.begin_warm_up()
    world.warm_up()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    while not world.removing.delete(world.task()).done:
        world.endpoints.settle(ENDPOINT)
    world.run_teardown()

    assert "a secret token" not in shown
    assert (view(world).status, view(world).endpoint) == (Status.GONE, None)


def test_a_secret_token_is_in_no_line_of_the_timeline(world):
    world.host(Status.CREATING)
    world.observing.await_endpoint("llama", 1, "a secret token", "created")
    world.settle()

    assert "a secret token" not in world.viewing.events("llama", None).model_dump_json()


# ---- revisions -----------------------------------------------------------------------------------------------------


def test_revisions_are_listed_the_newest_first_with_what_became_of_them(world):
    world.host()
    updating(world)
    during = [(each.number, each.status) for each in world.viewing.revisions("llama").items]
    world.run_update()

    after = [(each.number, each.status) for each in world.viewing.revisions("llama").items]

    assert during == [(2, RevisionStatus.CREATED), (1, RevisionStatus.IN_SERVICE)]
    assert after == [(2, RevisionStatus.IN_SERVICE), (1, RevisionStatus.RETIRED)]


def test_a_revision_shows_what_it_is_made_of_and_why(world):
    world.host(instance={"type": "ml.g5.2xlarge"}, container={"environment": {"A": "b"}})

    (shown,) = world.viewing.revisions("llama").items

    assert (shown.instance_type, shown.tensor_parallel_degree) == ("ml.g5.2xlarge", 1)
    assert "it was asked for" in shown.why
    assert "djl-inference" in shown.image
    assert shown.container.environment == {"A": "b"}
    assert shown.created_at <= world.clock.now()


def test_bounds_are_shown_with_the_endpoint_and_with_no_revision(world):
    world.host(scaling={"max": 3})
    world.updating.update("llama", UpdateRequest.model_validate({"scaling": {"max": 4}}))

    (revision,) = world.viewing.revisions("llama").items

    assert (view(world).endpoint.scaling.max, view(world).endpoint.scaling.target) == (4, 5.0)
    assert revision.scaling.model_dump() == {"initial": 1, "concurrent_invocations": None, "components": False}


def test_a_failed_deployment_has_no_revision_in_service(world):
    world.host(Status.CREATING)
    world.fail_deploy()

    (shown,) = world.viewing.revisions("llama").items

    assert shown.status is RevisionStatus.CREATED


def test_a_jumpstart_models_revision_can_be_shown(world):
    jumpstart(world)
    world.host(backend=REALTIME, source="jumpstart://text-small")

    (shown,) = world.viewing.revisions("llama").items

    assert (shown.status, shown.instance_type) == (RevisionStatus.IN_SERVICE, "ml.g5.xlarge")


def test_a_deployment_of_bedrocks_has_no_revisions_and_one_that_there_is_not_is_not_found(world):
    world.bring(Status.SERVING)

    assert world.viewing.revisions("llama").items == ()
    with pytest.raises(NotFound):
        world.viewing.revisions("nobody")
