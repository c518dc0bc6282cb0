"""Simulated time, and the actors that take turns in it: one thread, so that a run is the same each time.

An actor is a greenlet: an execution, a Lambda, a queue's consumer. It runs until it waits; then whoever is due next
runs, and the clock jumps to that moment. Nothing sleeps.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event as ThreadEvent
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

MOST_TURNS = 50_000  # of one run: more is a loop that never ends


class EndlessError(AssertionError):
    """Actors take turns for ever."""


class Clock:
    """A clock that moves when its agenda says so: what local/ and the core ask for the time."""

    speed = 1.0

    def __init__(self, epoch: float) -> None:
        self.epoch = epoch
        self.moment = epoch
        self.agenda = Agenda(self)

    def timestamp(self) -> float:
        """Give the seconds since 1970."""
        return self.moment

    def now(self) -> datetime:
        """Give the time, aware and in UTC."""
        return datetime.fromtimestamp(self.moment, UTC)

    def wall_seconds(self, simulated_seconds: float) -> float:
        """Give the seconds as they are: here nobody tells wall from simulation."""
        return max(0.0, simulated_seconds)

    def sleep(self, seconds: float) -> None:
        """Let that much time pass, and others act in it."""
        self.agenda.sleep(seconds)

    pause = sleep

    def wait(self, event: ThreadEvent, seconds: float) -> bool:
        """Let that much time pass, and give whether the event was set meanwhile."""
        self.sleep(seconds)
        return event.is_set()

    def environment(self) -> dict[str, str]:
        """Give nothing: everybody here is in one process."""
        return {}


@dataclass
class Actor:
    """Somebody who acts: what for is anything that others want to know of him."""

    name: str
    body: greenlet
    purpose: Any = None
    turn: int = 0
    keeps_waiting: bool = False  # whether somebody waits for its next turn

    @property
    def is_over(self) -> bool:
        """Give whether it has nothing left to do."""
        return bool(self.body.dead)


@dataclass
class Signal:
    """Something that is waited for, once."""

    is_set: bool = False
    waiting: list[Actor] = field(default_factory=list)


class Agenda:
    """Who is due when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hub = getcurrent()
        self._due: list[tuple[float, int, Actor, int]] = []
        self._numbers = itertools.count()
        self._actors: dict[greenlet, Actor] = {}
        self._waiting_in_earnest = 0
        self.turns = 0

    @property
    def current(self) -> Actor | None:
        """Give who acts, or None where the harness itself does."""
        return self._actors.get(getcurrent())

    def spawn(
        self, name: str, work: Callable[[], object], *, after: float = 0.0, purpose: Any = None, idle: bool = False
    ) -> Actor:
        """Let an actor begin then; an idle one keeps nobody waiting for its turn."""
        actor = Actor(name, greenlet(lambda: self._act(work), self._hub), purpose)
        self._actors[actor.body] = actor
        self._book(actor, after, idle=idle)
        return actor

    def sleep(self, seconds: float) -> None:
        """Let time pass: for an actor others have their turn, and for the harness all who are due by then."""
        actor = self.current
        if actor is None:
            self.run(until=self._clock.moment + seconds)
            return
        self._book(actor, seconds)
        self._hub.switch()

    def give_way(self) -> None:
        """Let those act first who are due now."""
        if self.current is not None and self._due and self._due[0][0] <= self._clock.moment:
            self.sleep(0.0)

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Let others act until the signal is set or the time is over; give whether it is set."""
        actor = self.current
        if actor is None:
            end = self._clock.moment + seconds
            self.run(until=end, stop=lambda: signal.is_set)
        elif not signal.is_set:
            signal.waiting.append(actor)
            self.sleep(seconds)
            if not signal.is_set:
                signal.waiting.remove(actor)  # nobody wakes it for this again: it may sleep for something else by then
        return signal.is_set

    def set(self, signal: Signal) -> None:
        """Let those go on who wait for it."""
        signal.is_set = True
        for actor in signal.waiting:
            self._book(actor, 0.0)
        signal.waiting.clear()

    def run(self, until: float | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Let everybody act who is due: until that moment, or until nobody waits for anything but in idleness."""
        while self._due and not stop():
            at, _, actor, turn = self._due[0]
            if until is not None and at > until:
                break
            if until is None and not self._waiting_in_earnest:
                return
            heapq.heappop(self._due)
            if actor.is_over or actor.turn != turn:
                continue
            self._unbook(actor)
            self._clock.moment = max(self._clock.moment, at)
            self._take_turn(actor)
        if until is not None and not stop():
            self._clock.moment = max(self._clock.moment, until)

    def kill(self, actor: Actor) -> None:
        """End an actor where it stands."""
        with suppress(GreenletExit):
            if not actor.is_over and actor.body:
                actor.body.throw(GreenletExit)
        self._unbook(actor)
        actor.turn += 1
        self._actors.pop(actor.body, None)

    def clear(self) -> None:
        """End everybody."""
        for actor in list(self._actors.values()):
            self.kill(actor)
        self._due.clear()
        self._actors.clear()
        self._waiting_in_earnest = 0
        self.turns = 0

    def _take_turn(self, actor: Actor) -> None:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise EndlessError(f"{self.turns} turns, and still {len(self._due)} actors wait; now {actor.name}")
        actor.body.switch()
        if actor.is_over:
            self._actors.pop(actor.body, None)

    def _book(self, actor: Actor, seconds: float, *, idle: bool = False) -> None:
        self._unbook(actor)
        actor.turn += 1
        actor.keeps_waiting = not idle
        self._waiting_in_earnest += actor.keeps_waiting
        heapq.heappush(self._due, (self._clock.moment + seconds, next(self._numbers), actor, actor.turn))

    def _unbook(self, actor: Actor) -> None:
        self._waiting_in_earnest -= actor.keeps_waiting
        actor.keeps_waiting = False

    @staticmethod
    def _act(work: Callable[[], object]) -> None:
        with suppress(GreenletExit):
            work()
