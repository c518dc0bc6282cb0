"""Executions that end in a way of their own: stopped, timed out, crashed, started twice."""

import json
import re

import pytest

from tests.workflows.world import World, eventually


def test_an_execution_stopped_from_outside_fails_its_deployment_by_the_rule(world: World) -> None:
    world.bedrock.settings.import_floor_seconds = 3600
    name = world.deploy()
    world.until(name, "IMPORTING")

    world.cloud.client("stepfunctions").stop_execution(executionArn=world.execution_arn("deploy", f"{name}-g1"))

    view = world.until(name, "FAILED")
    assert view["failure"]["code"] == "execution-ended"
    assert re.match(rf"execution {name}-g1-\w+ ended ", view["failure"]["reason"])  # told by the rule, or by the sweep
    assert view["failure"]["during"] == "IMPORTING"


def test_an_execution_that_runs_out_of_time_fails_its_deployment_by_the_rule(world: World) -> None:
    states = world.cloud.client("stepfunctions")
    machine = world.machine_arn("deploy")
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    hurried = json.dumps({**json.loads(definition), "TimeoutSeconds": 240})
    world.bedrock.settings.import_floor_seconds = 3600
    states.update_state_machine(stateMachineArn=machine, definition=hurried)
    try:
        name = world.deploy()
        view = world.until(name, "FAILED")
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=definition)

    assert re.match(rf"execution {name}-g1-\w+ ended ", view["failure"]["reason"])
    assert world.only_execution("deploy", name).status == "TIMED_OUT"


def test_the_topic_tells_once_of_a_deployment_that_was_marked_by_the_rule(world: World) -> None:
    world.bedrock.settings.import_floor_seconds = 3600
    with world.told() as told:
        name = world.deploy()
        world.until(name, "IMPORTING")
        world.cloud.client("stepfunctions").stop_execution(executionArn=world.execution_arn("deploy", f"{name}-g1"))
        world.until(name, "FAILED")
        eventually(lambda: [each for each in told() if each["deployment"] == name], "to be told")
        world.calm()  # the job ends, which the teardown waits for
        world.tear_down(name)
        eventually(lambda: "gone" in [each["event"] for each in told() if each["deployment"] == name], "the last word")
        events = [each["event"] for each in told() if each["deployment"] == name]

    assert events == ["failed", "gone"]


def test_a_second_start_of_the_same_name_changes_nothing(world: World) -> None:
    name = world.serving()
    execution = world.only_execution("deploy", name)
    states = world.cloud.client("stepfunctions")
    described = states.describe_execution(executionArn=world.execution_arn("deploy", execution.name))
    name_and_input = {"name": described["name"], "input": described["input"]}

    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=world.machine_arn("deploy"), **name_and_input)

    assert world.only_execution("deploy", name) == execution
    assert world.deployment(name)["status"] == "SERVING"


def test_a_late_execution_of_a_former_generation_may_not_act(world: World) -> None:
    name = world.serving()
    before = world.deployment(name)
    late = {"deployment": name, "generation": 7, "attempt": 1, "correlation_id": "late"}

    world.cloud.client("stepfunctions").start_execution(
        stateMachineArn=world.machine_arn("deploy"), name=f"{name}-late", input=json.dumps(late)
    )

    execution = world.execution("deploy", f"{name}-late")
    assert execution.status == "FAILED"
    assert execution.path == ("StartStaging", "StopBilling", "MarkFailed", "DeploymentFailed")
    assert world.deployment(name)["status"] == before["status"]
    assert world.deployment(name)["updated_at"] == before["updated_at"]


def test_a_request_whose_execution_ended_without_a_word_does_not_stay_requested_for_ever(world: World) -> None:
    events = world.cloud.client("events")
    (rule,) = [each["Name"] for each in events.list_rules()["Rules"] if "FailExecution" in each["Name"]]
    events.disable_rule(Name=rule)
    try:
        with world.unreachable("start_staging"):
            name = world.deploy()
            world.cloud.client("stepfunctions").stop_execution(executionArn=world.execution_arn("deploy", f"{name}-g1"))
            view = world.until(name, "FAILED")
    finally:
        events.enable_rule(Name=rule)

    assert re.fullmatch(rf"execution {name}-g1-\w+ ended without a word", view["failure"]["reason"])
    assert view["failure"]["during"] == "REQUESTED"
