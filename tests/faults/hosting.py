"""SageMaker's hosting on the agenda: what is due there has its turn, and so has the sweep of each minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.cloudwatch import models as cloudwatch_models

from local import autoscaling, sagemaker
from local.sagemaker import Following, Knobs, Settings
from local.sagemaker.simulation import Simulation
from tests.faults.replacing import replace

if TYPE_CHECKING:
    from tests.faults.agenda import Clock

EVERY_SECONDS = 60.0
AT_REST_SECONDS = 3600.0  # between looks at what is at rest when all is over: each costs as much as a step


class Hosting:
    """The simulated service, its turn among the others', and the schedule that looks at endpoints meanwhile.

    Neither keeps anybody waiting: an endpoint has a next minute for ever.
    """

    def __init__(self, clock: Clock, sweep: Callable[[], Any], is_due: Callable[[bool], bool]) -> None:
        """Take what sweeps, and what says whether anything is due: also what is at rest, or only what is not."""
        self._clock = clock
        self._sweep = sweep
        self._is_due = is_due
        self._following = Following(self._book)
        self._looks = False
        self._at_rest_every = EVERY_SECONDS
        self._looked_at = 0.0
        self.rested_at: float | None = None  # from when on what is at rest is looked at more seldom

    def install(self) -> None:
        """Add the service to moto, and follow it."""
        sagemaker.install(self._clock)
        autoscaling.install()
        replace(cloudwatch_models, "utcnow", lambda _: lambda: self._clock.now().replace(tzinfo=None))
        self._following.begin()

    def begin_again(self) -> None:
        """Follow the service where it is now, which was put back; no schedule ticks before somebody says so."""
        self._looks = False
        self._following.begin_again()

    def calm(self) -> None:
        """Let the service work, quickly."""
        self.service.knobs = Knobs()
        self.service.settings = Settings(
            start_seconds=50,  # with what loads no whole minute, at which the sweep looks
            load_seconds=20,
            capacity_verdict_seconds=30,
            verdict_seconds=30,
            delete_seconds=15,
            rollback_seconds=30,
        )

    def look(self) -> None:
        """Let the sweep have its turn every minute from now on, where anything is due."""
        self._at_rest_every, self._looked_at, self.rested_at = EVERY_SECONDS, self._clock.moment, None
        if not self._looks:
            self._looks = True
            self._tick_later()

    def look_less(self) -> None:
        """Look at what is at rest more seldom from now on."""
        self._at_rest_every = AT_REST_SECONDS
        self.rested_at = self.rested_at or self._clock.moment

    @property
    def service(self) -> Simulation:
        """Give the simulated service."""
        return sagemaker.simulation()

    def _book(self, at: float, act: Callable[[], None]) -> None:
        self._clock.agenda.spawn("sagemaker", act, after=max(at - self._clock.moment, 0.0), idle=True)

    def _tick_later(self) -> None:
        self._clock.agenda.spawn("schedule", self._tick, after=EVERY_SECONDS, idle=True)

    def _tick(self) -> None:
        self._tick_later()
        rested = self._clock.moment - self._looked_at >= self._at_rest_every
        if self._is_due(rested):
            self._looked_at = self._clock.moment
            self._sweep()
