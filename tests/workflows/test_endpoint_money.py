"""Money cannot run away on instances: they stop at the switch and at the ceiling, and what is told covers the bill."""

from collections.abc import Iterator

import pytest

from tests.workflows.hosted import ASYNC, BACKENDS, REALTIME, asked, hosted, running, told, until_at_zero, until_warm
from tests.workflows.world import World, eventually

pytestmark = pytest.mark.slow

PRICED = {"instance": {"type": "ml.g5.xlarge"}}


@pytest.fixture(autouse=True)
def switched_off(world: World) -> Iterator[None]:
    yield
    world.http.post("/kill-switch", json={"on": False})


def test_the_switch_stops_instances_of_either_kind_and_calls_wait_until_it_is_off(world: World, staged: str) -> None:
    names = {backend: hosted(world, backend) for backend in BACKENDS}

    world.http.post("/kill-switch", json={"on": True, "reason": "audit"})
    for name in names.values():
        until_at_zero(world, name)
    waiting = asked(world, names[ASYNC])
    view = eventually(lambda: world.http.get(f"/invocations/{waiting}").json().get("waiting_for"), "it to wait")
    stopped = [running(world, name) for name in names.values()]
    world.http.post("/kill-switch", json={"on": False})

    assert "audit" in view
    assert stopped == [0, 0]
    assert world.answered(waiting)["status"] == "SUCCEEDED"
    assert told(world, names[REALTIME])["was_cold"] is True


def test_instances_stop_at_the_ceiling_and_more_money_brings_them_back(world: World, staged: str) -> None:
    name = hosted(world, REALTIME, **PRICED)
    ceiling = {"usd": world.deployment(name)["cost_so_far"]["usd"] + 0.01}

    with world.told() as news:
        limited = world.http.put(f"/deployments/{name}/spend-ceiling", json={"spend_ceiling": ceiling})
        until_at_zero(world, name)
        eventually(lambda: "spend-ceiling" in [each["event"] for each in news()], "the topic to be told")
    refused = world.invoke(name)
    more = world.http.put(f"/deployments/{name}/spend-ceiling", json={"spend_ceiling": {"usd": 50}})

    assert (limited.status_code, more.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["code"]) == (409, "spend-ceiling-reached")
    assert told(world, name)["was_cold"] is True
    until_warm(world, name)


def test_what_is_told_covers_what_is_billed(world: World, staged: str) -> None:
    name = hosted(world, ASYNC, scaling={"min": 0, "max": 1, "scale_in": "immediate"}, **PRICED)
    price = world.deployment(name)["endpoint"]["usd_per_instance_hour"]
    told(world, name)
    until_at_zero(world, name)
    told(world, name)

    cost = world.tear_down(name)["cost_so_far"]["usd"]

    ours = [each for each in world.hosting.uptimes() if each.endpoint.startswith(f"pilotlight-{name}-g")]
    billed = sum(each.end - each.start for each in ours if each.end) * price / 3600
    assert len(ours) >= 2
    assert 0 < billed <= cost
