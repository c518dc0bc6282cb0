"""Lets whoever has an agenda of simulated time bring about what is due, each thing at its moment, without a thread."""

from __future__ import annotations

from collections.abc import Callable

from local.sagemaker.simulation import simulation

# Has something done at a simulated moment, once.
Book = Callable[[float, Callable[[], None]], object]


class Following:
    """One look at a time is booked: at what is due next, and earlier where a call makes something due before it."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._booked: float | None = None

    def begin(self) -> None:
        """Follow the simulation that is installed now."""
        simulation().watch(self._notice)
        self.begin_again()

    def begin_again(self) -> None:
        """Book anew: after the agenda was cleared, or the simulation put back to an earlier moment."""
        self._booked = None
        due = simulation().state.agenda.next_at
        if due is not None:
            self._notice(due)

    def _notice(self, at: float) -> None:
        if self._booked is None or at < self._booked:
            self._booked = at
            self._book(at, lambda: self._look(at))

    def _look(self, at: float) -> None:
        if at != self._booked:  # another look was booked in its place
            return
        self._booked = None
        service = simulation()
        due = service.advance(service.clock.timestamp())
        if due is not None:
            self._notice(due)
