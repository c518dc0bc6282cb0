"""The time: the machine's, or, in the embedded cloud, one that runs faster from a common beginning."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Implements `ports.Clock`. `speed` 1 is real time; another speed counts from `epoch` (seconds)."""

    def __init__(self, speed: float = 1.0, epoch: float = 0.0) -> None:
        self._speed = speed
        self._epoch = epoch

    def now(self) -> datetime:
        """Return the moment it is, aware and in UTC."""
        wall = time.time()
        told = wall if self._speed == 1.0 else self._epoch + (wall - self._epoch) * self._speed
        return datetime.fromtimestamp(told, UTC)

    def pause(self, wall_seconds: float) -> None:
        """Let that much time of the wall's clock pass."""
        time.sleep(wall_seconds)
