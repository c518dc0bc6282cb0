"""The sweep is the net below SageMaker's events: what it finds at an endpoint is recorded, told, stopped or ended."""

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import NotFound, Unavailable
from pilotlight.domain.values import Backend

ENDPOINT = "pilotlight-llama-g1"


def hosted(world):
    return world.endpoints.endpoints[ENDPOINT]


def sweep(world, **span):
    world.clock.advance(**span)
    return world.sweep()


def test_without_a_single_event_a_deployment_comes_into_service(world):
    world.host(Status.CREATING)
    world.observing.await_endpoint("llama", 1, "token-created", "created")
    world.clock.advance(minutes=4)
    world.endpoints.settle(ENDPOINT)

    sweep(world, minutes=1)

    assert world.tokens.succeeded == {"token-created": {"in_service": True}}


def test_without_a_single_event_a_failure_is_told(world):
    world.host(Status.CREATING)
    world.observing.await_endpoint("llama", 1, "token-created", "created")
    world.endpoints.fail(ENDPOINT, "it broke")

    sweep(world, minutes=1)

    assert "it broke" in world.tokens.failed["token-created"].message


def test_what_a_machine_left_behind_when_it_died_is_stopped(world):
    world.host(Status.CREATING)
    world.endpoints.settle(ENDPOINT)
    run = world.executions.of("deploy")[0].name
    world.executions.end("deploy", run, "TIMED_OUT")

    sweep(world, minutes=1)
    failed = world.status()
    sweep(world, minutes=1)

    assert failed is Status.FAILED
    assert hosted(world).status == "Deleting"


def test_a_word_of_the_death_of_a_machine_stops_what_bills_at_the_next_look(world):
    world.host(Status.CREATING)
    world.endpoints.settle(ENDPOINT)

    world.sweeping.fail_execution("llama", 1, 1, "execution timed out")
    sweep(world, minutes=1)

    assert (world.status(), hosted(world).status) == (Status.FAILED, "Deleting")


@pytest.mark.parametrize("backend", [Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME])
def test_a_ceiling_that_is_reached_is_noticed_within_a_minute_and_stops_the_instances(world, backend):
    world.host(backend=backend, spend_ceiling={"usd": 0.20})

    for _ in range(20):
        sweep(world, minutes=1)
        if hosted(world).status != "InService":
            break

    spent = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    assert hosted(world).status in ("Updating", "Deleting")
    assert 0.10 < spent <= 0.20


def test_an_update_whose_machine_died_is_ended_by_the_sweep(world):
    world.host()
    world.updating.update("llama", UpdateRequest.model_validate({"container": {"environment": {"A": "b"}}}))
    world.executions.end("update", world.executions.of("update")[0].name, "ABORTED")

    sweep(world, minutes=3)

    assert world.endpoint().update is None


def test_the_end_of_a_lease_takes_the_endpoint_down_and_nothing_else_is_done_first(world):
    world.host(lease="1h")

    sweep(world, hours=2)

    assert world.status() is Status.TEARING_DOWN


def test_an_endpoint_that_cannot_be_looked_at_does_not_keep_the_others_from_their_look(world):
    world.host()
    world.host(name="other", source="hf://acme/llama-8b")
    see = world.endpoints.see

    def broken(name):
        if name == ENDPOINT:
            raise Unavailable("SageMaker does not answer")
        return see(name)

    world.endpoints.see = broken
    world.endpoints.vanish("pilotlight-other-g1")
    report = sweep(world, minutes=1)

    assert report.failed == 1
    assert not world.endpoint("other").exists


def test_what_is_on_no_instances_is_left_to_others(world):
    deployment = world.bring(Status.SERVING)

    assert world.tending.look(deployment) == deployment


def test_an_endpoint_that_is_being_torn_down_is_left_to_its_machine(world):
    world.host()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    version = world.deployment().version

    world.tending.look(world.deployment())

    assert (world.deployment().version, hosted(world).status) == (version, "InService")


def test_a_parked_endpoint_is_not_asked_after(world):
    world.host(scaling={"initial": 0})

    def nobody_asks(_name):
        raise NotFound("nobody should ask")

    world.endpoints.see = nobody_asks

    assert world.look().endpoint.parked


def test_an_instance_is_metered_by_looks_however_seldom_they_come(world):
    world.host()
    before = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    price = world.endpoint().usd_per_hour

    sweep(world, minutes=30)
    world.endpoints.vanish(ENDPOINT)
    sweep(world, minutes=30)

    after = world.accounting.cost_so_far(world.deployment(), world.clock.now()).usd
    assert after - before == pytest.approx(price, rel=1e-4), (
        "never too little: it was gone at some moment of the second"
    )
