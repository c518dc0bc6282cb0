"""What is due when: the simulated service does everything at its moment and in order, however far the clock jumps."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# What is done gets the simulation, and what it is about: data, so that a copy of an agenda is about copies.
Act = Callable[..., None]


@dataclass(order=True)
class Due:
    """Something that will be done; what is due at one moment is done in the order in which it was entered."""

    at: float
    number: int
    act: Act = field(compare=False)
    about: tuple[Any, ...] = field(compare=False, default=())


@dataclass
class Agenda:
    """Everything that is due, the next thing first."""

    _due: list[Due] = field(default_factory=list)
    _entered: int = 0

    def add(self, at: float, act: Act, *about: Any) -> None:
        """Enter something."""
        self._entered += 1
        heapq.heappush(self._due, Due(at, self._entered, act, about))

    def take(self, until: float) -> Due | None:
        """Give what is due next and take it out; None where nothing is due by then."""
        return heapq.heappop(self._due) if self._due and self._due[0].at <= until else None

    @property
    def next_at(self) -> float | None:
        """Give when the next thing is due."""
        return self._due[0].at if self._due else None
