"""When a schedule expression of EventBridge is due: rate(…), cron(… six fields …) and at(…)."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_FURTHEST_DAYS = 366 * 8


class InvalidScheduleError(ValueError):
    """The expression is none that EventBridge takes."""


@dataclass(frozen=True)
class Rate:
    """Due every so often, counted from when the schedule began."""

    period: timedelta

    def after(self, moment: datetime, *, began: datetime) -> datetime | None:
        """Give the first time after the moment."""
        passed = max(0, (moment - began) // self.period + 1)
        return began + passed * self.period


@dataclass(frozen=True)
class Once:
    """Due at one moment."""

    at: datetime

    def after(self, moment: datetime, *, began: datetime) -> datetime | None:
        """Give the moment, while it has not passed or passed before the schedule was there to see it."""
        return self.at if self.at > moment or moment < began else None


@dataclass(frozen=True)
class Cron:
    """Due at the minutes that six fields describe, in a time zone.

    A local time that a change of the clocks leaves out is not due; one that comes twice is due once.
    Source: EventBridge Scheduler user guide, "Schedule types".
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]
    zone: ZoneInfo

    def after(self, moment: datetime, *, began: datetime) -> datetime | None:  # noqa: ARG002
        """Give the first due time after the moment; None if there is none within eight years."""
        local = moment.astimezone(self.zone)
        for offset in range(_FURTHEST_DAYS):
            day = local.date() + timedelta(days=offset)
            if not self._has(day):
                continue
            for due in self._times(day):
                if due > moment:
                    return due
        return None

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                due = datetime.combine(day, time(hour, minute), self.zone).astimezone(UTC)
                if due.astimezone(self.zone).time() == time(hour, minute):
                    yield due

    def _has(self, day: date) -> bool:
        if day.year not in self.years or day.month not in self.months:
            return False
        if self.day_of_month == "?":
            return _is_weekday(self.day_of_week, day)
        return _is_day_of_month(self.day_of_month, day)


Schedule = Rate | Once | Cron


def parse_schedule(expression: str, zone: str = "UTC") -> Schedule:
    """Give when an expression is due. Raises: InvalidScheduleError, saying what was found."""
    kind, _, body = expression.strip().rstrip(")").partition("(")
    try:
        match kind:
            case "rate":
                number, unit = body.split()
                return Rate(int(number) * _UNITS[unit.removesuffix("s")])
            case "at":
                return Once(datetime.fromisoformat(body).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))
            case "cron":
                return _cron(body, ZoneInfo(zone))
    except (ValueError, KeyError) as exc:
        raise InvalidScheduleError(f"{expression!r} is not a schedule: {exc}.") from exc
    raise InvalidScheduleError(f"{expression!r} is neither rate(…), cron(…) nor at(…).")


def _cron(body: str, zone: ZoneInfo) -> Cron:
    minutes, hours, day_of_month, months, day_of_week, years = body.upper().split()
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ValueError("exactly one of day-of-month and day-of-week is '?'")
    return Cron(
        minutes=_numbers(minutes, 0, 59),
        hours=_numbers(hours, 0, 23),
        day_of_month=day_of_month,
        months=_numbers(months, 1, 12, _MONTHS),
        day_of_week=day_of_week,
        years=_numbers(years, 1970, 2199),
        zone=zone,
    )


def _numbers(field: str, lowest: int, highest: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """Give the numbers that a field such as 0,15-20,30/5 or MON-FRI stands for."""

    def number(word: str) -> int:
        value = (names or {}).get(word) or int(word)
        if not lowest <= value <= highest:
            raise ValueError(f"{word} is not between {lowest} and {highest}")
        return value

    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = lowest if first in ("*", "?") else number(first)
        end = number(last) if last else highest if step or first in ("*", "?") else start
        wrapped = range(start, end + 1) if start <= end else [*range(start, highest + 1), *range(lowest, end + 1)]
        found.update(list(wrapped)[:: int(step or 1)])
    return frozenset(found)


def _is_day_of_month(field: str, day: date) -> bool:
    """Tell a day by numbers, by L (the month's last) or by nW (the weekday nearest the n-th)."""
    last = monthrange(day.year, day.month)[1]
    if field == "L":
        return day.day == last
    if near := re.fullmatch(r"(\d+|L)W", field):
        wanted = day.replace(day=last if near[1] == "L" else min(int(near[1]), last))
        shift = {5: -1 if wanted.day > 1 else 2, 6: 1 if wanted.day < last else -2}.get(wanted.weekday(), 0)
        return day == wanted + timedelta(days=shift)
    return day.day in _numbers(field, 1, 31)


def _is_weekday(field: str, day: date) -> bool:
    """Tell a day by 1–7 or SUN–SAT, by nL (the month's last such day) or by n#k (its k-th)."""
    number = day.isoweekday() % 7 + 1
    if last := re.fullmatch(r"(\w+)L", field):
        return number in _numbers(last[1], 1, 7, _DAYS) and day.day + 7 > monthrange(day.year, day.month)[1]
    if nth := re.fullmatch(r"(\w+)#(\d)", field):
        return number in _numbers(nth[1], 1, 7, _DAYS) and (day.day - 1) // 7 + 1 == int(nth[2])
    return number in _numbers(field, 1, 7, _DAYS)
