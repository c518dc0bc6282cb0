"""What is sent to a container: a JSON value, text, bytes or a file; how long it is, and what it says that it is."""

import io
import json
import mimetypes
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from pilotlight_client.errors import WrongInput

JSON = "application/json"
BINARY = "application/octet-stream"
TEXT_TYPES = frozenset({"application/jsonlines", "application/x-ndjson", "application/xml"})
MOST_INLINE_BYTES = 128_000
"""What is longer goes through a bucket. Source: botocore's service model, InvokeEndpointAsync's Body."""


@dataclass(frozen=True)
class Payload:
    """Bytes that can be read as often as a request is repeated.

    `value` is what they are in JSON, where their type is JSON's and they are short enough to be told so.
    """

    content_type: str
    size_bytes: int
    open: Callable[[], BinaryIO]
    value: Any = None

    @property
    def is_json(self) -> bool:
        """Whether the API would take the bytes for a request of its own."""
        return media_type(self.content_type) == JSON

    @property
    def is_broken_text(self) -> bool:
        """Whether they say that they are text, and are none in UTF-8, as which text goes through API Gateway."""
        kind = media_type(self.content_type)
        if not (kind.startswith("text/") or kind in TEXT_TYPES):
            return False
        try:
            self.read().decode()
        except UnicodeDecodeError:
            return True
        return False

    @property
    def is_short(self) -> bool:
        """Whether they fit into the request itself."""
        return self.size_bytes <= MOST_INLINE_BYTES

    def read(self) -> bytes:
        """Return all of it."""
        with self.open() as stream:
            return stream.read()

    def read_value(self) -> Any:
        """Return what it is in JSON.

        Raises: WrongInput for what is none.
        """
        if self.value is not None:
            return self.value
        try:
            return json.loads(self.read())
        except ValueError as exc:
            raise WrongInput(
                f"The payload says that it is {JSON}, and is not ({exc}): give its own content type."
            ) from exc


def payload_of(value: Any, content_type: str | None = None) -> Payload:
    """Return what to send for a value: a path or an open file, bytes, or whatever JSON can say.

    Text goes as it is where a type other than JSON's is given with it. A file's type is taken from its name.

    Raises: WrongInput for what cannot be read, and for what is no JSON though it says so.
    """
    if isinstance(value, Path):
        return _of_file(value, content_type or mimetypes.guess_type(value.name)[0] or BINARY)
    if hasattr(value, "read"):
        return _of_stream(value, content_type or BINARY)
    if isinstance(value, bytes | bytearray | memoryview):
        return _of_bytes(bytes(value), content_type or BINARY)
    if isinstance(value, str) and content_type and media_type(content_type) != JSON:
        return _of_bytes(value.encode(), content_type)
    return _of_json(value, content_type or JSON)


def media_type(content_type: str) -> str:
    """Return a content type without its parameters: "text/plain" of "text/plain; charset=utf-8"."""
    return content_type.partition(";")[0].strip().lower()


def _of_json(value: Any, content_type: str) -> Payload:
    try:
        content = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as exc:
        raise WrongInput(
            f"The payload cannot be written as JSON ({exc}): give bytes, a file, or a JSON value."
        ) from exc
    told = value if media_type(content_type) == JSON else None
    return Payload(content_type, len(content), lambda: io.BytesIO(content), told)


def _of_bytes(content: bytes, content_type: str) -> Payload:
    payload = Payload(content_type, len(content), lambda: io.BytesIO(content))
    return _with_value(payload)


def _of_file(path: Path, content_type: str) -> Payload:
    try:
        size_bytes = path.stat().st_size
        path.open("rb").close()
    except OSError as exc:
        raise WrongInput(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    return _with_value(Payload(content_type, size_bytes, lambda: path.open("rb")))


def _of_stream(stream: Any, content_type: str) -> Payload:
    """Return what is left of an open file. One that can be rewound stays where it is, the caller's to close."""
    try:
        begins = stream.tell()
        size_bytes = stream.seek(0, os.SEEK_END) - begins
        stream.seek(begins)
    except (AttributeError, OSError):
        return _of_bytes(_bytes(stream.read()), content_type)
    if isinstance(stream, io.TextIOBase):
        return _of_bytes(stream.read().encode(), content_type)

    def rewound() -> BinaryIO:
        stream.seek(begins)
        return _Borrowed(stream)

    return _with_value(Payload(content_type, size_bytes, rewound))


def _with_value(payload: Payload) -> Payload:
    """Return a short payload of JSON's type with its value: in a request the API reads it as JSON.

    Raises: WrongInput for what is no JSON.
    """
    if not (payload.is_json and payload.is_short):
        return payload
    return replace(payload, value=payload.read_value())


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


class _Borrowed(io.RawIOBase, BinaryIO):
    """A stream of somebody else's: read through, and never closed by us."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        """Return True: that is what it is for."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, or all that are left."""
        return self._stream.read(size)
