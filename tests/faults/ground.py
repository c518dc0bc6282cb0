"""The product's functions over moto in one process, for as many threads as there are: real handlers, real adapters.

Executions are started and never run: what they do is another matter. Time stands until it is moved.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from moto import mock_aws
from moto.awslambda.models import lambda_backends
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from pilotlight.runtime import Runtime, using
from pilotlight.settings import Settings

from local import autoscaling, bedrock, object_store, sagemaker, service_models, step_functions, tables
from local.bedrock.settings import Settings as BedrockSettings
from local.bedrock.simulation import simulation
from local.identity import ACCOUNT_ID, REGION, environment
from tests.faults import product
from tests.faults.product import QUIET, ROOT, STACK, api_event, client_of, example
from tests.faults.replacing import put_back, replace

BEGINS = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class StandingClock:
    """A clock for moto and for the product that moves when it is told to."""

    speed = 1.0

    def __init__(self) -> None:
        self._now = BEGINS
        self.epoch = BEGINS.timestamp()

    def now(self) -> datetime:
        """Give the time."""
        return self._now

    def timestamp(self) -> float:
        """Give the seconds since 1970."""
        return self._now.timestamp()

    def wall_seconds(self, simulated_seconds: float) -> float:
        """Give the seconds as they are."""
        return simulated_seconds

    def pause(self, wall_seconds: float) -> None:
        """Let time pass for whoever waits."""
        self.advance(seconds=wall_seconds)

    def advance(self, **span: float) -> None:
        """Let that much time pass."""
        self._now += timedelta(**span)


@dataclass(frozen=True)
class Context:
    """What a handler asks its context for."""

    aws_request_id: str
    function_name: str
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = ""

    def get_remaining_time_in_millis(self) -> int:
        """Give enough."""
        return 30_000


class Ground:
    """A deployed stack whose functions are called here."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.outputs: dict[str, str] = {}
        self.begun: list[str] = []  # ARNs of executions
        self._clients: dict[str, Any] = {}
        self._runtimes: dict[str, Runtime] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "Ground":
        self._closing.enter_context(environment(QUIET))
        service_models.share()
        mock = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        mock.start()
        self._closing.callback(mock.stop)
        self._closing.callback(put_back)
        for seam in (step_functions, object_store, bedrock, sagemaker):
            seam.install(self.clock)  # type: ignore[arg-type]
        autoscaling.install()
        tables.install()
        replace(FakeBucket, "get_permission", lambda _: lambda *_: PermissionResult.NEUTRAL)  # whoever calls, may
        replace(ExecutionWorker, "start", lambda _: lambda worker: self.begun.append(_arn_of(worker)))
        made = product.deployed(self.client)
        self.outputs = dict(made.outputs)
        simulation().settings = BedrockSettings(imported_models=100_000, import_jobs=100_000, cold_start_seconds=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def client(self, service: str) -> Any:
        """Give a client of the harness."""
        if service not in self._clients:
            self._clients[service] = client_of(service)
        return self._clients[service]

    def runtime(self, function: str) -> Runtime:
        """Give a function's runtime: its own environment, this clock."""
        if function not in self._runtimes:
            (found,) = (
                each
                for each in lambda_backends[ACCOUNT_ID][REGION].list_functions()
                if each.function_name == f"{STACK}-{function.replace('_', '-')}"
            )
            variables = {key: str(value) for key, value in found.environment_vars.items()}
            self._runtimes[function] = Runtime(Settings.from_environment({**variables, **QUIET}), self.clock)
        return self._runtimes[function]

    def scan(self) -> Callable[[], None] | None:
        """Give a call of the reconciler, which finds uploads that no event told of; None where there is none."""
        if not (ROOT / "functions/reconcile").is_dir():
            return None
        reconcile = self.handler("reconcile")
        tick = example("reconcile/every-quarter-hour")
        return lambda: reconcile({**tick, "id": str(uuid4())})

    def handler(self, function: str) -> Callable[[Any], Any]:
        """Give a function to call with events: a sandbox of its own, as every Lambda at work is one."""
        api = function in ("api", "api_invoke")
        module = product.loaded(ROOT / "functions" / ("api/app.py" if api else f"{function}/handler.py"))
        handle, runtime = module.app if api else module.handler, self.runtime(function)

        def call(event: Any) -> Any:
            with using(runtime):
                return handle(event, Context(uuid4().hex, f"{STACK}-{function}"))

        return call


def _arn_of(worker: ExecutionWorker) -> str:
    return str(worker._evaluation_details.execution_details.arn)


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    body: Any


class ApiCaller:
    """Somebody who calls the API, through a sandbox of its own."""

    def __init__(self, ground: Ground, function: str = "api") -> None:
        self._call = ground.handler(function)

    def ask(self, method: str, resource: str, body: Any = None, *, key: str | None = None, **path: str) -> Answer:
        """Call as the gateway does, and give the answer."""
        told = self._call(api_event(method, resource, body, key=key, path=path))
        return Answer(told["statusCode"], json.loads(told["body"] or "null"))
