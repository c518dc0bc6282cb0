"""Events, notifications and queues, as actors: what AWS delivers by itself, in an order that a run repeats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.awslambda.models import EventSourceMapping, lambda_backends
from moto.sns.models import Subscription
from moto.sqs import models as sqs_models
from moto.sqs.models import Queue, sqs_backends

from local import events, notifications, object_events, queues
from local.delivery import Deliveries
from local.events import EventBus
from local.identity import ACCOUNT_ID, REGION
from tests.faults.agenda import Clock
from tests.faults.lambdas import Lambdas
from tests.faults.replacing import replace


class Bus(EventBus):
    """Delivers to functions, once; what a function does not take, Lambda tries again."""

    lambdas: Lambdas

    def deliver(self, target: Mapping[str, Any], payload: str, *, sender_arn: str) -> None:  # noqa: ARG002 - as the bus calls it
        name = function_of(str(target["Arn"]))
        self.lambdas.send(name, json.loads(payload))


def function_of(arn: str) -> str:
    """Give the folder of a function by its ARN."""
    return arn.rpartition(":")[2].partition("-")[2].replace("-", "_")


class Consumers:
    """Feeds functions from queues, one message at a time."""

    def __init__(self, clock: Clock, lambdas: Lambdas) -> None:
        self._clock = clock
        self._lambdas = lambdas
        self._mappings: dict[str, EventSourceMapping] = {}

    def install(self) -> None:
        """Learn who consumes which queue, and take over moto's own pushing."""
        for mapping in lambda_backends[ACCOUNT_ID][REGION]._event_source_mappings.values():
            self._mappings[mapping.event_source_arn] = mapping
        replace(Queue, "add_message", self._adding)
        for module in (sqs_models, queues):  # each has its own name for it
            replace(module, "unix_time_millis", lambda _: lambda *_: self._clock.moment * 1000)
        replace(sqs_models, "unix_time", lambda _: lambda *_: self._clock.moment)

    def _adding(self, original: Any) -> Any:
        def add_message(queue: Queue, message: Any) -> None:
            queue.lambda_event_source_mappings.clear()
            original(queue, message)
            self.look_at(queue)

        return add_message

    def look_at(self, queue: Queue, after: float = 0.0) -> None:
        """See to it that a queue's consumer looks at it."""
        if mapping := self._mappings.get(queue.queue_arn):
            self._clock.agenda.spawn(f"consumer of {queue.name}", lambda: self._feed(queue, mapping), after=after)

    def _feed(self, queue: Queue, mapping: EventSourceMapping) -> None:
        backend, function = sqs_backends[ACCOUNT_ID][REGION], function_of(mapping.function_arn)
        if not queues.may_poll(mapping):
            return
        while taken := backend.receive_message(queue.name, 1, 0, queue.visibility_timeout, ["All"]):
            (message,) = taken
            done = self._lambdas.invoke(function, {"Records": [_record(queue, message)]})
            if not done.failed and not (json.loads(done.payload) or {}).get("batchItemFailures"):
                backend.delete_message(queue.name, message.receipt_handle)
        later = [max(each.visible_at, each.delayed_until) / 1000 for each in queue._messages]
        if later and not done_with(queue):
            self.look_at(queue, max(min(later) - self._clock.moment, 0) + 0.001)


def done_with(queue: Queue) -> bool:
    """Give whether nothing is left in a queue."""
    return not queue._messages


def _record(queue: Queue, message: Any) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.approximate_receive_count)},
        "messageAttributes": {},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": REGION,
    }


def _telling(lambdas: Lambdas) -> Callable[[Subscription, dict[str, Any]], None]:
    """Let a topic's messages reach functions: one at a time, and again where a function fails."""

    def invoke(subscription: Subscription, record: dict[str, Any]) -> None:
        lambdas.send(function_of(subscription.endpoint), {"Records": [record]})

    return invoke


def install(clock: Clock, lambdas: Lambdas) -> Consumers:
    """Route events, notifications of objects and messages to the functions."""
    queues.install(clock)  # type: ignore[arg-type]
    object_events.install()
    bus = Bus("", clock)  # type: ignore[arg-type]
    bus.lambdas = lambdas
    events._running[:] = [bus]
    replace(Deliveries, "send", lambda _: lambda _deliveries, work: clock.agenda.spawn("delivery", work))
    replace(Subscription, "publish", lambda original: notifications._publishing(original, clock))
    replace(notifications, "_invoke", lambda _: _telling(lambdas))
    consumers = Consumers(clock, lambdas)
    consumers.install()
    return consumers
