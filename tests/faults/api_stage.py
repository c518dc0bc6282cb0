"""The API behind the embedded cloud's gateway, in process, over a populated table, bucket and queue of moto's.

What moto lacks is a fake: the hub, Bedrock, and executions, which here never go on by themselves. The clock is
turned by hand, so that nobody who prefers to wait does.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pilotlight.adapters.bucket_source import BucketSource
from pilotlight.adapters.sources import Sources
from pilotlight.domain.deployment import Deployment, Failure, Status
from pilotlight.domain.invocation import InvocationStatus
from pilotlight.domain.source import SourceKind
from pilotlight.domain.upload import UploadStatus
from pilotlight.runtime import Runtime, using
from pilotlight.settings import Settings
from pilotlight.wiring import TRANSFER

from local.gateway import Gateway, RestApi, Route
from local.workers import Outcome
from tests import fakes
from tests.architecture.template_rules import Template
from tests.factories import (
    a_checkpoint,
    a_deployment,
    a_serving_deployment,
    a_wake,
    a_window,
    an_artifact,
    an_event,
    an_invocation,
    an_upload,
)
from tests.faults.product import ROOT, loaded
from tools import cloudformation

REGION = "us-east-1"
HUB_SOURCE = "local/small-llama"
BUCKET = "checkpoints"
SOURCES = (f"hf://{HUB_SOURCE}", f"s3://{BUCKET}/llama/", f"s3://{BUCKET}/", "s3://nobodys-bucket/", "hf://no/body")
TABLE_PARTS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
PER_STATUS = 2
"""How many deployments of each status there are: what deletes one leaves others."""

NAMES = tuple(f"{status.value.lower().replace('_', '-')}-{number}" for status in Status for number in range(PER_STATUS))
INVOCATIONS = {
    status: f"01m7xjagxm6yf0jp19hg6gaf1{letter}" for status, letter in zip(InvocationStatus, "abcd", strict=True)
}


class Stage:
    """A gateway that answers, and what is behind it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._app = loaded(ROOT / "functions/api/app.py").app
        self.gateway = Gateway(_routes(), self._invoke)

    def populate(self) -> None:
        """Put the records back that a run may have changed: a deployment in every status, and so on."""
        _put_deployments(self.runtime)
        for status, invocation_id in INVOCATIONS.items():
            _put_invocation(self.runtime, invocation_id, status)
        for status in UploadStatus:
            folder = f"folder-{status.value.lower()}"
            upload = an_upload(folder, status=status, reason="told so", missing=("config.json",), held_by="serving-0")
            if self.runtime.uploads.find(folder) is None:
                self.runtime.uploads.save(upload, upload)

    def _invoke(self, function: str, event: bytes, _source_arn: str) -> Outcome:
        with using(self.runtime):
            answer = self._app(json.loads(event), SimpleNamespace(aws_request_id="r-1", function_name=function))
            # Left on, it would refuse whatever follows with 503, as it should, and nothing else would be found.
            vars(self.runtime)["kill_switch"].text = "off"
        return Outcome("r-1", json.dumps(answer).encode(), failed=False)


@contextmanager
def staged() -> Iterator[Stage]:
    """Serve the API until the end of the block."""
    with ExitStack() as closing:
        environment = closing.enter_context(pytest.MonkeyPatch.context())
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        closing.enter_context(mock_aws())
        stage = Stage(_runtime())
        stage.populate()
        stage.gateway.start()
        closing.callback(stage.gateway.stop)
        yield stage


def _runtime() -> Runtime:
    """Return a runtime whose table, buckets and queue are moto's."""
    declared = cloudformation.of_type(cloudformation.load(), "AWS::DynamoDB::Table")["Table"]
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="records", **{name: declared[name] for name in TABLE_PARTS}
    )
    s3 = boto3.client("s3", region_name=REGION)
    for bucket in ("artifacts", "uploads", BUCKET):
        s3.create_bucket(Bucket=bucket)
    for path, content in a_checkpoint().items():
        s3.put_object(Bucket=BUCKET, Key=f"llama/{path}", Body=content)
    queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="invocations")["QueueUrl"]
    clock = fakes.ManualClock()
    settings = Settings.from_environment(
        {
            "TABLE_NAME": "records",
            "ARTIFACT_BUCKET": "artifacts",
            "UPLOAD_BUCKET": "uploads",
            "INVOCATION_QUEUE_URL": queue,
            "QUEUE_DEPTH": "100000",
        }
    )
    runtime = Runtime(settings, clock)
    hub = fakes.FakeSource(clock)
    hub.push(HUB_SOURCE, a_checkpoint())
    vars(runtime).update(
        source=Sources({SourceKind.HUB: hub, SourceKind.BUCKET: BucketSource(runtime.client("s3", TRANSFER))}),
        executions=fakes.FakeExecutions(),
        imports=fakes.FakeImports(clock),
        backend=fakes.FakeBackend(clock),
        kill_switch=fakes.FakeSwitch(),
        notices=fakes.FakeNotices(),
        journal=fakes.FakeJournal(),
        topic=fakes.FakeTopic(),
    )
    return runtime


def _put_deployments(runtime: Runtime) -> None:
    artifact = runtime.artifacts.find(an_artifact().id) or runtime.artifacts.save(None, an_artifact())
    now = runtime.clock.now()
    for name in NAMES:
        status = Status(name.rpartition("-")[0].upper().replace("-", "_"))
        before = runtime.deployments.find(name)
        if before and before.status is status:
            continue
        make = a_serving_deployment if status in (Status.SERVING, Status.WARMING) else a_deployment
        fresh = make(name, now=now, status=status, artifact_id=artifact.id, **_told(status, now))
        if before is None:
            runtime.deployments.reserve(fresh, an_event(now=now, after=status, detail={"why": "a test"}))
        else:
            _overwrite(runtime, before, fresh)
        if status is Status.SERVING:
            runtime.deployments.open_window(name, a_window(starts_at=now, tokens_per_second=60.0))


def _told(status: Status, now: Any) -> Mapping[str, Any]:
    match status:
        case Status.FAILED:
            return {
                "failure": Failure(code="import-failed", reason="The tokenizer broke.", during=Status.IMPORTING, at=now)
            }
        case Status.WARMING:
            return {"wake": a_wake(now=now)}
        case Status.IMPORTING:
            return {"waiting_for": "a slot for import jobs"}
    return {}


def _overwrite(runtime: Runtime, before: Deployment, fresh: Deployment) -> None:
    """Put a record back as it was, whatever its status allows."""
    runtime.table.put_fenced(f"DEPLOYMENT#{fresh.name}", fresh.changed(version=before.version).dump(), before.version)


def _put_invocation(runtime: Runtime, invocation_id: str, status: InvocationStatus) -> None:
    failed = {"error_code": "deadline-passed", "error_message": "Nobody answered it."}
    told = failed if status is InvocationStatus.FAILED else {}
    now = runtime.clock.now()
    runtime.invocations.put(an_invocation(invocation_id, now=now, status=status, was_cold=True, **told))
    if status is InvocationStatus.SUCCEEDED:
        runtime.bodies.put_output(invocation_id, {"text": "Yes.", "reasoning": "It is asked.", "stop_reason": "stop"})


def _routes() -> RestApi:
    """Return the routes that the template deploys."""
    methods: dict[str, dict[str, str]] = {}
    for function, (method, path) in Template(cloudformation.TEMPLATE.read_text()).routes:
        methods.setdefault(path, {})[method] = function
    routes = [Route.of(path, functions) for path, functions in methods.items()]
    literal_first = sorted(routes, key=lambda route: [part[:1] == "{" for part in route.path.split("/")])
    return RestApi("stage", "v1", tuple(literal_first))
