"""Is every keep-warm window of every zone opened once and closed once, though the sweep comes late, or twice?

The real record decides (`wants_warm`, `next_look`) in every zone of the IANA data base, through years of changes of
the clock, in windows of all kinds, and in windows made to break at the zone's own changes. A sweep in ten is lost for
up to ten minutes, and one in ten comes twice. What it did is compared with `wall_clocks`, which knows nothing of it.
The real sweep over fakes does the same for a sample of zones.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from itertools import pairwise

from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.keep_warm import KeepWarm, Policy, Window

from tests.factories import a_serving_deployment
from tests.faults.wall_clocks import WEEK, Era, Hours, eras, open_times
from tests.world import World

BEGINS = date(2026, 11, 21)
MINUTE = timedelta(minutes=1)
LOST_MINUTES = 10
LATEST = (LOST_MINUTES + 1) * 60  # seconds after an edge at which the sweep has seen it, whatever was lost
LOST, TWICE = 0.1, 0.1
AROUND = timedelta(days=8)
SWEPT_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk")


@dataclass(frozen=True)
class Schedules:
    """What was looked at, and what went wrong: edges that nobody saw, and wakes or stops without an edge of theirs.

    `swept` counts the minutes of the real sweep. `examples` tells the first few faults.
    """

    zones: int
    windows: int
    looks: int
    missed: int
    doubled: int
    swept: int = 0
    examples: tuple[str, ...] = ()


@dataclass
class Tally:
    """Counts while windows are followed."""

    windows: int = 0
    looks: int = 0
    missed: int = 0
    doubled: int = 0
    swept: int = 0
    examples: list[str] = field(default_factory=list)

    def compare(self, told: str, edges: Iterable[int], turns: Iterable[int], until: int) -> None:
        """Count edges without a turn in their first minutes, and turns that are not the only one of an edge.

        An edge after `until` may be seen after the last look.
        """
        seen: dict[int, int] = dict.fromkeys(edges, 0)
        ordered = sorted(seen)
        for turn in turns:
            edge = next((each for each in reversed(ordered) if each <= turn), None)
            if edge is None or turn - edge > LATEST or seen[edge]:
                self.doubled += 1
                self.examples.append(f"{told}: doubled at {_iso(turn)}")
            else:
                seen[edge] += 1
        for edge, turned in seen.items():
            if not turned and edge < until:
                self.missed += 1
                self.examples.append(f"{told}: missed at {_iso(edge)}")


def all_zones() -> list[str]:
    """Return the names of every zone of the IANA data base."""
    return resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()


def run(years: int = 3, seed: int = 1, zones: Iterable[str] | None = None) -> Schedules:
    """Look after windows in these zones, or in all, for so many years; the seed decides what is lost and chosen."""
    names = list(zones) if zones is not None else all_zones()
    last = BEGINS + timedelta(days=round(365.25 * years))
    tally = Tally()
    for name in names:
        luck = random.Random(f"{seed} {name}")
        clock = eras(name, BEGINS, last)
        _watch(tally, name, clock, luck.choice(SHAPES), (BEGINS, last), luck)
        for change, hours in _at_changes(clock, BEGINS, last):
            _watch(tally, name, clock, hours, (change - AROUND, change + AROUND), luck)
    for name in [name for name in SWEPT_ZONES if name in names]:
        _sweep_at_changes(tally, name, last, random.Random(f"{seed} sweep {name}"))
    return Schedules(
        zones=len(names),
        windows=tally.windows,
        looks=tally.looks,
        missed=tally.missed,
        doubled=tally.doubled,
        swept=tally.swept,
        examples=tuple(tally.examples[:10]),
    )


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


def _at_changes(clock: tuple[Era, ...], first: date, last: date) -> Iterator[tuple[date, Hours]]:
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


def _watch(
    tally: Tally, zone: str, clock: tuple[Era, ...], hours: Hours, days: tuple[date, date], luck: random.Random
) -> None:
    """Follow one window from one day to another, and compare."""
    since, until = (int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in days)
    times = open_times(clock, hours, days[0] - timedelta(days=3), days[1] + timedelta(days=3))
    confirmed = {"keep_warm_until": datetime.fromtimestamp(until, UTC) + AROUND, "keep_warm_warned": True}
    record = a_serving_deployment(keep_warm=_policy(zone, hours), lease="permanent", **confirmed)
    wakes, stops, looks = _follow(record, since, until, luck)
    told = f"{zone} {','.join(hours.days)} {hours.start}-{hours.end}"
    tally.windows += 1
    tally.looks += looks
    inside = range(since + 1, until)
    tally.compare(f"{told} opening", (opens for opens, _ in times if opens in inside), wakes, until - LATEST)
    tally.compare(f"{told} closing", (closes for _, closes in times if closes in inside), stops, until - LATEST)


def _follow(record: Deployment, since: int, until: int, luck: random.Random) -> tuple[list[int], list[int], int]:
    """Return when sweeps woke the model and when they let it go, and how many looks that took.

    While a window is open the record asks to be looked at every minute: of these only the first, the one before the
    window closes, and those after it are made.
    """
    wakes: list[int] = []
    stops: list[int] = []
    looks = 0
    now = datetime.fromtimestamp(since, UTC)
    awake = record.wants_warm(now)
    while now.timestamp() < until:
        for _ in range(1 + (luck.random() < TWICE)):
            looks += 1
            wanted = record.wants_warm(now)
            if wanted != awake:
                (wakes if wanted else stops).append(int(now.timestamp()))
                awake = wanted
        look = record.next_look(now)
        if look is None:
            break
        due, _ = look
        if awake:
            assert due == now + MINUTE, "a model that is wanted is looked after every minute"
            closes = record.keep_warm.next_closing(now)
            due = max(due, closes - MINUTE) if closes else datetime.fromtimestamp(until, UTC)
        now = _next_sweep(due, luck)
    return wakes, stops, looks


def _next_sweep(due: datetime, luck: random.Random) -> datetime:
    """Return when the sweep comes that sees what is due: at a whole minute, or after those that are lost."""
    on_the_minute = due.replace(second=0, microsecond=0)
    sweep = on_the_minute if on_the_minute == due else on_the_minute + MINUTE
    return sweep + (luck.randint(1, LOST_MINUTES - 1) * MINUTE if luck.random() < LOST else timedelta(0))


def _policy(zone: str, *windows: Hours) -> KeepWarm:
    return KeepWarm(
        policy=Policy.WINDOW,
        windows=tuple(
            Window(days=",".join(hours.days), start=_time(hours.start), end=_time(hours.end), timezone=zone)
            for hours in windows
        ),
    )


def _sweep_at_changes(tally: Tally, zone: str, last: date, luck: random.Random) -> None:
    """Let the real sweep run through the first two changes of a zone's clock, minute by minute."""
    clock = eras(zone, BEGINS, last)
    changes = sorted({day for day, _ in _at_changes(clock, BEGINS, last)})[:2]
    for change in changes:
        hours = luck.choice([each for day, each in _at_changes(clock, BEGINS, last) if day == change])
        since = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(hours=18)
        until = since + timedelta(hours=42)
        times = open_times(clock, hours, change - timedelta(days=3), change + timedelta(days=3))
        world = World()
        world.clock.set(since)
        world.bring(Status.SERVING, lease="permanent", keep_warm=_policy(zone, hours))
        tally.windows += 1
        _sweep(tally, world, (since, until), times, f"{zone} swept {change} {hours}", luck)


def _sweep(
    tally: Tally,
    world: World,
    span: tuple[datetime, datetime],
    times: list[tuple[int, int]],
    told: str,
    luck: random.Random,
) -> None:
    """Sweep every minute that is not lost; in each open time the model is woken, outside nobody wakes it."""
    since, until = span
    woken: dict[tuple[int, int], int] = {}
    outside: list[int] = []
    now, lost = since, 0
    while now < until:
        world.clock.set(now)
        lost = lost - 1 if lost else luck.randint(1, LOST_MINUTES - 1) if luck.random() < LOST / 10 else 0
        if not lost:
            tally.swept += 1
            for _ in range(1 + (luck.random() < TWICE)):
                world.sweep()
            if world.deployment().wake:
                second = int(now.timestamp())
                inside = next((time for time in times if time[0] <= second < time[1]), None)
                if inside:
                    woken.setdefault(inside, second)
                else:
                    outside.append(second)
                world.run_wake()
        now += MINUTE
    begun = range(int(since.timestamp()) + 1, int(until.timestamp()))
    turns = [*(woke for (opens, _), woke in woken.items() if opens in begun), *outside]
    tally.compare(told, (opens for opens, _ in times if opens in begun), turns, begun.stop - LATEST)


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
