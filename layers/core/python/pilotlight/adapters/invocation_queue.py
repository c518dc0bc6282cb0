"""The queue of invocation ids, and the bodies that wait beside it."""

import json
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.errors import NotFound, Terminal
from pilotlight.domain.invocation import InvocationRequest

LONGEST_HIDE_SECONDS = 43_200  # Source: Amazon SQS API reference, ChangeMessageVisibility
MISSING = frozenset({"NoSuchKey", "404"})
"""A refusal is not among them: whoever reads bodies may list them, so that S3 says 404 of what has expired. Taken for
an absent answer, one denied read would have it generated, and paid for, again."""


class SqsInvocationQueue:
    """Implements `ports.InvocationQueue`."""

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


class S3InvocationBodies:
    """Implements `ports.InvocationBodies`: encrypted with the bucket's key; the bucket's lifecycle removes them."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_request(self, invocation_id: str, request: InvocationRequest) -> None:
        """Keep what was asked."""
        self._put(f"invocations/{invocation_id}/request.json", request.dump())

    def get_request(self, invocation_id: str) -> InvocationRequest:
        """Return what was asked. Raises: NotFound once it has expired."""
        told = self._get(f"invocations/{invocation_id}/request.json")
        if told is None:
            raise NotFound(f"The request of invocation {invocation_id} is no longer kept.", id=invocation_id)
        try:
            return InvocationRequest.model_validate(told)
        except ValidationError as exc:
            raise Terminal(f"The request of invocation {invocation_id} cannot be read.", id=invocation_id) from exc

    def put_output(self, invocation_id: str, output: dict[str, Any]) -> None:
        """Keep what was answered."""
        self._put(f"invocations/{invocation_id}/output.json", output)

    def reserve_output(self, invocation_id: str) -> None:
        """Prove that an answer can be kept, by writing an empty one in its place: it counts as none."""
        self._put(f"invocations/{invocation_id}/output.json", {})

    def get_output(self, invocation_id: str) -> dict[str, Any] | None:
        """Return what was answered, or None before that and once it has expired."""
        return self._get(f"invocations/{invocation_id}/output.json") or None

    def _put(self, key: str, content: dict[str, Any]) -> None:
        with translated(f"writing {key}"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=json.dumps(content, ensure_ascii=False).encode(),
                ContentType="application/json",  # and no encryption: to name KMS without a key is to name AWS's own
            )

    def _get(self, key: str) -> dict[str, Any] | None:
        with translated(f"reading {key}"):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    return None
                raise
        try:
            content: dict[str, Any] = json.loads(body)
        except ValueError as exc:
            raise Terminal(f"{key} is not JSON.") from exc
        return content
