"""Task tokens: waited for in simulated time, answered once, and told apart when they are late or unknown."""

from __future__ import annotations

from typing import Any

from moto.core.responses import EmptyResult

from local.clock import ScaledClock
from local.seams import replace
from local.step_functions.interpreter import (
    CallbackConsumerTimeout,
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    StateTaskServiceCallback,
    StepFunctionResponse,
    StepFunctionsParserBackend,
    api,
)


def install(clock: ScaledClock) -> None:
    """Take over how tokens are sent and awaited."""
    replace(CallbackEndpoint, "setup_heartbeat_endpoint", lambda original: _heartbeats(original, clock))
    replace(StateTaskServiceCallback, "_eval_wait_for_task_token", _awaiting)
    replace(StepFunctionsParserBackend, "send_task_success", lambda _: _send_success)
    replace(StepFunctionsParserBackend, "send_task_failure", lambda _: _send_failure)
    replace(StepFunctionsParserBackend, "send_task_heartbeat", lambda _: _send_heartbeat)
    replace(StepFunctionResponse, "send_task_failure", lambda _: _answer_failure)


def _heartbeats(original: Any, clock: ScaledClock) -> Any:
    """HeartbeatSeconds of a waiting task is simulated time."""

    def setup_heartbeat_endpoint(endpoint: CallbackEndpoint, heartbeat_seconds: float) -> Any:
        return original(endpoint, clock.wall_seconds(heartbeat_seconds))

    return setup_heartbeat_endpoint


def _awaiting(original: Any) -> Any:
    """A token is used up when its task has its answer or has given up; moto would take further answers in silence."""

    def _eval_wait_for_task_token(*args: Any, callback_endpoint: CallbackEndpoint, **kwargs: Any) -> Any:
        outcome = original(*args, callback_endpoint=callback_endpoint, **kwargs)
        callback_endpoint.report(CallbackConsumerTimeout())
        return outcome

    def waiting(
        task: Any, env: Any, timeout_seconds: float, callback_endpoint: CallbackEndpoint, heartbeat_endpoint: Any
    ) -> Any:
        return _eval_wait_for_task_token(
            task,
            env=env,
            timeout_seconds=timeout_seconds,
            callback_endpoint=callback_endpoint,
            heartbeat_endpoint=heartbeat_endpoint,
        )

    return waiting


def _endpoint(backend: StepFunctionsParserBackend, token: str) -> CallbackEndpoint:
    """Give where a token's task waits.

    Raises: InvalidToken for one that was never given out, TaskTimedOut for one whose task no longer waits:
    moto calls both invalid, or takes the answer and drops it.
    """
    for execution in backend._get_executions():
        endpoint = execution.exec_worker.env.callback_pool_manager.get(token)
        if endpoint is None:
            continue
        answered = endpoint.get_outcome() is not None
        if answered or endpoint.consumer_error is not None or execution.status != "RUNNING":
            raise api.TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
        return endpoint
    raise api.InvalidToken()


def _answer(backend: StepFunctionsParserBackend, token: str, outcome: CallbackOutcome) -> None:
    _endpoint(backend, token).notify(outcome)


def _send_success(backend: StepFunctionsParserBackend, task_token: str, outcome: str) -> None:
    _answer(backend, task_token, CallbackOutcomeSuccess(callback_id=task_token, output=outcome))


def _send_failure(
    backend: StepFunctionsParserBackend, task_token: str, error: str | None = None, cause: str | None = None
) -> None:
    _answer(backend, task_token, CallbackOutcomeFailure(callback_id=task_token, error=error, cause=cause))


def _send_heartbeat(backend: StepFunctionsParserBackend, task_token: str) -> None:
    _endpoint(backend, task_token).notify_heartbeat()


def _answer_failure(response: StepFunctionResponse) -> EmptyResult:
    """Serve SendTaskFailure with its cause, which moto drops."""
    token, error, cause = (response._get_param(name) for name in ("taskToken", "error", "cause"))
    response.stepfunction_backend.send_task_failure(token, error=error, cause=cause)
    return EmptyResult()
