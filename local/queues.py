"""SQS: time that runs with the clock, a queue that many threads may use, and pollers that feed Lambdas from it."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.awslambda.models import EventSourceMapping
from moto.awslambda.utils import get_backend
from moto.core.utils import unix_time_millis
from moto.sqs.exceptions import QueueDoesNotExist, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from local.authorization import Role, may
from local.clock import ScaledClock
from local.delivery import Deliveries
from local.identity import ACCOUNT_ID, HARNESS, REGION
from local.seams import replace

_BATCHES_AT_ONCE = 5
_LOOK_SECONDS = 0.2
_CALL = Config(retries={"total_max_attempts": 1}, read_timeout=960, max_pool_connections=100)
_LOG = logging.getLogger(__name__)
_running: list[QueuePollers] = []


def install(clock: ScaledClock) -> None:
    """Scale DelaySeconds and ChangeMessageVisibility, guard queues against races, and stop moto's own pushing."""
    replace(Message, "delay", lambda _: _delaying(clock))
    replace(SQSBackend, "change_message_visibility", lambda original: _changing_visibility(original, clock))
    replace(SQSBackend, "receive_message", _receiving)
    replace(Queue, "delete_message", _deleting)
    replace(Queue, "add_message", _adding)


def _delaying(clock: ScaledClock) -> Any:
    """A delayed message appears when the simulated seconds have passed; moto waits the wall's."""

    def delay(message: Message, delay_seconds: int) -> None:
        message.delayed_until = unix_time_millis() + clock.wall_seconds(int(delay_seconds)) * 1000

    return delay


def _changing_visibility(original: Any, clock: ScaledClock) -> Any:
    """A visibility that a consumer asks for is simulated time; the queue's own VisibilityTimeout stays the wall's."""

    def change_message_visibility(
        backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
    ) -> None:
        original(backend, queue_name, receipt_handle, visibility_timeout)
        for message in list(backend.get_queue(queue_name)._messages):
            if message.had_receipt_handle(receipt_handle):
                message.visible_at = unix_time_millis() + clock.wall_seconds(int(visibility_timeout)) * 1000

    return change_message_visibility


def _receiving(original: Any) -> Any:
    """The gap: two receivers at once could take the same message, and a long poll looked only once a second."""

    def receive_message(
        backend: SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, *args: Any, **kwargs: Any
    ) -> list[Message]:
        queue = backend.get_queue(queue_name)
        deadline = monotonic() + float(wait_seconds_timeout or 0)
        while True:
            with queue._messages_lock:
                messages: list[Message] = original(backend, queue_name, count, 0, *args, **kwargs)
                left = deadline - monotonic()
                if messages or left <= 0:
                    return messages
                queue._messages_lock.wait(min(left, 0.1))

    return receive_message


def _deleting(original: Any) -> Any:
    """The gap: moto replaces the list of messages without its lock, and loses one that is being added."""

    def delete_message(queue: Queue, receipt_handle: str) -> None:
        with queue._messages_lock:
            original(queue, receipt_handle)

    return delete_message


def _adding(original: Any) -> Any:
    """The gap: moto calls the mapped Lambda inside SendMessage, once. Here a poller is woken instead."""

    def add_message(queue: Queue, message: Message) -> None:
        queue.lambda_event_source_mappings.clear()
        original(queue, message)
        for pollers in _running:
            pollers.wake()

    return add_message


@dataclass
class QueuePollers:
    """Feeds every enabled SQS event source mapping's Lambda, as the Lambda service does.

    A function's error leaves its messages to the queue's visibility timeout and so to the redrive policy;
    with ReportBatchItemFailures only the reported ones stay.
    """

    endpoint_url: str
    clock: ScaledClock
    _wake: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _batches: Deliveries = field(default_factory=lambda: Deliveries(at_once=100), init=False, repr=False)
    _busy: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Begin to poll the queues of all mappings, present and future."""
        install(self.clock)
        self._stopping.clear()
        self._batches.open()
        self._lambda = boto3.session.Session().client(
            "lambda",
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=HARNESS.access_key_id,
            aws_secret_access_key=HARNESS.secret_access_key,
            config=_CALL,
        )
        _running[:] = [self]
        self._thread = threading.Thread(target=self._poll, name="queue-pollers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages; return when the batches in flight have ended, or after a few seconds."""
        if self in _running:
            _running.remove(self)
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._batches.close()

    def wake(self) -> None:
        """Look at the queues now rather than at the next turn."""
        self._wake.set()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            for mapping in list(get_backend(ACCOUNT_ID, REGION)._event_source_mappings.values()):
                if ":sqs:" in mapping.event_source_arn and _enabled(mapping):
                    self._feed(mapping)
            self._wake.wait(_LOOK_SECONDS)

    def _feed(self, mapping: EventSourceMapping) -> None:
        """Start batches until the queue has nothing visible or the mapping has all its batches in flight."""
        most = int((mapping.scaling_config or {}).get("MaximumConcurrency", _BATCHES_AT_ONCE))
        while not self._stopping.is_set():
            with self._lock:
                if self._busy[mapping.uuid] >= most:
                    return
            messages = _take(mapping) if may_poll(mapping) else []
            if not messages:
                return
            with self._lock:
                self._busy[mapping.uuid] += 1
            self._batches.send(lambda batch=messages: self._run(mapping, batch))  # type: ignore[misc]

    def _run(self, mapping: EventSourceMapping, messages: Sequence[Message]) -> None:
        try:
            done = self._invoke(mapping, messages)
            backend, name = _queue_of(mapping)
            for message in done if _may(mapping, "sqs:DeleteMessage") else ():
                backend.delete_message(name, message.receipt_handle)
        except (ClientError, BotoCoreError, QueueDoesNotExist, ReceiptHandleIsInvalid) as exc:
            if not self._stopping.is_set():
                _LOG.warning("A batch for %s stays in its queue: %s", mapping.function_arn, exc)
        finally:
            with self._lock:
                self._busy[mapping.uuid] -= 1
            self._wake.set()

    def _invoke(self, mapping: EventSourceMapping, messages: Sequence[Message]) -> list[Message]:
        """Invoke the function with a batch and give the messages that are done with."""
        event = {"Records": [self._record(mapping, message) for message in messages]}
        answer = self._lambda.invoke(FunctionName=mapping.function_arn, Payload=json.dumps(event))
        payload = answer["Payload"].read()
        if answer.get("FunctionError"):
            return []
        if "ReportBatchItemFailures" not in (mapping.function_response_types or []):
            return list(messages)
        failed = _failed_items(payload, {message.id for message in messages})
        return [message for message in messages if message.id not in failed]

    def _record(self, mapping: EventSourceMapping, message: Message) -> dict[str, Any]:
        attributes = {
            "ApproximateReceiveCount": str(message.approximate_receive_count),
            "SentTimestamp": self._simulated(message.sent_timestamp),
            "SenderId": message.sender_id,
            "ApproximateFirstReceiveTimestamp": self._simulated(message.approximate_first_receive_timestamp),
            "MessageGroupId": message.group_id,
            "MessageDeduplicationId": message.deduplication_id,
            "AWSTraceHeader": (message.system_attributes.get("AWSTraceHeader") or {}).get("StringValue"),
        }
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {key: value for key, value in attributes.items() if value is not None},
            "messageAttributes": {key: _attribute(value) for key, value in message.message_attributes.items()},
            "md5OfBody": message.body_md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": mapping.event_source_arn,
            "awsRegion": mapping.region,
        }

    def _simulated(self, wall_millis: float | None) -> str:
        """Give a wall time in the clock's milliseconds: a handler reckons ages by its own, simulated, clock."""
        elapsed = (wall_millis or 0) / 1000 - self.clock.epoch
        return str(int((self.clock.epoch + elapsed * self.clock.speed) * 1000))


def _failed_items(payload: bytes, ids: set[str]) -> set[str]:
    """Give the ids of a batch that stay in the queue; an answer that cannot be read fails the whole batch.

    Source: Lambda developer guide, "Implementing partial batch responses": empty is success.
    """
    try:
        answer = json.loads(payload or b"null")
        items = (answer or {}).get("batchItemFailures") or []
        failed = {item["itemIdentifier"] for item in items}
    except (ValueError, TypeError, KeyError, AttributeError):
        return ids
    return failed if failed <= ids else ids


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    """Give a message attribute as a Lambda sees it."""
    told = {key[0].lower() + key[1:]: part for key, part in value.items()}
    if isinstance(told.get("binaryValue"), bytes):
        told["binaryValue"] = told["binaryValue"].decode("ascii", "replace")
    return {**told, "stringListValues": [], "binaryListValues": []}


def _enabled(mapping: EventSourceMapping) -> bool:
    """Give whether a mapping is on; CloudFormation may have left the word."""
    return str(mapping.enabled).lower() == "true"


def _queue_of(mapping: EventSourceMapping) -> tuple[SQSBackend, str]:
    _, _, _, region, account, name = mapping.event_source_arn.split(":")
    return sqs_backends[account][region], name


def may_poll(mapping: EventSourceMapping) -> bool:
    """Say whether Lambda may look for messages in the name of the function's role."""
    return _may(mapping, "sqs:ReceiveMessage", "sqs:GetQueueAttributes")


def _may(mapping: EventSourceMapping, *actions: str) -> bool:
    """Say whether the function's role may do that with the queue: Lambda polls it in the role's name."""
    function = get_backend(ACCOUNT_ID, REGION).get_function(mapping.function_arn)
    role = Role(function.role, function.function_name)
    return all(may(role, action, mapping.event_source_arn) for action in actions)


def _take(mapping: EventSourceMapping) -> list[Message]:
    """Take a batch that is visible now; it returns after the queue's visibility timeout unless deleted."""
    backend, name = _queue_of(mapping)
    try:
        queue = backend.get_queue(name)
        size = int(mapping.batch_size)
        taken: list[Message] = backend.receive_message(name, size, 0, queue.visibility_timeout, ["All"])
    except QueueDoesNotExist:
        return []
    return taken
