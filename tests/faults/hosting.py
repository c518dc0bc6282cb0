"""SageMaker's hosting on the agenda: what is due there has its turn, and so has the sweep of each minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local import autoscaling, sagemaker
from local.sagemaker import Following, Knobs, Settings
from local.sagemaker.simulation import Simulation

if TYPE_CHECKING:
    from tests.faults.agenda import Clock

EVERY_SECONDS = 60.0


class Hosting:
    """The simulated service, its turn among the others', and the schedule that looks at endpoints meanwhile.

    Neither keeps anybody waiting: an endpoint has a next minute for ever.
    """

    def __init__(self, clock: Clock, sweep: Callable[[], Any], is_due: Callable[[], bool]) -> None:
        self._clock = clock
        self._sweep = sweep
        self._is_due = is_due
        self._following = Following(self._book)
        self._every: float | None = None

    def install(self) -> None:
        """Add the service to moto, and follow it."""
        sagemaker.install(self._clock)
        autoscaling.install()
        self._following.begin()

    def begin_again(self) -> None:
        """Follow the service where it is now, which was put back; no schedule ticks before somebody says so."""
        self._every = None
        self._following.begin_again()

    def calm(self) -> None:
        """Let the service work, quickly."""
        self.service.knobs = Knobs()
        self.service.settings = Settings(
            start_seconds=40,
            load_seconds=20,
            capacity_verdict_seconds=30,
            verdict_seconds=30,
            delete_seconds=15,
            rollback_seconds=30,
        )

    def look_every(self, seconds: float | None) -> None:
        """Let the sweep have its turn so often, where anything is due; never, for None."""
        begins = self._every is None
        self._every = seconds
        if begins and seconds:
            self._tick_later(seconds)

    @property
    def service(self) -> Simulation:
        """Give the simulated service."""
        return sagemaker.simulation()

    def _book(self, at: float, act: Callable[[], None]) -> None:
        self._clock.agenda.spawn("sagemaker", act, after=max(at - self._clock.moment, 0.0), idle=True)

    def _tick_later(self, seconds: float) -> None:
        self._clock.agenda.spawn("schedule", self._tick, after=seconds, idle=True)

    def _tick(self) -> None:
        if self._every is None:
            return
        self._tick_later(self._every)
        if self._is_due():
            self._sweep()
