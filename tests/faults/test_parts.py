"""A part that breaks, dies or never ends costs its own figures and nobody else's."""

import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults import alone
from tests.faults.__main__ import main, told_by
from tests.faults.alone import Broken
from tests.faults.broken_parts import (
    FIGURES,
    dies,
    gives,
    leaves_a_child,
    loses_a_worker,
    never_ends,
    raises,
    waits_for,
)
from tests.faults.parts import PARTS, Part
from tests.faults.report import LINES


def test_a_part_gives_its_figures() -> None:
    assert alone.done(gives, 60, seed=1) == FIGURES


def test_a_part_that_breaks_says_where() -> None:
    done = alone.done(raises, 60, seed=1)

    assert isinstance(done, Broken)
    assert "KeyError: 'seed'" in done.why
    assert "in raises" in done.why


def test_a_part_that_dies_says_of_what() -> None:
    assert alone.done(dies, 60, seed=1) == Broken("its process died with -9")


def test_a_part_of_whose_processes_one_dies_says_so() -> None:
    done = alone.done(loses_a_worker, 60, seed=1)

    assert isinstance(done, Broken)
    assert "BrokenProcessPool" in done.why


def test_a_part_that_never_ends_is_ended() -> None:
    done = alone.done(never_ends, 0.5, seed=1)

    assert isinstance(done, Broken)
    assert "not done" in done.why


def test_nobody_outlives_a_part() -> None:
    child = alone.done(leaves_a_child, 60, seed=1)

    deadline = time.monotonic() + 60
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Say whether a process is there and no mere entry that nobody has taken yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_figures_of_all_others_are_told_when_a_part_breaks() -> None:
    told = told_by({"storms": Part(raises, 60), "kills": Part(gives, 60)}, seed=1, jobs=1)

    assert told.kills == FIGURES
    assert "KeyError" in told.broken["storms"]
    assert told.seconds.keys() == {"storms", "kills"}


@pytest.mark.parametrize(("limit", "most"), [(0.5, 60.0), (60.0, 0.5)])
def test_a_part_may_take_no_longer_than_its_own_limit_nor_than_all_may(limit: float, most: float) -> None:
    told = told_by({"kills": Part(never_ends, limit)}, seed=1, jobs=1, most_seconds=most)

    assert "not done" in told.broken["kills"]


def test_every_part_has_its_lines_and_what_comes_before_the_sweep_leaves_it_time() -> None:
    assert PARTS.keys() == LINES.keys()
    assert [*PARTS][-1] == "sweep"


def test_parts_that_need_no_quiet_run_beside_one_another(tmp_path: Path) -> None:
    one, other = (partial(waits_for, tmp_path, *names) for names in (("one", "other"), ("other", "one")))

    told = told_by({"kills": Part(one, 120, beside=True), "storms": Part(other, 120, beside=True)}, seed=1, jobs=2)

    assert (told.kills, told.storms, told.broken) == (FIGURES, FIGURES, {})


@pytest.mark.parametrize(
    "asked",
    [
        ["--replay", "banana"],
        ["--replay", "deploy:17:explode"],
        ["--replay", "nowhere:1:throttle"],
        ["--replay", "deploy:1:lost", "--mutant", "x"],
    ],
)
def test_a_run_that_there_is_not_is_told_from_one_that_went_wrong(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked) == 2
    assert " no " in capsys.readouterr().err
