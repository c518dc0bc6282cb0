"""The last line of the report has every figure, and the exit code is that of the worst of them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.faults import report
from tests.faults.api_cases import ApiCases
from tests.faults.kills import Kills
from tests.faults.mutants import Mutants, Verdict
from tests.faults.report import Report, exit_code, wrong
from tests.faults.schedules import Schedules
from tests.faults.storms import Storms
from tests.faults.sweep import Sweep

CAUGHT = tuple(Verdict(f"mutant {number}", 3, "deploy:", "it is stuck") for number in range(30))
STORMS = Storms(
    events=10_000,
    lost=500,
    versions=90,
    started=90,
    missed=0,
    doubled=0,
    race_winners=1,
    race_conflicts=99,
    race_odd=0,
    race_executions=1,
    same_key_callers=100,
    same_key_answers=1,
    same_key_records=1,
    interleavings=10,
    calls=30,
    calls_lost=0,
    ends={"answered": 20, "refused": 4, "not-serving": 6},
)
SWEEP = Sweep(
    runs=1500,
    pairs=2000,
    violations=(),
    by_workflow=(("deploy", 60, 1000, 0), ("teardown", 30, 500, 0)),
    by_mode=(("lost", 900), ("throttle", 600)),
    seconds=700.0,
    matrix={("deploy", "lost"): (600, 0), ("deploy", "throttle"): (400, 2), ("teardown", "lost"): (300, 0)},
)
COMPLETE = Report(
    sweep=SWEEP,
    mutants=Mutants(CAUGHT, 200.0),
    storms=STORMS,
    schedules=Schedules(zones=598, windows=9_000, looks=900_000, missed=0, doubled=0, swept=90_000),
    kills=Kills(kills=100, lives=12, violations=0),
    api=ApiCases(cases=10_000, hostile=2500, server_errors=0, schema_breaks=0),
    seconds={"sweep": 700.0, "mutants": 200.0},
    took_seconds=900.0,
    seed=7,
)


def but(**parts: dict[str, Any]) -> Report:
    """Return the complete report with other figures in a part."""
    return replace(COMPLETE, **{name: replace(getattr(COMPLETE, name), **told) for name, told in parts.items()})


def test_the_last_line_has_these_figures_and_no_others() -> None:
    last = COMPLETE.text(complete=True).splitlines()[-1]

    assert json.loads(last) == {
        "runs": 1500,
        "pairs": 2000,
        "violations": 0,
        "mutants": 30,
        "mutants_caught": 30,
        "storm": {"events": 10_000, "started": 90, "doubled": 0, "missed": 0},
        "race": {"winners": 1, "conflicts": 99},
        "schedule": {"missed": 0, "doubled": 0},
        "kills": 100,
        "kill_violations": 0,
        "api_cases": 10_000,
        "api_5xx": 0,
    }


def test_the_last_line_has_every_figure_whatever_was_run() -> None:
    nothing, everything = json.loads(Report().json()), json.loads(COMPLETE.json())

    assert nothing.keys() == everything.keys()
    assert all(nothing[name].keys() == everything[name].keys() for name in ("storm", "race", "schedule"))


def test_a_complete_run_in_which_nothing_went_wrong_ends_with_zero() -> None:
    assert not list(wrong(COMPLETE, complete=True))
    assert exit_code(COMPLETE, complete=True) == 0


@pytest.mark.parametrize(
    "part",
    [
        {"sweep": {"violations": ("deploy:1:lost: it is stuck",)}},
        {"mutants": {"verdicts": (*CAUGHT, Verdict("a mutant", 60))}},
        {"storms": {"missed": 1}},
        {"storms": {"doubled": 1}},
        {"storms": {"started": 89}},
        {"storms": {"race_winners": 2}},
        {"storms": {"race_odd": 1}},
        {"storms": {"race_executions": 2}},
        {"storms": {"same_key_answers": 2}},
        {"storms": {"same_key_records": 2}},
        {"storms": {"calls_lost": 1}},
        {"storms": {"ends": {"answered": 29, "name-taken": 1}}},
        {"storms": {"ends": {"answered": 29}}},
        {"schedules": {"missed": 1}},
        {"schedules": {"doubled": 1}},
        {"kills": {"violations": 1}},
        {"api": {"server_errors": 1}},
        {"api": {"failures": ("GET /orphans: an answer that its schema does not allow",)}},
    ],
    ids=str,
)
def test_whatever_went_wrong_in_a_part_makes_the_exit_code_one(part: dict[str, Any]) -> None:
    told = but(**part)

    assert exit_code(told, complete=False) == 1
    assert exit_code(told, complete=True) == 1
    assert "WRONG " in told.text(complete=False)


@pytest.mark.parametrize(
    "part",
    [
        {"sweep": {"runs": 1499}},
        {"sweep": {"pairs": 1999}},
        {"mutants": {"verdicts": CAUGHT[1:]}},
        {"storms": {"events": 9_999}},
        {"storms": {"started": 0, "versions": 0}},
        {"storms": {"race_conflicts": 98}},
        {"storms": {"race_conflicts": 100}},
        {"schedules": {"zones": 589}},
        {"schedules": {"windows": 4_999}},
        {"schedules": {"looks": 499_999}},
        {"schedules": {"swept": 49_999}},
        {"kills": {"kills": 99}},
        {"api": {"cases": 9_999}},
    ],
    ids=str,
)
def test_a_complete_run_that_did_too_little_ends_with_one_and_a_part_alone_may(part: dict[str, Any]) -> None:
    assert exit_code(but(**part), complete=True) == 1
    assert exit_code(but(**part), complete=False) == 0


@pytest.mark.parametrize("name", [*report.LINES])
def test_a_complete_run_without_a_part_ends_with_one(name: str) -> None:
    assert exit_code(replace(COMPLETE, **{name: None}), complete=True) == 1


def test_a_part_that_broke_off_ends_with_one_and_is_told() -> None:
    told = Report().with_part("kills", report.Broken("its process died with -9"), 3.0)

    assert exit_code(told, complete=False) == 1
    assert "WRONG kills: its process died with -9" in told.text(complete=False).splitlines()


def test_a_complete_run_may_take_forty_minutes() -> None:
    in_time, late = (replace(COMPLETE, took_seconds=seconds) for seconds in (2399.0, 2401.0))

    assert exit_code(in_time, complete=True) == 0
    assert exit_code(late, complete=True) == 1


def test_the_table_tells_the_time_in_all_and_the_pace() -> None:
    assert "900 s in all (sweep 700, mutants 200); 5.0 runs a second; seed 7" in COMPLETE.text(complete=True)


def test_the_table_has_a_row_for_each_workflow_and_a_column_for_each_mode() -> None:
    lines = COMPLETE.text(complete=True).splitlines()

    def row(name: str) -> list[str]:
        return next(line.split() for line in lines if line.startswith(name))

    letters = dict(each.split(" ")[::-1] for line in lines[:4] for each in line.split(", ") if each.count(" ") == 1)
    column = {mode: row("crash points of").index(letter) - 2 for mode, letter in letters.items()}
    assert row("deploy")[column["lost"]] == "600"
    assert row("deploy")[column["throttle"]] == "400!2"
    assert row("teardown")[column["throttle"]] == "·"
    assert row("all")[column["lost"]] == "900"
