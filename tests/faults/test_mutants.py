"""Every mutant still has its text in the code; some, by seed, are caught here, and all of them in the full run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.identity import ACCOUNT_ID, REGION
from tests.faults import workers
from tests.faults.bench import Bench
from tests.faults.modes import MODES
from tests.faults.mutants import MUTANTS, hunt, named
from tests.faults.mutating import Hunt, Mutant, StaleMutantError, mutated
from tests.faults.report import LEAST
from tests.faults.workflows import WORKFLOWS

HANDFUL = (  # of each story one; which are quick
    "name is not reserved",
    "two wakes at once",
    "spends beyond the ceiling",
    "deletes what is not ours",
    "teardown does not wait for the import",
    "reconciliation takes a live generation",
    "more is warm than may be",
    "no template is tried",
    "it serves before it has answered",
)


@pytest.fixture(scope="module")
def bench():
    with workers.bench() as made:
        yield made


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_code_still_has_what_a_mutant_takes_away(mutant: Mutant):
    check(mutant)
    assert mutant.text != mutant.instead
    for each in mutant.hunts:
        assert each.workflow in WORKFLOWS
        assert set(each.modes) <= MODES.keys()


def check(mutant: Mutant) -> None:
    """Raise StaleMutantError where the text is not there."""
    assert mutant.definition() if mutant.machine else mutant.code()


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= LEAST["mutants"]


def test_no_two_mutants_have_one_name_or_do_the_same():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.where, mutant.text, mutant.instead) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    "stale",
    [
        {"text": "if nobody wrote this:"},
        {"where": "domain.names:no_such_name"},
        {"where": "domain.nowhere:at_all"},
        {"where": "deploy.asl.yaml:NoSuchState"},
        {"where": "nowhere.asl.yaml:StartImport"},
    ],
)
def test_a_mutant_whose_code_has_changed_says_so(stale):
    with pytest.raises(StaleMutantError):
        check(replace(MUTANTS[0], **stale))


def test_a_mutant_lives_within_its_run_only():
    from pilotlight.domain.names import import_token

    mutant = Mutant("another token", "", "domain.names:import_token", 'f"{job_name}-{', 'f"other-{', ())
    before = import_token("stack", "job")

    with mutated(mutant):
        assert import_token("stack", "job").startswith("other-")
    assert import_token("stack", "job") == before


def test_a_mutant_of_a_machine_lives_in_the_executions_that_begin_within_it(bench: Bench):
    machines = stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines
    (warm,) = (machine for machine in machines if machine.name == "pilotlight-warm")
    mutant = Mutant("another error", "", "warm.asl.yaml:WakeFailed", "Error: WakeFailed", "Error: Another", ())
    before = json.loads(warm.definition)

    with mutated(mutant):
        within = json.loads(warm.definition)
    assert within["States"]["WakeFailed"]["Error"] == "Another"
    assert within["States"]["MarkWarm"] == before["States"]["MarkWarm"]
    assert json.loads(warm.definition) == before


@pytest.mark.parametrize("name", HANDFUL)
def test_a_mutant_is_caught(bench: Bench, name):
    verdict = hunt(bench, named(name))

    assert verdict.run, str(verdict)


@pytest.mark.parametrize("instead", ["(self._torn(task))", "self._torn(task.nothing)"], ids=["harmless", "breaks down"])
def test_what_changes_nothing_or_breaks_down_by_itself_is_not_caught(bench: Bench, instead):
    mutant = Mutant(
        "no guard",
        "nothing",
        "services.tearing_down:TearingDown.delete_model",
        "deployment = self._torn(task)",
        f"deployment = {instead}",
        (Hunt("teardown-import"),),
    )

    verdict = hunt(bench, mutant)

    assert (verdict.run, verdict.runs) == (None, 1)
