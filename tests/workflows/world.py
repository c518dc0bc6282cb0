"""The whole product on the embedded cloud as its users see it: an API, boto3, a hub; and what a test may turn.

Times are simulated unless a name says otherwise: one second of the wall is SPEED of them.
"""

from __future__ import annotations

import gc
import itertools
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from local import sagemaker
from local.bedrock import simulation
from local.bedrock.settings import Settings
from local.bedrock.simulation import Knobs, Simulation
from local.checkpoints import write_checkpoint
from local.cloud import Cloud
from local.hub import Hub
from tests.documented import breaks
from tests.workflows.hooks import Certificate

ROOT = Path(__file__).parents[2]
SPEED = 120
PATIENCE = 120.0  # wall seconds: what is waited for takes few, unless the machine is busy with something else
STACK = "pilotlight"
SMALL = "hf://acme/small-llama"

# Two files of two parts each: small, and all the same staged in parts.
PART_MIB = "5"
HEADER = "bytes=0-65535"
"""What is read of weights before any of them is copied."""
SHARDS = {"shards": 2, "shard_bytes": 6_000_000}

# Bounds that the product has in its environment, so small that a test sees them.
ENVIRONMENT = {
    "WAKE_MAX_ATTEMPTS": "20",
    "IMPORT_POLL_SECONDS": "20",
    "UPLOAD_SETTLE_SECONDS": "60",
    "RECONCILE_SMALLEST_AGE_SECONDS": "900",
    "WEBHOOK_ALLOWS_LOOPBACK": "true",
    "FILE_LIST_ALLOWS_LOOPBACK": "true",
}
MOST_INSTANCES = 100  # of all tests together, whose endpoints stay until the cloud goes

# In the names of executions, so that a stack made again meets none of its former ones: noise to whoever reads a test.
BIRTH = re.compile(r"-[0-9a-z]{6}(?=(-[ratw][0-9a-z]+)?$)")

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Execution:
    """An execution: how it ended, and the states that it entered, in their order."""

    name: str
    status: str
    error: str | None
    path: tuple[str, ...]


class World:
    """A running cloud with the product in it."""

    def __init__(self, cloud: Cloud, hub: Hub, folder: Path, certificate: Certificate) -> None:
        self.cloud = cloud
        self.hub = hub
        self.certificate = certificate
        self.http = httpx.Client(base_url=cloud.api_url, timeout=40, event_hooks={"response": [_as_documented]})
        self.on_instances: list[str] = []
        self._folder = folder
        self._numbers = itertools.count(1)

    # ---- what is simulated -----------------------------------------------------------------------------------

    @property
    def bedrock(self) -> Simulation:
        """Give the simulated service: its knobs, settings, jobs and models."""
        return simulation()

    @property
    def hosting(self) -> sagemaker.Simulation:
        """Give the simulated SageMaker: its knobs, settings, endpoints and what AWS would bill."""
        return sagemaker.simulation()

    def calm(self) -> None:
        """Turn every knob back: everything works, quickly, there is room, and no old job is in the way."""
        for job in self.bedrock.jobs:
            job.seconds, job.stuck = 0.0, False
        self.bedrock.knobs = Knobs()
        self.bedrock.settings = Settings(
            import_floor_seconds=30,
            import_overhead_seconds=0,
            verdict_seconds=10,
            cold_start_seconds=20,
            imported_models=200,
            import_jobs=50,
        )
        self.hosting.knobs = sagemaker.Knobs()
        self.hosting.settings = sagemaker.Settings(
            start_seconds=40,
            load_seconds=20,
            capacity_verdict_seconds=30,
            verdict_seconds=30,
            delete_seconds=15,
            rollback_seconds=30,
            quotas=defaultdict(lambda: MOST_INSTANCES),
        )
        self.hub.faults.clear()

    def publish(self, **kind: Any) -> str:
        """Give the source of a model of its own on the hub; `kind` is what `write_checkpoint` takes."""
        repository = f"acme/model-{next(self._numbers)}"
        visibility = {key: kind.pop(key) for key in ("gated", "private") if key in kind}
        folder = self._folder / "small"
        if kind:
            folder = self._folder / repository
            write_checkpoint(folder, **{"shards": 1, "shard_bytes": 300_000, **kind})
        self.hub.add(repository, folder, **visibility)
        return f"hf://{repository}"

    @property
    def checkpoint(self) -> Path:
        """Give the folder of the small model."""
        return self._folder / "small"

    # ---- what a user does ------------------------------------------------------------------------------------

    def name(self) -> str:
        """Give a name that no deployment had."""
        return f"model-{next(self._numbers)}"

    def deploy(self, name: str | None = None, source: str = SMALL, **fields: Any) -> str:
        """Ask for a deployment and give its name; unless it says otherwise, its weights go with it."""
        name = name or self.name()
        answer = self.http.post("/deployments", json={"name": name, "source": source, "artifact": "delete", **fields})
        assert answer.status_code == 202, answer.text
        if answer.json()["backend"] != "bedrock":
            self.on_instances.append(name)
        return name

    def let_go(self, names: Iterable[str]) -> None:
        """Delete deployments, and wait for none: an endpoint is looked at every minute for as long as it is there."""
        for name in names:
            self.http.delete(f"/deployments/{name}")

    def serving(self, name: str | None = None, source: str = SMALL, **fields: Any) -> str:
        """Give the name of a deployment that takes invocations."""
        name = self.deploy(name, source, **fields)
        self.until(name, "SERVING")
        return name

    def failed(self, name: str | None = None, source: str = SMALL, **fields: Any) -> dict[str, Any]:
        """Give a deployment that failed, as the API shows it."""
        return self.until(self.deploy(name, source, **fields), "FAILED")

    def deployment(self, name: str) -> dict[str, Any]:
        """Give a deployment as the API shows it."""
        answer = self.http.get(f"/deployments/{name}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def until(self, name: str, status: str) -> dict[str, Any]:
        """Give a deployment once it has that status; one that ends elsewhere says why."""
        ends = {"FAILED", "GONE"} - {status}

        def look() -> bool:
            is_now = self._status(name)
            assert is_now not in ends, f"{name} is {is_now}: {self.deployment(name).get('failure')}"
            return is_now == status

        eventually(look, f"{name} to be {status}", but=lambda: str(self.deployment(name)))
        return self.deployment(name)

    def until_gone(self, name: str) -> dict[str, Any]:
        """Give a deployment once nothing of it is left, whatever it was before."""
        gone = lambda: self._status(name) == "GONE"  # noqa: E731
        eventually(gone, f"{name} to be GONE", but=lambda: str(self.reasons(name)))
        return self.deployment(name)

    def _status(self, name: str) -> str | None:
        """Give a status from the table: asking the API twenty times a second would slow down what is waited for."""
        return self.record(f"DEPLOYMENT#{name}").get("status")

    def tear_down(self, name: str) -> dict[str, Any]:
        """Delete a deployment and give it once it is GONE."""
        accepted = lambda: self.http.delete(f"/deployments/{name}").status_code == 202  # noqa: E731
        eventually(accepted, f"the teardown of {name} to be accepted")  # others may keep writing its record: 409
        return self.until_gone(name)

    def invoke(
        self, name: str, prompt: str = "Why is the sky blue?", *, wait: int = 0, **fields: Any
    ) -> httpx.Response:
        """Ask a model."""
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        body = {"parameters": {"max_tokens": 64}, **({} if "messages" in fields else {"prompt": prompt}), **fields}
        return self.http.post(f"/deployments/{name}/invocations", json=body, headers=headers)

    def answered(self, invocation_id: str) -> dict[str, Any]:
        """Give an invocation once it is over."""

        over = lambda status: status in ("SUCCEEDED", "FAILED")  # noqa: E731
        address, record = f"/invocations/{invocation_id}", f"INVOCATION#{invocation_id}"
        if not over(self.http.get(address).json()["status"]):  # from then on the table is asked: it costs no Lambda
            eventually(lambda: over(self.record(record).get("status")), f"an answer to {invocation_id}")
        return dict(self.http.get(address).json())

    def go_cold(self, name: str) -> None:
        """Let the backend drop a model from memory, and wait until the product believes so, too."""
        self.bedrock.evict(self.deployment(name)["model_arn"])
        eventually(lambda: self.deployment(name)["warmth"]["state"] == "COLD", f"{name} to be cold")

    # ---- what there is to see --------------------------------------------------------------------------------

    def events(self, name: str) -> list[dict[str, Any]]:
        """Give a deployment's whole timeline."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"cursor": cursor} if cursor else {}
            page = self.http.get(f"/deployments/{name}/events", params=query).json()
            items += page["items"]
            cursor = page.get("next")
            if not cursor:
                return items

    def reasons(self, name: str) -> list[str]:
        """Give the sentences of a deployment's timeline."""
        return [event["reason"] for event in self.events(name)]

    def executions(self, machine: str, of: str = "") -> list[str]:
        """Give the names of a machine's executions that begin so, without the moment of birth that they carry."""
        return sorted(BIRTH.sub("", name) for name in self._executions(machine) if name.startswith(of))

    def _executions(self, machine: str) -> list[str]:
        listing = self.cloud.client("stepfunctions").get_paginator("list_executions")
        pages = listing.paginate(stateMachineArn=self.machine_arn(machine))
        return [execution["name"] for page in pages for execution in page["executions"]]

    def execution(self, machine: str, name: str) -> Execution:
        """Give an execution once it is over."""
        client = self.cloud.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            described = client.describe_execution(executionArn=self.execution_arn(machine, name))
            return described if described["status"] != "RUNNING" else None

        described = eventually(look, f"execution {name} of {machine} to end")
        return Execution(name, described["status"], described.get("error"), self.path(machine, name))

    def path(self, machine: str, name: str) -> tuple[str, ...]:
        """Give the states that an execution has entered so far."""
        pages = self.cloud.client("stepfunctions").get_paginator("get_execution_history")
        found = pages.paginate(executionArn=self.execution_arn(machine, name))
        entered = (event.get("stateEnteredEventDetails") for page in found for event in page["events"])
        return tuple(state["name"] for state in entered if state)

    def only_execution(self, machine: str, of: str) -> Execution:
        """Give the one execution whose name begins so, once it is over."""
        (name,) = self.executions(machine, of)
        return self.execution(machine, name)

    def objects(self, prefix: str = "artifacts/") -> list[str]:
        """Give the keys in the artifact bucket."""
        pages = self.cloud.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.artifact_bucket, Prefix=prefix)
        return [item["Key"] for page in found for item in page.get("Contents", ())]

    def unfinished_uploads(self, prefix: str) -> list[str]:
        """Give the keys of multipart uploads that nobody completed or aborted."""
        held = self.cloud.client("s3").list_multipart_uploads(Bucket=self.artifact_bucket).get("Uploads", ())
        return [upload["Key"] for upload in held if upload["Key"].startswith(prefix)]

    def imported_models(self, name: str) -> list[str]:
        """Give the names of the imported models of a deployment."""
        found = self.cloud.client("bedrock").list_imported_models(nameContains=f"{STACK}-{name}-g")["modelSummaries"]
        return [model["modelName"] for model in found]

    def left_behind(self, name: str, artifact_id: str | None) -> list[str]:
        """Give what the cloud holds of a deployment, found by listing the cloud and not by its record."""
        prefix = f"artifacts/{artifact_id}/"
        jobs = self.cloud.client("bedrock").list_model_import_jobs(
            nameContains=f"{STACK}-{name}-g", statusEquals="InProgress"
        )["modelImportJobSummaries"]
        stored = self.objects(prefix) + self.unfinished_uploads(prefix) if artifact_id else []
        return self.imported_models(name) + [job["jobName"] for job in jobs] + stored

    def log_lines(self) -> list[str]:
        """Give every line of every log group."""
        logs = self.cloud.client("logs")
        lines: list[str] = []
        for group in logs.describe_log_groups()["logGroups"]:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            lines += [event["message"] for page in pages for event in page["events"]]
        return lines

    @property
    def artifact_bucket(self) -> str:
        """Give the name of the bucket of weights."""
        return self.cloud.outputs["ArtifactBucketName"]

    @property
    def upload_bucket(self) -> str:
        """Give the name of the bucket that is uploaded to."""
        return self.cloud.outputs["UploadBucketName"]

    def machine_arn(self, machine: str) -> str:
        """Give a state machine's ARN."""
        return f"arn:aws:states:us-east-1:123456789012:stateMachine:{STACK}-{machine.replace('_', '-')}"

    def execution_arn(self, machine: str, name: str) -> str:
        """Give the ARN of an execution by its name without the moment of birth."""
        whole = next((each for each in self._executions(machine) if BIRTH.sub("", each) == name), name)
        return f"{self.machine_arn(machine).replace(':stateMachine:', ':execution:')}:{whole}"

    def record(self, key: str) -> dict[str, Any]:
        """Give the fields of a record of the table, such as ARTIFACT#<id>, that are texts or numbers."""
        table = self.cloud.outputs["TableName"]
        item = self.cloud.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": key}, "sk": {"S": "META"}})
        return {name: value.get("S", value.get("N")) for name, value in item.get("Item", {}).items()}

    def forget_contents(self) -> None:
        """Forget which artifacts hold what: models share their shards here, and would be copied from one another."""
        table, client = self.cloud.outputs["TableName"], self.cloud.client("dynamodb")
        pages = client.get_paginator("scan").paginate(TableName=table, ProjectionExpression="pk, sk")
        for key in (item for page in pages for item in page["Items"]):
            if key["pk"]["S"].startswith("CONTENT#"):
                client.delete_item(TableName=table, Key=key)

    # ---- what goes wrong -------------------------------------------------------------------------------------

    @contextmanager
    def unreachable(self, function: str) -> Iterator[None]:
        """Let Lambda refuse every call of a function: its concurrency is reserved away, as an operator could do."""
        name = f"{STACK}-{function.replace('_', '-')}"
        client = self.cloud.client("lambda")
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            yield
        finally:
            client.delete_function_concurrency(FunctionName=name)

    @contextmanager
    def crashing(self, function: str) -> Iterator[None]:
        """Let a function end at its start: its handler is not there."""
        name = f"{STACK}-{function.replace('_', '-')}"
        client = self.cloud.client("lambda")
        client.update_function_configuration(FunctionName=name, Handler="handler.nowhere")
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=name, Handler="handler.handler")

    @contextmanager
    def told(self) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """Subscribe a queue to the topic, and give what it has been told so far."""
        sqs, sns = self.cloud.client("sqs"), self.cloud.client("sns")
        url = sqs.create_queue(QueueName=f"told-{next(self._numbers)}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = self.cloud.outputs["NotificationTopicArn"]
        lets_in = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**lets_in, "Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
        messages: list[dict[str, Any]] = []

        def read() -> list[dict[str, Any]]:
            while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for message in received:
                    messages.append(json.loads(json.loads(message["Body"])["Message"]))
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return messages

        try:
            yield read
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
            sqs.delete_queue(QueueUrl=url)


def eventually(
    look: Callable[[], Seen | None], what: str, *, seconds: float = PATIENCE, but: Callable[[], str] = str
) -> Seen:
    """Give the first true thing that is seen; fails when there is none in time, with what there is instead."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"Waited {seconds:.0f} s in vain for {what}. {but()}"
        time.sleep(0.1)  # a look may cost a Lambda: more of them would slow down what is waited for
    return seen


def _as_documented(answer: httpx.Response) -> None:
    """Hold every answer of the API to docs/openapi.json; what the gateway refuses by itself is not the API's."""
    if "X-Correlation-Id" in answer.headers:
        asked = answer.request
        told = breaks(
            asked.method,
            asked.url.raw_path.decode().partition("?")[0],
            answer.status_code,
            answer.headers,
            answer.read(),
        )
        assert told == [], told


@contextmanager
def running_world(folder: Path, *, variables: Mapping[str, str] | None = None, **parameters: str) -> Iterator[World]:
    """Run the product of this repository on the embedded cloud, with one small model on its hub.

    `variables` are for all functions, `parameters` for the template.
    """
    write_checkpoint(folder / "small", **SHARDS)
    certificate = Certificate(folder)
    usual = {"PartMib": PART_MIB, "MaxInstances": str(MOST_INSTANCES)}
    with ExitStack() as closing:
        hub = closing.enter_context(Hub())
        hub.add(SMALL.removeprefix("hf://"), folder / "small")
        cloud = closing.enter_context(
            Cloud(
                ROOT / "template.yaml",
                speed=SPEED,
                parameters={**usual, "HubEndpoint": hub.url, "ModelScopeEndpoint": hub.url, **parameters},
                environment={**ENVIRONMENT, **(variables or {}), "SSL_CERT_FILE": str(certificate.path)},
            )
        )
        world = World(cloud, hub, folder, certificate)
        closing.callback(world.http.close)
        world.calm()
        gc.collect()
        gc.freeze()  # what has been loaded by now stays: looking through it again and again would take its time
        closing.callback(gc.unfreeze)
        yield world
