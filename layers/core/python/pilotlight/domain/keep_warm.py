"""When a model shall be warm though nobody calls it: never, always, or in windows of a week.

A window is wall-clock time in its own zone, from `start` up to but not including `end`; one that ends at or
before its start runs past midnight. Whether it is open is asked at a moment, never by equality with an
edge: a daylight-saving change can therefore neither skip nor double an edge. A window wholly inside an hour that
the clock skips does not occur that day; one wholly inside an hour that it repeats is open both times.
"""

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from pilotlight.domain.values import Request

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
END_OF_DAY = "24:00"
GRID = timedelta(minutes=30)
SEARCH_DAYS = 9  # a weekly window opens and closes within eight days; one more for a change of the clock


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is not a time zone of the IANA data base: write e.g. Europe/Berlin") from exc
    return name


def expand_days(text: str) -> frozenset[int]:
    """Return the weekdays (Monday 0) that "MON-FRI", "SAT,SUN", "FRI-MON" or "*" names.

    Raises: ValueError, naming the form.
    """
    if text == "*":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.upper().split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f'{text!r} is not a set of days: write "MON-FRI", "SAT,SUN" or "*"')
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def _time_of(edge: str) -> time:
    return time(0) if edge == END_OF_DAY else time.fromisoformat(edge)


TimeOfDay = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class Window(Request):
    """One weekly window: days, start and end (HH:MM) in an IANA time zone."""

    days: str = "*"
    start: TimeOfDay
    end: TimeOfDay
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"

    @field_validator("days")
    @classmethod
    def _days_are_known(cls, text: str) -> str:
        expand_days(text)
        return text.upper()

    def is_open(self, now: datetime) -> bool:
        """Say whether the window is open at this moment."""
        local = now.astimezone(ZoneInfo(self.timezone))
        minute = f"{local:%H:%M}"
        days = expand_days(self.days)
        if self.start < self.end:
            return local.weekday() in days and self.start <= minute < self.end
        began_today = local.weekday() in days and minute >= self.start
        began_yesterday = (local.weekday() - 1) % 7 in days and minute < self.end
        return began_today or began_yesterday


class Policy(StrEnum):
    """Who decides when the model is warm: its callers, its windows, or nobody (it always is)."""

    NONE = "none"
    WINDOW = "window"
    ALWAYS = "always"


class KeepWarm(Request):
    """A policy and its windows; windows go with the policy `window` and only with it."""

    policy: Policy = Policy.NONE
    windows: tuple[Window, ...] = Field(default=(), max_length=32)

    @model_validator(mode="after")
    def _windows_fit_policy(self) -> Self:
        if (self.policy is Policy.WINDOW) != bool(self.windows):
            raise ValueError('windows belong to the policy "window": give at least one with it, and none otherwise')
        return self

    def wants_warm(self, now: datetime) -> bool:
        """Say whether the model shall be warm at this moment."""
        match self.policy:
            case Policy.ALWAYS:
                return True
            case Policy.NONE:
                return False
            case Policy.WINDOW:
                return any(window.is_open(now) for window in self.windows)

    def next_opening(self, now: datetime) -> datetime | None:
        """Return the next moment after now at which the model begins to be wanted warm, to the minute."""
        return self._next(now, opening=True)

    def next_closing(self, now: datetime) -> datetime | None:
        """Return the next moment after now at which it stops being wanted, to the minute."""
        return self._next(now, opening=False)

    def _next(self, now: datetime, *, opening: bool) -> datetime | None:
        wanted = self.wants_warm(now)
        for moment in self._turning_points(now):
            was, wanted = wanted, self.wants_warm(moment)
            if wanted is opening and was is not opening:
                return moment
        return None

    def _turning_points(self, now: datetime) -> list[datetime]:
        """Return every moment after now at which the answer of `wants_warm` may change, in order.

        Each window's edges on each day, read both ways where a clock change makes them ambiguous, and every half
        hour: an edge inside a skipped hour takes effect when the clock jumps, which is at a half hour of UTC.
        """
        if self.policy is not Policy.WINDOW:
            return []
        half_hour = now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0)
        moments = {half_hour + step * GRID for step in range(1, SEARCH_DAYS * 48)}
        for window in self.windows:
            zone = ZoneInfo(window.timezone)
            today = now.astimezone(zone).date()
            for day in range(-1, SEARCH_DAYS):
                for edge in (window.start, window.end):
                    local = datetime.combine(today + timedelta(days=day), _time_of(edge))
                    local += timedelta(days=edge == END_OF_DAY)
                    moments |= {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        return sorted(moment for moment in moments if moment > now)
