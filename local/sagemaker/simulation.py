"""The state of the simulated service, and what tests may look at and turn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Protocol

from local.clock import ScaledClock
from local.sagemaker.agenda import Act, Agenda
from local.sagemaker.metrics import Series
from local.sagemaker.resources import Component, Config, Endpoint, Model, Uptime
from local.sagemaker.settings import Knobs, Settings


class Clock(Protocol):
    """What tells the time and lets it pass: a ScaledClock, or one that a test moves by hand."""

    def timestamp(self) -> float:
        """Give the seconds since 1970."""

    def sleep(self, simulated_seconds: float) -> None:
        """Return when the seconds have passed."""


@dataclass
class State:
    """Everything that the service knows: a deep copy of it is a snapshot."""

    agenda: Agenda = field(default_factory=Agenda)
    models: dict[str, Model] = field(default_factory=dict)  # all by their ARNs
    configs: dict[str, Config] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)
    uptimes: list[Uptime] = field(default_factory=list)
    series: Series = field(default_factory=Series)
    activities: dict[str, Any] = field(default_factory=dict)  # of autoscaling, by policy
    minutes_run: bool = False  # whether each minute is looked at


class Simulation:
    """One simulated service; `lock` is held by whoever changes it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = RLock()
        self.minutely: list[Callable[[Simulation], None]] = []  # what else acts at the end of each minute
        self._watchers: list[Callable[[float], None]] = []
        self._advancing = False
        self.clear()

    def clear(self) -> None:
        """Forget everything but the clock and who watches."""
        with self.lock:
            self.settings = Settings()
            self.knobs = Knobs()
            self.state = State()
            self.moment = self.clock.timestamp()

    def snapshot(self) -> Callable[[], None]:
        """Give what puts the service back to where it is now, as often as one likes."""
        kept = copy.deepcopy((self.settings, self.knobs, self.state, self.moment))

        def put_back() -> None:
            with self.lock:
                self.settings, self.knobs, self.state, self.moment = copy.deepcopy(kept)

        return put_back

    # ---- time ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring everything to where the clock says that it is by now."""
        self.advance(self.clock.timestamp())

    def advance(self, now: float) -> float | None:
        """Do everything that is due by `now`, each thing at its own moment; give when something is due next."""
        with self.lock:
            if not self._advancing:  # what is done now may ask for the same service
                self._advancing = True
                try:
                    while due := self.state.agenda.take(now):
                        self.moment = max(self.moment, due.at)
                        due.act(self, *due.about)
                    self.moment = max(self.moment, now)
                finally:
                    self._advancing = False
            return self.state.agenda.next_at

    def later(self, seconds: float, act: Act, *about: Any) -> None:
        """Have something done, so many seconds from the moment that the service is at."""
        at = self.moment + seconds
        self.state.agenda.add(at, act, *about)
        if not self._advancing:
            for tell in self._watchers:
                tell(at)

    def watch(self, tell: Callable[[float], None]) -> None:
        """Let `tell` know each time that a call makes something due: whoever drives `advance` looks again."""
        self._watchers.append(tell)

    # ---- what there is to see ----------------------------------------------------------------------------------

    def uptimes(self) -> list[Uptime]:
        """Give what each instance was paid for so far, also those of endpoints that are deleted by now."""
        with self.lock:
            self.settle()
            return [copy.copy(each) for each in self.state.uptimes]

    def endpoint(self, name: str) -> Endpoint:
        """Give an endpoint by its name, in whatever account and region."""
        with self.lock:
            self.settle()
            return next(each for each in self.state.endpoints.values() if each.name == name)


_current = [Simulation(ScaledClock())]


def simulation() -> Simulation:
    """Give the simulated service of this process."""
    return _current[0]


def begin(clock: Clock) -> None:
    """Start anew, by another clock."""
    _current[0] = Simulation(clock)


def reset() -> None:
    """Forget everything but the clock: resources, records, settings and knobs."""
    simulation().clear()


def advance(now: float) -> float | None:
    """Do everything that is due by then; give when something is due next."""
    return simulation().advance(now)
