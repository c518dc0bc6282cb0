"""Is every keep-warm window of every zone opened once and closed once, though the sweep comes late, or twice?

The real record decides (`wants_warm`, `next_look`) in every zone of the IANA data base, through years of changes of
the clock, in windows of all kinds, and in windows made to break at the zone's own changes. A sweep in ten is lost for
up to ten minutes, and one in ten comes twice. What it did is compared with `wall_clocks`, which knows nothing of it.
The real sweep over fakes does the same for a sample of zones.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import resources

from pilotlight.domain.deployment import Deployment

from tests.factories import a_serving_deployment
from tests.faults.wall_clocks import Era, Hours, eras, open_times
from tests.faults.window_shapes import AROUND, SHAPES, at_changes, policy
from tests.faults.window_sweep import sweep_at_changes, swept_zones
from tests.faults.window_tally import LATEST, LOST_MINUTES, Tally

PROBES = 6  # moments of each window at which nothing happens, half of them while it is open
BEGINS = date(2026, 11, 21)
MINUTE = timedelta(minutes=1)
LOST, TWICE = 0.1, 0.1
MOST_SWEPT = 20  # zones: of the two hundred and more whose clocks change


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


def all_zones() -> list[str]:
    """Return the names of every zone of the IANA data base."""
    return resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()


def run(years: int = 3, seed: int = 1, zones: Iterable[str] | None = None, most_swept: int = MOST_SWEPT) -> Schedules:
    """Look after windows in these zones, or in all, for so many years; the seed decides what is lost and chosen.

    So many zones are gone through by the real sweep, too.
    """
    names = list(zones) if zones is not None else all_zones()
    last = BEGINS + timedelta(days=round(365.25 * years))
    tally = Tally()
    for name in names:
        luck = random.Random(f"{seed} {name}")
        clock = eras(name, BEGINS, last)
        _watch(tally, name, clock, luck.choice(SHAPES), (BEGINS, last), luck)
        for change, hours in at_changes(clock, BEGINS, last):
            _watch(tally, name, clock, hours, (change - AROUND, change + AROUND), luck)
    for name in swept_zones(names, BEGINS, last, most_swept, random.Random(f"{seed} zones")):
        sweep_at_changes(tally, name, BEGINS, last, random.Random(f"{seed} sweep {name}"))
    return Schedules(
        zones=len(names),
        windows=tally.windows,
        looks=tally.looks,
        missed=tally.missed,
        doubled=tally.doubled,
        swept=tally.swept,
        examples=tuple(tally.examples[:10]),
    )


def _watch(
    tally: Tally, zone: str, clock: tuple[Era, ...], hours: Hours, days: tuple[date, date], luck: random.Random
) -> None:
    """Follow one window from one day to another, and compare."""
    since, until = (int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in days)
    times = open_times(clock, hours, days[0] - timedelta(days=3), days[1] + timedelta(days=3))
    confirmed = {"keep_warm_until": datetime.fromtimestamp(until, UTC) + AROUND, "keep_warm_warned": True}
    record = a_serving_deployment(keep_warm=policy(zone, hours), lease="permanent", **confirmed)
    wakes, stops, looks = _follow(record, since, until, luck)
    told = f"{zone} {','.join(hours.days)} {hours.start}-{hours.end}"
    tally.windows += 1
    tally.looks += looks
    inside = range(since + 1, until)
    tally.compare(f"{told} opening", (opens for opens, _ in times if opens in inside), wakes, until - LATEST)
    tally.compare(f"{told} closing", (closes for _, closes in times if closes in inside), stops, until - LATEST)

    for moment in _moments(times, inside, luck):
        is_open = any(opens <= moment < closes for opens, closes in times)
        wanted = record.wants_warm(datetime.fromtimestamp(moment, UTC))
        tally.probe(told, moment, inside=is_open, wanted=wanted)


def _moments(times: list[tuple[int, int]], span: range, luck: random.Random) -> Iterator[int]:
    """Yield moments at random, half of them in open times: what the record says there, no look of its own asks."""
    whole = [time for time in times if time[0] in span and time[1] in span]
    for _ in range(PROBES // 2):
        yield luck.choice(span)
        if whole:
            yield luck.randrange(*luck.choice(whole))


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
