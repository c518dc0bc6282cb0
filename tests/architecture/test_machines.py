"""Every state machine is bounded, retries what passes, and never ends green after a failure."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from pilotlight.settings import Settings

from tests.architecture import machine_rules
from tests.architecture.machine_rules import Machine
from tests.architecture.template_rules import Template
from tools import cloudformation

GOOD = """
Comment: A model that was asked for answers, or the record says why not.
StartAt: ProbeDeployment
TimeoutSeconds: 60
States:
  ProbeDeployment:
    Comment: One small invocation.
    Type: Task
    Resource: ${ProbeDeploymentArn}
    TimeoutSeconds: 11
    Retry:
      - ErrorEquals: [Retryable, Lambda.ServiceException, Lambda.AWSLambdaException, Lambda.SdkClientException,
                      Lambda.TooManyRequestsException, Lambda.ClientExecutionTimeoutException, Lambda.Unknown,
                      Sandbox.Timedout, Runtime.ExitError, States.Timeout]
        MaxAttempts: 2
        JitterStrategy: FULL
    Catch:
      - {ErrorEquals: [States.ALL], ResultPath: $.error, Next: Failed}
    Next: Warm
  Warm:
    Comment: It answered.
    Type: Succeed
  Failed:
    Comment: It did not.
    Type: Fail
"""


@pytest.fixture(scope="module")
def machines() -> list[Machine]:
    return Template(cloudformation.TEMPLATE.read_text()).machines(cloudformation.ROOT)


def machine(text: str) -> Machine:
    functions = {"ProbeDeploymentArn": "probe_deployment"}
    return Machine("warm", yaml.safe_load(text), functions, frozenset(functions), {"probe_deployment": 10})


def mapped(text: str) -> str:
    """Return a machine whose only state runs this one for each of its items."""
    inside: dict[str, Any] = yaml.safe_load(text)
    inside.pop("Comment", None)
    copy = {"Comment": "One for each.", "Type": "Map", "ItemProcessor": inside, "End": True}
    outside = {"Comment": "All of them.", "StartAt": "ProbeAll", "TimeoutSeconds": 60, "States": {"ProbeAll": copy}}
    return str(yaml.safe_dump(outside))


@pytest.mark.parametrize("rule", machine_rules.RULES, ids=lambda rule: rule.__name__)
def test_every_machine(rule: Callable[[Machine], Iterator[str]], machines: list[Machine]) -> None:
    findings = [finding for each in machines for finding in rule(each)]

    assert findings == []


def test_the_template_runs_every_machine_there_is(machines: list[Machine]) -> None:
    files = {path.name.removesuffix(".asl.yaml") for path in (cloudformation.ROOT / "statemachines").iterdir()}

    assert files == {each.name for each in machines} != set()


@pytest.mark.parametrize(
    ("rule", "found", "put"),
    [
        (machine_rules.says_what_it_promises, "Comment: A model that was asked", "Remark: A model that was asked"),
        (machine_rules.says_what_it_promises, "TimeoutSeconds: 60\n", ""),
        (machine_rules.says_what_it_promises, "    Comment: It answered.\n", ""),
        (machine_rules.calls_the_function_of_its_name, "${ProbeDeploymentArn}", "arn:aws:states:::sqs:sendMessage"),
        (machine_rules.calls_the_function_of_its_name, "${ProbeDeploymentArn}", "${UnknownArn}"),
        (machine_rules.calls_the_function_of_its_name, "ProbeDeployment:\n", "LookAtDeployment:\n"),
        (machine_rules.uses_every_substitution, "${ProbeDeploymentArn}", "${UnknownArn}"),
        (machine_rules.uses_every_substitution, "${ProbeDeploymentArn}", "nothing"),
        (machine_rules.bounds_retries_and_catches_every_task, "    TimeoutSeconds: 11\n", ""),
        (machine_rules.bounds_retries_and_catches_every_task, "JitterStrategy: FULL", "JitterStrategy: NONE"),
        (machine_rules.bounds_retries_and_catches_every_task, "Retry:", "Repeat:"),
        (machine_rules.bounds_retries_and_catches_every_task, "Catch:", "Hold:"),
        (machine_rules.bounds_retries_and_catches_every_task, "ResultPath: $.error, ", ""),
        (machine_rules.bounds_retries_and_catches_every_task, "[Retryable,", "["),
        (machine_rules.bounds_retries_and_catches_every_task, "Sandbox.Timedout, ", ""),
        (machine_rules.bounds_retries_and_catches_every_task, "Runtime.ExitError, ", ""),
        (machine_rules.waits_longer_than_its_function_may_run, "TimeoutSeconds: 11", "TimeoutSeconds: 10"),
        (machine_rules.names_errors_that_exist, "[Retryable,", "[ThrottlingException,"),
        (machine_rules.names_errors_that_exist, "[States.ALL]", "[Terminal]"),
        (machine_rules.ends_every_failure_in_fail, "Next: Failed", "Next: Warm"),
        (machine_rules.ends_every_failure_in_fail, "Type: Fail", "Type: Pass\n    End: true"),
        (machine_rules.ends_every_failure_in_fail, "Type: Fail", "Type: Pass\n    Next: Warm"),
    ],
)
def test_a_rule_finds_what_breaks_it(rule: Callable[[Machine], Iterator[str]], found: str, put: str) -> None:
    assert GOOD.count(found) == 1

    assert list(rule(machine(GOOD.replace(found, put))))


@pytest.mark.parametrize(
    ("rule", "found", "put"),
    [
        (machine_rules.says_what_it_promises, "    Comment: It answered.\n", ""),
        (machine_rules.bounds_retries_and_catches_every_task, "    TimeoutSeconds: 11\n", ""),
        (machine_rules.names_errors_that_exist, "[Retryable,", "[ThrottlingException,"),
        (machine_rules.ends_every_failure_in_fail, "Next: Failed", "Next: Warm"),
    ],
)
def test_a_rule_looks_inside_a_map(rule: Callable[[Machine], Iterator[str]], found: str, put: str) -> None:
    assert list(rule(machine(mapped(GOOD.replace(found, put)))))


def test_no_rule_minds_what_is_right() -> None:
    for text in (GOOD, mapped(GOOD)):
        assert [finding for rule in machine_rules.RULES for finding in rule(machine(text))] == []


def test_a_narrow_catch_may_lead_on() -> None:
    narrow = "    Catch:\n      - {ErrorEquals: [States.Timeout], ResultPath: $.error, Next: Warm}\n"
    text = GOOD.replace("    Catch:\n", narrow)

    assert list(machine_rules.ends_every_failure_in_fail(machine(text))) == []


def test_a_task_that_waits_for_its_token_is_named_like_its_function() -> None:
    waiting = (
        "Resource: arn:aws:states:::lambda:invoke.waitForTaskToken\n"
        "    Parameters: {FunctionName: '${ProbeDeploymentArn}'}"
    )

    named = machine(GOOD.replace("Resource: ${ProbeDeploymentArn}", waiting))

    assert list(machine_rules.calls_the_function_of_its_name(named)) == []


def test_an_item_of_a_map_may_hand_out_its_failure_as_a_mark_that_is_looked_at() -> None:
    marked = GOOD.replace("Type: Fail", "Type: Pass\n    Parameters: {refused: true}\n    End: true")
    unseen = machine(mapped(marked))
    seen = yaml.safe_load(mapped(marked))
    seen["States"]["Refused?"] = {"Type": "Choice", "Choices": [{"Variable": "$.all.refused[0]", "IsPresent": True}]}

    assert list(machine_rules.ends_every_failure_in_fail(unseen))
    assert list(machine_rules.ends_every_failure_in_fail(machine(yaml.safe_dump(seen)))) == []


def test_a_span_may_wait_for_its_turn_and_be_copied_within_what_its_child_has(machines: list[Machine]) -> None:
    (stage,) = (each for each in machines if each.name == "stage_artifact")
    copy = stage.definition["States"]["CopySpans"]["ItemProcessor"]["States"]["CopySpan"]
    (turn,) = (each for each in copy["Retry"] if "Lambda.TooManyRequestsException" in each["ErrorEquals"])

    waits = [
        min(turn["IntervalSeconds"] * turn["BackoffRate"] ** number, turn["MaxDelaySeconds"])
        for number in range(turn["MaxAttempts"])
    ]

    assert Settings().span_seconds + sum(waits) <= 300  # Source: Step Functions, the longest Express execution
    assert sum(waits) > 90
