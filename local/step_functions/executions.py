"""Executions: named once, ended always, stopped at once, and told of on the event bus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.core.responses import ActionResult

from local.clock import ScaledClock
from local.seams import replace
from local.step_functions.interpreter import (
    BaseExecutionWorkerCommunication,
    Environment,
    Execution,
    ExecutionWorker,
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
    StepFunctionResponse,
    StepFunctionsParserBackend,
    api,
    to_json_str,
)
from local.step_functions.status_events import tell
from local.step_functions.waiting import iso_time

_naming = threading.Lock()
_ending = threading.Lock()
Status = api.ExecutionStatus


def install(clock: ScaledClock) -> None:
    """Take over how executions begin and end."""
    replace(StepFunctionsParserBackend, "create_state_machine", _creating)
    replace(StepFunctionsParserBackend, "start_execution", _naming_executions)
    replace(Execution, "start", lambda original: _starting(original, clock))
    replace(Execution, "stop", lambda _: _stopping(clock))
    replace(Execution, "_get_start_execution_worker", _working)
    replace(Execution, "get_start_execution_details", _detailing)
    replace(BaseExecutionWorkerCommunication, "terminated", lambda _: _terminating(clock))
    replace(Environment, "set_error", _keeping_the_first_end)
    replace(Environment, "set_timed_out", _waking)
    replace(StepFunctionResponse, "stop_execution", lambda _: _answer_stop)
    replace(StepFunctionResponse, "describe_execution", _describing)
    replace(StepFunctionResponse, "get_execution_history", _paging)
    Execution.status = property(lambda execution: (execution.exec_status or Status.RUNNING).value)


def _creating(original: Any) -> Any:
    """The gap: moto gives the old machine for a name that is taken, whatever its definition."""

    def create_state_machine(
        backend: StepFunctionsParserBackend,
        name: str,
        definition: str,
        roleArn: str,  # noqa: N803
        **settings: Any,
    ) -> Any:
        with _naming:
            existing = backend._revision_by_name(name)
            kind = settings.get("sm_type") or "STANDARD"
            if existing is not None and (existing.definition, existing.type) != (definition, kind):
                raise api.StateMachineAlreadyExists(f"State Machine Already Exists: '{existing.arn}'")
            return original(backend, name=name, definition=definition, roleArn=roleArn, **settings)

    return create_state_machine


def _naming_executions(original: Any) -> Any:
    """The gap: an execution without a name, or with an impossible one; and two starts at once with the same name.

    The service gives the running execution for the same name and input, and otherwise ExecutionAlreadyExists.
    """

    def start_execution(
        backend: StepFunctionsParserBackend,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: str | None = None,
        trace_header: str | None = None,
    ) -> Execution:
        if name:
            backend._validate_name(name)
        with _naming:
            return original(backend, state_machine_arn, name or str(uuid4()), execution_input, trace_header)

    return start_execution


def _starting(original: Any, clock: ScaledClock) -> Any:
    """Begin at the simulated time, and say so."""

    def start(execution: Execution) -> None:
        execution.start_date = clock.now()
        original(execution)
        tell(execution, Status.RUNNING)

    return start


def _stopping(clock: ScaledClock) -> Any:
    """StopExecution ends an execution at once, whatever it is waiting for; what a Lambda is doing it still does.

    The gap: moto waits for the current state, forgets error and cause, and loses a stop right after the start.
    """

    def stop(execution: Execution, stop_date: datetime, error: str | None, cause: str | None) -> None:
        env = execution.exec_worker.env
        env.set_stop(stop_date=stop_date, cause=cause, error=error)
        _interrupt(env)
        _end(execution, clock, Status.ABORTED, error=error, cause=cause)

    return stop


class _Worker(ExecutionWorker):  # type: ignore[misc]
    """Runs an execution on a thread that always leaves it ended.

    The gap: an exception in moto's thread leaves the execution RUNNING for ever; and until the thread has begun
    there is nothing that could be stopped or asked.
    """

    crashed: Callable[[str], None]

    def start(self) -> None:
        """Make the execution one that can be stopped, then run it."""
        self.env = super()._get_evaluation_environment()
        self.env.next_state_name = self._get_evaluation_entrypoint().start_at.start_at_name
        super().start()

    def _get_evaluation_environment(self) -> Environment:
        return self.env

    def _execution_logic(self) -> None:
        try:
            super()._execution_logic()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the execution ends with it
            self.crashed(f"{type(exc).__name__}: {exc}")


def _working(original: Any) -> Any:
    def _get_start_execution_worker(execution: Execution) -> ExecutionWorker:
        worker = original(execution)
        if type(worker) is ExecutionWorker:
            worker.__class__ = _Worker
            worker.crashed = lambda cause: execution._get_start_execution_worker_comm().terminated(cause)
        return worker

    return _get_start_execution_worker


def _terminating(clock: ScaledClock) -> Any:
    """Write down how a program ended. Output is kept as JSON text: moto would show a string without its quotes."""

    def terminated(comm: BaseExecutionWorkerCommunication, crash: str | None = None) -> None:
        execution = comm.execution
        env = execution.exec_worker.env
        match env.program_state():
            case ProgramEnded() if crash is None:
                output = to_json_str(env.states.get_input(), separators=(",", ":"))
                _end(execution, clock, Status.SUCCEEDED, output=output)
            case ProgramStopped(error=error, cause=cause):
                _end(execution, clock, Status.ABORTED, error=error, cause=cause)
            case ProgramTimedOut():
                _end(execution, clock, Status.TIMED_OUT)
            case ProgramError(error=about) if crash is None:
                about = about or {}
                _end(execution, clock, Status.FAILED, error=about.get("error"), cause=about.get("cause"))
            case state:
                cause = crash or f"The program ended as {type(state).__name__}."
                _end(execution, clock, Status.FAILED, error="States.Runtime", cause=cause)

    return terminated


def _end(execution: Execution, clock: ScaledClock, status: Any, **outcome: str | None) -> None:
    """End an execution that runs; one that has ended keeps its first end.

    The status is set last: whoever reads it finds the rest.
    """
    with _ending:
        if execution.exec_status is not Status.RUNNING:
            return
        execution.stop_date = clock.now()
        for name, value in outcome.items():
            setattr(execution, name, value)
        execution.exec_status = status
    tell(execution, status)


def _keeping_the_first_end(original: Any) -> Any:
    """What fails because the execution was stopped or timed out does not make it a failed one."""

    def set_error(env: Environment, error: Any) -> None:
        if not isinstance(env._program_state, ProgramStopped | ProgramTimedOut):
            original(env, error)

    return set_error


def _waking(original: Any) -> Any:
    """An execution whose time is over stops waiting for tokens."""

    def set_timed_out(env: Environment) -> None:
        original(env)
        _interrupt(env)

    return set_timed_out


def _interrupt(env: Environment) -> None:
    for endpoint in list(env.callback_pool_manager._pool.values()):
        endpoint.interrupt_all()


def _detailing(original: Any) -> Any:
    """$$.Execution.StartTime is text in a path's result; moto's is a date that a Lambda's payload cannot hold."""

    def get_start_execution_details(execution: Execution) -> Any:
        details = original(execution)
        details.start_time = iso_time(execution.start_date)
        return details

    return get_start_execution_details


def _answer_stop(response: StepFunctionResponse) -> ActionResult:
    """Serve StopExecution with its error and cause, which moto drops."""
    execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
    execution.stop(stop_date=None, error=response._get_param("error"), cause=response._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _describing(original: Any) -> Any:
    """A timed-out execution has a stop date too."""

    def describe_execution(response: StepFunctionResponse) -> ActionResult:
        described = original(response)
        execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
        if execution.stop_date is not None and described.result["status"] != "RUNNING":
            described.result["stopDate"] = execution.stop_date
        return described

    return describe_execution


def _paging(original: Any) -> Any:
    """GetExecutionHistory by pages and in reverse; moto gives everything, oldest first."""

    def get_execution_history(response: StepFunctionResponse) -> ActionResult:
        events = list(original(response).result["events"])
        if response._get_param("reverseOrder"):
            events.reverse()
        start = int(response._get_param("nextToken") or 0)
        end = start + int(response._get_param("maxResults") or 100)
        page: dict[str, Any] = {"events": events[start:end]}
        if end < len(events):
            page["nextToken"] = str(end)
        return ActionResult(page)

    return get_execution_history
