"""What the scaled clock promises to everything that waits."""

import threading
import time
from datetime import timedelta

import pytest

from local.clock import ScaledClock


def test_a_fast_clock_runs_ahead_of_the_wall_by_its_speed() -> None:
    clock = ScaledClock(speed=3600, epoch=time.time() - 10)

    ahead = clock.timestamp() - clock.epoch

    assert ahead == pytest.approx(36_000, rel=0.01)


def test_the_time_is_aware_and_in_utc() -> None:
    now = ScaledClock().now()

    assert now.utcoffset() == timedelta(0)


def test_simulated_seconds_are_shorter_on_the_wall() -> None:
    clock = ScaledClock(speed=60)

    assert clock.wall_seconds(120) == 2
    assert clock.wall_seconds(-5) == 0


def test_a_wait_ends_early_when_its_event_is_set() -> None:
    stop = threading.Event()
    stop.set()

    assert ScaledClock().wait(stop, 3600) is True


def test_another_process_can_rebuild_the_same_clock() -> None:
    clock = ScaledClock(speed=60, epoch=1_800_000_000.125)

    told = clock.environment()

    assert float(told["PILOTLIGHT_CLOCK_SPEED"]) == clock.speed
    assert float(told["PILOTLIGHT_CLOCK_EPOCH"]) == clock.epoch


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_clock_that_cannot_run_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(speed=speed)
