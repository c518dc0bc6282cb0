"""How long a deployment may live: a duration such as "8h", or "permanent", which must be said."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from pilotlight.domain.values import Model, Moment

PERMANENT = "permanent"
DEFAULT_LEASE = "72h"
LONGEST = timedelta(days=365)
WARNING_SHARE = 0.1  # the owner is told when a tenth of the lease is left …
EARLIEST_WARNING = timedelta(hours=6)  # … but not more than six hours before its end

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_FORM = re.compile(r"^(?P<count>[1-9][0-9]{0,5})(?P<unit>[mhd])$")


def duration_of(text: str) -> timedelta | None:
    """Return the duration that "90m", "8h" or "3d" names, however long, or None where it names none."""
    match = _FORM.fullmatch(text)
    return int(match["count"]) * _UNITS[match["unit"]] if match else None


def parse_duration(text: str) -> timedelta:
    """Return the duration that "90m", "8h" or "3d" names, of a year at the most.

    Raises: ValueError, naming the form.
    """
    duration = duration_of(text)
    if duration is None:
        raise ValueError(f'{text!r} is not a duration: write minutes, hours or days, such as "90m", "8h" or "3d"')
    if duration > LONGEST:
        raise ValueError(f'{text!r} is longer than a year: say "permanent" if it shall never end')
    return duration


def _check(text: str) -> str:
    if text != PERMANENT:
        parse_duration(text)
    return text


LeaseTerm = Annotated[
    str, AfterValidator(_check), Field(json_schema_extra={"pattern": f"^({PERMANENT}|[1-9][0-9]{{0,5}}[mhd])$"})
]
"""What a user says: "90m", "8h", "3d" or "permanent"."""


class Lease(Model):
    """A term and the moment it ends; a permanent lease has no end."""

    term: LeaseTerm = DEFAULT_LEASE
    ends_at: Moment | None = None
    warned: bool = False

    def model_post_init(self, _context: Any) -> None:
        """Refuse a permanent lease that ends, and a term that does not."""
        if (self.term == PERMANENT) != (self.ends_at is None):
            raise ValueError("a lease has an end exactly when its term is not permanent")

    def has_ended(self, now: datetime) -> bool:
        """Say whether the deployment must go."""
        return self.ends_at is not None and now >= self.ends_at

    @property
    def warn_at(self) -> datetime | None:
        """When the owner is told that the end is near; None for a permanent lease."""
        if self.ends_at is None:
            return None
        return self.ends_at - min(parse_duration(self.term) * WARNING_SHARE, EARLIEST_WARNING)

    def __str__(self) -> str:
        """Return the term as the user said it."""
        return self.term


def lease_from(term: LeaseTerm, now: datetime) -> Lease:
    """Return a lease of that term that begins now."""
    return Lease(term=term, ends_at=None if term == PERMANENT else now + parse_duration(term))
