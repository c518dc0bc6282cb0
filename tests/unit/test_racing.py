"""A second copy of a part is begun where it is expected to be there first, and nowhere else."""

import pytest
from pilotlight.domain.racing import SOONEST_SECONDS, STALLED_SECONDS, Flight, worth_racing

MB = 1_000_000
PART = 128 * MB


def a_flight(rate_mb, seconds, **fields):
    return Flight(size_bytes=PART, copied_bytes=int(rate_mb * MB * seconds), seconds=seconds, **fields)


def test_a_part_four_times_slower_than_its_siblings_is_raced():
    siblings = [a_flight(25, 4), a_flight(24, 4), a_flight(6, 4), a_flight(26, 4)]

    assert worth_racing(siblings, []) == 2


def test_parts_that_are_about_as_fast_as_each_other_are_left_alone():
    siblings = [a_flight(25, 3), a_flight(20, 3), a_flight(30, 3)]

    assert worth_racing(siblings, []) is None


def test_what_is_nearly_there_is_left_alone_however_slow_it_was():
    slow = Flight(size_bytes=PART, copied_bytes=PART - 2 * MB, seconds=20)

    assert worth_racing([slow, a_flight(25, 3)], []) is None


def test_the_last_part_of_all_is_measured_by_those_that_arrived():
    assert worth_racing([a_flight(6, 5)], [25.0 * MB, 30.0 * MB, 20.0 * MB]) == 0
    assert worth_racing([a_flight(20, 3)], [25.0 * MB, 30.0 * MB, 20.0 * MB]) is None


def test_of_several_late_parts_the_one_that_needs_longest_is_raced_first():
    assert worth_racing([a_flight(8, 4), a_flight(5, 4)], [25.0 * MB]) == 1


def test_a_part_is_raced_once():
    assert worth_racing([a_flight(5, 4, copies=2), a_flight(5, 4, copies=2)], [25.0 * MB]) is None


def test_a_connection_that_just_began_is_not_judged_by_its_rate():
    assert worth_racing([a_flight(0.1, SOONEST_SECONDS / 2)], [25.0 * MB]) is None


@pytest.mark.parametrize(("idle", "raced"), [(STALLED_SECONDS, 0), (STALLED_SECONDS - 1, None)])
def test_a_part_of_which_nothing_comes_any_more_is_raced_even_alone(idle, raced):
    flight = Flight(size_bytes=PART, copied_bytes=PART // 2, seconds=20, idle_seconds=idle)

    assert worth_racing([flight], []) == raced


def a_silent_flight(seconds, **fields):
    return Flight(size_bytes=PART, copied_bytes=0, seconds=seconds, idle_seconds=seconds, silent=True, **fields)


@pytest.mark.parametrize(("seconds", "raced"), [(STALLED_SECONDS - 1, None), (STALLED_SECONDS, 0)])
def test_a_part_that_s3_copies_is_raced_when_it_takes_twice_as_long_as_others_and_no_sooner_than_a_stalled_one(
    seconds, raced
):
    assert worth_racing([a_silent_flight(seconds)], [128.0 * MB]) == raced


def test_a_part_that_s3_copies_slowly_is_left_alone_where_all_of_them_are_slow():
    assert worth_racing([a_silent_flight(19)], [12.8 * MB]) is None
    assert worth_racing([a_silent_flight(20)], [12.8 * MB]) == 0


def test_a_part_that_s3_copies_is_left_alone_where_nothing_has_arrived_yet():
    assert worth_racing([a_silent_flight(50), a_silent_flight(50)], []) is None
