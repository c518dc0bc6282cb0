"""The last line of the report has every figure, and the exit code is that of the worst of them."""

import json
from typing import Any

import pytest

from tests.faults.kills import Kills
from tests.faults.report import Report, exit_code
from tests.faults.schedules import Schedules
from tests.faults.storms import Storms


def storms(**figures: int) -> Storms:
    sound = {
        "events": 10_000,
        "lost": 500,
        "versions": 90,
        "started": 90,
        "missed": 0,
        "doubled": 0,
        "race_winners": 1,
        "race_conflicts": 99,
        "race_odd": 0,
        "race_executions": 1,
        "same_key_callers": 100,
        "same_key_answers": 1,
        "same_key_records": 1,
        "interleavings": 10,
        "calls": 30,
        "calls_lost": 0,
    }
    return Storms(**{**sound, **figures})


def schedules(**figures: int) -> Schedules:
    return Schedules(**{"zones": 598, "windows": 9, "looks": 9, "missed": 0, "doubled": 0, **figures})


def kills(**figures: int) -> Kills:
    return Kills(**{"kills": 100, "lives": 12, "violations": 0, **figures})  # type: ignore[arg-type]


def test_the_last_line_has_the_figures_of_storms_clocks_and_kills() -> None:
    told = Report(storms=storms(), schedules=schedules(), kills=kills())

    last = json.loads(told.text().splitlines()[-1])

    assert last["storm"] == {"events": 10_000, "started": 90, "doubled": 0, "missed": 0}
    assert last["race"] == {"winners": 1, "conflicts": 99}
    assert last["schedule"] == {"missed": 0, "doubled": 0}
    assert (last["kills"], last["kill_violations"]) == (100, 0)
    assert exit_code(told, complete=False) == 0


@pytest.mark.parametrize(
    "part",
    [
        {"storms": storms(missed=1)},
        {"storms": storms(started=89)},
        {"storms": storms(race_winners=2)},
        {"storms": storms(same_key_answers=2)},
        {"storms": storms(calls_lost=1)},
        {"schedules": schedules(missed=1)},
        {"schedules": schedules(doubled=1)},
        {"kills": kills(violations=1)},
    ],
)
def test_whatever_went_wrong_in_a_part_makes_the_exit_code_one(part: dict[str, Any]) -> None:
    assert exit_code(Report(**part), complete=False) == 1
