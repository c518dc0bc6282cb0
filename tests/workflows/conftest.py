"""One embedded cloud for all workflows: tests share it, each with deployments of its own."""

from collections.abc import Iterator

import pytest

from tests.workflows.world import World, running_world


@pytest.fixture(scope="package")
def the_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("hub")) as world:
        yield world


@pytest.fixture
def world(the_world: World) -> Iterator[World]:
    """Give the world, where everything works until a test turns a knob; what it has on instances then, it lets go."""
    the_world.calm()
    kept = len(the_world.on_instances)
    yield the_world
    the_world.calm()
    the_world.let_go(the_world.on_instances[kept:])


@pytest.fixture(scope="package")
def staged(the_world: World) -> str:
    """Give the name of a deployment that holds the small model, and costs nothing: no instance is there for it."""
    the_world.calm()
    scaling = {"min": 0, "max": 1, "initial": 0}
    return the_world.serving("holder", backend="sagemaker-async", scaling=scaling, lease="72h")


@pytest.fixture(scope="package")
def a_deployment(the_world: World) -> str:
    """Give the name of a serving deployment that many tests look at and none takes down."""
    the_world.calm()
    return the_world.serving("shared")
