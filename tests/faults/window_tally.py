"""What should have happened at the edges of windows, and what did: each edge is seen once, and nothing else is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

LOST_MINUTES = 10
LATEST = (LOST_MINUTES + 1) * 60  # seconds after an edge at which the sweep has seen it, whatever was lost


@dataclass
class Tally:
    """Counts while windows are followed."""

    windows: int = 0
    looks: int = 0
    missed: int = 0
    doubled: int = 0
    swept: int = 0
    examples: list[str] = field(default_factory=list)

    def compare(self, told: str, edges: Iterable[int], turns: Iterable[int], until: int) -> None:
        """Count edges without a turn in their first minutes, and turns that are not the only one of an edge.

        An edge after `until` may be seen after the last look.
        """
        seen: dict[int, int] = dict.fromkeys(edges, 0)
        ordered = sorted(seen)
        for turn in turns:
            edge = next((each for each in reversed(ordered) if each <= turn), None)
            if edge is None or turn - edge > LATEST or seen[edge]:
                self.doubled += 1
                self.examples.append(f"{told}: doubled at {_iso(turn)}")
            else:
                seen[edge] += 1
        for edge, turned in seen.items():
            if not turned and edge < until:
                self.missed += 1
                self.examples.append(f"{told}: missed at {_iso(edge)}")

    def probe(self, told: str, moment: int, *, inside: bool, wanted: bool) -> None:
        """Count a moment at which the model is not wanted in an open time, or is in none."""
        self.looks += 1
        if inside != wanted:
            self.missed += inside
            self.doubled += wanted
            self.examples.append(f"{told}: {'' if wanted else 'not '}wanted at {_iso(moment)}")


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
