"""The simulated fleet counts what it should find: a byte that nobody wrote, and one that is there twice."""

from pilotlight.domain.source import SourceFile
from pilotlight.domain.spans import MIB, Part

from bench import fleet

FILE = SourceFile(path="f", size_bytes=20 * MIB)


def a_store(*parts):
    store = fleet.Store()
    for number, offset, size_bytes in parts:
        store.write("f", Part(number=number, offset=offset, size_bytes=size_bytes))
    return store


def test_parts_that_cover_a_file_lose_and_double_nothing():
    store = a_store((1, 0, 10 * MIB), (2, 10 * MIB, 10 * MIB), (2, 10 * MIB, 10 * MIB))

    assert store.lost_and_doubled([FILE]) == (0, 0)


def test_a_hole_and_an_end_that_is_missing_are_lost():
    assert a_store((2, 5 * MIB, 10 * MIB)).lost_and_doubled([FILE]) == (10 * MIB, 0)


def test_what_lies_in_two_parts_is_doubled():
    assert a_store((1, 0, 12 * MIB), (2, 10 * MIB, 10 * MIB)).lost_and_doubled([FILE]) == (0, 2 * MIB)


def test_a_fleet_stages_everything_whatever_breaks(monkeypatch):
    monkeypatch.setattr(fleet, "CUT", 0.1)
    monkeypatch.setattr(fleet, "STALLED", 0.05)
    monkeypatch.setattr(fleet, "CRASHED", 0.1)

    outcomes = [fleet.stage(20 * 10**9, 8, seed) for seed in range(5)]

    assert [(each.lost_bytes, each.doubled_bytes) for each in outcomes] == [(0, 0)] * 5
    assert len({each.seconds for each in outcomes}) == 5


def test_more_copiers_are_faster_and_not_dearer():
    few, many = fleet.stage(132 * 10**9, 17, 1), fleet.stage(132 * 10**9, 256, 1)

    assert many.seconds < few.seconds / 2
    assert many.usd < few.usd * 1.3
