"""The kill switch: on, off, or not to be read; its truth is one parameter that an operator can set by hand.

The parameter holds JSON, `{"on": true, "reason": "…", "since": "…", "by": "…"}`, or the bare word `on` or `off`.
Anything else counts as on: whoever wrote it wanted to stop something.
"""

import json
from datetime import datetime
from enum import StrEnum

from pydantic import ValidationError

from pilotlight.domain.values import Model, Moment

NOT_UNDERSTOOD = 'the parameter holds neither "on" nor "off" nor JSON with "on": it counts as on'


class Position(StrEnum):
    """What is known of the switch."""

    ON = "on"
    OFF = "off"
    UNREADABLE = "unreadable"


class KillSwitch(Model):
    """The switch as it was read: why it is on, since when, and who put it so, where that is known."""

    position: Position
    reason: str | None = None
    since: Moment | None = None
    by: str | None = None

    @property
    def is_off(self) -> bool:
        """Whether everything may go on."""
        return self.position is Position.OFF

    def __str__(self) -> str:
        """Return it in words."""
        told = f": {self.reason}" if self.reason else ""
        match self.position:
            case Position.ON:
                return f"the kill switch is on{told}"
            case Position.UNREADABLE:
                return f"the kill switch cannot be read{told}"
            case Position.OFF:
                return "the kill switch is off"

    def written(self) -> str:
        """Return what the parameter is to hold."""
        told = self.model_dump(mode="json", include={"reason", "since", "by"}, exclude_none=True)
        return json.dumps({"on": self.position is Position.ON, **told}, sort_keys=True)


class _Stored(Model):
    """The JSON form of the parameter."""

    on: bool
    reason: str | None = None
    since: Moment | None = None
    by: str | None = None


def read_switch(text: str, changed_at: datetime | None) -> KillSwitch:
    """Return the switch that the parameter's text says; `changed_at` is when it was last written."""
    match text.strip().strip('"').lower():
        case "off":
            return KillSwitch(position=Position.OFF, since=changed_at)
        case "on":
            return KillSwitch(position=Position.ON, reason="set by hand", since=changed_at)
    try:
        stored = _Stored.model_validate_json(text)
    except ValidationError:
        return KillSwitch(position=Position.ON, reason=NOT_UNDERSTOOD, since=changed_at)
    return KillSwitch(
        position=Position.ON if stored.on else Position.OFF,
        reason=stored.reason,
        since=stored.since or changed_at,
        by=stored.by,
    )


def unreadable(why: str) -> KillSwitch:
    """Return the switch that could not be read."""
    return KillSwitch(position=Position.UNREADABLE, reason=why)
