"""What the contract tests of the seams share: moto's server in this process, and Lambdas that are plain functions."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.awslambda.models import LambdaFunction

from local.moto_server import forget_everything, moto_server

ONE_TRY = Config(retries={"total_max_attempts": 1})
ROLE = "arn:aws:iam::123456789012:role/tester"
Handler = Callable[[dict[str, Any]], Any]


class MotoCloud:
    """A running moto server, its clients, and the handlers of its Lambdas."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.handlers: dict[str, Handler] = {}
        self._clients: dict[Any, Any] = {}

    def client(self, service: str, config: Config = ONE_TRY) -> Any:
        key = (service, config)
        if key not in self._clients:
            self._clients[key] = boto3.session.Session().client(
                service,
                region_name="us-east-1",
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",  # pragma: allowlist secret
                config=config,
            )
        return self._clients[key]

    def function(self, name: str, handler: Handler) -> str:
        """Make a Lambda that runs the handler here; give its ARN."""
        self.handlers[name] = handler
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", "")
        made = self.client("lambda").create_function(
            FunctionName=name, Handler="app.handler", Runtime="python3.11", Role=ROLE, Code={"ZipFile": code.getvalue()}
        )
        return str(made["FunctionArn"])

    def queue(self, name: str, **attributes: str) -> str:
        return str(self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def bodies(self, queue_url: str, *, wait_seconds: int = 5) -> list[str]:
        """Give the bodies that arrive next in a queue, and take them out."""
        sqs = self.client("sqs")
        got = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds)
        for message in got.get("Messages", []):
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in got.get("Messages", [])]


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:123456789012:{name}"


def eventually(check: Callable[[], Any], *, within: float = 60.0) -> Any:
    """Give the check's first true value; fails after the deadline."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, f"not true within {within} s"
        time.sleep(0.01)
    return found


@contextmanager
def running_moto() -> Iterator[MotoCloud]:
    """Give moto's server for as long as the block lasts."""
    server = moto_server()
    server.start()
    cloud = MotoCloud(server.url)
    cloud.client("iam").create_role(RoleName="tester", AssumeRolePolicyDocument="{}")

    def run(function: LambdaFunction, event: Any) -> tuple[str, bool, str]:
        try:
            return json.dumps(cloud.handlers[function.function_name](event)), False, ""
        except Exception as exc:  # noqa: BLE001 - as Lambda does with whatever a handler raises
            return json.dumps({"errorType": type(exc).__name__, "errorMessage": str(exc)}), True, ""

    def invoke(function: LambdaFunction, body: Any, request_headers: Any, response_headers: Any) -> bytes:
        payload, failed, _ = run(function, json.loads(body or "{}"))
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return payload.encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_PORT", server.url.rsplit(":", 1)[1])
        patch.setattr(LambdaFunction, "invoke", invoke)
        yield cloud
    server.stop()
    forget_everything()
