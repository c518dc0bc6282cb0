"""Faults that a test asks the hub to commit while it serves bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Lock


class Kind(StrEnum):
    """What goes wrong with one answer."""

    CUT = "cut"  # the connection ends before the promised length
    WHOLE = "whole"  # a Range is answered 200, with everything
    WRONG_RANGE = "wrong-range"  # Content-Range names other bytes than were asked for
    SLOW = "slow"  # nothing comes for a while
    ENDLESS = "endless"  # no length is promised and the body never ends


@dataclass(frozen=True)
class Fault:
    """One fault: `amount` is bytes for CUT and wall seconds for SLOW."""

    kind: Kind
    times: int
    path: str
    amount: float = 0.0


class Faults:
    """The faults still to come; each applies to downloads whose path contains `path`, `times` times."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = Lock()

    def cut_after(self, size_bytes: int, *, times: int = 1, path: str = "") -> None:
        """End bodies after that many bytes."""
        self._add(Fault(Kind.CUT, times, path, size_bytes))

    def ignore_range(self, *, times: int = 1, path: str = "") -> None:
        """Answer a Range with 200 and the whole file."""
        self._add(Fault(Kind.WHOLE, times, path))

    def wrong_content_range(self, *, times: int = 1, path: str = "") -> None:
        """Answer a Range with other bytes, and say so in Content-Range."""
        self._add(Fault(Kind.WRONG_RANGE, times, path))

    def slow_start(self, seconds: float, *, times: int = 1, path: str = "") -> None:
        """Let so many seconds of the wall's clock pass before an answer begins."""
        self._add(Fault(Kind.SLOW, times, path, seconds))

    def endless_body(self, *, times: int = 1, path: str = "") -> None:
        """Send bytes without a promised length until the client goes away."""
        self._add(Fault(Kind.ENDLESS, times, path))

    def clear(self) -> None:
        """Forget the faults that have not come yet."""
        with self._lock:
            self._waiting.clear()

    def next_for(self, path: str) -> Fault | None:
        """Give the fault that this download suffers, and count it."""
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.path in path:
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._waiting[index : index + 1] = left
                    return fault
        return None

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)
