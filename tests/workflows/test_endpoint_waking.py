"""Instances come when somebody calls and go when nobody does: at once, and not when an alarm or a cooldown says so."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from tests.workflows.hosted import (
    ASYNC,
    REALTIME,
    asked,
    endpoint,
    hosted,
    left_of,
    running,
    told,
    until,
    until_at_zero,
    until_parked,
    until_warm,
)
from tests.workflows.world import World, eventually

pytestmark = pytest.mark.slow

NEVER_BY_ITSELF = 24 * 3600  # a cooldown, in seconds: what goes before it was let go


@pytest.fixture(scope="module")
def immediate(the_world: World, staged: str) -> Iterator[str]:
    """Give an asynchronous deployment whose instance goes with the last answer."""
    the_world.calm()
    scaling = {"min": 0, "max": 2, "scale_in": "immediate", "scale_in_cooldown_seconds": NEVER_BY_ITSELF}
    yield (name := hosted(the_world, ASYNC, scaling=scaling))
    the_world.let_go([name])


@pytest.fixture
def at_zero(world: World, immediate: str) -> str:
    if endpoint(world, immediate)["instances"]:
        told(world, immediate)
    until_at_zero(world, immediate)
    return immediate


def wanted(world: World, name: str) -> int:
    """Give how many instances were asked for last."""
    (fleet,) = world.hosting.endpoint(f"pilotlight-{name}-g1").fleets
    return int(fleet.desired)


def from_zero(name: str) -> list[str]:
    """Give the name of the alarm that leaves zero, as CloudWatch takes names."""
    return [f"pilotlight-{name}-g1-from-zero"]


@contextmanager
def no_alarm_acting(world: World, name: str) -> Iterator[None]:
    """Let the alarm that leaves zero ring in vain."""
    alarms, named = world.cloud.client("cloudwatch"), from_zero(name)
    alarms.disable_alarm_actions(AlarmNames=named)
    try:
        yield
    finally:
        alarms.enable_alarm_actions(AlarmNames=named)


def rings(world: World, name: str) -> bool:
    """Say whether the alarm that leaves zero rings."""
    (alarm,) = world.cloud.client("cloudwatch").describe_alarms(AlarmNames=from_zero(name))["MetricAlarms"]
    return bool(alarm["StateValue"] == "ALARM")


def seconds_until_wanted(world: World, name: str, now: Callable[[], float]) -> float:
    """Ask at zero, and give how long it took until an instance was asked for."""
    began = now()
    invocation = asked(world, name)
    eventually(lambda: wanted(world, name), "an instance to be asked for")
    took = now() - began
    assert world.answered(invocation)["was_cold"] is True
    return took


def test_a_call_at_zero_is_given_an_instance_long_before_an_alarm_would(world: World, at_zero: str) -> None:
    with no_alarm_acting(world, at_zero):
        ours = seconds_until_wanted(world, at_zero, time.monotonic)  # Lambdas run at the wall's pace
        until_at_zero(world, at_zero)
        eventually(lambda: not rings(world, at_zero), "the alarm to be quiet: else it brings an instance back")
    with world.unreachable("probe_deployment"):
        alarm_s = seconds_until_wanted(world, at_zero, world.cloud.clock.timestamp)

    assert alarm_s >= 60  # two datapoints, a minute apart, with a backlog and no instance
    assert ours < alarm_s


def test_an_instance_goes_with_the_last_answer_and_not_before(world: World, at_zero: str) -> None:
    first, second = asked(world, at_zero), asked(world, at_zero, prompt="And the sea?")

    answers = [world.answered(each) for each in (first, second)]
    until_at_zero(world, at_zero)

    assert [answer["status"] for answer in answers] == ["SUCCEEDED", "SUCCEEDED"]
    assert "set to no instance: the last answer is given, and nobody waits" in world.reasons(at_zero)
    assert world.deployment(at_zero)["cost_per_hour"]["usd"] == 0


def test_a_scale_down_lets_an_asynchronous_endpoint_stay_without_an_instance(world: World, staged: str) -> None:
    name = hosted(world, ASYNC, scaling={"min": 0, "max": 1, "scale_in_cooldown_seconds": NEVER_BY_ITSELF})

    assert world.http.post(f"/deployments/{name}/scale-down").status_code == 202
    until_at_zero(world, name)

    assert f"EndpointName pilotlight-{name}-g1" in left_of(world, name)
    until(world, name, "an endpoint in service", lambda record: record["status"] == "InService")
    assert told(world, name)["was_cold"] is True


def test_a_scale_down_parks_a_real_time_endpoint_and_a_call_makes_it_again(world: World, staged: str) -> None:
    name = hosted(world, REALTIME)

    assert world.http.post(f"/deployments/{name}/scale-down").status_code == 202
    until_at_zero(world, name)
    until_parked(world, name)
    assert endpoint(world, name)["status"] == "Parked"
    parked = left_of(world, name)
    answer = told(world, name)

    assert not [each for each in parked if each.startswith(("EndpointName", "Scal", "alarm"))]
    assert f"EndpointConfigName pilotlight-{name}-g1-v1" in parked
    assert answer["was_cold"] is True
    assert (endpoint(world, name)["revision"], running(world, name)) == (1, 1)
    eventually(lambda: f"alarm pilotlight-{name}-g1-failures" in left_of(world, name), "its scaling to be there again")


def test_a_keep_warm_window_brings_an_instance_and_its_end_takes_it(world: World, staged: str) -> None:
    scaling = {"min": 0, "max": 1, "initial": 0, "scale_in": "immediate", "scale_in_cooldown_seconds": 60}
    name = hosted(world, ASYNC, scaling=scaling)
    opens = world.cloud.clock.now()

    keep_warm(world, name, opens, opens + timedelta(hours=10))
    until_warm(world, name)
    kept = running(world, name)
    keep_warm(world, name, opens, world.cloud.clock.now() + timedelta(minutes=1))
    until_at_zero(world, name)

    assert kept == 1
    assert "waking: keep-warm window is open" in world.reasons(name)


def keep_warm(world: World, name: str, opens: datetime, closes: datetime) -> None:
    """Let a deployment have one window, of every day."""
    window = {"days": "*", "start": f"{opens:%H:%M}", "end": f"{closes:%H:%M}", "timezone": "UTC"}
    wanted = {"keep_warm": {"policy": "window", "windows": [window]}}
    answer = world.http.put(f"/deployments/{name}/keep-warm", json=wanted)
    assert answer.status_code == 200, answer.text
