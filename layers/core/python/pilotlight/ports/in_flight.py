"""Calls that are not answered yet, deployment by deployment, and how long the last answers took."""

from typing import Protocol

from pilotlight.domain.invocation import Invocation


class InFlight(Protocol):
    """One mark for each call that waits or runs, in the order in which they came. Every write is safe to repeat.

    Lists are cut at a bound, so that a long queue costs no more than a page to look at.
    """

    def put(self, invocation: Invocation) -> None:
        """Mark a call."""
        ...

    def forget(self, invocation: Invocation) -> None:
        """Remove a mark; one already gone is a success."""
        ...

    def oldest(self, name: str, generation: int, limit: int) -> list[str]:
        """Return the ids of marked calls, the oldest first."""
        ...

    def forget_id(self, name: str, generation: int, invocation_id: str) -> None:
        """Remove the mark of a call whose record is gone."""
        ...

    def note_latency(self, name: str, generation: int, seconds: float) -> None:
        """Keep how long an answer took: the newest few of a generation."""
        ...

    def latencies(self, name: str, generation: int) -> tuple[float, ...]:
        """Return how long the last answers took, in seconds, the newest last."""
        ...
