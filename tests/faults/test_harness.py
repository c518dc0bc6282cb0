"""The harness itself: every workflow is clean without a fault, a run is the same each time, and faults are met."""

from __future__ import annotations

import pytest

from tests.faults import workers
from tests.faults.bench import Bench, Run
from tests.faults.workflows import WORKFLOWS


@pytest.fixture(scope="module")
def bench():
    with workers.bench() as made:
        yield made


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_run_without_a_fault_ends_well(bench: Bench, workflow):
    result = bench.run(Run(workflow))

    assert not result.violations
    assert result.calls


def test_a_run_is_replayed_from_its_text(bench: Bench):
    run = Run.of("teardown:9:crash_after+20:throttle")

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
        "deploy:30:lost",
        "lease:7:zombie_teardown",
        "teardown:12:error_after+20:crash_before",
        "warm-up:3:duplicate",
    ],
)
def test_a_fault_does_no_harm(bench: Bench, run):
    result = bench.run(Run.of(run))

    assert result.met
    assert not result.violations
