"""When windows of local time must be open, found from the offsets of a zone alone.

Written without the code that it judges, and without its means: no conversion from local time to UTC and no `fold`. A
zone is a row of eras, each with one offset; a window of a day is open from the first moment at which its clock shows
the start or more, up to the last moment before which it shows less than the end. Moments are seconds of the epoch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAY = 86_400
WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MIDNIGHT_OF_ORDINAL_0 = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Era:
    """A time in which a zone's clock has one offset from UTC."""

    begins: int
    ends: int
    offset: int


@dataclass(frozen=True)
class Hours:
    """A window as its owner means it: minutes of the day, the end after midnight where it is not after the start."""

    days: tuple[str, ...]
    start: int
    end: int

    @property
    def length(self) -> int:
        """Its minutes on a day without a change of the clock."""
        return self.end - self.start if self.end > self.start else self.end - self.start + 24 * 60


@cache
def eras(zone: str, first: date, last: date) -> tuple[Era, ...]:
    """Return the eras of a zone from one day to another, and a month around them."""
    clock = ZoneInfo(zone)

    def offset(moment: int) -> int:
        shown = datetime.fromtimestamp(moment, UTC).astimezone(clock).utcoffset()
        assert shown is not None
        return int(shown.total_seconds())

    begins = _midnight(first - timedelta(days=30))
    ends = _midnight(last + timedelta(days=30))
    found: list[Era] = []
    for moment in range(begins, ends, DAY):
        if offset(moment) == offset(moment + DAY):
            continue
        low, high = moment, moment + DAY
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append(Era(begins, high, offset(low)))
        begins = high
    return (*found, Era(begins, ends + DAY, offset(ends)))


def open_times(zone: tuple[Era, ...], hours: Hours, first: date, last: date) -> list[tuple[int, int]]:
    """Return when a window is open on its days from one day to another, in order; times that adjoin are one."""
    return united(_each_day(zone, hours, first, last))


def united(times: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return times in order, those that overlap or adjoin as one."""
    merged: list[tuple[int, int]] = []
    for opens, closes in sorted(times):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(closes, merged[-1][1]))
        else:
            merged.append((opens, closes))
    return merged


def _each_day(zone: tuple[Era, ...], hours: Hours, first: date, last: date) -> Iterator[tuple[int, int]]:
    for day in range(first.toordinal(), last.toordinal() + 1):
        if WEEK[(day - 1) % 7] not in hours.days:
            continue
        midnight = (day - _MIDNIGHT_OF_ORDINAL_0) * DAY
        shows_start = midnight + hours.start * 60
        shows_end = shows_start + hours.length * 60
        near = [era for era in zone if era.begins < shows_end + 2 * DAY and era.ends > shows_start - 2 * DAY]
        opens = min(max(era.begins, shows_start - era.offset) for era in near if shows_start - era.offset < era.ends)
        closes = max(min(era.ends, shows_end - era.offset) for era in near if shows_end - era.offset > era.begins)
        yield opens, closes if closes > opens else opens + hours.length * 60


def _midnight(day: date) -> int:
    return (day.toordinal() - _MIDNIGHT_OF_ORDINAL_0) * DAY
