"""The simulated hosting of SageMaker: one server for each module of tests, as if just begun for each test."""

from collections.abc import Iterator

import pytest

from tests.integration.local.hosting_cloud import HostingCloud


@pytest.fixture(scope="module")
def running_hosting() -> Iterator[HostingCloud]:
    cloud = HostingCloud()
    yield cloud
    cloud.server.stop()


@pytest.fixture
def hosting(running_hosting: HostingCloud) -> Iterator[HostingCloud]:
    running_hosting.begin()
    yield running_hosting
    running_hosting.end()
