"""The simulated SageMaker behind a real server, and what its tests do with it."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from local import autoscaling, events, notifications, sagemaker
from local.sagemaker import simulation

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
LMI = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/djl-inference:0.33.0-lmi15.0.0-cu128"
LMI_CU130 = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/djl-inference:0.36.0-lmi27.0.0-cu130"
FOREIGN = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/own:1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ASYNC = {
    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
    "OutputConfig": {"S3OutputPath": "s3://data/out/", "S3FailurePath": "s3://data/failed"},
}
CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Give the code and the message with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**request)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


class HandClock:
    """A clock that the test moves; everything that is due meanwhile happens at its moment."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def timestamp(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def sleep(self, simulated_seconds: float) -> None:
        self.seconds += simulated_seconds
        sagemaker.advance(self.seconds)


class HostingCloud:
    """A server, its clients, and what is needed again and again."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.server.start()
        self.url = "http://{}:{}".format(*self.server.get_host_and_port())
        self.sagemaker, self.runtime = self.client("sagemaker"), self.client("sagemaker-runtime")
        self.scaling, self.cloudwatch = self.client("application-autoscaling"), self.client("cloudwatch")
        self.s3, self.sns, self.sqs, self.iam = (self.client(name) for name in ("s3", "sns", "sqs", "iam"))
        self.logs, self.quotas, self.events = (self.client(name) for name in ("logs", "service-quotas", "events"))

    def client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, parameter_validation=False)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, config=config, **keys)

    def begin(self) -> None:
        self.clock = HandClock()
        events._running[:] = []
        notifications.install(self.clock)
        sagemaker.install(self.clock)
        autoscaling.install()
        self.iam.create_role(RoleName="execution", AssumeRolePolicyDocument=json.dumps(TRUST))
        for bucket in ("weights", "data"):
            self.s3.create_bucket(Bucket=bucket)
        self.put("little/config.json", CONFIG)
        self.put("little/model.safetensors", b"\0" * 4096)

    def end(self) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")):
            pass

    @property
    def simulation(self) -> Any:
        return simulation()

    def put(self, key: str, body: str | bytes, bucket: str = "weights") -> str:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    def bundle(self, key: str = "bundle/model.tar.gz", **files: str) -> str:
        """Put a model.tar.gz; a name's dot is written as two underscores."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in files.items():
                told = tarfile.TarInfo(name.replace("__", "."))
                told.size = len(text.encode())
                archive.addfile(told, io.BytesIO(text.encode()))
        return self.put(key, packed.getvalue())

    def model(self, name: str = "little", *, isolated: bool = False, **container: Any) -> str:
        source = {"S3Uri": "s3://weights/little/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        definition = {"Image": LMI, "ModelDataSource": {"S3DataSource": source}, **container}
        definition = {key: value for key, value in definition.items() if value is not None}
        return self.sagemaker.create_model(
            ModelName=name, PrimaryContainer=definition, ExecutionRoleArn=ROLE, EnableNetworkIsolation=isolated
        )["ModelArn"]

    def config(
        self, name: str = "little", *, asynchronous: Any = None, model: str | None = None, **variant: Any
    ) -> str:
        wanted = {
            "VariantName": "main",
            "ModelName": model or name,
            "InstanceType": "ml.g5.xlarge",
            "InitialInstanceCount": 1,
            **variant,
        }
        request = {"EndpointConfigName": name, "ProductionVariants": [wanted]}
        if asynchronous is not None:
            request["AsyncInferenceConfig"] = asynchronous
        return self.sagemaker.create_endpoint_config(**request)["EndpointConfigArn"]

    def endpoint(self, name: str = "little", *, asynchronous: Any = None, wait: bool = True, **variant: Any) -> None:
        """Make an endpoint with everything that it needs, and wait until it is decided."""
        if not any(each.name == name for each in self.simulation.state.models.values()):
            self.model(name)
        self.config(name, asynchronous=asynchronous, **variant)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        if wait:
            self.clock.sleep(1200)

    def status(self, name: str = "little") -> str:
        return self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def reason(self, name: str = "little") -> str:
        return self.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]

    def variant(self, name: str = "little") -> dict[str, Any]:
        return self.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]

    def counts(self, name: str = "little") -> tuple[int, int]:
        variant = self.variant(name)
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]

    def invoke(self, body: Any, name: str = "little", **more: Any) -> Any:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = {"EndpointName": name, "Body": encoded, "ContentType": "application/json", **more}
        return json.loads(self.runtime.invoke_endpoint(**request)["Body"].read())

    def submit(self, body: Any = None, name: str = "little", **more: Any) -> dict[str, Any]:
        request = {"EndpointName": name, "ContentType": "application/json", **more}
        if "InputLocation" not in request:
            request["Body"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.runtime.invoke_endpoint_async(**request)

    def read(self, uri: str) -> bytes | None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() if found else None

    def log(self, name: str = "little") -> list[str]:
        group = f"/aws/sagemaker/Endpoints/{name}"
        if not self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        return [each["message"] for each in self.logs.filter_log_events(logGroupName=group)["events"]]

    def event_log(self) -> list[dict[str, Any]]:
        """Give a list that grows by every event of the default bus."""
        seen: list[dict[str, Any]] = []
        bus = _Recorder(seen)
        events._running[:] = [bus]  # type: ignore[list-item]
        return seen


class _Recorder:
    """Stands where the bus does."""

    def __init__(self, seen: list[dict[str, Any]]) -> None:
        self._seen = seen

    def publish(self, *, source: str, detail_type: str, detail: Any, resources: Any, **_: Any) -> None:
        self._seen.append(
            {"source": source, "detail-type": detail_type, "detail": detail, "resources": list(resources)}
        )
