"""What an invocation gave: text, JSON or bytes, whichever way the API hands it over."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pilotlight_client.errors import ResultNotReadable
from pilotlight_client.payloads import BINARY, JSON, media_type
from pilotlight_client.transfers import Transfers
from pilotlight_client.views import InvocationView

TEXT = "text/plain; charset=utf-8"
Fetched = TypeVar("Fetched")


class Result:
    """The result of one invocation. What is large or binary is fetched when it is first asked for.

    `view` is the invocation's record, with tokens, cost and latency.
    """

    def __init__(self, view: InvocationView, transfers: Transfers, again: Callable[[str], InvocationView]) -> None:
        self.view = view
        self._transfers = transfers
        self._again = again
        self._content: bytes | None = None

    def __repr__(self) -> str:
        """Return whose result it is; the address of its content is a secret."""
        return f"Result({self.id}, {self.content_type})"

    @property
    def id(self) -> str:
        """The invocation's id."""
        return self.view["id"]

    @property
    def content_type(self) -> str:
        """What the content is: as the container said, or text where it is what a model said."""
        told = self.view.get("content_type")
        if self.view.get("output_url"):
            return told or BINARY
        if self._has_body:
            return told or (TEXT if isinstance(self.view.get("body"), str) else JSON)
        return TEXT

    @property
    def content(self) -> bytes:
        """The content, byte for byte where it was fetched.

        Raises: ResultNotReadable, NotReachable.
        """
        if self._content is None:
            self._content = self._fetched() if self.view.get("output_url") else self._told()
        return self._content

    @property
    def text(self) -> str:
        """What a model said, or else the content as text; bytes that are no text are replaced."""
        output = self.view.get("output")
        if output is not None:
            return output["text"]
        body = self.view.get("body")
        return body if isinstance(body, str) else self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Return the JSON value of the content.

        Raises: ResultNotReadable where it is none.
        """
        try:
            return json.loads(self.content)
        except ValueError as exc:
            raise ResultNotReadable(f"The result of {self.id} is {self.content_type}, and no JSON: {exc}.") from exc

    @property
    def value(self) -> Any:
        """What it is in Python: a JSON value, text, or bytes."""
        kind = media_type(self.content_type)
        if kind == JSON or kind.endswith("+json"):
            return self.json()
        return self.text if kind.startswith("text/") else self.content

    def save(self, path: Path) -> int:
        """Write the content into a file, and return how many bytes that are; it need not fit into memory.

        Raises: ResultNotReadable, NotReachable; OSError.
        """
        if self._content is not None or not self.view.get("output_url"):
            return path.write_bytes(self.content)
        return self._at_a_fresh_address(lambda url: self._transfers.save(url, path))

    @property
    def _has_body(self) -> bool:
        return "body" in self.view and not (self.view["body"] is None and self.view.get("output"))

    def _told(self) -> bytes:
        """Return the content of what is in the record itself."""
        if self._has_body:
            body = self.view["body"]
            is_text = isinstance(body, str) and media_type(self.content_type) != JSON
            return str(body).encode() if is_text else json.dumps(body, ensure_ascii=False).encode()
        output = self.view.get("output")
        return output["text"].encode() if output else b""

    def _fetched(self) -> bytes:
        return self._at_a_fresh_address(self._transfers.fetch)

    def _at_a_fresh_address(self, fetch: Callable[[str], Fetched]) -> Fetched:
        """Return what is fetched; an address that has expired is asked for once more."""
        try:
            return fetch(self.view.get("output_url") or "")
        except ResultNotReadable:
            self.view = self._again(self.id)
            if not self.view.get("output_url"):
                raise
            return fetch(self.view["output_url"] or "")
