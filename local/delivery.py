"""Work that the cloud does after it has answered: events, notifications and stream records on their way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

_LOG = logging.getLogger(__name__)


class Deliveries:
    """Runs each delivery on a thread of its own, a bounded number at once, and leaves none behind when closed.

    A thread lives as long as its delivery: an idle cloud has none, and `close` waits only for what is in flight.
    """

    def __init__(self, at_once: int = 32) -> None:
        self._turns = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()
        self._closed = threading.Event()

    def open(self) -> None:
        """Take deliveries again after a close."""
        self._closed.clear()

    def send(self, deliver: Callable[[], object]) -> None:
        """Return at once; the delivery happens soon, or never if the cloud is being stopped."""
        if self._closed.is_set():
            return
        thread = threading.Thread(target=self._run, args=(deliver,), name="delivery", daemon=True)
        with self._lock:
            self._running.add(thread)
        thread.start()

    def pause(self, wall_seconds: float) -> bool:
        """Wait between two attempts; give whether the cloud is being stopped meanwhile."""
        return self._closed.wait(wall_seconds)

    def close(self, *, within_seconds: float = 5.0) -> None:
        """Take no more deliveries and return when those in flight have ended."""
        self._closed.set()
        deadline = monotonic() + within_seconds
        with self._lock:
            running = set(self._running)
        for thread in running - {threading.current_thread()}:
            thread.join(max(0.0, deadline - monotonic()))

    def _run(self, deliver: Callable[[], object]) -> None:
        try:
            with self._turns:
                if not self._closed.is_set():
                    deliver()
        except Exception:  # noqa: BLE001 - whatever a delivery meets, its sender has long been answered
            if not self._closed.is_set():
                _LOG.warning("A delivery failed", exc_info=True)
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())


deliveries = Deliveries()
