"""A real-time endpoint with inference components: no instance while nobody calls, and nothing of it is left behind."""

from collections.abc import Iterator

import pytest

from tests.workflows.hosted import REALTIME, hosted, left_of, running, told, until, until_at_zero
from tests.workflows.world import World, eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def component(the_world: World, staged: str) -> Iterator[str]:
    """Give a deployment whose model is a component; the last test takes it down."""
    the_world.calm()
    scaling = {"min": 0, "max": 1, "components": True, "scale_in": "immediate"}
    yield (name := hosted(the_world, REALTIME, scaling=scaling))
    the_world.let_go([name])


def test_a_model_is_added_to_its_endpoint_and_answers(world: World, component: str) -> None:
    answer = told(world, component)

    assert f"InferenceComponentName pilotlight-{component}-g1-v1" in left_of(world, component)
    assert answer["output"]["text"].startswith("[simulated]")
    path = world.execution("deploy", f"{component}-g1").path
    assert path.count("AwaitEndpoint") == 1


def test_it_goes_to_zero_and_a_call_brings_it_back(world: World, component: str) -> None:
    until_at_zero(world, component)
    cost = world.deployment(component)["cost_per_hour"]["usd"]

    answer = told(world, component)

    assert cost == 0
    assert (answer["status"], answer["was_cold"]) == ("SUCCEEDED", True)
    until(world, component, "its copy to be counted", lambda record: record["status"] == "InService")


def test_a_teardown_leaves_no_component(world: World, component: str) -> None:
    world.tear_down(component)

    assert left_of(world, component) == []
    eventually(lambda: not running(world, component), "its instances to be given back")
