"""Queues of invocation ids: those that wait for an answer, and those whose end somebody's server is to be told."""

import json
from typing import Any

from pilotlight.adapters.aws_errors import translated

LONGEST_HIDE_SECONDS = 43_200  # Source: Amazon SQS API reference, ChangeMessageVisibility


class SqsInvocationQueue:
    """Implements `ports.InvocationQueue` and `ports.WebhookQueue`."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, invocation_id: str, correlation_id: str) -> None:
        """Queue an id; the correlation id goes with it."""
        body = json.dumps({"invocation_id": invocation_id, "correlation_id": correlation_id})
        with translated(f"queueing invocation {invocation_id}"):
            self._client.send_message(QueueUrl=self._url, MessageBody=body)

    def hide(self, receipt: str, wait_seconds: int) -> None:
        """Let a received message come back after that many seconds and not before."""
        with translated("hiding a message"):
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=min(wait_seconds, LONGEST_HIDE_SECONDS)
            )

    def depth(self) -> int:
        """Return about how many messages wait, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with translated("reading the depth of the queue"):
            told = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(int(told.get(name, 0)) for name in names)
