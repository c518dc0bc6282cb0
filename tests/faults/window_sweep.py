"""The real sweep over fakes, minute by minute through the changes of a zone's clock: does it keep to the windows?

It opens a window by waking the model, and closes it by planning no look at it before the next one.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pilotlight.domain.deployment import Status

from tests.faults.wall_clocks import Hours, eras, open_times, united
from tests.faults.window_shapes import SHAPES, at_changes, policy
from tests.faults.window_tally import LATEST, LOST_MINUTES, Tally
from tests.world import World

MINUTE = timedelta(minutes=1)
SWEPT_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk")
CHANGES_OF_A_ZONE = 2
LOST, TWICE = 0.01, 0.1
KEPT = "keep the model warm"  # what a record waits for in an open window


@dataclass
class Seen:
    """When the model was first woken in an open time, and otherwise or twice at once; and when the sweep let it go."""

    woken: dict[tuple[int, int], int] = field(default_factory=dict)
    outside: list[int] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)
    executions: set[str] = field(default_factory=set)
    closed: list[int] = field(default_factory=list)
    keeps: bool = False

    def look(self, world: World, times: Sequence[tuple[int, int]]) -> None:
        """See what a sweep did."""
        second, record = int(world.clock.now().timestamp()), world.deployment()
        begun = {run.name for run in world.executions.running("warm")} - self.executions
        self.executions |= begun
        self.at_once += [second] * (len(begun) - 1)
        if record.wake:
            inside = next((time for time in times if time[0] <= second < time[1]), None)
            if inside:
                self.woken.setdefault(inside, second)
            else:
                self.outside.append(second)
            world.run_wake()
            record = world.deployment()
        if self.keeps and record.next_step != KEPT:
            self.closed.append(second)
        self.keeps = record.next_step == KEPT


def swept_zones(zones: Iterable[str], first: date, last: date, most: int, luck: random.Random) -> list[str]:
    """Give so many of these zones whose clocks change: those with the odd changes always, others by chance."""
    changing = [zone for zone in zones if any(True for _ in at_changes(eras(zone, first, last), first, last))]
    odd = [zone for zone in SWEPT_ZONES if zone in changing][:most]
    others = sorted(set(changing) - set(odd))
    return [*odd, *luck.sample(others, min(most - len(odd), len(others)))]


def sweep_at_changes(tally: Tally, zone: str, first: date, last: date, luck: random.Random) -> None:
    """Let the sweep run through the first changes of a zone's clock: a window made for the change, and a usual one."""
    made = list(at_changes(eras(zone, first, last), first, last))
    for change in sorted({day for day, _ in made})[:CHANGES_OF_A_ZONE]:
        hours = (luck.choice([each for day, each in made if day == change]), luck.choice(SHAPES))
        _sweep(tally, zone, change, hours[: luck.choice((1, 2))], luck)


def _sweep(tally: Tally, zone: str, change: date, hours: Sequence[Hours], luck: random.Random) -> None:
    """Sweep every minute that is not lost, from the day before a change to the day after it, and compare."""
    since = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(hours=18)
    until = since + timedelta(hours=42)
    days = change - timedelta(days=3), change + timedelta(days=3)
    times = united([time for each in hours for time in open_times(eras(zone, *days), each, *days)])
    world = World()
    world.clock.set(since)
    world.bring(Status.SERVING, lease="permanent", keep_warm=policy(zone, *hours))
    seen = Seen()
    tally.windows += len(hours)
    now, lost = since, 0
    while now < until:
        world.clock.set(now)
        lost = lost - 1 if lost else luck.randint(1, LOST_MINUTES - 1) if luck.random() < LOST else 0
        if not lost:
            tally.swept += 1
            for _ in range(1 + (luck.random() < TWICE)):
                world.sweep()
            seen.look(world, times)
        now += MINUTE
    _compare(tally, seen, times, range(int(since.timestamp()) + 1, int(until.timestamp())), f"{zone} swept {hours}")


def _compare(tally: Tally, seen: Seen, times: Sequence[tuple[int, int]], span: range, told: str) -> None:
    """Compare openings with first wakes, and closings with the sweeps that let it go; nobody is woken outside."""
    opened = [woke for (opens, _), woke in seen.woken.items() if opens in span]
    wakes = [*opened, *seen.outside, *seen.at_once]
    last = span.stop - LATEST
    tally.compare(f"{told} opening", (opens for opens, _ in times if opens in span), wakes, last)
    tally.compare(f"{told} closing", (closes for _, closes in times if closes in span), seen.closed, last)
