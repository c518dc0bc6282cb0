"""Simulated time: the wall's, running faster by a stated factor."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event


@dataclass(frozen=True)
class ScaledClock:
    """A clock that starts with the wall's time and from then on runs `speed` times as fast.

    Every process that knows speed and epoch tells the same time: that is how a Lambda worker, an execution
    and a schedule agree without talking to each other.
    """

    speed: float = 1.0
    epoch: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"A clock's speed is a number above 0, not {self.speed}.")

    def timestamp(self) -> float:
        """Give the simulated time as seconds since 1970."""
        return self.epoch + (time.time() - self.epoch) * self.speed

    def now(self) -> datetime:
        """Give the simulated time, aware and in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def wall_seconds(self, simulated_seconds: float) -> float:
        """Give how many real seconds pass while the simulated ones do; never less than 0."""
        return max(0.0, simulated_seconds / self.speed)

    def sleep(self, simulated_seconds: float) -> None:
        """Return when the simulated seconds have passed."""
        time.sleep(self.wall_seconds(simulated_seconds))

    def wait(self, event: Event, simulated_seconds: float) -> bool:
        """Give whether the event was set before the simulated seconds passed: a sleep that can be ended."""
        return event.wait(self.wall_seconds(simulated_seconds))

    def environment(self) -> dict[str, str]:
        """Give the variables that tell another process this clock."""
        return {"PILOTLIGHT_CLOCK_SPEED": repr(self.speed), "PILOTLIGHT_CLOCK_EPOCH": repr(self.epoch)}
