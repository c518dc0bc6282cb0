"""Errors by their real names, caught by what really catches them."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local.seams import replace
from local.step_functions.interpreter import (
    CustomErrorName,
    Environment,
    ErrorEqualsDecl,
    EventDetails,
    FailureEvent,
    FailureEventException,
    HeartbeatTimeoutError,
    ItemReader,
    StatesErrorName,
    StatesErrorNameType,
    StateTask,
    StateTaskLambda,
    api,
)

_BEYOND_STATES_ALL = {"States.Runtime", "States.DataLimitExceeded"}


def install() -> None:
    """Correct the names and the catching of errors."""
    _name_api_errors()
    replace(ErrorEqualsDecl, "_eval_body", _matching)
    replace(StateTask, "_from_error", _naming_heartbeats)
    replace(StateTaskLambda, "_from_error", _naming_lambda_errors)
    replace(ItemReader, "_eval_body", _naming_reader_errors)


def _name_api_errors() -> None:
    """The gap: moto's interpreter answers a refused call with an empty error code."""
    kind: Any
    for kind in api.ServiceException.__subclasses__():
        if isinstance(code := vars(kind).get("code"), str):
            kind.TYPE = code


def task_failure(env: Environment, kind: StatesErrorNameType, cause: str) -> FailureEventException:
    """Give the exception by which a state fails with one of the service's own errors."""
    details = api.TaskFailedEventDetails(error=kind.to_name(), cause=cause)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(kind),
            event_type=api.HistoryEventType.TaskFailed,
            event_details=EventDetails(taskFailedEventDetails=details),
        )
    )


def _matching(original: Any) -> Any:
    """The gap: in moto States.ALL catches everything. Two errors end an execution whatever it catches.

    Source: Step Functions developer guide, "Error names".
    """

    def _eval_body(equals: ErrorEqualsDecl, env: Environment) -> None:
        name = getattr(env.stack[-1], "error_name", None)
        original(equals, env)
        named = any(error.error_name == name for error in equals.error_names)
        if name in _BEYOND_STATES_ALL and not named:
            env.stack[-1] = False

    return _eval_body


def _naming_heartbeats(original: Any) -> Any:
    """The gap: a missed heartbeat is States.HeartbeatTimeout; moto says States.Timeout."""

    def _from_error(task: StateTask, env: Environment, ex: Exception) -> FailureEvent:
        if isinstance(ex, HeartbeatTimeoutError):
            kind = StatesErrorNameType.StatesHeartbeatTimeout
            return FailureEvent(
                env=env,
                error_name=StatesErrorName(kind),
                event_type=api.HistoryEventType.TaskTimedOut,
                event_details=EventDetails(taskTimedOutEventDetails=api.TaskTimedOutEventDetails(error=kind.to_name())),
            )
        return original(task, env, ex)

    return _from_error


def _naming_lambda_errors(original: Any) -> Any:
    """The gap: what Lambda itself answers to a task with a function's ARN is "Lambda.<code>"; moto says "Exception"."""

    def _from_error(task: StateTaskLambda, env: Environment, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return original(task, env, ex)
        error = f"Lambda.{ex.response['Error']['Code']}"
        details = api.LambdaFunctionFailedEventDetails(error=error, cause=ex.response["Error"]["Message"])
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=api.HistoryEventType.LambdaFunctionFailed,
            event_details=EventDetails(lambdaFunctionFailedEventDetails=details),
        )

    return _from_error


def _naming_reader_errors(original: Any) -> Any:
    """The gap: an ItemReader that finds no object or no JSON is States.ItemReaderFailed, which can be caught."""

    def _eval_body(reader: ItemReader, env: Environment) -> None:
        try:
            original(reader, env)
        except (ClientError, ValueError) as exc:
            raise task_failure(env, StatesErrorNameType.StatesItemReaderFailed, str(exc)) from exc

    return _eval_body
