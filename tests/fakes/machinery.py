"""Time that is set by hand, executions by name, and what collects messages."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pilotlight.domain.errors import PilotlightError, Throttled
from pilotlight.domain.kill_switch import KillSwitch, Position, read_switch, unreadable
from pilotlight.domain.notice import Notice
from pilotlight.domain.orphans import FoundExecution
from pilotlight.domain.reconciliation import Pass

from tests.factories import NOON


class ManualClock:
    """Implements `ports.Clock`. Time passes by `advance`, and by `pause`, during which `meanwhile` happens."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self.meanwhile: deque[Callable[[], object]] = deque()

    def now(self) -> datetime:
        return self._now

    def pause(self, wall_seconds: float) -> None:
        self.advance(seconds=wall_seconds)
        if self.meanwhile:
            self.meanwhile.popleft()()

    def advance(self, **span: float) -> datetime:
        """Let that much time pass, as `timedelta` names it; return the moment it is then."""
        self._now += timedelta(**span)
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment


@dataclass
class Execution:
    """One execution: what it works on, and how it is."""

    machine: str
    name: str
    work: dict[str, Any]
    status: str = "RUNNING"
    started_at: datetime | None = None
    stopped_because: str | None = None

    @property
    def named(self) -> str:
        """The name without the moment of birth that it carries."""
        return re.sub(r"-[0-9a-z]{6}(?=(-[ratw][0-9a-z]+)?$)", "", self.name)


@dataclass
class FakeExecutions:
    """Implements `ports.Executions`: a name is taken for good, whatever became of its execution.

    Tests may leave out the moment of birth that a name carries, and `names` does.
    """

    clock: ManualClock = field(default_factory=ManualClock)
    by_name: dict[tuple[str, str], Execution] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Machines whose executions cannot be listed."""
    refusals: deque[BaseException] = field(default_factory=deque)
    """What the next calls of `start` raise, each once, before anything was started."""

    def start(self, machine: str, name: str, work: dict[str, Any]) -> bool:
        if self.refusals:
            raise self.refusals.popleft()
        if (machine, name) in self.by_name:
            return False
        self.by_name[machine, name] = Execution(machine, name, work, started_at=self.clock.now())
        return True

    def is_running(self, machine: str, name: str) -> bool:
        found = self.by_name.get((machine, self._whole(machine, name)))
        return found is not None and found.status == "RUNNING"

    def running(self, machine: str) -> list[FoundExecution]:
        if machine in self.hidden:
            raise Throttled(f"listing the executions of {machine}: slow down.")
        return [
            FoundExecution(machine=machine, name=each.name, started_at=each.started_at)
            for each in self.of(machine)
            if each.status == "RUNNING"
        ]

    def stop(self, machine: str, name: str, reason: str) -> None:
        if self.is_running(machine, name):
            self.end(machine, name, "ABORTED")
            self.by_name[machine, name].stopped_because = reason

    def end(self, machine: str, name: str, status: str = "SUCCEEDED") -> None:
        self.by_name[machine, self._whole(machine, name)].status = status

    def end_if_running(self, machine: str, name: str) -> None:
        if self.is_running(machine, name):
            self.end(machine, name)

    def of(self, machine: str) -> list[Execution]:
        return [each for each in self.by_name.values() if each.machine == machine]

    def names(self, machine: str) -> list[str]:
        return [each.named for each in self.of(machine)]

    def _whole(self, machine: str, name: str) -> str:
        return next((each.name for each in self.of(machine) if each.named == name), name)


@dataclass
class FakeTopic:
    """Implements `ports.Topic`."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    refusals: deque[BaseException] = field(default_factory=deque)
    """What the next calls raise, each once."""

    def publish(self, message: dict[str, Any], *, event: str) -> None:
        assert message["event"] == event
        if self.refusals:
            raise self.refusals.popleft()
        self.messages.append(message)

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.messages]


@dataclass
class FakeJournal:
    """Implements `ports.Journal`."""

    invocations: list[dict[str, Any]] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    facts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    surprises: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    measures: list[tuple[str, float]] = field(default_factory=list)

    def invocation(self, record: dict[str, Any]) -> None:
        self.invocations.append(record)

    def reconciled(self, done: Pass) -> None:
        self.passes.append(done)

    def fact(self, message: str, **values: Any) -> None:
        self.facts.append((message, values))

    def surprise(self, message: str, **values: Any) -> None:
        self.surprises.append((message, values))

    def measure(self, name: str, count: float) -> None:
        self.measures.append((name, count))

    def everything(self) -> str:
        """Return all that was ever written, as one text to search in."""
        return repr((self.invocations, self.facts, self.surprises))


@dataclass
class FakeQueue:
    """Implements `ports.InvocationQueue`; `hidden` tells for how long each receipt was sent away."""

    messages: list[tuple[str, str]] = field(default_factory=list)
    hidden: list[tuple[str, int]] = field(default_factory=list)

    def send(self, invocation_id: str, correlation_id: str) -> None:
        self.messages.append((invocation_id, correlation_id))

    def hide(self, receipt: str, wait_seconds: int) -> None:
        self.hidden.append((receipt, wait_seconds))

    def depth(self) -> int:
        return len(self.messages)


@dataclass
class FakeSwitch:
    """Implements `ports.KillSwitchPort`: what an operator put into the parameter, read at once."""

    text: str = "off"
    refusals: deque[PilotlightError] = field(default_factory=deque)
    """Why the next reads fail, each once."""
    remembered: deque[str] = field(default_factory=deque)
    """What the next reads say that do not look at the parameter."""

    def read(self) -> KillSwitch:
        return read_switch(self.remembered.popleft(), None) if self.remembered else self.refresh()

    def refresh(self) -> KillSwitch:
        if self.refusals:
            return unreadable(self.refusals.popleft().message)
        return read_switch(self.text, None)

    def write(self, switch: KillSwitch) -> None:
        self.text = switch.written()

    def on(self, reason: str = "too dear") -> None:
        self.write(KillSwitch(position=Position.ON, reason=reason))

    def off(self) -> None:
        self.write(KillSwitch(position=Position.OFF))


@dataclass
class FakeNotices:
    """Implements `ports.Notices`."""

    notices: dict[str, Notice] = field(default_factory=dict)

    def latest(self, subject: str) -> Notice:
        return self.notices.get(subject, Notice())

    def note(self, subject: str, notice: Notice) -> None:
        self.notices[subject] = notice
