"""Asking a deployment, and waiting for what it gives: the part of the client that is about invocations."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

import httpx

from pilotlight_client import predicting, waiting
from pilotlight_client.connection import Connection
from pilotlight_client.endpoint_views import InputView
from pilotlight_client.errors import TimedOut
from pilotlight_client.payloads import Payload, payload_of
from pilotlight_client.predicting import Wishes
from pilotlight_client.results import Result
from pilotlight_client.transfers import Transfers
from pilotlight_client.views import InvocationView, Message, Parameters

HELD_SECONDS = 20  # how long one request may be held; API Gateway ends it at 29 s
RESULT_SECONDS = 3600.0  # a cold endpoint may need half an hour, and a container as long for its answer


class Invocations:
    """What a client asks of models, over a connection of its own."""

    def __init__(self, connection: Connection, transfers: Transfers) -> None:
        self._connection = connection
        self._transfers = transfers

    def invoke(
        self,
        name: str,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        parameters: Parameters | None = None,
        raw: bool = False,
        webhook: str | None = None,
        wait_seconds: float = 600.0,
        on_wait: Callable[[InvocationView], None] | None = None,
    ) -> InvocationView:
        """Ask the model and return its answer, however long a cold model takes, up to `wait_seconds`.

        With `wait_seconds=0` the record is returned as it is: ask for it again with `answer`. The request is sent
        once and never repeated.

        Raises: InvocationFailed; TimedOut, whose `view` is the record.
        """
        wanted = {
            "prompt": prompt,
            "messages": list(messages) if messages is not None else None,
            "parameters": parameters or None,
            "raw": raw or None,
            "webhook": webhook,
        }
        ends = self._connection.clock.monotonic() + wait_seconds
        headers = predicting.hold(_held(wait_seconds))
        path = path_of("deployments", name, "invocations")
        response = self._connection.send("POST", path, body=given(wanted), headers=headers)
        return waiting.answer_to(self._connection, response, ends if wait_seconds else None, on_wait)

    def answer(
        self, invocation_id: str, *, wait_seconds: float = 0.0, on_wait: Callable[[InvocationView], None] | None = None
    ) -> InvocationView:
        """Return an invocation, waiting for its answer up to `wait_seconds`.

        Raises: InvocationFailed; TimedOut.
        """
        ends = self._connection.clock.monotonic() + wait_seconds
        response = self._connection.send("GET", path_of("invocations", invocation_id))
        return waiting.answer_to(self._connection, response, ends if wait_seconds else None, on_wait)

    def submit(
        self,
        name: str,
        payload: Any,
        content_type: str | None = None,
        *,
        webhook: str | None = None,
        accept: str | None = None,
        container_timeout_seconds: int | None = None,
        hold_seconds: float = 0.0,
    ) -> InvocationView:
        """Give a payload to a deployment and return the invocation's record: ask for its result with `get_result`.

        The payload is a path or an open file, bytes, or any JSON value, and reaches the container as it is; above
        128,000 bytes it goes through the deployment's bucket. `webhook` is told when it is over, `accept` is the type
        that the answer shall have, and `hold_seconds` may be waited for it, 20 at most.

        Raises: WrongInput, UploadFailed.
        """
        wishes = Wishes(webhook, accept, container_timeout_seconds)
        return cast(InvocationView, self._send(name, payload_of(payload, content_type), wishes, hold_seconds).json())

    def submit_input(
        self,
        name: str,
        address: str,
        content_type: str | None = None,
        *,
        webhook: str | None = None,
        accept: str | None = None,
        container_timeout_seconds: int | None = None,
    ) -> InvocationView:
        """Give what lies in a bucket, "s3://bucket/key", to a deployment and return the invocation's record."""
        path = path_of("deployments", name)
        wishes = Wishes(webhook, accept, container_timeout_seconds)
        response = predicting.send_input(self._connection, path, address, content_type, wishes=wishes)
        return cast(InvocationView, response.json())

    def create_input(self, name: str, content_type: str | None = None, size_bytes: int | None = None) -> InputView:
        """Return a place for an input of up to 1 GB, and the one request with which it is stored there."""
        return predicting.ask_for_place(self._connection, path_of("deployments", name), content_type, size_bytes)

    def predict(
        self,
        name: str,
        payload: Any,
        content_type: str | None = None,
        timeout: float | None = RESULT_SECONDS,
        *,
        poll: float | None = None,
        webhook: str | None = None,
        accept: str | None = None,
        container_timeout_seconds: int | None = None,
        on_wait: Callable[[InvocationView], None] | None = None,
    ) -> Result:
        """Give a payload to a deployment (see `submit`), wait for its result and return it.

        `on_wait` sees the record before each pause: its phase, and how long it may still take. `timeout` and `poll`
        are as those of `get_result`.

        Raises: InvocationFailed; TimedOut, whose `view` is the record; WrongInput, UploadFailed.
        """
        ends = self._ends(timeout)
        wishes = Wishes(webhook, accept, container_timeout_seconds)
        held = HELD_SECONDS if timeout is None else timeout
        response = self._send(name, payload_of(payload, content_type), wishes, held)
        return self._result(waiting.answer_to(self._connection, response, ends, on_wait, poll))

    def get_result(
        self,
        invocation_id: str,
        timeout: float | None = RESULT_SECONDS,
        poll: float | None = None,
        *,
        on_wait: Callable[[InvocationView], None] | None = None,
    ) -> Result:
        """Return the result of an invocation, waiting for it up to `timeout` seconds (None: as long as it takes).

        It is looked for each `poll` seconds, or as often as the API says. Giving up stops nothing: ask again.

        Raises: InvocationFailed; TimedOut, whose `view` is the record.
        """
        ends = self._ends(timeout)
        response = self._connection.send("GET", path_of("invocations", invocation_id))
        return self._result(waiting.answer_to(self._connection, response, ends, on_wait, poll))

    def result_of(self, view: InvocationView) -> Result:
        """Return the result that a record holds or points to.

        Raises: InvocationFailed; TimedOut where there is none yet.
        """
        waiting.require_answer(view)
        if not waiting.is_over(view):
            raise TimedOut(f"Invocation {view['id']} is still {view['status']}: wait for it with get_result.", view)
        return self._result(view)

    def _send(self, name: str, payload: Payload, wishes: Wishes, hold_seconds: float) -> httpx.Response:
        path, held = path_of("deployments", name), _held(hold_seconds)
        return predicting.send_payload(
            self._connection, self._transfers, path, payload, wishes=wishes, held_seconds=held
        )

    def _ends(self, timeout: float | None) -> float:
        return math.inf if timeout is None else self._connection.clock.monotonic() + timeout

    def _result(self, view: InvocationView) -> Result:
        return Result(view, self._transfers, self.answer)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **params: object,
    ) -> Any:
        return self._connection.send(method, path, params=params, body=body, headers=headers).json()


def given(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said, and leave the rest to the API."""
    return {field: value for field, value in wanted.items() if value is not None}


def _held(seconds: float) -> int:
    return max(0, min(int(seconds), HELD_SECONDS))


def path_of(*parts: str) -> str:
    """Return a path of the API; a name is one segment of it, whatever it contains."""
    return "/" + "/".join(quote(part, safe="") for part in parts)
