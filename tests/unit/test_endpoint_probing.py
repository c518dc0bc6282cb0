"""A wake of a model on instances waits for one without a probe, and ends for whoever waits, with the reason."""

import pytest
from pilotlight.contracts import WakeStarted, WarmUpTask
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import EndpointFailed, NotOurs, QuotaExceeded, Superseded, WarmUpExhausted
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.values import Backend

from tests.fakes.hosting import Hosted

ENDPOINT, PARTS = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"
ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME


def hosted(world):
    return world.endpoints.endpoints[ENDPOINT]


def probe(world):
    return world.probing.probe(world.probe_task())


def wake(world):
    return world.warming.wake("llama", reason="somebody calls", correlation_id="c-wake")


def parked(world, backend=ASYNC):
    """Bring a deployment to where it serves, and has no endpoint."""
    world.host(backend=backend)
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=2)
    return world.look()


def test_while_an_instance_is_waited_for_nothing_is_called_and_the_wake_waits_on(world):
    parked(world, REALTIME)
    before = world.backend.probes
    wake(world)

    decisions = [probe(world) for _ in range(3)]

    assert [(each.awaits, each.give_up, each.ready) for each in decisions] == [(True, False, False)] * 3
    assert (world.backend.probes, world.wake().attempts) == (before, 0)
    assert world.deployments.timeline("llama").count("waits for an instance") == 1


def test_a_real_time_model_is_probed_when_its_instance_is_there(world):
    parked(world, REALTIME)
    before = world.backend.probes
    wake(world)
    probe(world)
    world.settle(seconds=240)

    assert probe(world).ready
    assert world.backend.probes == before + 1


def test_an_asynchronous_model_is_not_probed_because_a_probe_would_wait_behind_the_calls(world):
    parked(world)
    wake(world)
    probe(world)
    world.settle(seconds=240)

    assert probe(world).ready
    assert world.backend.probes == 0


def test_a_container_that_still_loads_is_asked_again(world):
    parked(world, REALTIME)
    wake(world)
    probe(world)
    world.settle(seconds=240)
    world.backend.cold_for = 1

    first = probe(world)

    assert (first.ready, first.awaits, first.give_up, first.wait_seconds > 0) == (False, False, False, True)
    assert probe(world).ready


def test_the_time_until_the_instance_came_is_a_cold_start_and_a_warm_one_is_none(world):
    parked(world)
    wake(world)
    probe(world)
    world.settle(seconds=240)
    probe(world)
    world.probing.mark_warm(world.probe_task())
    cold = world.deployment().cold_starts
    world.clock.advance(minutes=30)
    wake(world)
    probe(world)
    world.probing.mark_warm(world.probe_task())

    assert cold == (240.0,)
    assert world.deployment().cold_starts == cold


def test_a_wake_gives_up_when_no_instance_came_in_its_time(world):
    parked(world)
    wake(world)
    probe(world)
    world.clock.advance(seconds=world.budgets.instances.max_seconds)

    decision = probe(world)

    assert (decision.give_up, decision.reason) == (True, "no answer within 3600 s")


@pytest.mark.parametrize("why", ["the ceiling", "the switch", "the lease"])
def test_no_instance_is_asked_for_where_no_money_may_be_spent_any_more(world, why):
    parked(world)
    wake(world)
    before = world.deployment()
    if why == "the ceiling":
        after = before.changed(spend_ceiling=SpendCeiling(usd=0.01))
        world.deployments.shelf.write("llama", after, before.version + 1)
    elif why == "the switch":
        world.switch.on()
    else:
        ended = before.changed(lease=before.lease.changed(ends_at=world.clock.now()))
        world.deployments.shelf.write("llama", ended, before.version + 1)

    decision = probe(world)

    assert (decision.give_up, bool(decision.refusal)) == (True, True)
    assert world.endpoints.endpoints == {}


def test_a_quota_and_a_stranger_end_the_wake_with_their_words(world):
    parked(world)
    wake(world)
    world.endpoints.refuses = QuotaExceeded("ml.g5.xlarge for endpoint usage is 0 Instances")
    with pytest.raises(QuotaExceeded):
        probe(world)

    world.endpoints.endpoints[ENDPOINT] = Hosted(PARTS, {"pilotlight:stack": "theirs"}, "InService", 1, 1)
    before = world.deployment()
    unmade = before.endpoint.changed(exists=False, starting_at=None)
    world.deployments.shelf.write("llama", before.changed(endpoint=unmade), before.version + 1)
    with pytest.raises(NotOurs):
        probe(world)

    assert (world.status(), hosted(world).status) == (Status.SERVING, "InService")


def test_an_endpoint_that_fails_while_a_wake_waits_ends_the_wake_with_the_containers_last_word(world):
    parked(world)
    world.wake_up()
    world.logs.lines[ENDPOINT] = ["CUDA out of memory."]
    world.endpoints.fail(ENDPOINT, "did not pass the ping health check")

    world.look()

    told = world.tokens.failed["token-capacity"]
    assert isinstance(told, EndpointFailed)
    assert told.message.endswith("Its container's last word: CUDA out of memory.")


def test_a_wake_that_was_replaced_asks_for_nothing(world):
    parked(world)
    wake(world)
    task = world.probe_task().changed(wake_id="an-older-one")

    with pytest.raises(Superseded):
        world.probing.probe(task)

    assert world.endpoints.endpoints == {}


def test_after_a_teardown_began_a_wake_makes_no_endpoint(world):
    parked(world)
    wake(world)
    task = world.probe_task()
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")

    with pytest.raises(Superseded):
        world.probing.probe(task)

    assert world.endpoints.endpoints == {}


# ---- the first warm-up ---------------------------------------------------------------------------------------------


def test_what_begins_without_an_instance_is_not_warmed_up(world):
    world.host(Status.CREATING, scaling={"initial": 0})

    started = world.begin_warm_up()

    assert (started.skipped, world.deployment().wake, world.executions.of("warm")) == (True, None, [])
    assert world.warm_up().status is Status.SERVING


def test_a_first_warm_up_that_finds_its_endpoint_gone_makes_it_again(world):
    world.host(Status.WARMING)
    world.endpoints.vanish(ENDPOINT)
    world.clock.advance(minutes=2)
    world.look()

    assert probe(world).awaits

    assert hosted(world).status == "Creating"


def test_a_first_warm_up_without_an_answer_fails_the_deployment_and_stops_what_bills(world):
    world.host(Status.WARMING, backend=REALTIME)
    world.backend.cold_for = 10_000
    wake_id = world.wake().id
    world.run_wake()

    with pytest.raises(WarmUpExhausted):
        world.first_warm_up.check(WarmUpTask(**dict(world.task()), warm_up=WakeStarted(wake_id=wake_id)))
    world.fail_deploy()

    assert hosted(world).status == "Deleting"
