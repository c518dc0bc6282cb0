"""The harness itself: every workflow is clean without a fault, a run is the same each time, and faults are met."""

from __future__ import annotations

import random

import pytest

from tests.faults import workers
from tests.faults.bench import Bench, Result, Run
from tests.faults.sweep import pairs_of, sampled, singles_of
from tests.faults.workflows import WORKFLOWS

SEED = 11
SINGLES, PAIRS = 24, 8  # as many as there is time for in `make test`; all of them are in `make faults`


@pytest.fixture(scope="module")
def bench():
    with workers.bench() as made:
        yield made


@pytest.fixture(scope="module")
def clean(bench: Bench) -> dict[str, Result]:
    return {name: bench.run(Run(name)) for name in WORKFLOWS}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_run_without_a_fault_ends_well(clean: dict[str, Result], workflow):
    result = clean[workflow]

    assert not result.violations
    assert result.calls


@pytest.mark.parametrize("kind", ["singles", "pairs"])
def test_a_sample_of_the_sweep_does_no_harm(bench: Bench, clean: dict[str, Result], kind):
    swept = {name: result for name, result in clean.items() if WORKFLOWS[name].swept}
    chance = random.Random(SEED)
    runs = sampled(singles_of(swept), chance, SINGLES) if kind == "singles" else list(pairs_of(swept, chance, PAIRS))

    results = [bench.run(run) for run in runs]

    assert not {str(result.run): result.violations for result in results if result.violations}
    assert sum(bool(result.met) for result in results) > len(runs) // 2


def test_a_run_is_replayed_from_its_text(bench: Bench):
    run = Run.of("teardown:9:crash_before+20:throttle")

    first, second = bench.run(run), bench.run(Run.of(str(run)))

    assert first == second
    assert len(first.met) == 2


def test_a_text_that_names_no_mode_is_refused():
    with pytest.raises(ValueError, match="are no modes"):
        Run.of("teardown:9:hiccup")


@pytest.mark.parametrize(
    "run",
    [
        "deploy:4:crash_after",
        "deploy:40:lost",
        "deploy:40:zombie_teardown",
        "teardown:12:error_after+20:crash_before",
        "warm-up:3:crash_before",
    ],
)
def test_a_fault_does_no_harm(bench: Bench, run):
    result = bench.run(Run.of(run))

    assert result.met
    assert not result.violations
