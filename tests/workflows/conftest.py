"""One embedded cloud for all workflows: tests share it, each with deployments of its own."""

from collections.abc import Iterator

import pytest

from tests.workflows.world import World, running_world


@pytest.fixture(scope="package")
def the_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("hub")) as world:
        yield world


@pytest.fixture
def world(the_world: World) -> World:
    """Give the world, where everything works until a test turns a knob."""
    the_world.calm()
    return the_world


@pytest.fixture(scope="package")
def a_deployment(the_world: World) -> str:
    """Give the name of a serving deployment that many tests look at and none takes down."""
    the_world.calm()
    return the_world.serving("shared")
