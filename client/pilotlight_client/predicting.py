"""How a payload reaches a deployment: as JSON in the request, as the request's own body, or through the bucket."""

from dataclasses import dataclass
from typing import Any, cast

import httpx

from pilotlight_client.connection import Connection
from pilotlight_client.endpoint_views import InputView
from pilotlight_client.payloads import Payload
from pilotlight_client.transfers import Transfers


@dataclass(frozen=True)
class Wishes:
    """What may be said of any invocation, whatever is sent: only a JSON request can say it."""

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

    `deployment` is the deployment's path. Bytes that come with wishes go through the bucket, and so does JSON's null,
    which in a request would be no payload.

    Raises: ApiError, NotReachable; UploadFailed.
    """
    path = f"{deployment}/invocations"
    headers = hold(held_seconds)
    if payload.is_short and payload.value is not None:
        return connection.send("POST", path, body={"payload": payload.value, **wishes.fields()}, headers=headers)
    if payload.is_short and not payload.is_json and not wishes.fields():
        headers = {**headers, "Content-Type": payload.content_type}
        return connection.send("POST", path, content=payload.read(), headers=headers)
    stored = ask_for_place(connection, deployment, payload.content_type, payload.size_bytes)
    transfers.put(stored["upload"], payload)
    return send_input(
        connection, deployment, stored["input"], payload.content_type, wishes=wishes, held_seconds=held_seconds
    )


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
