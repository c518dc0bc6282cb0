"""Everything that the embedded cloud holds, as bytes with a name: what a search for a secret has to look through."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.s3.models import s3_backends
from moto.sqs.models import Message, Queue

from local.identity import ACCOUNT_ID
from tests.workflows.world import World

Held = tuple[str, bytes]


class Heard:
    """Every message that any queue was ever given; queues forget what was read from them."""

    def __init__(self) -> None:
        self.messages: list[Held] = []

    @contextmanager
    def listening(self, world: World) -> Iterator[Heard]:
        """Listen to every queue, and let a queue hear every event of the bus and every notification of the topic."""
        add = Queue.add_message

        def hearing(queue: Queue, message: Message) -> None:
            attributes = json.dumps(message.message_attributes, default=str)
            self.messages.append((f"queue {queue.name}", f"{message.body} {attributes}".encode()))
            add(queue, message)

        Queue.add_message = hearing
        try:
            self._subscribe(world)
            yield self
        finally:
            Queue.add_message = add

    def _subscribe(self, world: World) -> None:
        sqs, events, sns = (world.cloud.client(service) for service in ("sqs", "events", "sns"))
        arn = "arn:aws:sqs:us-east-1:123456789012:heard-{}"
        who = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
        for name in ("events", "notifications"):
            statement = {"Effect": "Allow", "Principal": who, "Action": "sqs:SendMessage", "Resource": arn.format(name)}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            sqs.create_queue(QueueName=f"heard-{name}", Attributes={"Policy": policy})
        events.put_rule(Name="hear-everything", EventPattern=json.dumps({"source": [{"prefix": ""}]}))
        events.put_targets(Rule="hear-everything", Targets=[{"Id": "heard", "Arn": arn.format("events")}])
        topic = world.cloud.outputs["NotificationTopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn.format("notifications"))


def everything(world: World, heard: Heard) -> Iterator[Held]:
    """Yield all that the cloud holds, but for bodies of invocations and the secret: those are where they belong."""
    yield from heard.messages
    for look in (_records, _logs, _executions, _objects, _parts, _models, _metrics, _parameters, _functions):
        yield from look(world)


def _records(world: World) -> Iterator[Held]:
    client = world.cloud.client("dynamodb")
    for table in client.list_tables()["TableNames"]:
        for page in client.get_paginator("scan").paginate(TableName=table):
            yield from ((f"table {table}", _bytes(item)) for item in page["Items"])


def _logs(world: World) -> Iterator[Held]:
    yield from (("log", line.encode()) for line in world.log_lines())


def _executions(world: World) -> Iterator[Held]:
    client = world.cloud.client("stepfunctions")
    for machine in client.list_state_machines()["stateMachines"]:
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"])
        for execution in (each for page in pages for each in page["executions"]):
            arn = execution["executionArn"]
            yield "execution", _bytes(client.describe_execution(executionArn=arn))
            history = client.get_paginator("get_execution_history").paginate(executionArn=arn)
            yield from (("history", _bytes(event)) for page in history for event in page["events"])


def _objects(world: World) -> Iterator[Held]:
    client = world.cloud.client("s3")
    for bucket in (each["Name"] for each in client.list_buckets()["Buckets"]):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for key in (each["Key"] for each in page.get("Contents", ())):
                yield "object's key", key.encode()
                yield "object's tags", _bytes(client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"])
                if bucket == world.artifact_bucket and key.startswith("invocations/"):
                    continue
                found = client.get_object(Bucket=bucket, Key=key)
                yield "object's metadata", _bytes(found["Metadata"])
                yield "object", found["Body"].read()


def _parts(world: World) -> Iterator[Held]:
    """Yield uploads that nobody has finished; no call gives their parts back, so they are read where they lie."""
    for bucket in list(s3_backends[ACCOUNT_ID]["aws"].buckets.values()):
        for upload in list(bucket.multiparts.values()):
            yield "part's upload", _bytes([bucket.name, upload.key_name, upload.metadata, upload.tags])
            yield from (("part", part.value) for part in list(upload.parts.values()))


def _models(world: World) -> Iterator[Held]:
    """Yield what Bedrock was asked for and keeps: jobs stay for good, with their names, tags and messages."""
    for job in list(world.bedrock.jobs):
        yield "job", _bytes([job.request, job.tags, job.verdict, job.arn])
    for model in list(world.bedrock.models.values()):
        yield "model", _bytes([model.name, model.tags, model.inspection, model.arn])


def _metrics(world: World) -> Iterator[Held]:
    client = world.cloud.client("cloudwatch")
    for page in client.get_paginator("list_metrics").paginate():
        yield from (("metric", _bytes(metric)) for metric in page["Metrics"])


def _parameters(world: World) -> Iterator[Held]:
    client = world.cloud.client("ssm")
    for page in client.get_paginator("describe_parameters").paginate():
        for parameter in page["Parameters"]:
            yield "parameter", _bytes(client.get_parameter(Name=parameter["Name"], WithDecryption=True)["Parameter"])


def _functions(world: World) -> Iterator[Held]:
    for page in world.cloud.client("lambda").get_paginator("list_functions").paginate():
        yield from (("function", _bytes(function)) for function in page["Functions"])


def _bytes(value: Any) -> bytes:
    return json.dumps(value, default=_text, ensure_ascii=False).encode()


def _text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
