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
    DRIP = "drip"  # the body comes byte by byte
    LONGER = "longer"  # more bytes are promised, and sent, than were asked for
    PACKED = "packed"  # the body is compressed, although nobody takes that
    OTHER_BYTES = "other-bytes"  # one bit of the body is another
    OTHER_COMMIT = "other-commit"  # the answer is of another commit than was asked for
    REDIRECT = "redirect"  # the answer sends us elsewhere
    LISTING = "listing"  # the model's listing is another one


@dataclass(frozen=True)
class Fault:
    """One fault: `amount` is bytes for CUT and OTHER_BYTES, wall seconds for SLOW and between the bytes of DRIP."""

    kind: Kind
    times: int
    path: str
    amount: float = 0.0
    location: str = ""
    body: bytes = b""


_BEFORE_ANY_FILE = frozenset({Kind.REDIRECT, Kind.LISTING})


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

    def drip(self, seconds: float, *, times: int = 1, path: str = "") -> None:
        """Let so many seconds of the wall's clock pass before each byte."""
        self._add(Fault(Kind.DRIP, times, path, seconds))

    def longer_body(self, *, times: int = 1, path: str = "") -> None:
        """Promise and send more bytes than were asked for."""
        self._add(Fault(Kind.LONGER, times, path))

    def packed_body(self, *, times: int = 1, path: str = "") -> None:
        """Send zeros, compressed a thousandfold."""
        self._add(Fault(Kind.PACKED, times, path))

    def other_bytes(self, *, at_least: int = 1, times: int = 1, path: str = "") -> None:
        """Send bodies of that many bytes or more with another last bit."""
        self._add(Fault(Kind.OTHER_BYTES, times, path, at_least))

    def other_commit(self, *, times: int = 1, path: str = "") -> None:
        """Say that a file is of another commit than the one that was asked for."""
        self._add(Fault(Kind.OTHER_COMMIT, times, path))

    def redirect(self, location: str, *, times: int = 1, path: str = "") -> None:
        """Send whoever asks the hub, for a listing or a file, to another address."""
        self._add(Fault(Kind.REDIRECT, times, path, location=location))

    def listing(self, body: bytes, *, times: int = 1, path: str = "/api/") -> None:
        """Answer with this body where a model's listing was asked for."""
        self._add(Fault(Kind.LISTING, times, path, body=body))

    def clear(self) -> None:
        """Forget the faults that have not come yet."""
        with self._lock:
            self._waiting.clear()

    def next_for(self, path: str, *, before_any_file: bool = False) -> Fault | None:
        """Give the fault that this request suffers, and count it; some come before it is known which file is meant."""
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.path in path and (fault.kind in _BEFORE_ANY_FILE) is before_any_file:
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._waiting[index : index + 1] = left
                    return fault
        return None

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)
