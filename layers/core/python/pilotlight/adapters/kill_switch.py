"""The kill switch as a parameter of Systems Manager, which an operator can set by hand when our API is down."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pilotlight.adapters.aws_errors import translated
from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.kill_switch import KillSwitch, read_switch, unreadable

KEPT = timedelta(seconds=5)  # how long a Lambda believes what it read: no switch takes effect later than that


class ParameterSwitch:
    """Implements `ports.KillSwitchPort`: each process reads the parameter at most every five seconds."""

    def __init__(self, client: Callable[[], Any], parameter: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._parameter = parameter
        self._now = now
        self._read: tuple[datetime, KillSwitch] | None = None

    def read(self) -> KillSwitch:
        """Return the switch; one that cannot be read says so, and is no error."""
        now = self._now()
        if self._read is None or not now - self._read[0] < KEPT:
            self._read = (now, self._from_parameter())
        return self._read[1]

    def write(self, switch: KillSwitch) -> None:
        """Put the switch so. Raises: AccessDenied, Throttled, Unavailable."""
        with translated(f"writing {self._parameter}"):
            self._client().put_parameter(Name=self._parameter, Value=switch.written(), Type="String", Overwrite=True)
        self._read = None

    def _from_parameter(self) -> KillSwitch:
        try:
            with translated(f"reading {self._parameter}"):
                found = self._client().get_parameter(Name=self._parameter)["Parameter"]
        except PilotlightError as exc:
            return unreadable(exc.message)
        return read_switch(str(found.get("Value", "")), found.get("LastModifiedDate"))
