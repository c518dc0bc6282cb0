"""Lambda as functions see it: their own process, environment, role and limits; and how they end."""

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud

SAMPLE = Path(__file__).with_name("sample") / "template.yaml"


def work(cloud: Cloud, **event: Any) -> dict[str, Any]:
    """Give the service's answer with the function's under `document`."""
    answer = cloud.client("lambda").invoke(FunctionName="sample-work", Payload=json.dumps(event), LogType="Tail")
    return answer | {"document": json.loads(answer["Payload"].read())}


def attempts(cloud: Cloud, key: str) -> int:
    item = cloud.client("dynamodb").get_item(
        TableName=cloud.outputs["TableName"], Key={"pk": {"S": key}, "sk": {"S": "COUNT"}}
    )
    return int(item.get("Item", {}).get("attempts", {"N": "0"})["N"])


def dead_letters(cloud: Cloud) -> list[dict[str, Any]]:
    url = cloud.resources["DeadLetters"]
    answer = cloud.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return answer.get("Messages", [])


def test_a_function_acts_under_its_own_role_with_its_own_environment(invoke: Callable[..., Any], cloud: Cloud) -> None:
    told, error = invoke(do="who")

    assert error is None
    assert f"assumed-role/{cloud.resources['WorkRole']}/sample-work" in told["arn"]
    assert told["environment"]["TABLE"] == "sample-table"
    assert told["environment"]["FROM_THE_CLOUD"] == "yes"
    assert told["environment"]["PILOTLIGHT_CLOCK_SPEED"] == "200"
    assert float(told["environment"]["PILOTLIGHT_CLOCK_EPOCH"]) == cloud.clock.epoch
    assert "MOTO_PORT" not in told["environment"]


def test_a_function_finds_its_layers_and_its_context(invoke: Callable[..., Any]) -> None:
    told, _ = invoke(do="who")

    assert told["layer"] == "from the layer"
    assert told["function_name"] == "sample-work"
    assert 0 < told["remaining_ms"] <= 2000


def test_a_worker_is_used_again(invoke: Callable[..., Any]) -> None:
    first, _ = invoke()
    second, _ = invoke()

    assert first["pid"] == second["pid"]


@pytest.mark.parametrize(
    ("do", "error_type", "said"),
    [
        ("raise", "OwnError", "as was asked"),
        ("exit", "Runtime.ExitError", "exit status 3"),
        ("die", "Runtime.ExitError", "signal: killed"),
    ],
)
def test_the_ways_to_fail_have_their_real_names(
    invoke: Callable[..., Any], do: str, error_type: str, said: str
) -> None:
    document, error = invoke(do=do)

    assert error == "Unhandled"
    assert document["errorType"] == error_type
    assert said in document["errorMessage"]


def test_the_death_of_a_worker_is_in_its_functions_log_and_the_next_call_gets_a_new_one(
    invoke: Callable[..., Any], cloud: Cloud
) -> None:
    before, _ = invoke()

    document, _ = invoke(do="die")
    after, error = invoke()

    events = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/sample-work")["events"]
    assert document["errorMessage"] in [event["message"] for event in events]
    assert (after["pid"] == before["pid"], error) == (False, None)


def test_a_worker_is_at_work_while_it_has_an_invocation(cloud: Cloud, eventually: Callable[..., Any]) -> None:
    assert cloud.functions.at_work() == []
    with ThreadPoolExecutor(1) as caller:
        sleeping = caller.submit(work, cloud, do="sleep", seconds=1)

        (busy,) = eventually(cloud.functions.at_work)

        assert sleeping.result()["StatusCode"] == 200
    assert (busy.function, busy.pid in cloud.functions.pids()) == ("sample-work", True)
    assert cloud.functions.at_work() == []


def test_a_function_that_takes_too_long_is_killed_and_the_next_call_gets_a_new_worker(
    invoke: Callable[..., Any],
) -> None:
    document, error = invoke(do="sleep", seconds=60)
    after, _ = invoke()

    assert error == "Unhandled"
    assert document["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 2.00 seconds" in document["errorMessage"]
    assert after["pid"]


def test_more_calls_than_the_reserved_concurrency_are_refused_as_throttled(cloud: Cloud) -> None:
    with ThreadPoolExecutor(2) as callers:
        sleeping = [callers.submit(work, cloud, do="sleep", seconds=1) for _ in range(2)]
        time.sleep(0.7)

        with pytest.raises(ClientError) as refused:
            work(cloud)

        finished = [future.result() for future in sleeping]

    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert not [answer for answer in finished if "FunctionError" in answer]


def test_what_a_function_prints_is_in_its_log_group_and_in_the_answers_tail(cloud: Cloud) -> None:
    answer = work(cloud, do="print", text="a line of its own")

    tail = base64.b64decode(answer["LogResult"]).decode()
    events = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/sample-work")["events"]
    assert "a line of its own" in tail
    assert "a line of its own" in [event["message"] for event in events]


def test_an_event_is_retried_as_configured_and_then_dead_lettered(cloud: Cloud, eventually: Callable[..., Any]) -> None:
    event = json.dumps({"do": "count", "key": "retried"})

    answer = cloud.client("lambda").invoke(FunctionName="sample-work", InvocationType="Event", Payload=event)
    answer["Payload"].close()
    letters = eventually(lambda: [m for m in dead_letters(cloud) if m["Body"] == event])
    told = eventually(lambda: [m for m in dead_letters(cloud) if "RetriesExhausted" in m["Body"]])

    assert answer["StatusCode"] == 202
    assert attempts(cloud, "retried") == 2
    assert letters[0]["MessageAttributes"]["ErrorMessage"]["StringValue"] == "after counting"
    record = json.loads(told[0]["Body"])
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"] == json.loads(event)
    assert record["responsePayload"]["errorType"] == "OwnError"


def test_a_state_machine_catches_a_functions_error_by_its_name(cloud: Cloud, eventually: Callable[..., Any]) -> None:
    machines = cloud.client("stepfunctions")

    execution = machines.start_execution(
        stateMachineArn=cloud.outputs["GreetArn"], name="caught", input='{"do": "raise"}'
    )["executionArn"]
    ended = eventually(
        lambda: (seen := machines.describe_execution(executionArn=execution))["status"] != "RUNNING" and seen
    )

    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["error"]["Error"] == "OwnError"


def test_a_function_that_cannot_be_imported_says_so(cloud: Cloud) -> None:
    functions = cloud.client("lambda")
    functions.update_function_configuration(FunctionName="sample-work", Handler="nowhere.handler")

    document = work(cloud)["document"]
    functions.update_function_configuration(FunctionName="sample-work", Handler="handler.handler")
    healed = work(cloud)

    assert document["errorType"] == "Runtime.ImportModuleError"
    assert "FunctionError" not in healed


def test_the_pure_python_client_is_told_apart_by_nothing(cloud: Cloud) -> None:
    from local.lambda_service import settings_of
    from local.workers import Worker

    moto_function = cloud.functions.find("sample-work")
    variables = {"AWS_ENDPOINT_URL": cloud.endpoint_url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x"}
    worker = Worker(settings_of(moto_function), lambda _: True, variables=variables, log=lambda _lines: None, pure=True)
    try:
        echoed = worker.invoke(b'{"x": "\xc3\xa4"}')
        failed = worker.invoke(b'{"do": "raise"}')
        printed = worker.invoke(b'{"do": "print", "text": "seen"}')
        exited = worker.invoke(b'{"do": "exit"}')
    finally:
        worker.kill()

    assert json.loads(echoed.payload)["echo"] == {"x": "ä"}
    assert failed.error_type == "OwnError"
    assert printed.log == ("seen",)
    assert exited.error_type == "Runtime.ExitError"
