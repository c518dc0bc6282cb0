"""In every zone, through every change of its clock, a window is opened once and closed once."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.keep_warm import Window

from tests.faults.mutating import Mutant, mutated
from tests.faults.schedules import BEGINS, all_zones, run
from tests.faults.wall_clocks import WEEK, Hours, eras, open_times
from tests.faults.window_sweep import SWEPT_ZONES, Seen, sweep_at_changes
from tests.faults.window_tally import LATEST, Tally
from tests.world import World

SLEEPS_AT_NOON = Mutant(
    "sleeps at noon",
    "",
    "domain.deployment:Deployment.wants_warm",
    "return self.keep_warm.wants_warm(now) and",
    "return now.hour not in (11, 12, 13) and self.keep_warm.wants_warm(now) and",
    (),
)
WITH_CHANGES = (*SWEPT_ZONES, "Africa/Cairo", "America/Havana", "Asia/Beirut", "Pacific/Chatham")


def test_no_window_is_missed_or_doubled_where_clocks_change():
    looked = run(years=1, zones=WITH_CHANGES, most_swept=5)

    assert (looked.missed, looked.doubled) == (0, 0), looked.examples
    assert looked.windows > 100
    assert looked.swept > 20_000


def test_every_zone_of_the_data_base_is_one_that_a_window_may_name():
    for zone in all_zones():
        assert Window(start="09:00", end="18:00", timezone=zone).timezone == zone


CHANGES = [
    ("Europe/Berlin", "2027-03-28"),
    ("Europe/Berlin", "2027-10-31"),
    ("Australia/Lord_Howe", "2027-04-04"),
    ("Africa/Casablanca", "2027-02-07"),
    ("America/Nuuk", "2027-03-27"),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize(("start", "end"), [(60, 150), (120, 180), (135, 600), (1380, 15), (30, 1440)])
def test_what_the_windows_are_compared_with_is_true_to_the_clock_on_the_wall_at_every_minute(zone, day, start, end):
    change, hours = date.fromisoformat(day), Hours(WEEK, start, end)
    around = change - timedelta(days=2), change + timedelta(days=3)
    times = open_times(eras(zone, *around), hours, *around)
    begins = int(datetime(change.year, change.month, change.day, tzinfo=UTC).timestamp())

    for second in range(begins - 86_400, begins + 86_400, 60):
        wall = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone))
        minute = wall.hour * 60 + wall.minute
        on_the_wall = start <= minute < end if start < end else minute >= start or minute < end
        inside = any(opens <= second < closes for opens, closes in times)
        assert inside or not on_the_wall
        assert on_the_wall or not inside or abs(_nearest_change(zone, around, second) - second) < 2 * 3600


def _nearest_change(zone, around, second):
    return min((era.begins for era in eras(zone, *around)), key=lambda begins: abs(begins - second))


@pytest.mark.parametrize(
    ("turns", "missed", "doubled"),
    [
        ([60, 1000], 0, 0),
        ([1000], 1, 0),
        ([0, 300, 1000], 0, 1),
        ([0, 999, 1000], 0, 1),
        ([0, 1000 + LATEST + 1], 1, 1),
        ([], 2, 0),
        ([0, 999, 5000], 1, 2),
    ],
)
def test_an_edge_that_nobody_saw_is_missed_and_a_turn_without_an_edge_of_its_own_is_doubled(turns, missed, doubled):
    tally = Tally()

    tally.compare("a window", [0, 1000], turns, until=2000)

    assert (tally.missed, tally.doubled) == (missed, doubled)


def test_the_seed_alone_decides_what_is_lost():
    one, again, other = (run(years=1, seed=seed, zones=["Europe/Berlin"]) for seed in (7, 7, 8))

    assert one == again
    assert one.looks != other.looks


@pytest.mark.parametrize(
    ("where", "text", "instead"),
    [
        ("domain.keep_warm:Window.is_open", "now < closes", "now < closes + DAY / 48"),
        ("domain.keep_warm:Window.is_open", "now < closes", "now < closes - DAY / 48"),
    ],
    ids=["closes late", "closes early"],
)
def test_the_real_sweep_of_a_window_that_keeps_other_hours_is_found_out(where, text, instead):
    last, tally = BEGINS + timedelta(days=365), Tally()

    with mutated(Mutant("other hours", "", where, text, instead, ())):
        sweep_at_changes(tally, "Europe/Berlin", BEGINS, last, random.Random(1))

    assert tally.missed


def test_a_model_that_the_real_sweep_wakes_twice_at_once_is_woken_once_too_often():
    world, seen = World(), Seen()
    world.bring(Status.SERVING)
    for name in ("llama-w1", "llama-w2"):
        world.executions.start("warm", name, {})

    seen.look(world, [])

    assert len(seen.at_once) == 1


def test_what_a_record_wants_between_its_edges_is_asked_at_random_moments():
    with mutated(SLEEPS_AT_NOON):
        looked = run(years=1, zones=["Europe/Berlin"], most_swept=0)

    assert looked.missed
