"""Drives the simulated service by the clock: on a laptop nobody else makes happen what is due while nobody calls."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from local.clock import ScaledClock
from local.sagemaker.simulation import simulation

_LOG = logging.getLogger(__name__)
_SHORTEST_LOOK_SECONDS = 0.005
_LONGEST_LOOK_SECONDS = 0.5


@dataclass
class Ticker:
    """A thread that does what is due, and sleeps until the next thing is."""

    clock: ScaledClock
    _woken: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Begin to watch the clock."""
        self._stopping.clear()
        simulation().watch(lambda _: self._woken.set())
        self._thread = threading.Thread(target=self._tick, name="sagemaker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let nothing more happen."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _tick(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            now = self.clock.timestamp()
            wall = _LONGEST_LOOK_SECONDS
            try:
                due = simulation().advance(now)
            except Exception:  # noqa: BLE001 - one thing that goes wrong must not end all that is still due
                _LOG.warning("Something of SageMaker's simulation failed", exc_info=True)
            else:
                wall = self.clock.wall_seconds(due - now) if due is not None else _LONGEST_LOOK_SECONDS
            self._woken.wait(max(_SHORTEST_LOOK_SECONDS, min(wall, _LONGEST_LOOK_SECONDS)))
