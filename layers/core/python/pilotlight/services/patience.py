"""Waiting, within bounds, as long as a throttled source asks."""

from collections.abc import Callable
from typing import TypeVar

from pilotlight.domain.errors import Throttled
from pilotlight.ports import Clock

Answer = TypeVar("Answer")


class Patience:
    """So many seconds of the wall's clock, for all the waits of one Lambda together."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._left = seconds

    def with_waits(self, ask: Callable[[], Answer]) -> Answer:
        """Return the answer, asked for again after each wait that the source names.

        Raises: Throttled without such a wait, or with one that is longer than what is left.
        """
        while True:
            try:
                return ask()
            except Throttled as exc:
                wait = exc.detail.get("retry_after_seconds")
                if wait is None or max(wait, 1) > self._left:
                    raise
                self._clock.pause(max(wait, 1))
                self._left -= max(wait, 1)
