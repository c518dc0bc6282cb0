"""Contracts of the event bus: each would fail with moto as it comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local import object_store, step_functions
from local.clock import ScaledClock
from local.events import EventBus, publish
from tests.integration.local.moto_cloud import ROLE, MotoCloud, eventually, queue_arn, running_moto

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def cloud() -> Iterator[MotoCloud]:
    clock = ScaledClock(speed=60)
    step_functions.install(clock)
    object_store.install(clock)
    with running_moto() as moto:
        bus = EventBus(moto.url, clock)
        bus.start()
        yield moto
        bus.stop()


def rule(
    cloud: MotoCloud, name: str, *targets: dict[str, Any], pattern: dict[str, Any] | None = None, **more: Any
) -> None:
    """Make a rule for events whose source is the rule's name."""
    events = cloud.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern or {"source": [name]}), **more)
    events.put_targets(Rule=name, Targets=[{"Id": str(number), **target} for number, target in enumerate(targets)])


def send(cloud: MotoCloud, source: str, **detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail)}
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def inbox(cloud: MotoCloud, name: str) -> tuple[str, dict[str, Any]]:
    """Give a new queue's URL and the target that leads to it."""
    return cloud.queue(name), {"Arn": queue_arn(name)}


def test_a_slow_lambda_does_not_hold_up_the_sender(cloud: MotoCloud) -> None:
    sent, done = threading.Event(), threading.Event()
    arn = cloud.function("slow", lambda _: sent.wait(30) and done.set())
    rule(cloud, "slow", {"Arn": arn})

    send(cloud, "slow")

    assert not done.is_set()
    sent.set()
    assert done.wait(30)


def test_an_event_reaches_every_kind_of_target_with_its_time_in_iso(cloud: MotoCloud) -> None:
    heard: list[dict[str, Any]] = []
    arn = cloud.function("listener", heard.append)
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    sfn = cloud.client("stepfunctions")
    machine = sfn.create_state_machine(name="heard", definition=definition, roleArn=ROLE)["stateMachineArn"]
    topic = cloud.client("sns").create_topic(Name="heard")["TopicArn"]
    url, queue = inbox(cloud, "heard")
    cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue_arn("heard"), Attributes={"RawMessageDelivery": "true"}
    )
    cloud.client("logs").create_log_group(logGroupName="/heard")
    log_group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/heard"
    rule(cloud, "all", {"Arn": arn}, {"Arn": machine, "RoleArn": ROLE}, {"Arn": topic}, queue, {"Arn": log_group})

    send(cloud, "all", a=5)

    event = eventually(lambda: heard and heard[0])
    assert event["detail"] == {"a": 5}
    assert event["time"].endswith("Z")
    started = eventually(lambda: sfn.list_executions(stateMachineArn=machine)["executions"])
    told = sfn.describe_execution(executionArn=started[0]["executionArn"])["input"]
    assert json.loads(told) == event
    bodies: list[str] = []
    eventually(lambda: bodies.extend(cloud.bodies(url)) or len(bodies) == 2)
    assert [json.loads(body) for body in bodies] == [event, event]
    eventually(lambda: cloud.client("logs").filter_log_events(logGroupName="/heard")["events"])


def test_another_bus_gets_the_event_for_its_own_rules(cloud: MotoCloud) -> None:
    events = cloud.client("events")
    events.create_event_bus(Name="other")
    url, target = inbox(cloud, "on-other-bus")
    events.put_rule(Name="other", EventBusName="other", EventPattern=json.dumps({"source": ["forwarded"]}))
    events.put_targets(Rule="other", EventBusName="other", Targets=[{"Id": "1", **target}])
    rule(cloud, "forwarded", {"Arn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/other", "RoleArn": ROLE})

    send(cloud, "forwarded", a=1)

    assert json.loads(cloud.bodies(url)[0])["detail"] == {"a": 1}


def test_a_target_is_told_its_input_its_part_or_its_template(cloud: MotoCloud) -> None:
    url, queue = inbox(cloud, "shaped")
    transformer = {
        "InputPathsMap": {"name": "$.detail.name", "n": "$.detail.n"},
        "InputTemplate": '{"name": <name>, "n": <n>, "text": "<name> is <n>", "rule": <aws.events.rule-name>}',
    }
    rule(
        cloud,
        "shaped",
        {**queue, "Input": '{"constant": true}'},
        {**queue, "InputPath": "$.detail"},
        {**queue, "InputTransformer": transformer},
    )

    send(cloud, "shaped", name='a "b"', n=3)

    bodies: list[str] = []
    eventually(lambda: bodies.extend(cloud.bodies(url)) or len(bodies) == 3)
    told = [json.loads(body) for body in bodies]
    assert {"constant": True} in told
    assert {"name": 'a "b"', "n": 3} in told
    assert {"name": 'a "b"', "n": 3, "text": 'a "b" is 3', "rule": "shaped"} in told


def test_a_disabled_rule_delivers_nothing(cloud: MotoCloud) -> None:
    url, target = inbox(cloud, "disabled")
    rule(cloud, "disabled", target, State="DISABLED")

    send(cloud, "disabled")
    time.sleep(0.2)

    assert cloud.bodies(url, wait_seconds=0) == []


def test_what_cannot_be_delivered_goes_to_the_targets_dead_letter_queue(cloud: MotoCloud) -> None:
    url, dead = inbox(cloud, "dead")
    nobody = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:nobody"
    rule(cloud, "dead", {"Arn": nobody, "DeadLetterConfig": {"Arn": dead["Arn"]}})

    send(cloud, "dead", a=1)

    received = cloud.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"])
    message = received["Messages"][0]
    assert json.loads(message["Body"])["detail"] == {"a": 1}
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == nobody
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "ResourceNotFoundException"


def test_a_services_own_event_needs_no_call(cloud: MotoCloud) -> None:
    url, target = inbox(cloud, "own")
    rule(cloud, "aws.own", target)

    publish(source="aws.own", detail_type="Own", detail={"a": 1}, resources=["arn:x"])

    event = json.loads(cloud.bodies(url)[0])
    assert (event["detail-type"], event["resources"], event["account"]) == ("Own", ["arn:x"], ACCOUNT)


# S3


@pytest.fixture
def bucket_events(cloud: MotoCloud, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Give a bucket and the queue of its events."""
    bucket = request.node.name.replace("_", "-")[:40].strip("-")
    cloud.client("s3").create_bucket(Bucket=bucket)
    configuration: dict[str, Any] = {"EventBridgeConfiguration": {}}
    cloud.client("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    url, target = inbox(cloud, f"of-{bucket}")
    rule(cloud, f"of-{bucket}", target, pattern={"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}})
    return bucket, url


def all_events(cloud: MotoCloud, url: str, expected: int) -> list[dict[str, Any]]:
    """Give the events that arrive, and see that no more come."""
    heard: list[dict[str, Any]] = []
    eventually(lambda: heard.extend(map(json.loads, cloud.bodies(url))) or len(heard) >= expected)
    assert cloud.bodies(url, wait_seconds=0) == []
    return sorted(heard, key=lambda event: event["detail"]["object"]["sequencer"])


def test_objects_that_come_and_go_are_told_once_in_the_real_shape(
    cloud: MotoCloud, bucket_events: tuple[str, str]
) -> None:
    bucket, url = bucket_events
    s3 = cloud.client("s3")

    s3.put_object(Bucket=bucket, Key="a/one.json", Body=b"123", Tagging="k=v")
    s3.copy_object(Bucket=bucket, Key="two", CopySource=f"{bucket}/a/one.json")
    s3.delete_object(Bucket=bucket, Key="two")

    put, copied, deleted = all_events(cloud, url, 3)
    assert [event["detail-type"] for event in (put, copied, deleted)] == [
        "Object Created",
        "Object Created",
        "Object Deleted",
    ]
    assert [event["detail"]["reason"] for event in (put, copied, deleted)] == [
        "PutObject",
        "CopyObject",
        "DeleteObject",
    ]
    told = put["detail"]["object"]
    etag = "202cb962ac59075b964b07152d234b70"  # pragma: allowlist secret (a digest)
    assert (told["key"], told["size"], told["etag"]) == ("a/one.json", 3, etag)
    assert put["resources"] == [f"arn:aws:s3:::{bucket}"]
    assert deleted["detail"]["deletion-type"] == "Permanently Deleted"
    assert "size" not in deleted["detail"]["object"]


def test_a_completed_upload_is_one_event(cloud: MotoCloud, bucket_events: tuple[str, str]) -> None:
    bucket, url = bucket_events
    s3 = cloud.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=1, Body=b"x" * 10)

    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload=parts)

    (event,) = all_events(cloud, url, 1)
    assert event["detail"]["reason"] == "CompleteMultipartUpload"
    assert event["detail"]["object"]["size"] == 10


def test_after_its_stop_a_bus_has_no_thread_and_delivers_nothing(cloud: MotoCloud) -> None:
    bus = EventBus(cloud.url, ScaledClock())
    bus.start()
    url, target = inbox(cloud, "late")
    rule(cloud, "late", target)
    send(cloud, "late")
    assert cloud.bodies(url)

    bus.stop()
    send(cloud, "late")

    assert cloud.bodies(url, wait_seconds=0) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "delivery"]
