"""Contracts of the interpreter's seams: each would fail with moto as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local import step_functions
from local.clock import ScaledClock
from local.events import EventBus
from tests.integration.local.moto_cloud import ROLE, MotoCloud, eventually, queue_arn, running_moto

SPEED = 100.0
SUCCEED = {"Type": "Pass", "End": True}


def machine(states: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states, **settings}


class StepFunctions:
    def __init__(self, cloud: MotoCloud) -> None:
        self.cloud = cloud
        self.api = cloud.client("stepfunctions")

    def create(self, definition: dict[str, Any], name: str | None = None, **settings: Any) -> str:
        made = self.api.create_state_machine(
            name=name or f"m-{uuid4()}", definition=json.dumps(definition), roleArn=ROLE, **settings
        )
        return str(made["stateMachineArn"])

    def start(self, definition: dict[str, Any], told: Any = None, **settings: Any) -> str:
        arn = self.create(definition)
        begun = self.api.start_execution(stateMachineArn=arn, input=json.dumps(told or {}), **settings)
        return str(begun["executionArn"])

    def end_of(self, execution: str, within: float = 60.0) -> dict[str, Any]:
        def ended() -> Any:
            described = self.api.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return dict(eventually(ended, within=within))

    def run(self, definition: dict[str, Any], told: Any = None) -> dict[str, Any]:
        return self.end_of(self.start(definition, told))

    def output_of(self, definition: dict[str, Any], told: Any = None) -> Any:
        ended = self.run(definition, told)
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    def history(self, execution: str) -> list[dict[str, Any]]:
        return list(self.api.get_execution_history(executionArn=execution, maxResults=1000)["events"])

    def until(self, execution: str, state: str) -> None:
        """Return when the execution has entered the state."""
        entered = {"name": state}
        eventually(
            lambda: any(
                (event.get("stateEnteredEventDetails") or {}).get("name") == entered["name"]
                for event in self.history(execution)
            )
        )


@pytest.fixture(scope="module")
def sfn() -> Iterator[StepFunctions]:
    clock = ScaledClock(speed=SPEED)
    step_functions.install(clock)
    with running_moto() as cloud:
        bus = EventBus(cloud.url, clock)
        bus.start()
        cloud.client("s3").create_bucket(Bucket="items")
        cloud.function("echo", lambda event: event)
        cloud.function("moody", _fail_if_told)
        yield StepFunctions(cloud)
        bus.stop()


class Retryable(Exception):  # noqa: N818 - the name that state machines compare
    pass


def _fail_if_told(event: Any) -> Any:
    if isinstance(event, dict) and event.get("fail"):
        raise Retryable("as told")
    return event


def task(function: str = "echo", **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:lambda:us-east-1:123456789012:function:{function}", **more}


def wait_for_token(function: str, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
        **more,
    }


def distributed(states: dict[str, Any], kind: str = "EXPRESS", **more: Any) -> dict[str, Any]:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}, **machine(states)}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **more}


# Tasks and their context


def test_a_task_may_name_a_function_or_the_lambda_integration(sfn: StepFunctions) -> None:
    invoke = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "echo", "Payload": {"from.$": "$.who"}},
        "OutputPath": "$.Payload",
        "Next": "Direct",
    }

    output = sfn.output_of(machine({"Invoke": invoke, "Direct": task(End=True)}), {"who": "me"})

    assert output == {"from": "me"}


def test_the_context_tells_name_start_and_input_as_text(sfn: StepFunctions) -> None:
    asks = {"name.$": "$$.Execution.Name", "at.$": "$$.Execution.StartTime", "in.$": "$$.State.EnteredTime"}
    told = {"Type": "Pass", "Parameters": asks, "Next": "Echo"}
    execution = sfn.start(machine({"Ask": told, "Echo": task(End=True)}), name="named")

    output = json.loads(sfn.end_of(execution)["output"])

    assert output["name"] == "named"
    assert output["at"].endswith("Z")
    assert output["in"] >= output["at"]


def test_an_output_that_is_a_string_is_json(sfn: StepFunctions) -> None:
    assert sfn.output_of(machine({"Say": {"Type": "Pass", "Result": "words", "End": True}})) == "words"


def test_nested_executions_need_no_name_and_give_their_output(sfn: StepFunctions) -> None:
    child = sfn.create(machine({"Say": {"Type": "Pass", "Result": {"said": "hi"}, "End": True}}))
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Input": {"a": 1}},
        "OutputPath": "$.Output",
        "End": True,
    }

    assert sfn.output_of(machine({"Nest": nested})) == {"said": "hi"}


def test_what_lambda_itself_refuses_has_lambdas_error_name(sfn: StepFunctions) -> None:
    ended = sfn.run(machine({"Call": task("nobody", End=True)}))

    assert ended["error"] == "Lambda.ResourceNotFoundException"


# Time


def test_waits_pass_at_the_clocks_speed(sfn: StepFunctions) -> None:
    states = {
        "Fixed": {"Type": "Wait", "Seconds": 30, "Next": "FromInput"},
        "FromInput": {"Type": "Wait", "SecondsPath": "$.seconds", "End": True},
    }
    began = time.monotonic()

    assert sfn.run(machine(states), {"seconds": 30})["status"] == "SUCCEEDED"
    assert 0.6 <= time.monotonic() - began < 40  # 60 s of the wall's clock would be more


def test_a_timestamp_is_one_of_the_simulated_clock(sfn: StepFunctions) -> None:
    ask = {"Type": "Pass", "Parameters": {"at.$": "$$.Execution.StartTime"}, "End": True}
    now = sfn.output_of(machine({"Ask": ask}))["at"]
    later = (datetime.fromisoformat(now) + timedelta(seconds=45)).strftime("%Y-%m-%dT%H:%M:%SZ")
    began = time.monotonic()

    sfn.run(machine({"Wait": {"Type": "Wait", "TimestampPath": "$.at", "End": True}}), {"at": later})

    assert 0.2 <= time.monotonic() - began < 30  # 45 s of the wall's clock would be more


def test_pauses_between_retries_are_simulated_and_jitter_and_their_limit_are_kept(
    sfn: StepFunctions,
) -> None:
    retry = {
        "ErrorEquals": ["Retryable"],
        "IntervalSeconds": 40,
        "MaxAttempts": 3,
        "BackoffRate": 2,
        "MaxDelaySeconds": 45,
        "JitterStrategy": "FULL",
    }
    began = time.monotonic()

    ended = sfn.run(machine({"Try": task("moody", Retry=[retry], End=True)}), {"fail": True})

    assert (ended["status"], ended["error"]) == ("FAILED", "Retryable")
    assert time.monotonic() - began < 30  # three pauses of up to 45 s of the wall's clock would be more


def test_a_machines_timeout_is_simulated(sfn: StepFunctions) -> None:
    ended = sfn.run(machine({"Wait": {"Type": "Wait", "Seconds": 6000, "End": True}}, TimeoutSeconds=20))

    assert ended["status"] == "TIMED_OUT"
    assert ended["stopDate"] > ended["startDate"]


def test_an_ordinary_tasks_timeout_is_the_walls(sfn: StepFunctions) -> None:
    sfn.cloud.function("slow", lambda event: time.sleep(0.3) or event)
    sfn.cloud.function("slower", lambda event: time.sleep(1.5) or event)

    assert sfn.run(machine({"Call": task("slow", TimeoutSeconds=1, End=True)}))["status"] == "SUCCEEDED"
    assert sfn.run(machine({"Call": task("slower", TimeoutSeconds=1, End=True)}))["error"] == "States.Timeout"


# Task tokens


class Tokens:
    """A Lambda that is told tokens, and the tokens it was told."""

    def __init__(self, sfn: StepFunctions) -> None:
        self.function = f"asker-{uuid4()}"
        self._heard: list[str] = []
        sfn.cloud.function(self.function, lambda event: self._heard.append(event["token"]))

    def __call__(self) -> str:
        return str(eventually(lambda: self._heard and self._heard.pop(0)))


@pytest.fixture
def tokens(sfn: StepFunctions) -> Tokens:
    return Tokens(sfn)


def test_a_token_is_answered_once(sfn: StepFunctions, tokens: Tokens) -> None:
    execution = sfn.start(machine({"Ask": wait_for_token(tokens.function, End=True)}))
    token = tokens()

    sfn.api.send_task_success(taskToken=token, output='{"answer": 1}')

    assert json.loads(sfn.end_of(execution)["output"]) == {"answer": 1}
    with pytest.raises(sfn.api.exceptions.TaskTimedOut):
        sfn.api.send_task_success(taskToken=token, output="{}")
    with pytest.raises(sfn.api.exceptions.InvalidToken):
        sfn.api.send_task_success(taskToken="never-given", output="{}")


def test_a_token_that_fails_tells_error_and_cause(sfn: StepFunctions, tokens: Tokens) -> None:
    execution = sfn.start(machine({"Ask": wait_for_token(tokens.function, End=True)}))

    sfn.api.send_task_failure(taskToken=tokens(), error="Terminal", cause="no")

    ended = sfn.end_of(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Terminal", "no")


def test_waiting_for_a_token_ends_after_simulated_seconds(sfn: StepFunctions, tokens: Tokens) -> None:
    began = time.monotonic()

    ended = sfn.run(machine({"Ask": wait_for_token(tokens.function, TimeoutSeconds=60, End=True)}))

    assert ended["error"] == "States.Timeout"
    assert 0.5 <= time.monotonic() - began < 40  # 60 s of the wall's clock would be more


def test_a_missed_heartbeat_has_its_own_error(sfn: StepFunctions, tokens: Tokens) -> None:
    catch = [{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Silent"}]
    ask = wait_for_token(tokens.function, HeartbeatSeconds=30, TimeoutSeconds=6000, Catch=catch, End=True)

    output = sfn.output_of(machine({"Ask": ask, "Silent": {"Type": "Pass", "Result": "silent", "End": True}}))

    assert output == "silent"


# Ends of executions


def test_stopping_ends_a_wait_at_once_with_error_and_cause(sfn: StepFunctions) -> None:
    execution = sfn.start(machine({"Wait": {"Type": "Wait", "Seconds": 99999, "End": True}}))
    sfn.until(execution, "Wait")

    sfn.api.stop_execution(executionArn=execution, error="Deleted", cause="by its owner")

    ended = sfn.api.describe_execution(executionArn=execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Deleted", "by its owner")
    eventually(lambda: sfn.history(execution)[-1]["type"] == "ExecutionAborted")


def test_stopping_ends_waiting_for_a_token_and_the_token_with_it(sfn: StepFunctions, tokens: Tokens) -> None:
    execution = sfn.start(machine({"Ask": wait_for_token(tokens.function, End=True)}))
    token = tokens()

    sfn.api.stop_execution(executionArn=execution)

    assert sfn.api.describe_execution(executionArn=execution)["status"] == "ABORTED"
    with pytest.raises(sfn.api.exceptions.TaskTimedOut):
        sfn.api.send_task_success(taskToken=token, output="{}")


def test_a_stop_right_after_the_start_is_not_lost(sfn: StepFunctions) -> None:
    definition = machine({"Wait": {"Type": "Wait", "Seconds": 99999, "End": True}})
    arn = sfn.create(definition)
    executions = [sfn.api.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(5)]

    for execution in executions:
        sfn.api.stop_execution(executionArn=execution)

    assert {sfn.api.describe_execution(executionArn=each)["status"] for each in executions} == {"ABORTED"}


def test_an_error_inside_the_interpreter_ends_the_execution(
    sfn: StepFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    def break_down(worker: ExecutionWorker) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(ExecutionWorker, "_execution_logic", break_down)

    ended = sfn.run(machine({"Pass": SUCCEED}))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "broken" in ended["cause"]


def test_states_all_does_not_catch_a_runtime_error(sfn: StepFunctions) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {
        "Read": {"Type": "Task", "Resource": task()["Resource"], "InputPath": "$.missing", "Catch": catch, "End": True},
        "Caught": SUCCEED,
    }

    ended = sfn.run(machine(states))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


# Names


def test_a_name_is_idempotent_only_while_it_runs_with_the_same_input(sfn: StepFunctions) -> None:
    arn = sfn.create(machine({"Wait": {"Type": "Wait", "Seconds": 99999, "End": True}}))

    def start(told: str) -> Any:
        return sfn.api.start_execution(stateMachineArn=arn, name="once", input=told)

    first = start('{"a": 1}')["executionArn"]

    assert start('{"a": 1}')["executionArn"] == first
    with pytest.raises(sfn.api.exceptions.ExecutionAlreadyExists):
        start('{"a": 2}')
    sfn.api.stop_execution(executionArn=first)
    with pytest.raises(sfn.api.exceptions.ExecutionAlreadyExists):
        start('{"a": 1}')


def test_a_machines_name_is_taken_by_another_definition_only(sfn: StepFunctions) -> None:
    first = sfn.create(machine({"One": SUCCEED}), name="taken")

    assert sfn.create(machine({"One": SUCCEED}), name="taken") == first
    with pytest.raises(sfn.api.exceptions.StateMachineAlreadyExists):
        sfn.create(machine({"Two": SUCCEED}), name="taken")


@pytest.mark.parametrize(
    "states",
    [
        {"Lost": {"Type": "Pass", "Next": "Nowhere"}},
        {"Endless": {"Type": "Pass"}},
        {"One": SUCCEED, "Unreached": SUCCEED},
        {"Each": {"Type": "Map", "ItemProcessor": machine({"In": {"Type": "Pass", "Next": "Out"}}), "End": True}},
    ],
    ids=["dangling next", "neither next nor end", "unreachable", "dangling next in a map"],
)
def test_a_definition_whose_ways_lead_nowhere_is_refused(sfn: StepFunctions, states: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        sfn.create(machine(states))

    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"


# Maps


def test_an_inline_map_of_thousands_of_items_ends(sfn: StepFunctions) -> None:
    each = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": machine({"Pass": SUCCEED}), "End": True}
    count = {**each, "ResultSelector": {"n.$": "States.ArrayLength($)"}}

    assert sfn.output_of(machine({"Each": count}), list(range(1200))) == {"n": 1200}


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [("items.json", "JSON", '[{"n": 1}, {"n": 2}]'), ("items.jsonl", "JSONL", '{"n": 1}\n{"n": 2}\n')],
)
def test_a_distributed_map_reads_its_items_from_s3(sfn: StepFunctions, key: str, kind: str, text: str) -> None:
    sfn.cloud.client("s3").put_object(Bucket="items", Key=key, Body=text)
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": kind},
        "Parameters": {"Bucket": "items", "Key.$": "$.key"},
    }

    output = sfn.output_of(machine({"Each": distributed({"Call": task(End=True)}, ItemReader=reader)}), {"key": key})

    assert output == [{"n": 1}, {"n": 2}]


def test_a_reader_without_its_object_is_an_error_that_can_be_caught(sfn: StepFunctions) -> None:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": "items", "Key": "no-such-key"},
    }
    catch = [{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "Missing"}]
    each = distributed({"Pass": SUCCEED}, ItemReader=reader, Catch=catch)

    assert sfn.run(machine({"Each": each, "Missing": SUCCEED}))["status"] == "SUCCEEDED"


def test_batches_hold_their_items_and_the_shared_input(sfn: StepFunctions) -> None:
    each = distributed(
        {"Call": task(End=True)},
        ItemsPath="$.items",
        ItemSelector={"item.$": "$$.Map.Item.Value", "for.$": "$.who"},
        ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"id.$": "$.who"}},
    )

    output = sfn.output_of(machine({"Each": each}), {"items": [1, 2, 3], "who": "x"})

    assert output == [
        {"BatchInput": {"id": "x"}, "Items": [{"item": 1, "for": "x"}, {"item": 2, "for": "x"}]},
        {"BatchInput": {"id": "x"}, "Items": [{"item": 3, "for": "x"}]},
    ]


def test_one_failed_item_fails_the_map_unless_it_is_tolerated(sfn: StepFunctions) -> None:
    items = [{}, {"fail": True}, {}, {}]
    call = {"Call": task("moody", End=True)}

    strict = sfn.run(machine({"Each": distributed(call)}), items)
    enough = sfn.output_of(machine({"Each": distributed(call, ToleratedFailurePercentage=25)}), items)
    scarce = sfn.run(machine({"Each": distributed(call, ToleratedFailurePercentage=24)}), items)

    assert (strict["status"], strict["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert enough == [{}, None, {}, {}]
    assert scarce["error"] == "States.ExceedToleratedFailureThreshold"


def test_too_many_failures_can_be_caught_with_the_input_kept(sfn: StepFunctions) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Caught"}]
    each = distributed({"Call": task("moody", End=True)}, ItemsPath="$.items", Catch=catch)

    output = sfn.output_of(machine({"Each": each, "Caught": SUCCEED}), {"items": [{"fail": True}], "kept": 1})

    assert output["kept"] == 1
    assert output["error"]["Error"] == "States.ExceedToleratedFailureThreshold"


def test_a_result_writer_leaves_files_and_a_manifest(sfn: StepFunctions) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "items", "Prefix": "out"}}
    each = distributed({"Call": task("moody", End=True)}, ResultWriter=writer, ToleratedFailureCount=1)
    s3 = sfn.cloud.client("s3")

    def read(key: str) -> Any:
        return json.loads(s3.get_object(Bucket="items", Key=key)["Body"].read())

    output = sfn.output_of(machine({"Each": each}), [{"n": 1}, {"fail": True}])

    manifest = read(output["ResultWriterDetails"]["Key"])
    succeeded = read(manifest["ResultFiles"]["SUCCEEDED"][0]["Key"])
    failed = read(manifest["ResultFiles"]["FAILED"][0]["Key"])
    assert [json.loads(child["Output"]) for child in succeeded] == [{"n": 1}]
    assert [child["Error"] for child in failed] == ["Retryable"]


# What is told


def test_history_counts_one_entry_for_each_state_and_comes_in_pages(sfn: StepFunctions) -> None:
    inner = machine({"In": {"Type": "Pass", "End": True}})
    each = {"Type": "Map", "ItemProcessor": inner, "Next": "Last"}
    execution = sfn.start(machine({"Each": each, "Last": SUCCEED}), [1, 2, 3])
    sfn.end_of(execution)

    entered = [event["type"] for event in sfn.history(execution) if event["type"].endswith("StateEntered")]
    newest = sfn.api.get_execution_history(executionArn=execution, maxResults=1, reverseOrder=True)

    assert sorted(entered) == ["MapStateEntered"] + ["PassStateEntered"] * 4
    assert [event["type"] for event in newest["events"]] == ["ExecutionSucceeded"]
    assert newest["nextToken"]


def test_every_start_and_end_is_told_on_the_bus(sfn: StepFunctions) -> None:
    events = sfn.cloud.client("events")
    inbox = sfn.cloud.queue("status")
    pattern = {"source": ["aws.states"], "detail": {"name": ["told"]}}
    events.put_rule(Name="status", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="status", Targets=[{"Id": "1", "Arn": queue_arn("status")}])
    fail = {"Type": "Fail", "Error": "Terminal", "Cause": "why"}

    execution = sfn.start(machine({"End": fail}), {"a": 1}, name="told")

    heard: list[dict[str, Any]] = []
    eventually(lambda: heard.extend(map(json.loads, sfn.cloud.bodies(inbox))) or len(heard) == 2)
    details = {event["detail"]["status"]: event["detail"] for event in heard}
    assert {event["detail-type"] for event in heard} == {"Step Functions Execution Status Change"}
    assert details["RUNNING"]["stopDate"] is None
    assert details["FAILED"]["executionArn"] == execution
    assert json.loads(details["FAILED"]["input"]) == {"a": 1}
    assert (details["FAILED"]["error"], details["FAILED"]["cause"]) == ("Terminal", "why")
