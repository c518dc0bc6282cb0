"""Is a part so late that a second copy of it would be there first?

One slow connection in a hundred takes twice as long as the others, some four times: a whole staging would wait for
them. A copier that has nothing left to begin begins the slowest part a second time; the first to finish wins, and
both write the same bytes. A part that S3 copies itself tells nothing before it is there: it is late when it has taken
twice as long as the others would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SOONEST_SECONDS = 2.0  # a connection's beginning tells little of its rate
WORTH = 1.5  # a second copy must be expected in two thirds of the time that the first one still needs
STALLED_SECONDS = 10.0  # without a byte, whatever the others do
SILENT_WORTH = 2.0  # times the expected seconds of a part that tells nothing, and never sooner than a stalled one


@dataclass(frozen=True)
class Flight:
    """A part on its way: how long and how far it has come, since when nothing came, and how many copy it.

    A silent one tells nothing of how far it has come.
    """

    size_bytes: int
    copied_bytes: int
    seconds: float
    idle_seconds: float = 0.0
    copies: int = 1
    silent: bool = False

    @property
    def rate(self) -> float:
        """Bytes a second since it began."""
        return self.copied_bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """How long it still takes if it goes on like this."""
        left = self.size_bytes - self.copied_bytes
        return left / self.rate if self.rate > 0 else float("inf")


def worth_racing(flights: Sequence[Flight], rates: Sequence[float]) -> int | None:
    """Return the index of the flight that a second copy would overtake soonest, or None.

    `rates` are those of the parts that arrived, in bytes a second: what a second copy may expect is the median of
    these and of the other flights.
    """
    late = [
        (flight.seconds_left, index)
        for index, flight in enumerate(flights)
        if flight.copies == 1 and _is_late(flight, _expected_rate(index, flights, rates))
    ]
    return max(late)[1] if late else None


def _expected_rate(index: int, flights: Sequence[Flight], rates: Sequence[float]) -> float | None:
    others = [
        each.rate
        for at, each in enumerate(flights)
        if at != index and each.seconds >= SOONEST_SECONDS and not each.silent
    ]
    known = [*rates, *others]
    return median(known) if known else None


def _is_late(flight: Flight, expected_rate: float | None) -> bool:
    if flight.silent:
        late_seconds = SILENT_WORTH * flight.size_bytes / expected_rate if expected_rate else float("inf")
        return flight.seconds >= max(STALLED_SECONDS, late_seconds)
    if flight.idle_seconds >= STALLED_SECONDS:
        return True
    if flight.seconds < SOONEST_SECONDS or not expected_rate:
        return False
    return flight.seconds_left > WORTH * flight.size_bytes / expected_rate
