"""SNS and streams: what they send reaches its subscriber after the sender has been answered."""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda.models import LambdaBackend
from moto.awslambda.utils import get_backend
from moto.sns.models import Subscription

from local.authorization import Service, may
from local.clock import ScaledClock
from local.delivery import deliveries
from local.seams import replace


def install(clock: ScaledClock) -> None:
    """Deliver what SNS and DynamoDB streams send on threads of their own."""
    deliveries.open()
    replace(Subscription, "publish", lambda original: _publishing(original, clock))
    replace(LambdaBackend, "send_dynamodb_items", _sending_items)


def _publishing(original: Any, clock: ScaledClock) -> Any:
    """The gap: moto posts, queues and invokes inside Publish, and tells a Lambda an invented topic and attributes."""

    def publish(
        subscription: Subscription,
        message: str,
        message_id: str,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        message_structure: str | None = None,
    ) -> None:
        def deliver() -> None:
            if not _may(subscription):
                return
            if subscription.protocol != "lambda":
                original(
                    subscription,
                    message,
                    message_id,
                    subject=subject,
                    message_attributes=message_attributes,
                    group_id=group_id,
                    deduplication_id=deduplication_id,
                    message_structure=message_structure,
                )
                return
            text = message
            if message_structure == "json":
                text = subscription._parse_message_structure(message, "lambda")
            _invoke(subscription, _record(subscription, text, message_id, subject, message_attributes, clock))

        matcher = subscription._filter_policy_matcher
        if matcher is None or matcher.matches(message_attributes, message):
            deliveries.send(deliver)

    return publish


def _may(subscription: Subscription) -> bool:
    """Say whether a subscriber lets SNS in: a queue's or a function's own policy decides, nobody else has one."""
    action = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}.get(subscription.protocol)
    sns = Service("sns.amazonaws.com", subscription.topic_arn)
    return action is None or may(sns, action, subscription.endpoint)


def _record(
    subscription: Subscription,
    message: str,
    message_id: str,
    subject: str | None,
    attributes: dict[str, Any] | None,
    clock: ScaledClock,
) -> dict[str, Any]:
    """Give the record by which a Lambda is told of a message."""
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": subscription.topic_arn,
            "Subject": subject,
            "Message": message,
            "Timestamp": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "MessageAttributes": attributes or {},
        },
    }


def _invoke(subscription: Subscription, record: dict[str, Any]) -> None:
    _, _, _, region, account, _, name, *qualifier = subscription.endpoint.split(":")
    function = get_backend(account, region).get_function(name, qualifier[0] if qualifier else None)
    function.invoke(json.dumps({"Records": [record]}), {"x-amz-invocation-type": "Event"}, {})


def _sending_items(original: Any) -> Any:
    """The gap: moto invokes a stream's Lambda inside PutItem. DynamoDB answers first.

    Each change is sent by itself; two changes made at the same moment may arrive in either order.
    """

    def send_dynamodb_items(backend: LambdaBackend, function_arn: str, items: list[Any], source: str) -> str:
        changes = list(items)
        deliveries.send(lambda: original(backend, function_arn, changes, source))
        return "sent"

    return send_dynamodb_items
