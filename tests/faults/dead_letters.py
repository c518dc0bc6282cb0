"""Where events end that no attempt of a function handled: in its dead-letter queue, of which an alarm tells.

A schedule's tick may be lost for good: the next one sees what it would have seen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.sqs.models import Queue, sqs_backends

from local.authorization import Role, may
from local.identity import ACCOUNT_ID, REGION

TICKED = ("sweep", "reconcile")
VISIBLE = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")  # what an alarm of such a queue measures


def send(function: Any, name: str, event: Any) -> None:
    """Send an event to the function's dead-letter queue, as its role; without a queue or a grant it is lost."""
    arn = (function.dead_letter_config or {}).get("TargetArn")
    if arn and may(Role(function.role, name), "sqs:SendMessage", arn):
        sqs_backends[ACCOUNT_ID][REGION].send_message(arn.rpartition(":")[2], json.dumps(event))


def astray(lost: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield the lost events that lie in no queue, the queues that hold others, and those that no alarm tells of."""
    wanted = Counter((name, json.dumps(event)) for name, event in lost if name not in TICKED)
    queues = dead_letter_queues()
    found = Counter(message.body for queue in queues for message in queue._messages)
    known = Counter(body for _, body in wanted.elements())
    yield from (
        f"an event of {name} is lost, and lies in no queue" for name, body in wanted if found[body] < known[body]
    )
    yield from (f"nobody lost what lies in a dead-letter queue: {body[:80]}" for body in found - known)
    yield from (f"no alarm tells of {queue.name}" for queue in queues if queue._messages and not _is_told_of(queue))


def dead_letter_queues() -> list[Queue]:
    """Give the queues in which functions leave what they could not handle."""
    named = (function.dead_letter_config or {} for function in lambda_backends[ACCOUNT_ID][REGION].list_functions())
    arns = {config.get("TargetArn") for config in named}
    return [queue for queue in sqs_backends[ACCOUNT_ID][REGION].queues.values() if queue.queue_arn in arns]


def _is_told_of(queue: Queue) -> bool:
    """Say whether an alarm with somebody to tell measures how many messages lie there, and enough do."""
    return any(
        (alarm.namespace, alarm.metric_name) == VISIBLE
        and [(each.name, each.value) for each in alarm.dimensions] == [("QueueName", queue.name)]
        and alarm.alarm_actions
        and alarm.comparison_operator == "GreaterThanOrEqualToThreshold"
        and len(queue.messages) >= alarm.threshold
        for alarm in cloudwatch_backends[ACCOUNT_ID][REGION].alarms.values()
    )
