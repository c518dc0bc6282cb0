"""Contracts of SNS and streams: what they send does not hold up the sender, and arrives whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from local import notifications, object_store
from local.clock import ScaledClock
from local.delivery import deliveries
from tests.integration.local.moto_cloud import MotoCloud, eventually, queue_arn, running_moto


@pytest.fixture(scope="module")
def cloud() -> Iterator[MotoCloud]:
    notifications.install(ScaledClock())
    object_store.install(ScaledClock())
    with running_moto() as moto:
        yield moto
        deliveries.close()


def topic(cloud: MotoCloud, name: str, protocol: str, endpoint: str, **attributes: str) -> str:
    sns = cloud.client("sns")
    arn = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint, Attributes=attributes)
    return str(arn)


def test_a_lambda_is_told_topic_and_attributes_after_the_publisher_was_answered(cloud: MotoCloud) -> None:
    heard: list[dict[str, Any]] = []
    published = threading.Event()
    function = cloud.function("subscriber", lambda event: published.wait(30) and heard.append(event))
    arn = topic(cloud, "to-lambda", "lambda", function)
    attributes = {"k": {"DataType": "String", "StringValue": "v"}}

    cloud.client("sns").publish(TopicArn=arn, Message="hello", Subject="s", MessageAttributes=attributes)

    assert not heard
    published.set()
    told = eventually(lambda: heard and heard[0])["Records"][0]["Sns"]
    assert (told["TopicArn"], told["Message"], told["Subject"]) == (arn, "hello", "s")
    assert told["MessageAttributes"] == {"k": {"Type": "String", "Value": "v"}}


def test_a_queue_gets_only_what_its_filter_lets_through(cloud: MotoCloud) -> None:
    url = cloud.queue("filtered")
    policy = json.dumps({"kind": ["wanted"]})
    arn = topic(cloud, "to-queue", "sqs", queue_arn("filtered"), FilterPolicy=policy, RawMessageDelivery="true")

    for kind in ("other", "wanted"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        cloud.client("sns").publish(TopicArn=arn, Message=kind, MessageAttributes=attributes)

    assert cloud.bodies(url) == ["wanted"]
    assert cloud.bodies(url, wait_seconds=0) == []


def test_an_http_endpoint_that_is_slow_does_not_hold_up_the_publisher(cloud: MotoCloud) -> None:
    posted: list[dict[str, Any]] = []
    published = threading.Event()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            published.wait(30)
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    arn = topic(cloud, "to-http", "http", f"http://127.0.0.1:{server.server_port}/")

    cloud.client("sns").publish(TopicArn=arn, Message="hello")

    assert not posted
    published.set()
    assert eventually(lambda: posted and posted[-1])["Message"] == "hello"
    server.shutdown()
    server.server_close()


def test_a_stream_does_not_hold_up_the_writer(cloud: MotoCloud) -> None:
    heard: list[dict[str, Any]] = []
    written = threading.Event()
    cloud.function("changes", lambda event: written.wait(30) and heard.append(event))
    tables = cloud.client("dynamodb")
    made = tables.create_table(
        TableName="streamed",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    cloud.client("lambda").create_event_source_mapping(
        EventSourceArn=made["TableDescription"]["LatestStreamArn"], FunctionName="changes", StartingPosition="LATEST"
    )

    tables.put_item(TableName="streamed", Item={"pk": {"S": "1"}})

    assert not heard
    written.set()
    (record,) = eventually(lambda: heard and heard[0])["Records"]
    assert record["dynamodb"]["NewImage"] == {"pk": {"S": "1"}}


def test_a_buckets_own_notification_does_not_hold_up_the_uploader(cloud: MotoCloud) -> None:
    heard: list[dict[str, Any]] = []
    uploaded = threading.Event()
    function = cloud.function("uploads", lambda event: uploaded.wait(30) and heard.append(event))
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="notifying")
    wanted = {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="notifying", NotificationConfiguration={"LambdaFunctionConfigurations": [wanted]}
    )

    s3.put_object(Bucket="notifying", Key="k", Body=b"x")

    assert not heard
    uploaded.set()
    assert eventually(lambda: heard and heard[0])["Records"][0]["s3"]["object"]["key"] == "k"
