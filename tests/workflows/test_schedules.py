"""What happens by itself: windows open and close, leases warn and end, and nobody is asked for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.workflows.world import World, eventually

LEASE = "40m"


@dataclass
class Leased:
    """A deployment whose lease ends before long, and what the topic tells of it."""

    name: str
    artifact_id: str
    told: Callable[[], list[dict]]


@pytest.fixture(scope="module", autouse=True)
def leased(the_world: World) -> Iterator[Leased]:
    """Begin a lease before everything else here, so that it ends while other things are looked at."""
    the_world.calm()
    with the_world.told() as told:
        name = the_world.serving(source=the_world.publish(), lease=LEASE)
        artifact_id = the_world.deployment(name)["artifact_id"]
        yield Leased(name, artifact_id, lambda: [each for each in told() if each["deployment"] == name])


def window(world: World, *, opens: timedelta, closes: timedelta) -> dict:
    """Give a keep-warm policy with one window around the simulated present, to the minute."""
    now = world.cloud.clock.now()
    edges = {"start": f"{now + opens:%H:%M}", "end": f"{now + closes:%H:%M}"}
    return {"policy": "window", "windows": [{"days": "*", "timezone": "UTC", **edges}]}


def put(world: World, name: str, what: str, body: dict) -> dict:
    answer = world.http.put(f"/deployments/{name}/{what}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def warmth(world: World, name: str) -> str:
    return str(world.deployment(name)["warmth"]["state"])


def test_a_window_warms_the_model_without_a_caller_keeps_it_so_and_lets_it_go(world: World) -> None:
    name = world.serving()
    world.go_cold(name)
    arn = world.deployment(name)["model_arn"]
    billed = lambda: [each for each in world.bedrock.windows() if each.model_arn == arn]  # noqa: E731
    before = len(billed())
    policy = window(world, opens=timedelta(minutes=3), closes=timedelta(minutes=21))

    view = put(world, name, "keep-warm", {"keep_warm": policy})
    assert view["next"]["what"] == "keep-warm window opens: wake the model"

    eventually(lambda: warmth(world, name) == "WARM", "the window to warm the model")
    assert any("keep-warm window is open" in reason for reason in world.reasons(name))
    eventually(lambda: len(billed()) > before + 1, "probes to keep it warm for longer than a model may idle")

    eventually(lambda: warmth(world, name) == "COLD", "the model to go cold after the window")
    assert not world.bedrock.is_warm(arn)
    assert world.deployment(name)["cost_so_far"]["usd"] > 0


def test_a_model_that_is_always_wanted_is_woken_again_when_the_backend_drops_it(world: World) -> None:
    name = world.serving(keep_warm={"policy": "always"})
    arn = world.deployment(name)["model_arn"]
    world.bedrock.evict(arn)

    eventually(lambda: world.bedrock.is_warm(arn), "the model to be loaded again")

    assert any("keep-warm probe" in reason for reason in world.reasons(name))
    put(world, name, "keep-warm", {"keep_warm": {"policy": "none"}})


def test_a_scaled_down_model_goes_cold_and_says_by_when_and_until_when_it_is_left_alone(world: World) -> None:
    name = world.serving(keep_warm={"policy": "always"})

    answer = world.http.post(f"/deployments/{name}/scale-down")

    assert answer.status_code == 202
    assert "scaled down: no probes until" in world.reasons(name)[-1]
    eventually(lambda: warmth(world, name) == "COLD", "the model to go cold")
    assert not world.bedrock.is_warm(world.deployment(name)["model_arn"])

    world.http.post(f"/deployments/{name}/warm-up")
    eventually(lambda: warmth(world, name) == "WARM", "a warm-up to end the quiet")
    put(world, name, "keep-warm", {"keep_warm": {"policy": "none"}})


def test_a_renewed_lease_lets_a_model_live(world: World) -> None:
    name = world.serving()
    first_end = put(world, name, "lease", {"lease": "5m"})["lease_ends_at"]

    view = put(world, name, "lease", {"lease": "permanent"})

    assert "lease_ends_at" not in view
    over = datetime.fromisoformat(first_end) + timedelta(minutes=3)  # and a sweep or two
    eventually(lambda: world.cloud.clock.now() > over, "the first lease to be over")
    assert world.deployment(name)["status"] == "SERVING"


def test_a_lease_that_ends_while_the_model_is_still_imported_takes_it_down_too(world: World) -> None:
    world.bedrock.settings.import_floor_seconds = 900
    name = world.deploy(lease="10m")

    world.until_gone(name)

    assert world.imported_models(name) == []
    assert "lease of 10m ended" in world.reasons(name)


def test_a_lease_warns_and_then_ends_by_itself_and_nothing_is_left(world: World, leased: Leased) -> None:
    view = world.until_gone(leased.name)
    eventually(lambda: "gone" in [each["event"] for each in leased.told()], "to be told of the end")

    told = leased.told()
    assert [each["event"] for each in told] == ["serving", "lease-ending", "gone"]
    assert f"lease of {LEASE} ends at" in told[1]["reason"]
    assert all(each["generation"] == 1 and each["correlation_id"] for each in told)
    assert f"lease of {LEASE} ended" in world.reasons(leased.name)
    assert world.left_behind(leased.name, leased.artifact_id) == []
    assert "next" not in view
