"""Inputs into a bucket, and outputs out of it, at addresses that carry their own permission.

Nothing of the caller's goes with such a request but its bytes: no signature, no header of the API's. The address is a
secret as long as it lasts, and is in no message.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pilotlight_client.endpoint_views import InputUpload
from pilotlight_client.errors import NotReachable, ResultNotReadable, UploadFailed
from pilotlight_client.payloads import Payload
from pilotlight_client.signing import is_loopback

TIMEOUT = httpx.Timeout(connect=5, read=60, write=60, pool=5)
ATTEMPTS = 3
DEFAULT_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # httpx's own
CHUNK_BYTES = 1024 * 1024


class Transfers:
    """Sends and fetches what is too large, or of too strange a type, for the API's own documents."""

    def __init__(self, *, is_local: bool, transport: httpx.BaseTransport | None = None) -> None:
        self._transport = transport
        self._trust_env = not is_local  # a proxy of the environment must never stand before this machine itself

    def client(self, limits: httpx.Limits = DEFAULT_LIMITS) -> httpx.Client:
        """Return a client for some transfers: a result may be fetched when the API's connection is closed already."""
        return httpx.Client(transport=self._transport, timeout=TIMEOUT, limits=limits, trust_env=self._trust_env)

    def put(self, upload: InputUpload, payload: Payload) -> None:
        """Store an input where the API said. A repeat stores the same once more.

        Raises: UploadFailed, NotReachable.
        """
        place = place_of(upload["url"], UploadFailed)
        headers = {**upload["headers"], "Content-Length": str(payload.size_bytes)}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.client() as http:
                    response = http.request(upload["method"], upload["url"], headers=headers, content=_chunks(payload))
            except httpx.TransportError as exc:
                if attempt == ATTEMPTS:
                    raise NotReachable(
                        f"The input could not be stored: {place} gave no answer ({_name(exc)})."
                    ) from exc
                continue
            if response.is_success:
                return
            if response.status_code < 500 or attempt == ATTEMPTS:
                raise UploadFailed(f"The input was not stored: {place} answered {response.status_code}.")

    def fetch(self, url: str) -> bytes:
        """Return what lies at an address.

        Raises: ResultNotReadable, NotReachable.
        """
        with self._opened(url) as chunks:
            return b"".join(chunks)

    def save(self, url: str, path: Path) -> int:
        """Write what lies at an address into a file, and return its bytes' number. A torn file takes nobody's place.

        Raises: ResultNotReadable, NotReachable; OSError.
        """
        written = 0
        partial = path.with_name(f".{path.name}.part")
        try:
            with self._opened(url) as chunks, partial.open("wb") as file:
                for chunk in chunks:
                    written += file.write(chunk)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return written

    @contextmanager
    def _opened(self, url: str) -> Iterator[Iterator[bytes]]:
        place = place_of(url, ResultNotReadable)
        try:
            with self.client() as http, http.stream("GET", url) as response:
                if not response.is_success:
                    raise ResultNotReadable(f"{place} gave no output: it answered {response.status_code}.")
                yield response.iter_bytes(CHUNK_BYTES)
        except httpx.TransportError as exc:
            raise NotReachable(f"The output could not be fetched: {place} gave no answer ({_name(exc)}).") from exc


def place_of(url: str, refusal: type[UploadFailed | ResultNotReadable]) -> str:
    """Return the host of an address, which may be told.

    Raises: the refusal for an address over which bytes would travel openly.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise refusal(f"The API named an address at {host or 'no host'} that is neither https nor on this machine.")
    return host


def _chunks(payload: Payload) -> Iterator[bytes]:
    with payload.open() as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _name(exc: httpx.TransportError) -> str:
    return type(exc).__name__
