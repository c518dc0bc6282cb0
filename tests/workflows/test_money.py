"""Money cannot run away: the switch stops each stage and lets it go on; leases and ceilings hold without the sweep."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.workflows.world import World, eventually

PARAMETER = "/pilotlight/kill-switch"


@pytest.fixture(autouse=True)
def switched_off(world: World) -> Iterator[None]:
    yield
    turn(world, "off")


def turn(world: World, value: str) -> None:
    """Set the switch as an operator does, without our API."""
    world.cloud.client("ssm").put_parameter(Name=PARAMETER, Value=value, Type="String", Overwrite=True)


@contextmanager
def no_sweep(world: World) -> Iterator[None]:
    with world.unreachable("sweep"):
        yield


def waits_for_switch(world: World, name: str) -> None:
    eventually(lambda: "kill switch" in (world.deployment(name).get("waiting_for") or ""), f"{name} to be held")


def test_the_switch_holds_a_deployment_before_staging_and_it_goes_on_by_itself(world: World) -> None:
    name = world.name()
    with world.unreachable("start_staging"):
        world.deploy(name)
        turn(world, "on")
    waits_for_switch(world, name)
    refused = world.http.post("/deployments", json={"name": world.name(), "source": "hf://acme/small-llama"})
    assert (refused.status_code, refused.json()["code"]) == (503, "kill-switch-on")
    assert world.http.get("/kill-switch").json()["on"]

    turn(world, "off")

    world.until(name, "SERVING")


def test_the_switch_holds_a_deployment_before_its_import_and_before_its_first_wake(world: World) -> None:
    name = world.name()
    with world.unreachable("start_import"):
        world.deploy(name, source=world.publish())
        eventually(lambda: world.deployment(name).get("artifact_id"), f"{name} to be staged")
        turn(world, "on")
    waits_for_switch(world, name)
    assert world.left_behind(name, None) == []
    with world.unreachable("start_warm_up"):
        turn(world, "off")
        eventually(lambda: world.imported_models(name), f"{name} to be imported")
        turn(world, "on")
    waits_for_switch(world, name)

    turn(world, "off")

    world.until(name, "SERVING")


def test_a_wake_under_way_ends_and_a_question_waits_until_the_switch_is_off(world: World) -> None:
    name = world.serving()
    world.go_cold(name)
    world.bedrock.knobs.never_ready = True
    asked = world.invoke(name).json()["id"]
    eventually(lambda: any("not ready" in reason for reason in world.reasons(name)), f"{name} to be probed")

    answer = world.http.post("/kill-switch", json={"on": True, "reason": "audit"})
    assert answer.status_code == 200
    eventually(lambda: "kill switch" in world.reasons(name)[-1], "the wake to end")
    world.bedrock.knobs.never_ready = False
    waiting = eventually(lambda: world.http.get(f"/invocations/{asked}").json().get("waiting_for"), "it to wait")
    assert "audit" in waiting
    assert world.http.post("/kill-switch", json={"on": False}).status_code == 200

    assert world.answered(asked)["status"] == "SUCCEEDED"


def test_a_lease_that_nobody_ended_is_over_all_the_same(world: World) -> None:
    name = world.serving()
    with no_sweep(world):
        assert world.http.put(f"/deployments/{name}/lease", json={"lease": "1m"}).status_code == 200
        world.cloud.clock.sleep(61)

        refused = world.invoke(name)
        assert (refused.status_code, refused.json()["code"]) == (409, "lease-ended")
        woken = world.http.post(f"/deployments/{name}/warm-up")
        assert (woken.status_code, woken.json()["code"]) == (409, "lease-ended")
        assert world.deployment(name)["status"] == "SERVING"

    world.until_gone(name)


def test_at_its_ceiling_a_cold_model_is_not_woken_and_more_money_lets_it_answer(world: World) -> None:
    name = world.serving()
    world.go_cold(name)
    with world.told() as told:
        wakes = world.executions("warm", name)
        limited = world.http.put(f"/deployments/{name}/spend-ceiling", json={"spend_ceiling": {"usd": 1.2}})
        assert limited.json()["spending"]["percent"] > 90

        refused = world.invoke(name)

        assert (refused.status_code, refused.json()["code"]) == (409, "spend-ceiling-reached")
        assert world.executions("warm", name) == wakes
        news = eventually(lambda: [each for each in told() if each.get("deployment") == name], "the topic to be told")
        assert news[-1]["event"] == "spend-ceiling"
    world.http.put(f"/deployments/{name}/spend-ceiling", json={"spend_ceiling": {"usd": 50}})
    assert world.answered(world.invoke(name).json()["id"])["status"] == "SUCCEEDED"
