"""Lambda of the embedded cloud: moto keeps the functions, our workers run them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.logs.models import logs_backends

from local.authorization import Call, Caller, Service, may, require, sessions
from local.clock import ScaledClock
from local.event_invocations import EventInvocations
from local.identity import ACCOUNT_ID, REGION, region_environment
from local.seams import replace
from local.worker_pool import AtWork, ThrottledError, WorkerPool
from local.workers import FunctionSettings, Outcome, Worker

# What one function may run at once without a reservation. AWS shares 1,000 over an account; a laptop
# that starts more interpreters than this only becomes slower.
DEFAULT_CONCURRENCY = 10
_LOG_TAIL_BYTES = 4096
_UNKNOWN_DIRECTORY = "It was not deployed from the template: the embedded cloud runs code from its source folder only."


class LambdaService:
    """Runs the functions that moto knows, and answers Invoke as the real service does."""

    def __init__(
        self,
        clock: ScaledClock,
        endpoint_url: str,
        client: Callable[[str], Any],
        *,
        environment: Mapping[str, str],
        pure_runtime: bool = False,
    ) -> None:
        self._variables = {**environment, **region_environment(endpoint_url), **clock.environment()}
        self._pure_runtime = pure_runtime
        self._pool = WorkerPool(self._start_worker)
        self._events = EventInvocations(clock, self.run, client)

    def install(self) -> None:
        """Make every invocation that reaches moto, by whatever service, ours."""

        def make(_original: Any) -> Any:
            def invoke(function: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
                return self._invoked(function, body, request_headers, response_headers)

            return invoke

        replace(LambdaFunction, "invoke", make)
        replace(LambdaFunction, "get_configuration", _with_dead_letters)

    def run(self, function: Any, payload: bytes) -> Outcome:
        """Give the outcome of one synchronous invocation of moto's function object.

        Raises: ThrottledError.
        """
        return self._pool.invoke(settings_of(function), payload)

    def run_for_api(self, name: str, payload: bytes, source_arn: str) -> Outcome:
        """Give the outcome of an invocation by a method of API Gateway.

        Raises: ThrottledError; PermissionError where the function's policy does not let the method in.
        """
        function = self.find(name)
        gateway = Service("apigateway.amazonaws.com", source_arn)
        require(Call.of(gateway, "lambda:InvokeFunction", function.function_arn))
        return self.run(function, payload)

    def find(self, name_or_arn: str) -> Any:
        """Give moto's function object."""
        return _backend().get_function(name_or_arn)

    def prewarm(self) -> None:
        """Start one worker for each function in the background."""
        self._pool.prewarm([settings_of(function) for function in _backend().list_functions()])

    def pids(self) -> list[int]:
        """Give the ids of the workers' processes."""
        return self._pool.pids()

    def at_work(self) -> list[AtWork]:
        """Give the workers that are in the middle of an invocation."""
        return self._pool.at_work()

    def stop(self) -> None:
        """End every worker and every asynchronous invocation."""
        self._events.close()
        self._pool.stop()

    def _invoked(
        self, function: Any, body: Any, request: Mapping[str, str], response: MutableMapping[str, str]
    ) -> bytes:
        payload = body if isinstance(body, bytes) else str(body or "{}").encode()
        kind = next((v for k, v in request.items() if k.lower() == "x-amz-invocation-type"), "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            self._events.accept(function, payload)
            return b""
        try:
            outcome = self.run(function, payload)
        except ThrottledError as exc:
            raise _too_many_requests(str(exc)) from exc
        if outcome.failed:
            response["x-amz-function-error"] = "Unhandled"
        tail = "\n".join(outcome.log).encode()[-_LOG_TAIL_BYTES:]
        response["x-amz-log-result"] = base64.b64encode(tail).decode()
        response["x-amz-executed-version"] = str(function.version)
        return outcome.payload

    def _start_worker(self, settings: FunctionSettings) -> Worker:
        session = _session(settings)
        variables = {**settings.environment, **self._variables, **session.credentials.environment()}
        log = _LogStream(settings.log_group, session.caller)
        worker = Worker(settings, session.lasts, variables=variables, log=log, pure=self._pure_runtime)
        log.open(worker.log_stream)
        return worker


class _LogStream:
    """Puts a worker's lines into CloudWatch Logs, as far as its role may."""

    def __init__(self, group: str, role: Caller) -> None:
        self._logs = logs_backends[ACCOUNT_ID][REGION]
        self._group = group
        self._role = role
        self._stream: str | None = None
        self._early: list[str] = []

    def open(self, stream: str) -> None:
        """Create the stream; lines that were written before it are kept."""
        if not self._may("logs:CreateLogStream", stream):
            return
        self._logs.ensure_log_group(self._group)
        self._logs.create_log_stream(self._group, stream)
        self._stream = stream
        if self._early:
            self([])

    def __call__(self, lines: list[str]) -> None:
        if self._stream is None:
            self._early.extend(lines)
            return
        if not self._may("logs:PutLogEvents", self._stream):
            return
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in (*self._early, *lines)]
        self._early.clear()
        self._logs.put_log_events(self._group, self._stream, events)

    def _may(self, action: str, stream: str) -> bool:
        group = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{self._group}"
        return may(self._role, action, f"{group}:log-stream:{stream}")


def settings_of(function: Any) -> FunctionSettings:
    """Give what a worker of moto's function object needs; raises when it has no code folder."""
    directory: Path | None = getattr(function, "code_directory", None)
    if directory is None:
        raise _invalid(f"Function {function.function_name} has no code to run. {_UNKNOWN_DIRECTORY}")
    reserved = function.reserved_concurrency
    return FunctionSettings(
        name=function.function_name,
        arn=function.function_arn,
        version=str(function.version),
        handler=function.handler,
        role_arn=function.role,
        code_directory=directory,
        layer_directories=tuple(_layer_directories(function)),
        timeout_seconds=int(function.timeout),
        memory_mb=int(function.memory_size),
        concurrency=DEFAULT_CONCURRENCY if reserved is None else int(reserved),
        environment={key: str(value) for key, value in (function.environment_vars or {}).items()},
    )


def _session(settings: FunctionSettings) -> sessions.Session:
    """Give keys of the function's role; raises when the role does not trust Lambda."""
    if not may(Service("lambda.amazonaws.com", settings.arn), "sts:AssumeRole", settings.role_arn):
        raise _invalid("The role defined for the function cannot be assumed by Lambda.")
    return sessions.of_role(settings.role_arn, settings.name)


def _layer_directories(function: Any) -> list[Path]:
    found = [_backend().layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
    return [version.content_directory for version in found if (version.content_directory / "python").is_dir()]


def _backend() -> Any:
    return lambda_backends[ACCOUNT_ID][REGION]


def _with_dead_letters(original: Any) -> Any:
    """Give a get_configuration that tells of the dead-letter queue, which moto does not keep."""

    def get_configuration(function: Any, on_create: bool = False) -> dict[str, Any]:
        known: dict[str, Any] = original(function, on_create)
        dead_letters = getattr(function, "dead_letter_config", None)
        return known | ({"DeadLetterConfig": dead_letters} if dead_letters else {})

    return get_configuration


def _too_many_requests(message: str) -> Exception:
    error: Exception = type("_TooMany", (LambdaClientError,), {"code": 429})("TooManyRequestsException", message)
    return error


def _invalid(message: str) -> Exception:
    error: Exception = InvalidParameterValueException(message)
    return error
