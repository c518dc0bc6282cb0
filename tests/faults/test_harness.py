"""The harness itself: every workflow is clean without a fault, a run is the same each time, and faults are met."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from moto.awslambda.models import lambda_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.identity import ACCOUNT_ID, REGION
from tests.faults import dead_letters, sweep, workers
from tests.faults.bench import Bench, Result, Run
from tests.faults.dead_letters import dead_letter_queues
from tests.faults.modes import MODES
from tests.faults.sweep import pairs_of, promised, sampled, singles_of
from tests.faults.workflows import WORKFLOWS

ROOT = Path(__file__).parents[2]
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


def test_a_full_sweep_has_room_for_each_mode_and_each_kind_of_call(clean: dict[str, Result]):
    swept = {name: result for name, result in clean.items() if WORKFLOWS[name].swept}

    assert len(promised(singles_of(swept), random.Random(SEED))) <= sweep.SINGLES


def test_a_run_is_replayed_from_its_text(bench: Bench, clean: dict[str, Result]):
    text = str(broken(clean, "teardown", "delete_model *: crash_before", "release_artifact *: throttle"))

    first, second = bench.run(Run.of(text)), bench.run(Run.of(text))

    assert first == second
    assert len(first.met) == 2


@pytest.mark.parametrize(
    "text", ["upload:", "async-cold:", "scale-down:40:denied_stays", "invocation:9:throttle_stays"]
)
def test_a_run_is_the_same_where_all_is_read_through_moto(bench: Bench, text):
    run = Run.of(text)

    short = bench.run(run)
    bench.stack.seam.asks_moto = True
    try:
        long = bench.run(run)
    finally:
        bench.stack.seam.asks_moto = False

    assert short == long
    assert sum("dynamodb.GetItem" in str(call) for call in short.calls) > 5


def test_another_process_replays_the_same_calls_whatever_its_sets_are_ordered_by(clean: dict[str, Result]):
    text = str(broken(clean, "teardown", "delete_model *: crash_before", "release_artifact *: throttle"))
    ask = [sys.executable, "-m", "tests.faults", "--replay", text]

    others = [
        subprocess.Popen(ask, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        for seed in ("1", "2")
    ]
    one, other = [each.communicate()[0].splitlines() for each in others]

    assert [each.returncode for each in others] == [0, 0]
    assert one == other
    assert len(one) > len(clean["teardown"].calls)


def test_a_text_that_names_no_mode_is_refused():
    with pytest.raises(ValueError, match="are no modes"):
        Run.of("teardown:9:hiccup")


@pytest.mark.parametrize(
    ("workflow", "faults"),
    [
        ("deploy", ["api *TransactWriteItems: crash_after"]),
        ("deploy", ["start_import *CreateModelImportJob: lost"]),
        ("deploy", ["start_import *CreateModelImportJob: zombie_teardown"]),
        ("teardown", ["delete_model *DeleteImportedModel: error_after", "release_artifact *PutItem: crash_before"]),
        ("warm-up", ["api *: crash_before"]),
        ("stage", ["machine:stage-artifact s3.GetObject: error_before"]),
        ("stage", ["machine:stage-artifact * copy_span: throttle_stays"]),
        ("deploy", ["machine:deploy * start_import: lost", "machine:deploy * check_import: error_before"]),
        ("teardown", ["machine:teardown * delete_model: error_after"]),
    ],
)
def test_a_fault_does_no_harm(bench: Bench, clean: dict[str, Result], workflow, faults):
    run = broken(clean, workflow, *faults)

    result = bench.run(run)

    assert len(result.met) == len(faults)
    assert not result.violations


def broken(clean: dict[str, Result], workflow: str, *faults: str) -> Run:
    """Give the run in which so much goes wrong, each fault as a pattern of calls and a mode: the first such call."""
    plan = []
    for pattern, mode in (fault.split(": ") for fault in faults):
        call = next(call for call in clean[workflow].calls if fnmatchcase(str(call), pattern))
        plan.append((call.number, mode))
    return Run(workflow, tuple(plan))


# ---- calls of state machines -----------------------------------------------------------------------------------------


def test_what_only_functions_do_does_not_happen_to_a_machine(clean: dict[str, Result]):
    calls = [call for call in clean["stage"].calls if call.is_of_machine]

    met = {(mode.name, call.is_read) for call in calls for mode in MODES.values() if mode.applies(call)}

    assert {call.operation for call in calls} == {"lambda.Invoke", "s3.GetObject"}
    assert ("lost", False) in met
    assert ("throttle", True) in met
    assert not met & {(mode, is_read) for mode in ("crash_before", "zombie", "quota", "teardown") for is_read in (0, 1)}


def test_a_function_whose_answer_a_machine_does_not_get_is_invoked_again(bench: Bench, clean: dict[str, Result]):
    result = bench.run(broken(clean, "teardown", "machine:teardown * delete_model: lost"))

    assert numbers(result, "machine:teardown lambda.Invoke delete_model") == 2
    assert numbers(result, "delete_model *DeleteImportedModel") == 1
    assert numbers(result, "delete_model *TransactWriteItems") == 1


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("throttle", "Lambda.TooManyRequestsException"),
        ("error_after", "Lambda.ServiceException"),
        ("lost", "Lambda.SdkClientException"),
        ("unheard", "States.Timeout"),
    ],
)
def test_a_machine_that_does_not_try_again_is_found_out(bench: Bench, clean, monkeypatch, mode, error):
    run = broken(clean, "deploy", f"machine:deploy * check_import: {mode}")
    assert not bench.run(run).violations

    rewrite(monkeypatch, "deploy", f'"{error}"', '"Lambda.Unheard-of"')

    assert "did not end well" in bench.run(run).violations[0]


def test_items_of_a_map_take_turns(clean: dict[str, Result]):
    steps = [call.step for call in clean["stage"].calls if call.function == "copy_span"]

    assert steps.count(1) > 1
    assert steps[: steps.count(1)] == [1] * steps.count(1)


def test_as_many_items_of_a_map_act_at_once_as_it_says(bench: Bench, monkeypatch):
    rewrite(monkeypatch, "stage-artifact", '"MaxConcurrencyPath":"$.plan.copiers"', '"MaxConcurrency":2')

    result = bench.run(Run("stage"))

    calls = [str(call) for call in result.calls]
    assert (
        calls[: calls.index("copy_span dynamodb.GetItem")].count("machine:stage-artifact lambda.Invoke copy_span") == 2
    )
    assert not result.violations


def rewrite(monkeypatch, machine: str, text: str, instead: str) -> None:
    """Let a machine be another one, for the test."""
    machines = stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines
    (it,) = (each for each in machines if each.name == f"pilotlight-{machine}")
    definition = json.dumps(json.loads(it.definition), separators=(",", ":"))
    assert text in definition
    monkeypatch.setattr(it, "definition", definition.replace(text, instead))


def numbers(result: Result, pattern: str) -> int:
    """Give how often such a call was made."""
    return sum(fnmatchcase(str(call), pattern) for call in result.calls)


# ---- events that are lost --------------------------------------------------------------------------------------------

LOST = ("upload", "note_upload *UpdateItem: denied_stays")  # for longer than Lambda tries again


def test_an_event_that_nobody_took_lies_in_its_queue(bench: Bench, clean: dict[str, Result]):
    result = bench.run(broken(clean, *LOST))

    (queue,) = dead_letter_queues()
    assert not result.violations
    assert 0 < len(queue.messages) == len(bench.stack.lambdas.lost)


def test_an_event_that_lies_in_no_queue_is_a_violation(bench: Bench, clean: dict[str, Result], monkeypatch):
    (function,) = (each for each in functions() if each.function_name.endswith("-note-upload"))
    monkeypatch.setattr(function, "dead_letter_config", None)

    result = bench.run(broken(clean, *LOST))

    assert "an event of note_upload is lost, and lies in no queue" in result.violations


def test_a_queue_of_lost_events_that_no_alarm_tells_of_is_a_violation(
    bench: Bench, clean: dict[str, Result], monkeypatch
):
    monkeypatch.setattr(dead_letters, "VISIBLE", ("AWS/SQS", "NumberOfMessagesReceived"))  # which no alarm measures

    result = bench.run(broken(clean, *LOST))

    assert any("no alarm tells of" in each for each in result.violations)


def functions() -> list[Any]:
    return list(lambda_backends[ACCOUNT_ID][REGION].list_functions())
