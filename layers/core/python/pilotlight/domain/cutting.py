"""Ending a transfer from outside, wherever it stands."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class Cutting:
    """What somebody who waits no more calls, and what whoever moves bytes leaves his way of being ended with."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ways: list[Callable[[], object]] = []
        self.is_cut = False

    def cut(self) -> None:
        """End what is under way, and whatever begins after this."""
        with self._lock:
            self.is_cut = True
            ways = list(self._ways)
        for way in ways:
            with contextlib.suppress(OSError):  # it is over already
                way()

    @contextmanager
    def by(self, way: Callable[[], object]) -> Iterator[None]:
        """Be ended by `way` within this, at once where it has been cut already."""
        with self._lock:
            self._ways.append(way)
            late = self.is_cut
        if late:
            with contextlib.suppress(OSError):
                way()
        try:
            yield
        finally:
            with self._lock:
                self._ways.remove(way)
