"""A task that waits is ended as a task ends itself; one that waits no more is a success, and a fault is none."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from pilotlight.adapters.task_tokens import LONGEST_CAUSE, StepFunctionsTokens
from pilotlight.contracts import TaskError
from pilotlight.domain.errors import AccessDenied, EndpointFailed, Terminal, Throttled, Unavailable

TOKEN = "AAAA" * 16
REASON = "Endpoint x is Failed: the container did not pass the ping health check."


class Told:
    """Step Functions, as far as it is told of tasks: it keeps the last request."""

    def __init__(self, refuse: tuple[str, int] | None = None) -> None:
        self.client = boto3.client(
            "stepfunctions", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self.requests: list[dict[str, Any]] = []
        stub = Stubber(self.client)
        for operation in ("send_task_success", "send_task_failure"):
            if refuse:
                stub.add_client_error(operation, refuse[0], "why", refuse[1])
        self.client.meta.events.register("before-parameter-build.stepfunctions.*", self._keep)
        if refuse is None:
            self.client.meta.events.register("before-call.stepfunctions.*", _answers)
        self.stub = stub

    def _keep(self, params: dict[str, Any], **_told: Any) -> None:
        self.requests.append(dict(params))


def _answers(**_told: Any) -> Any:
    return type("Answer", (), {"status_code": 200})(), {}


def test_a_task_ends_well_with_what_there_is():
    told = Told()

    StepFunctionsTokens(told.client).succeed(TOKEN, {"in_service": True})

    assert told.requests == [{"taskToken": TOKEN, "output": '{"in_service": true}'}]


def test_a_task_fails_as_if_it_had_raised_the_error_itself():
    told = Told()

    StepFunctionsTokens(told.client).fail(TOKEN, EndpointFailed(REASON, log=["CUDA out of memory."]))

    (request,) = told.requests
    error = TaskError.model_validate({"Error": request["error"], "Cause": request["cause"]})
    assert (request["error"], error.code, error.readable) == ("Terminal", "endpoint-failed", REASON)
    assert json.loads(json.loads(request["cause"])["errorMessage"])["detail"] == {"log": ["CUDA out of memory."]}


def test_what_may_succeed_later_is_told_by_the_name_that_machines_retry():
    told = Told()

    StepFunctionsTokens(told.client).fail(TOKEN, Throttled("slow down"))

    assert told.requests[0]["error"] == "Retryable"


@pytest.mark.parametrize(
    "line", ["x" * 500, '"\\' * 250, "größe" * 100, "\x1b[31m" * 100], ids=["plain", "quotes", "wide", "raw"]
)
def test_a_cause_that_would_be_too_long_stays_readable(line):
    told = Told()

    StepFunctionsTokens(told.client).fail(TOKEN, EndpointFailed(f"{REASON} {line * 20}", log=[line] * 40))

    (request,) = told.requests
    error = TaskError.model_validate({"Error": request["error"], "Cause": request["cause"]})
    assert len(request["cause"]) <= LONGEST_CAUSE
    assert error.code == "endpoint-failed"
    assert error.readable.startswith(REASON)


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_task_that_waits_no_more_is_a_success(code):
    told = Told((code, 400))
    tokens = StepFunctionsTokens(told.client)

    with told.stub:
        tokens.succeed(TOKEN, {})
        tokens.fail(TOKEN, Terminal("it broke"))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Throttled),
        ("AccessDeniedException", 400, AccessDenied),
        ("ServiceUnavailable", 503, Unavailable),
        ("InvalidOutput", 400, Terminal),
    ],
)
def test_a_fault_is_none_and_is_told_apart(code, status, kind):
    told = Told((code, status))

    with told.stub, pytest.raises(kind):
        StepFunctionsTokens(told.client).succeed(TOKEN, {})
