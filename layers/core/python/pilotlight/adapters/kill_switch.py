"""The kill switch as a parameter of Systems Manager, which an operator can set by hand when our API is down.

A runaway throttles the very service that holds the switch. So a switch that was seen on stays on until it is read as
off: each process remembers it, and the table keeps what the sweep read, for a process that has read nothing yet.

No template owns the parameter: whoever turns the switch first makes it, and until then it is off.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from pilotlight.adapters.aws_errors import translated
from pilotlight.adapters.table import META, Table
from pilotlight.domain.errors import PilotlightError, Terminal
from pilotlight.domain.kill_switch import KillSwitch, Position, read_switch, unreadable

KEPT = timedelta(seconds=5)  # how long a Lambda believes what it read: no switch takes effect later than that
KEY = "SWITCH"
ABSENT = "ParameterNotFound"


class Mirror(Protocol):
    """Where the switch is kept for those who cannot read it."""

    def read(self) -> KillSwitch | None:
        """Return the switch as it was kept last, None before the first time."""
        ...

    def keep(self, switch: KillSwitch) -> None:
        """Keep the switch."""
        ...


class SwitchMirror:
    """Implements `Mirror`: one item of the table, written only where the switch is another one than is kept."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> KillSwitch | None:
        """Return the switch as it was kept last, None before the first time."""
        item = self._table.get(KEY)
        return read_switch(str(item.get("text", "")), None) if item else None

    def keep(self, switch: KillSwitch) -> None:
        """Keep the switch."""
        if (self._table.get(KEY) or {}).get("text") != switch.written():
            self._table.put({"pk": KEY, "sk": META, "text": switch.written()})


class ParameterSwitch:
    """Implements `ports.KillSwitchPort`: each process reads the parameter at most every five seconds."""

    def __init__(
        self, client: Callable[[], Any], parameter: str, mirror: Callable[[], Mirror], now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._parameter = parameter
        self._mirror = mirror
        self._now = now
        self._read: tuple[datetime, KillSwitch] | None = None
        self._known: KillSwitch | None = None

    def read(self) -> KillSwitch:
        """Return the switch; one that cannot be read stays on if it was, says so otherwise, and is no error."""
        if self._read and self._now() - self._read[0] < KEPT:
            return self._read[1]
        return self._look()

    def refresh(self) -> KillSwitch:
        """Return the switch as it is now, and keep it for processes that will not be able to read it."""
        return self._look(keep=True)

    def write(self, switch: KillSwitch) -> None:
        """Put the switch so. Raises: AccessDenied, Throttled, Unavailable."""
        self._read = None
        with translated(f"writing {self._parameter}"):
            self._client().put_parameter(Name=self._parameter, Value=switch.written(), Type="String", Overwrite=True)
        self._known = switch
        self._keep(switch)

    def _look(self, *, keep: bool = False) -> KillSwitch:
        try:
            switch = self._known = self._from_parameter()
        except PilotlightError as exc:
            switch = self._last_known() or unreadable(exc.message)
        else:
            if keep:
                self._keep(switch)
        self._read = (self._now(), switch)
        return switch

    def _from_parameter(self) -> KillSwitch:
        """Return the switch as it is; without a parameter nobody has turned it on yet. Raises: PilotlightError."""
        try:
            with translated(f"reading {self._parameter}"):
                found = self._client().get_parameter(Name=self._parameter)["Parameter"]
        except Terminal as exc:
            if exc.detail.get("aws_code") == ABSENT:
                return KillSwitch(position=Position.OFF)
            raise
        return read_switch(str(found.get("Value", "")), found.get("LastModifiedDate"))

    def _last_known(self) -> KillSwitch | None:
        """Return the switch where it was on when this process, or the sweep, read it last."""
        if self._known and self._known.position is Position.ON:
            return self._known
        with suppress(PilotlightError):
            kept = self._mirror().read()
            return kept if kept and kept.position is Position.ON else None
        return None

    def _keep(self, switch: KillSwitch) -> None:
        with suppress(PilotlightError):  # the sweep keeps it within a minute
            self._mirror().keep(switch)
