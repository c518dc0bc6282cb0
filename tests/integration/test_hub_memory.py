"""A fleet of copiers asks a hub once for each file, and leaves it alone together when it has asked one of them to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pilotlight.adapters.hub import HubSource
from pilotlight.adapters.hub_memory import RENEWAL_SECONDS, SharedMemory
from pilotlight.adapters.table import Table
from pilotlight.domain.errors import Throttled
from pilotlight.domain.source import Listing, Source, joined

from local.checkpoints import write_checkpoint
from local.hub import Hub, RateLimit

REPO, SHARD = "acme/little-llama", "weights-c.safetensors"
URL = "https://hub.example/acme/little-llama/resolve/main/model.safetensors"


class Wall:
    """The wall's clock of a test: whoever pauses moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def timestamp(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        keys: Any = [("pk", "HASH"), ("sk", "RANGE")]
        client.create_table(
            TableName="records",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        )
        yield Table(client, "records")


@pytest.fixture
def hub(tmp_path: Any, wall: Wall) -> Iterator[Hub]:
    with Hub(wall) as hub:
        hub.add(REPO, write_checkpoint(tmp_path, shard_bytes=1_500_000))
        yield hub


def a_copier(hub: Hub, table: Table, wall: Wall) -> HubSource:
    return HubSource(hub.url, lambda: None, memory=SharedMemory(table, wall, wall.pause))


def ten_bytes(copier: HubSource, listing: Listing, offset: int = 0) -> bytes:
    file = listing.file(SHARD)
    assert file
    return joined(copier.stream(listing.source, file, offset=offset, size_bytes=10))


def resolved(hub: Hub) -> int:
    return sum("/resolve/" in request.path for request in hub.requests)


def test_a_fleet_asks_once_for_a_files_address(hub: Hub, table: Table, wall: Wall) -> None:
    copiers = [a_copier(hub, table, wall) for _ in range(6)]
    listing = copiers[0].resolve(Source.parse(f"hf://{REPO}"))

    got = {ten_bytes(copier, listing) for copier in copiers}

    assert len(got) == 1
    assert resolved(hub) == 1


def test_when_it_is_over_a_fleet_asks_once_more(hub: Hub, table: Table, wall: Wall) -> None:
    copiers = [a_copier(hub, table, wall) for _ in range(6)]
    listing = copiers[0].resolve(Source.parse(f"hf://{REPO}"))
    for copier in copiers:
        ten_bytes(copier, listing)
    wall.now += hub.address_seconds + 1

    for copier in copiers:
        ten_bytes(copier, listing, offset=10)

    assert resolved(hub) == 2


def test_while_one_asks_the_others_wait_for_what_he_is_told(table: Table, wall: Wall) -> None:
    first, second = SharedMemory(table, wall, wall.pause), SharedMemory(table, wall, lambda _: first.keep(URL, "new"))

    assert first.newer(URL, None) is None
    assert second.newer(URL, None) == "new"


def test_whoever_dies_asking_is_waited_for_no_longer_than_that_takes(table: Table, wall: Wall) -> None:
    died, other = SharedMemory(table, wall, wall.pause), SharedMemory(table, wall, wall.pause)
    assert died.newer(URL, None) is None
    began = wall.now

    assert other.newer(URL, None) is None

    assert wall.now - began <= RENEWAL_SECONDS + 1


def test_when_the_hub_asks_one_to_wait_all_wait(tmp_path: Any, table: Table, wall: Wall) -> None:
    with Hub(wall, rate_limit=RateLimit(api=1, window_seconds=55)) as strict:
        strict.add(REPO, write_checkpoint(tmp_path, shard_bytes=100_000))
        source = Source.parse(f"hf://{REPO}")
        one, other = a_copier(strict, table, wall), a_copier(strict, table, wall)
        one.resolve(source)
        with pytest.raises(Throttled):
            one.resolve(source)
        asked = len(strict.requests)

        with pytest.raises(Throttled, match="wait") as caught:
            other.resolve(source)

        assert 1 <= caught.value.detail["retry_after_seconds"] <= 55
        assert len(strict.requests) == asked
        wall.now += 56
        assert other.resolve(source)


def test_without_its_table_a_copier_asks_for_itself(hub: Hub, table: Table, wall: Wall) -> None:
    lost = Table(table.client, "nowhere")
    copier = a_copier(hub, lost, wall)
    listing = copier.resolve(Source.parse(f"hf://{REPO}"))

    assert ten_bytes(copier, listing) == ten_bytes(copier, listing)
    assert resolved(hub) == 1


def test_what_a_hub_sends_itself_is_waited_for_by_nobody(table: Table, wall: Wall) -> None:
    memory = SharedMemory(table, wall, wall.pause)
    memory.keep(URL, URL)
    began = wall.now

    assert SharedMemory(table, wall, wall.pause).address(URL) == URL
    assert wall.now == began
