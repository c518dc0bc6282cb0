"""How a payload reaches a deployment: as JSON in the request, as the request's own body, or through the bucket."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httpx

from pilotlight_client.connection import Connection
from pilotlight_client.endpoint_views import InputView
from pilotlight_client.errors import ApiError, InvalidRequest
from pilotlight_client.payloads import Payload
from pilotlight_client.transfers import Transfers


@dataclass(frozen=True)
class Wishes:
    """What may be said of any invocation, whatever is sent."""

    webhook: str | None = None
    accept: str | None = None
    timeout_seconds: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return what is said, by the API's names."""
        return {name: value for name, value in vars(self).items() if value is not None}


def send_payload(
    connection: Connection,
    transfers: Transfers,
    deployment: str,
    payload: Payload,
    *,
    wishes: Wishes,
    held_seconds: int = 0,
) -> httpx.Response:
    """Return the answer to an invocation with this payload. The invocation is asked for once and never repeated.

    `deployment` is the deployment's path. What is long goes through the bucket, and so does what a request would not
    carry whole. A deployment that reads no bucket is sent directly what can be.

    Raises: ApiError, NotReachable; UploadFailed.
    """
    directly = _Directly(connection, f"{deployment}/invocations", payload, wishes, hold(held_seconds))
    refused: ApiError | None = None
    if directly.is_better:
        try:
            return directly.send()
        except InvalidRequest as refusal:
            if refusal.status != HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
                raise
            refused = refusal
    try:
        stored = ask_for_place(connection, deployment, payload.content_type, payload.size_bytes)
    except InvalidRequest as refusal:
        if not any(field.field == "backend" for field in refusal.fields):
            raise
        if refused or not directly.is_possible:
            raise (refused or refusal) from None
        return directly.send()
    transfers.put(stored["upload"], payload)
    return send_input(
        connection, deployment, stored["input"], payload.content_type, wishes=wishes, held_seconds=held_seconds
    )


@dataclass(frozen=True)
class _Directly:
    """A payload in the request itself: as a member of it where it is JSON, else as its body.

    What is wished stands beside the member, or in the query, which is written into logs.
    """

    connection: Connection
    path: str
    payload: Payload
    wishes: Wishes
    headers: dict[str, str]

    @property
    def is_possible(self) -> bool:
        """Whether the request can say what is sent: JSON's null would be no payload in it."""
        return not (self.payload.is_json and self.payload.is_short and self.payload.value is None)

    @property
    def is_better(self) -> bool:
        """Whether there is no need of a bucket: text that is no UTF-8 would come changed, a webhook would be logged."""
        if not (self.payload.is_short and self.is_possible):
            return False
        return self.payload.is_json or not (self.wishes.webhook or self.payload.is_broken_text)

    def send(self) -> httpx.Response:
        """Return the answer to the request."""
        if self.payload.is_json:
            body = {"payload": self.payload.read_value(), **self.wishes.fields()}
            return self.connection.send("POST", self.path, body=body, headers=self.headers)
        headers = {**self.headers, "Content-Type": self.payload.content_type}
        content, said = self.payload.read(), self.wishes.fields()
        return self.connection.send("POST", self.path, params=said, content=content, headers=headers)


def send_input(
    connection: Connection,
    deployment: str,
    address: str,
    content_type: str | None,
    *,
    wishes: Wishes,
    held_seconds: int = 0,
) -> httpx.Response:
    """Return the answer to an invocation whose input lies in a bucket."""
    body = {"input": address} | ({"content_type": content_type} if content_type else {}) | wishes.fields()
    return connection.send("POST", f"{deployment}/invocations", body=body, headers=hold(held_seconds))


def ask_for_place(
    connection: Connection, deployment: str, content_type: str | None, size_bytes: int | None
) -> InputView:
    """Return a place for one input, and the address at which to store it."""
    wanted = {"content_type": content_type, "size_bytes": size_bytes}
    body = {field: value for field, value in wanted.items() if value is not None}
    return cast(InputView, connection.send("POST", f"{deployment}/inputs", body=body).json())


def hold(seconds: int) -> dict[str, str]:
    """Return the header that lets a request be held for its answer."""
    return {"Prefer": f"wait={seconds}"} if seconds > 0 else {}
