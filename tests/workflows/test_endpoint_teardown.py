"""`teardown` on instances: from every half-made state nothing is left, and nothing bills."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from local.leftovers import left_behind
from tests.workflows.hosted import ASYNC, LONG, REALTIME, endpoint, hosted, left_of, running, told, until, until_parked
from tests.workflows.world import ROOT, SMALL, World, eventually

pytestmark = pytest.mark.slow

HANDLER = ROOT / "examples/bart-feature-extraction/model.py"
SHOWN_BY_A_DEMO = {
    *("endpoint pilotlight-", "endpoint configuration pilotlight-", "model pilotlight-", "object bundles/"),
    *("scalable target endpoint/pilotlight-", "scaling policy pilotlight-", "alarm pilotlight-"),
    *("alarm TargetTracking-endpoint/pilotlight-", "record DEPLOYMENT#"),
}
SLOWLY = 150  # seconds until an instance comes: long enough to be taken down before
BUNDLED = {"task": "feature-extraction", "files": {"model.py": HANDLER.read_text()}}


@contextmanager
def serving(world: World) -> Iterator[str]:
    name = hosted(world, REALTIME, serving=BUNDLED, instance={"type": "ml.g5.xlarge"})
    assert world.objects(f"bundles/{name}-g1/")
    eventually(lambda: f"alarm pilotlight-{name}-g1-failures" in left_of(world, name), "its scaling")
    found = lambda: [each for each in left_behind(world.cloud) if f"{name}-g1" in each or f"#{name} " in each]  # noqa: E731
    shown = lambda: {each.partition(name)[0] for each in found()}  # noqa: E731
    eventually(lambda: shown() == SHOWN_BY_A_DEMO, "its executions to end", but=lambda: str(shown()))
    yield name


@contextmanager
def being_created(world: World) -> Iterator[str]:
    """Give one whose endpoint SageMaker does not delete yet."""
    world.hosting.settings.start_seconds = SLOWLY
    name = world.deploy(backend=ASYNC, source=SMALL, lease=LONG)
    eventually(lambda: f"EndpointName pilotlight-{name}-g1" in left_of(world, name), "the endpoint to be asked for")
    yield name


@contextmanager
def without_an_endpoint(world: World) -> Iterator[str]:
    """Give one that has a model and a config, and whose endpoint SageMaker refuses."""
    world.hosting.settings.quotas["ml.g6.xlarge"] = 0
    yield str(world.failed(backend=REALTIME, source=SMALL, lease=LONG, instance={"type": "ml.g6.xlarge"})["name"])


@contextmanager
def unobserved(world: World) -> Iterator[str]:
    """Give one that failed beside its endpoint, which comes: nobody could be told to delete it."""
    world.hosting.settings.start_seconds = SLOWLY
    with world.unreachable("await_endpoint"), world.unreachable("stop_billing"):
        yield str(world.failed(backend=REALTIME, source=SMALL, lease=LONG)["name"])


@contextmanager
def being_updated(world: World) -> Iterator[str]:
    name = hosted(world, REALTIME)
    world.hosting.settings.start_seconds = SLOWLY
    world.http.patch(f"/deployments/{name}", json={"serving": {"options": {"max_model_len": "4096"}}})
    until(world, name, "the update to begin", lambda record: record["status"] == "Updating")
    yield name


@contextmanager
def parked(world: World) -> Iterator[str]:
    name = hosted(world, REALTIME)
    world.http.post(f"/deployments/{name}/scale-down")
    until_parked(world, name)
    yield name


@contextmanager
def waking(world: World) -> Iterator[str]:
    """Give one that somebody waits for."""
    name = hosted(world, ASYNC, scaling={"min": 0, "max": 1, "initial": 0})
    world.hosting.settings.start_seconds = SLOWLY
    world.invoke(name)
    eventually(lambda: f"EndpointName pilotlight-{name}-g1" in left_of(world, name), "the endpoint to be made")
    yield name


STATES = (serving, being_created, without_an_endpoint, unobserved, being_updated, parked, waking)


@pytest.mark.parametrize("state", STATES, ids=[each.__name__ for each in STATES])
def test_nothing_is_left_of_an_endpoint_from_whatever_state(
    world: World, staged: str, state: Callable[[World], contextmanager]
) -> None:
    with state(world) as name:
        view = world.tear_down(name)

    assert left_of(world, name) == []
    assert running(world, name) == 0
    assert "endpoint" not in view
    assert "cost_per_hour" not in view
    assert world.execution("teardown", world.executions("teardown", name)[-1]).status == "SUCCEEDED"


def test_a_call_whose_endpoint_is_taken_down_fails_and_says_so(world: World, staged: str) -> None:
    name = hosted(world, ASYNC)
    world.hosting.knobs.stall_calls = 1
    waiting = world.invoke(name).json()["id"]
    eventually(lambda: not world.hosting.knobs.stall_calls, "the call to be taken")

    world.tear_down(name)

    view = world.answered(waiting)
    assert view["status"] == "FAILED"
    assert view["error"]["code"] == "not-serving"
    assert "It is not answered any more" in view["error"]["message"]  # told by the removal, or by a look before it


def test_the_next_generation_has_an_endpoint_of_its_own(world: World, staged: str) -> None:
    name = world.tear_down(hosted(world, ASYNC))["name"]

    hosted(world, ASYNC, name=name)

    assert endpoint(world, name)["name"] == f"pilotlight-{name}-g2"
    assert told(world, name)["status"] == "SUCCEEDED"
