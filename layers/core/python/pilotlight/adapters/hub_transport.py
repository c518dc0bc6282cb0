"""Requests to a hub: redirects followed by hand, so that the token never leaves the hub's own origin.

An origin is scheme, host and port together. The hub sends us on to a CDN with a signed address; a request there
carries no Authorization. Neither a token nor such an address is ever part of an error's text: errors name hosts.
"""

import socket
from collections.abc import Generator
from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from pilotlight.adapters.cutting_off import cut_off
from pilotlight.adapters.direct_body import pieces_of
from pilotlight.adapters.hub_site import Site
from pilotlight.adapters.public_addresses import ForbiddenAddressError, Resolve, guarded_pools, resolve_by_dns
from pilotlight.adapters.web_addresses import host_of, read_address
from pilotlight.domain.errors import BodyCutShort, SourceRefused, Unavailable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # between two pieces of a body, not for all of it
ANSWER_SECONDS = 60.0  # for all headers; for a body, too, beside what SLOWEST_BYTES_PER_SECOND allow
SLOWEST_BYTES_PER_SECOND = 1_000_000  # spans are planned for 25 times as much
MOST_REDIRECTS = 5
PIECE_BYTES = 1024 * 1024
CONNECTIONS_PER_HOST = 16

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITH_CONTENT = frozenset({200, 206})
_DISCARDED_BYTES = 64 * 1024
_DISCARD_SECONDS = 0.5


@dataclass(frozen=True)
class Answer:
    """The last answer of a chain of redirects, its body unread; `told` holds the headers of every hop, lower-case."""

    response: BaseHTTPResponse
    url: str
    from_hub: bool
    told: dict[str, str] = field(default_factory=dict)
    patience_seconds: float = ANSWER_SECONDS

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    def header(self, name: str) -> str | None:
        """Return a header of the last answer."""
        return self.response.headers.get(name)

    def pieces(self) -> Generator[memoryview, None, None]:
        """Yield the body in pieces as they come: each is good until the next one is asked for.

        Raises: BodyCutShort when it ends early, stands still, or drips so slowly that it would never be whole.
        """
        seconds = self.patience_seconds + (self.response.length_remaining or 0) / SLOWEST_BYTES_PER_SECOND
        received = 0
        try:
            with cut_off(self._socket, seconds) as late:
                for piece in pieces_of(self.response, PIECE_BYTES):
                    received += len(piece)
                    yield piece
        except (HTTPError, OSError) as exc:
            if not late.is_set():
                raise BodyCutShort(f"The connection to {host_of(self.url)} broke: {type(exc).__name__}.") from exc
        finally:
            self.discard()
        if late.is_set():
            raise BodyCutShort(f"{host_of(self.url)} sent {received} bytes too slowly to wait for the rest.")

    def cut(self) -> None:
        """End the body from another thread, which may be waiting for a piece of it."""
        if self._socket:
            self._socket.shutdown(socket.SHUT_RDWR)

    def discard(self) -> None:
        """Let go of the connection: it is kept when the little that is left of the body comes at once."""
        left = getattr(self.response, "length_remaining", None)
        try:
            if left and left <= _DISCARDED_BYTES:
                with cut_off(self._socket, _DISCARD_SECONDS):
                    self.response.read(decode_content=False)
        except (HTTPError, OSError):
            return  # a broken connection is closed already
        finally:
            self.response.close()

    @property
    def _socket(self) -> socket.socket | None:
        found: socket.socket | None = getattr(self.response.connection, "sock", None)
        return found


class HubTransport:
    """Sends GET requests, with our credentials to what the site owns and to nobody else."""

    def __init__(
        self,
        site: Site,
        *,
        read_timeout_seconds: float = READ_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        resolve: Resolve = resolve_by_dns,
        ssl_context: SSLContext | None = None,
    ) -> None:
        """Without an `ssl_context` the system says whom to trust."""
        self._site = site
        self._answer_seconds = answer_seconds
        self._pools = guarded_pools(
            exempt=site.is_exempt,
            resolve=resolve,
            timeout=Timeout(connect=CONNECT_SECONDS, read=read_timeout_seconds),
            head_seconds=answer_seconds,
            per_host=CONNECTIONS_PER_HOST,
            ssl_context=ssl_context,
        )

    def get(self, url: str, *, byte_range: tuple[int, int] | None = None) -> Answer:
        """Return the answer at the end of the redirects; `byte_range` is first and last byte, both included.

        Raises: Unavailable when nobody answers; SourceRefused for a redirect to where we must not go.
        """
        told: dict[str, str] = {}
        for _ in range(MOST_REDIRECTS + 1):
            from_hub = self._site.owns(parse_url(url))
            response = self._send(url, byte_range, self._site.credentials() if from_hub else {})
            told |= {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(
                response=response, url=url, from_hub=from_hub, told=told, patience_seconds=self._answer_seconds
            )
            if response.status not in _REDIRECTS:
                return _uncompressed(answer)
            answer.discard()
            url = self.target(url, response.headers.get("Location") or "", "redirects")
        raise Unavailable(f"{self._site.name} redirected more than {MOST_REDIRECTS} times.")

    def target(self, url: str, reference: str, how: str) -> str:
        """Return the address that another one leads to; `how` it does is a verb, for the error.

        Raises: SourceRefused for an address to which we must not go.
        """
        try:
            target = urljoin(url, reference)
        except ValueError:
            target = ""
        parts = read_address(target)
        if parts.host and not parts.auth and self._site.may_lead_to(parts):
            return target
        where = f"{parts.scheme or 'no'}://{parts.host or 'address'}"
        raise SourceRefused(
            f"{self._site.name} {how} to {where}, which is not a public https address. {self._site.advice}"
        )

    def _send(self, url: str, byte_range: tuple[int, int] | None, credentials: dict[str, str]) -> BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "pilotlight", **credentials}
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
        try:
            return self._pools.request("GET", url, headers=headers, redirect=False, preload_content=False)
        except ForbiddenAddressError as exc:
            raise SourceRefused(
                f"{self._site.name} leads to {host_of(url)}, which has an address that is not public. "
                f"{self._site.advice}"
            ) from exc
        except (HTTPError, OSError) as exc:
            raise Unavailable(f"{host_of(url)} did not answer: {type(exc).__name__}. Try again later.") from exc


def _uncompressed(answer: Answer) -> Answer:
    """Return an answer that is sent as it is: we asked for that, and what unpacks to a thousand times is not read.

    Raises: SourceRefused.
    """
    coding = (answer.header("Content-Encoding") or "").strip().lower()
    if coding in ("", "identity") or answer.status not in _WITH_CONTENT:
        return answer
    answer.discard()
    raise SourceRefused(f"{host_of(answer.url)} sends {coding[:40]!r} where it was asked for plain bytes.")
