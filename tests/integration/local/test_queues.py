"""Contracts of SQS and its pollers: each would fail with moto as it comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.clock import ScaledClock
from local.queues import QueuePollers
from tests.integration.local.moto_cloud import Handler, MotoCloud, eventually, queue_arn, running_moto

SPEED = 60.0


@pytest.fixture(scope="module")
def cloud() -> Iterator[MotoCloud]:
    with running_moto() as moto:
        pollers = QueuePollers(moto.url, ScaledClock(speed=SPEED))
        pollers.start()
        yield moto
        pollers.stop()


def mapping(cloud: MotoCloud, name: str, handler: Handler, **more: Any) -> tuple[str, str]:
    """Give the URL of a new queue whose messages the handler gets, and the mapping's id."""
    attributes = {"VisibilityTimeout": "1", **more.pop("Attributes", {})}
    url = cloud.queue(name, **attributes)
    cloud.function(name, handler)
    made = cloud.client("lambda").create_event_source_mapping(
        EventSourceArn=queue_arn(name), FunctionName=name, **{"BatchSize": 1, **more}
    )
    return url, made["UUID"]


def send(cloud: MotoCloud, url: str, *bodies: str, **more: Any) -> None:
    for body in bodies:
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody=body, **more)


def left_in(cloud: MotoCloud, url: str) -> int:
    """Give how many messages a queue holds, visible or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, told.values()))


def test_a_message_reaches_its_handler_whole(cloud: MotoCloud) -> None:
    heard: list[dict[str, Any]] = []
    url, _ = mapping(cloud, "lag", heard.append)

    send(cloud, url, "body", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}})

    event = eventually(lambda: heard and heard[0])
    (record,) = event["Records"]
    assert (record["body"], record["eventSource"], record["eventSourceARN"]) == ("body", "aws:sqs", queue_arn("lag"))
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"]["k"]["stringValue"] == "v"
    eventually(lambda: left_in(cloud, url) == 0)


def test_sending_does_not_wait_for_the_handler(cloud: MotoCloud) -> None:
    sent, done = threading.Event(), threading.Event()
    url, _ = mapping(cloud, "slow", lambda _: sent.wait(30) and done.set())

    send(cloud, url, "x")

    assert not done.is_set()
    sent.set()
    assert done.wait(30)


def test_a_failed_message_returns_and_ends_in_the_dead_letter_queue(cloud: MotoCloud) -> None:
    dead = cloud.queue("dead")
    counts: list[str] = []

    def fail(event: dict[str, Any]) -> None:
        counts.append(event["Records"][0]["attributes"]["ApproximateReceiveCount"])
        raise RuntimeError("no")

    policy = json.dumps({"deadLetterTargetArn": queue_arn("dead"), "maxReceiveCount": 2})
    url, _ = mapping(cloud, "failing", fail, Attributes={"RedrivePolicy": policy})

    send(cloud, url, "poison")

    assert cloud.bodies(dead) == ["poison"]
    assert counts == ["1", "2"]
    assert left_in(cloud, url) == 0


def test_only_the_reported_items_of_a_batch_stay(cloud: MotoCloud) -> None:
    seen: list[str] = []

    def report(event: dict[str, Any]) -> dict[str, Any]:
        seen.extend(record["body"] for record in event["Records"])
        bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in bad]}

    options = {"BatchSize": 10, "FunctionResponseTypes": ["ReportBatchItemFailures"]}
    url, _ = mapping(cloud, "partial", report, **options)
    entries = [{"Id": body, "MessageBody": body} for body in ("good", "bad")]

    cloud.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)

    eventually(lambda: seen.count("bad") >= 2)
    assert seen.count("good") == 1


@pytest.mark.parametrize(
    ("name", "answer", "stays"),
    [
        ("nothing", None, False),
        ("empty", {"batchItemFailures": []}, False),
        ("unknown", {"batchItemFailures": [{"itemIdentifier": "?"}]}, True),
    ],
)
def test_an_answer_without_failures_is_success_and_an_unreadable_one_is_failure(
    cloud: MotoCloud, name: str, answer: Any, stays: bool
) -> None:
    calls: list[float] = []
    options = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "Attributes": {"VisibilityTimeout": "0"}}
    url, _ = mapping(cloud, f"answer-{name}", lambda _: calls.append(0) or answer, **options)

    send(cloud, url, "x")

    eventually(lambda: calls)
    if stays:
        eventually(lambda: len(calls) >= 2)
    else:
        eventually(lambda: left_in(cloud, url) == 0)


def test_a_disabled_mapping_takes_nothing_until_it_is_enabled(cloud: MotoCloud) -> None:
    heard: list[Any] = []
    url, identifier = mapping(cloud, "disabled", heard.append, Enabled=False)
    send(cloud, url, "x")
    time.sleep(0.3)
    assert not heard

    cloud.client("lambda").update_event_source_mapping(UUID=identifier, Enabled=True)

    eventually(lambda: heard)


@pytest.mark.parametrize(
    ("name", "options", "most"), [("two", {"ScalingConfig": {"MaximumConcurrency": 2}}, 2), ("five", {}, 5)]
)
def test_a_mapping_has_at_most_so_many_batches_in_flight(
    cloud: MotoCloud, name: str, options: dict[str, Any], most: int
) -> None:
    released, lock, running = threading.Event(), threading.Lock(), [0]
    done: list[Any] = []

    def work(event: dict[str, Any]) -> None:
        with lock:
            running[0] += 1
        released.wait(30)
        done.append(event)

    url, _ = mapping(cloud, f"at-once-{name}", work, **options, Attributes={"VisibilityTimeout": "30"})

    send(cloud, url, *map(str, range(8)))

    eventually(lambda: running[0] == most)
    time.sleep(0.1)
    assert running[0] == most
    released.set()
    eventually(lambda: len(done) == 8)


def test_delays_are_simulated(cloud: MotoCloud) -> None:
    url = cloud.queue("delayed")
    began = time.monotonic()

    send(cloud, url, "later", DelaySeconds=30)

    assert cloud.bodies(url) == ["later"]
    assert 0.4 <= time.monotonic() - began < 20  # 30 s of the wall's clock would be more


def test_a_visibility_that_is_asked_for_is_simulated_and_the_queues_own_is_the_walls(cloud: MotoCloud) -> None:
    sqs = cloud.client("sqs")
    url = cloud.queue("visible", VisibilityTimeout="1")
    send(cloud, url, "x")
    began = time.monotonic()

    sqs.receive_message(QueueUrl=url)
    again = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]
    own = time.monotonic() - began
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=60)
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)
    asked = time.monotonic() - began - own

    assert own >= 0.9
    assert 0.9 <= asked < 40  # 60 s of the wall's clock would be more


def test_no_message_is_lost_or_taken_twice_by_many_threads(cloud: MotoCloud) -> None:
    heard: list[str] = []
    url, _ = mapping(cloud, "many", lambda event: heard.append(event["Records"][0]["body"]))

    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda number: send(cloud, url, str(number)), range(60)))

    eventually(lambda: len(heard) >= 60)
    assert sorted(map(int, heard)) == list(range(60))
    eventually(lambda: left_in(cloud, url) == 0)


def test_after_their_stop_pollers_have_no_thread(cloud: MotoCloud) -> None:
    pollers = QueuePollers(cloud.url, ScaledClock(speed=SPEED))
    pollers.start()
    heard: list[Any] = []
    url, _ = mapping(cloud, "stopped", heard.append)
    before = [thread for thread in threading.enumerate() if thread.name == "queue-pollers"]

    pollers.stop()
    send(cloud, url, "x")

    assert len([thread for thread in threading.enumerate() if thread.name == "queue-pollers"]) == len(before) - 1
