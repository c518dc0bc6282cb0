"""Time, executions, the queue, the topic, the journal."""

from datetime import datetime
from typing import Any, Protocol

from pilotlight.domain.kill_switch import KillSwitch
from pilotlight.domain.notice import Notice
from pilotlight.domain.orphans import FoundExecution
from pilotlight.domain.reconciliation import Pass


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the moment it is, aware and in UTC."""
        ...

    def pause(self, wall_seconds: float) -> None:
        """Let that much time of the wall's clock pass."""
        ...


class Executions(Protocol):
    """Executions of our state machines."""

    def start(self, machine: str, name: str, work: dict[str, Any]) -> bool:
        """Start an execution; False where one of that name is there already, which is a success."""
        ...

    def is_running(self, machine: str, name: str) -> bool:
        """Say whether an execution of that name is under way."""
        ...

    def running(self, machine: str) -> list[FoundExecution]:
        """Return every execution of a machine that is under way."""
        ...

    def stop(self, machine: str, name: str, reason: str) -> None:
        """Stop an execution; one already over or unknown is a success."""
        ...


class InvocationQueue(Protocol):
    """The queue of invocation ids."""

    def send(self, invocation_id: str, correlation_id: str) -> None:
        """Queue an id."""
        ...

    def hide(self, receipt: str, wait_seconds: int) -> None:
        """Let a received message come back after that many seconds and not before."""
        ...

    def depth(self) -> int:
        """Return about how many messages wait."""
        ...


class Topic(Protocol):
    """The topic that tells people."""

    def publish(self, message: dict[str, Any], *, event: str) -> None:
        """Tell everyone who subscribed."""
        ...


class Journal(Protocol):
    """Structured records and metrics; never a prompt, a completion, a token or a credential."""

    def invocation(self, record: dict[str, Any]) -> None:
        """Write the one record of an invocation, and its metrics."""
        ...

    def reconciled(self, done: Pass) -> None:
        """Write the metrics of a reconciliation."""
        ...

    def fact(self, message: str, **values: Any) -> None:
        """Log a fact: a constant message, values as keys."""
        ...

    def surprise(self, message: str, **values: Any) -> None:
        """Log a surprise survived."""
        ...

    def measure(self, name: str, count: float) -> None:
        """Write one value of a metric of the stack."""
        ...


class KillSwitchPort(Protocol):
    """The kill switch."""

    def read(self) -> KillSwitch:
        """Return the switch as it was at most five seconds ago; one that cannot be read stays on, or says so."""
        ...

    def refresh(self) -> KillSwitch:
        """Return the switch as it is now, and keep it for processes that will not be able to read it."""
        ...

    def write(self, switch: KillSwitch) -> None:
        """Put the switch so."""
        ...


class Notices(Protocol):
    """What people have been told, so that it is told once."""

    def latest(self, subject: str) -> Notice:
        """Return what was told and seen last of a subject."""
        ...

    def note(self, subject: str, notice: Notice) -> None:
        """Keep what was told and seen last of a subject."""
        ...
