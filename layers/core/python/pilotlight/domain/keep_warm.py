"""When a model shall be warm though nobody calls it: never, always, or in windows of a week.

A window is wall-clock time in its own zone, from `start` up to but not including `end`; one that ends at or
before its start runs past midnight. It occurs once on each of its days, as one stretch of time: where the clock
repeats an edge it opens at the first and closes at the last, where the clock skips an edge it opens or closes at the
jump, and where the clock skips all of it, it opens at the jump for as long as it is long. Whether it is open is asked
at a moment, never by equality with an edge: what is asked late, twice or not at all is answered the same.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from pilotlight.domain.values import Request
from pilotlight.domain.wall_clock import closing, known_zone, opening

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
END_OF_DAY = "24:00"
DAY = timedelta(days=1)
SEARCH = 9 * DAY  # a weekly window opens and closes within eight days; one more for a change of the clock


@lru_cache(maxsize=256)
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


class Stretch(NamedTuple):
    """Time without a gap, from `opens` up to but not including `closes`."""

    opens: datetime
    closes: datetime


@lru_cache(maxsize=4096)  # a sweep asks after the same few days of the same windows every minute
def _occurrence(start: str, end: str, zone: ZoneInfo, day: date) -> Stretch:
    starts = datetime.combine(day, time.fromisoformat(start))
    if end == END_OF_DAY:
        ends = datetime.combine(day, time(0)) + DAY
    else:
        ends = datetime.combine(day, time.fromisoformat(end)) + DAY * (end <= start)
    opens, closes = opening(starts, zone), closing(ends, zone)
    return Stretch(opens, closes if closes > opens else opens + (ends - starts))


# Digits are written out: `\d` would take those of every script, which no clock reads.
TIME_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
TimeOfDay = Annotated[str, Field(pattern=TIME_PATTERN)]
_DAY = f"({'|'.join(DAYS)})(-({'|'.join(DAYS)}))?"


class Window(Request):
    """One weekly window: days, start and end (HH:MM) in an IANA time zone."""

    days: Annotated[str, Field(json_schema_extra={"pattern": rf"^(\*|{_DAY}(,{_DAY})*)$"})] = "*"
    start: Annotated[TimeOfDay, Field(json_schema_extra={"not": {"const": END_OF_DAY}})]
    end: TimeOfDay
    timezone: Annotated[str, AfterValidator(known_zone)] = "UTC"

    @field_validator("days")
    @classmethod
    def _days_are_known(cls, text: str) -> str:
        expand_days(text)
        return text.upper()

    @field_validator("start")
    @classmethod
    def _start_is_on_its_day(cls, text: str) -> str:
        if text == END_OF_DAY:
            raise ValueError('24:00 is where a window ends: one that starts then starts at "00:00" of the next day')
        return text

    def is_open(self, now: datetime) -> bool:
        """Say whether the window is open at this moment."""
        return any(opens <= now < closes for opens, closes in self.occurrences(now, now))

    def occurrences(self, since: datetime, until: datetime) -> Iterator[Stretch]:
        """Give the stretches of its days from one moment to another, in order, with a few before and after."""
        zone = ZoneInfo(self.timezone)
        days = expand_days(self.days)
        day = since.astimezone(zone).date() - 2 * DAY
        last = until.astimezone(zone).date() + DAY
        while day <= last:
            if day.weekday() in days:
                yield _occurrence(self.start, self.end, zone, day)
            day += DAY


class Policy(StrEnum):
    """Who decides when the model is warm: its callers, its windows, or nobody (it always is)."""

    NONE = "none"
    WINDOW = "window"
    ALWAYS = "always"


class KeepWarm(Request):
    """A policy and its windows; windows go with the policy `window` and only with it."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"properties": {"policy": {"enum": ["none", "always"]}, "windows": {"maxItems": 0}}},
                {
                    "required": ["policy", "windows"],
                    "properties": {"policy": {"const": "window"}, "windows": {"minItems": 1}},
                },
            ]
        }
    )

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
        """Return the next moment after now at which the model begins to be wanted warm."""
        return next((stretch.opens for stretch in self._stretches(now) if stretch.opens > now), None)

    def next_closing(self, now: datetime) -> datetime | None:
        """Return the next moment after now at which it stops being wanted; None where its windows never do."""
        closings = (stretch.closes for stretch in self._stretches(now) if stretch.closes > now)
        closing = next(closings, None)
        return closing if closing and closing <= now + SEARCH else None

    def _stretches(self, now: datetime) -> list[Stretch]:
        """Return when any window is open, in order; windows that adjoin or overlap make one stretch."""
        if self.policy is not Policy.WINDOW:
            return []
        merged: list[Stretch] = []
        for opens, closes in sorted(each for window in self.windows for each in window.occurrences(now, now + SEARCH)):
            if merged and opens <= merged[-1].closes:
                merged[-1] = Stretch(merged[-1].opens, max(closes, merged[-1].closes))
            else:
                merged.append(Stretch(opens, closes))
        return merged
