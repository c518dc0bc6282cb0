"""Windows as people write them, and such as are made for a zone's own changes of the clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from pilotlight.domain.keep_warm import KeepWarm, Policy, Window

from tests.faults.wall_clocks import WEEK, Era, Hours

AROUND = timedelta(days=8)

SHAPES = (
    Hours(WEEK[:5], 9 * 60, 18 * 60),
    Hours(("FRI", "SAT"), 22 * 60, 6 * 60),  # through midnight
    Hours(("SUN",), 9 * 60, 9 * 60),  # a whole day, from morning to morning
    Hours(("MON", "THU"), 0, 24 * 60),
    Hours(("WED", "SUN"), 23 * 60 + 30, 30),
    Hours(WEEK, 30, 3 * 60 + 30),
    Hours(("SAT", "SUN", "MON"), 60, 2 * 60),
    Hours(("TUE",), 6 * 60, 5 * 60 + 30),  # nearly a whole day, through midnight
)


def at_changes(clock: tuple[Era, ...], first: date, last: date) -> Iterator[tuple[date, Hours]]:
    """Give windows that begin, end, or lie inside what the clock skips or repeats, and around it."""
    for before, after in pairwise(clock):
        low, high = sorted((after.begins + before.offset, after.begins + after.offset))
        changes = datetime.fromtimestamp(low, UTC)
        if not first + AROUND < changes.date() < last - AROUND:
            continue
        begin, length = changes.hour * 60 + changes.minute, (high - low) // 60
        middle, third = begin + length // 2, begin + length // 3
        for start, end in (
            (middle, begin + 240),
            (begin - 120, middle),
            (begin, begin + length),
            (third, third + max(length // 3, 15)),
            (begin - 30, begin + length + 30),
            (begin + length, begin + 180),
            (begin - 120, begin),
            (middle, middle),
        ):
            yield changes.date(), Hours(WEEK if start != end else ("SUN",), start % 1440, end % 1440 or 1440)


def policy(zone: str, *windows: Hours) -> KeepWarm:
    """Give the policy of a model that is wanted warm in these windows."""
    return KeepWarm(
        policy=Policy.WINDOW,
        windows=tuple(
            Window(days=_days(hours.days), start=_time(hours.start), end=_time(hours.end), timezone=zone)
            for hours in windows
        ),
    )


def _days(days: tuple[str, ...]) -> str:
    """Give days as people write them: all of them, from one to another (past Sunday, too), or one by one."""
    if len(days) == len(WEEK):
        return "*"
    first = next((day for day in days if WEEK[WEEK.index(day) - 1] not in days), days[0])
    run = [WEEK[(WEEK.index(first) + step) % len(WEEK)] for step in range(len(days))]
    return f"{run[0]}-{run[-1]}" if len(run) > 1 and set(run) == set(days) else ",".join(days)


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
