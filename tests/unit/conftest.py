"""What the tests of the services share."""

import pytest

from tests.world import World


@pytest.fixture
def world() -> World:
    """The services over fakes, with one small Llama on the hub."""
    return World()
