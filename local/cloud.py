"""AWS on one machine: a template becomes a running stack in seconds, and nothing is left of it afterwards."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from local import service_models
from local.clock import ScaledClock
from local.gateway import Gateway, RestApi
from local.identity import HARNESS, REGION, environment, region_environment

if TYPE_CHECKING:
    from local.cloudformation import DeployedStack
    from local.lambda_service import LambdaService

_Part = TypeVar("_Part")

# What brings moto along is imported when a cloud starts: a second's work that `--help` and the client can do
# without, and that is half as long once botocore's models are shared.

# moto keeps its state in module variables: a second cloud would share it.
_ONE_AT_A_TIME = threading.Lock()


class Cloud:
    """The embedded cloud with one stack in it.

    `environment` is given to every Lambda in addition to what the template says.
    """

    def __init__(
        self,
        template: Path,
        *,
        stack_name: str = "pilotlight",
        speed: float = 1.0,
        api_port: int | None = None,
        environment: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        prewarm: bool = False,
        pure_runtime: bool = False,
    ) -> None:
        self.clock = ScaledClock(speed)
        self._template = template
        self._stack_name = stack_name
        self._api_port = api_port
        self._environment = dict(environment or {})
        self._parameters = dict(parameters or {})
        self._prewarm = prewarm
        self._pure_runtime = pure_runtime
        self._closing = ExitStack()
        self._clients: dict[str, Any] = {}
        self._client_guard = threading.Lock()
        self._endpoint_url: str | None = None
        self._stack: DeployedStack | None = None
        self._lambda: LambdaService | None = None
        self._gateway: Gateway | None = None

    def __enter__(self) -> Cloud:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return when the stack is deployed and its API answers; on failure, nothing is left running.

        Raises: PortTakenError, TemplateError, DeploymentError; RuntimeError beside another cloud.
        """
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            raise RuntimeError("Another embedded cloud runs in this process; stop it first.")
        self._closing.callback(_ONE_AT_A_TIME.release)
        try:
            with _no_garbage_collection():
                self._start_moto()
                self._start_services()
                self._deploy()
                self._start_gateway()
        except BaseException:
            self.stop()
            raise
        if self._prewarm:
            self.functions.prewarm()

    def stop(self) -> None:
        """End everything: servers, workers, threads and moto's state. A second call changes nothing."""
        self._closing.close()

    @property
    def endpoint_url(self) -> str:
        """Give the address of every AWS service."""
        return _started(self._endpoint_url)

    @property
    def api_url(self) -> str:
        """Give the address of the stack's REST API. Raises: RuntimeError when it has none."""
        return _started(self._gateway).url

    @property
    def outputs(self) -> Mapping[str, str]:
        """Give the stack's outputs."""
        return _started(self._stack).outputs

    @property
    def resources(self) -> Mapping[str, str]:
        """Give the physical id of each logical id."""
        return _started(self._stack).resources

    @property
    def functions(self) -> LambdaService:
        """Give what runs the Lambda functions."""
        return _started(self._lambda)

    def client(self, service: str) -> Any:
        """Give a boto3 client that acts as the harness, without retries: what fails is to be seen."""
        with self._client_guard:
            if service not in self._clients:
                session: Any = boto3.session.Session()
                self._clients[service] = session.client(
                    service,
                    region_name=REGION,
                    endpoint_url=self.endpoint_url,
                    aws_access_key_id=HARNESS.access_key_id,
                    aws_secret_access_key=HARNESS.secret_access_key,
                    config=Config(
                        retries={"total_max_attempts": 1},
                        max_pool_connections=64,
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service]

    def _start_moto(self) -> None:
        service_models.share()
        from local.moto_server import forget_everything, moto_server  # noqa: PLC0415 - as above

        server = moto_server()
        self._endpoint_url = server.url
        own = {"MOTO_PORT": str(server.port), **region_environment(server.url)}
        self._closing.enter_context(environment(own))
        forget_everything()
        self._closing.callback(forget_everything)
        self._closing.callback(server.stop)
        self._closing.callback(self._close_clients)
        server.start()

    def _start_services(self) -> None:
        from local.lambda_service import LambdaService  # noqa: PLC0415 - as above
        from local.services import start_services  # noqa: PLC0415 - as above

        self._lambda = LambdaService(
            self.clock,
            self.endpoint_url,
            self.client,
            environment=self._environment,
            pure_runtime=self._pure_runtime,
        )
        self._lambda.install()
        self._closing.callback(self._lambda.stop)
        start_services(self.clock, self.endpoint_url, self._closing)

    def _deploy(self) -> None:
        from local.cloudformation import deploy  # noqa: PLC0415 - as above
        from local.sam import translate  # noqa: PLC0415 - as above

        translated = translate(self._template, self._parameters)
        self._stack = deploy(translated, stack_name=self._stack_name, parameters=self._parameters, client=self.client)

    def _start_gateway(self) -> None:
        api = RestApi.read(self.client("apigateway"))
        if api is None:
            return
        self._gateway = Gateway(api, self.functions.run_for_api, port=self._api_port)
        self._gateway.start()
        self._closing.callback(self._gateway.stop)

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Leave garbage alone: what a start makes is kept, and looking through it again and again takes a quarter of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _started(value: _Part | None) -> _Part:
    if value is None:
        raise RuntimeError("The cloud has not been started, or its template has no such part.")
    return value
