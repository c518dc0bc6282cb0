"""Requests to a hub: redirects followed by hand, so that the token never leaves the hub's own origin.

An origin is scheme, host and port together. The hub sends us on to a CDN with a signed address; a request there
carries no Authorization. Neither a token nor such an address is ever part of an error's text: errors name hosts.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from pilotlight.adapters.cutting_off import cut_off
from pilotlight.adapters.direct_body import pieces_of
from pilotlight.adapters.public_addresses import (
    ForbiddenAddressError,
    Resolve,
    guarded_pools,
    is_public,
    resolve_by_dns,
)
from pilotlight.domain.errors import BodyCutShort, InvalidInput, SourceRefused, Unavailable

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
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash, on which URL parsers disagree
_HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_INTERNAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp")
_DEFAULT_PORTS = {"http": 80, "https": 443}


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
                raise BodyCutShort(f"The connection to {_host(self.url)} broke: {type(exc).__name__}.") from exc
        finally:
            self.discard()
        if late.is_set():
            raise BodyCutShort(f"{_host(self.url)} sent {received} bytes too slowly to wait for the rest.")

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
    """Sends GET requests; `token` is asked for each request to the hub, so that a rotated secret is taken up."""

    def __init__(
        self,
        endpoint: str,
        token: Callable[[], str | None],
        *,
        read_timeout_seconds: float = READ_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        resolve: Resolve = resolve_by_dns,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        origin = _parse_endpoint(self.endpoint)
        self.host = origin.host
        self._origin = _origin(origin)
        self._on_loopback = _is_loopback(origin.host)
        self._token = token
        self._answer_seconds = answer_seconds
        self._pools = guarded_pools(
            exempt=self._is_exempt,
            resolve=resolve,
            timeout=Timeout(connect=CONNECT_SECONDS, read=read_timeout_seconds),
            head_seconds=answer_seconds,
            per_host=CONNECTIONS_PER_HOST,
        )

    def get(self, url: str, *, byte_range: tuple[int, int] | None = None) -> Answer:
        """Return the answer at the end of the redirects; `byte_range` is first and last byte, both included.

        Raises: Unavailable when nobody answers; SourceRefused for a redirect to where we must not go.
        """
        told: dict[str, str] = {}
        for _ in range(MOST_REDIRECTS + 1):
            from_hub = _origin(parse_url(url)) == self._origin
            response = self._send(url, byte_range, with_token=from_hub)
            told |= {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(
                response=response, url=url, from_hub=from_hub, told=told, patience_seconds=self._answer_seconds
            )
            if response.status not in _REDIRECTS:
                return _uncompressed(answer)
            answer.discard()
            url = self._target(url, response.headers.get("Location"))
        raise Unavailable(f"The hub {self.host} redirected more than {MOST_REDIRECTS} times.")

    def _send(self, url: str, byte_range: tuple[int, int] | None, *, with_token: bool) -> BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "pilotlight"}
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
        if with_token and (token := self._readable_token()):
            headers["Authorization"] = f"Bearer {token}"
        try:
            return self._pools.request("GET", url, headers=headers, redirect=False, preload_content=False)
        except ForbiddenAddressError as exc:
            raise SourceRefused(
                f"The hub {self.host} leads to {_host(url)}, which has an address that is not public. "
                "Is HF_ENDPOINT the hub that you meant?"
            ) from exc
        except (HTTPError, OSError) as exc:
            raise Unavailable(f"{_host(url)} did not answer: {type(exc).__name__}. Try again later.") from exc

    def _readable_token(self) -> str | None:
        """Return the token, checked here because an HTTP library would quote an ill-formed one in its error."""
        token = (self._token() or "").strip()
        if token and not _PRINTABLE.fullmatch(token):
            raise InvalidInput(
                "The hub's token contains characters that no token has. Set HF_TOKEN, or the stack's secret, again.",
                field="HF_TOKEN",
                rule="visible ASCII",
            )
        return token or None

    def _target(self, url: str, location: str | None) -> str:
        """Return where a redirect leads.

        Raises: SourceRefused unless it is https to a public host, or the very machine of a hub on this one.
        """
        try:
            target = urljoin(url, location or "")
            parts = parse_url(target) if _PRINTABLE.fullmatch(target) else Url()
        except (LocationParseError, ValueError):
            target, parts = "", Url()
        if parts.host and not parts.auth and self._may_go_to(parts):
            return target
        raise SourceRefused(
            f"The hub {self.host} redirects to {parts.scheme or 'no'}://{parts.host or 'address'}, "
            "which is not a public https address. Is HF_ENDPOINT the hub that you meant?"
        )

    def _may_go_to(self, parts: Url) -> bool:
        if _origin(parts) == self._origin:
            return True
        if self._on_loopback and parts.host == self.host:
            return parts.scheme in _DEFAULT_PORTS
        return parts.scheme == "https" and parts.port in (None, 443) and _may_be_public(parts.host)

    def _is_exempt(self, host: str) -> bool:
        """Say whether a host may have any address: the hub that was configured may."""
        return host == self.host


def _uncompressed(answer: Answer) -> Answer:
    """Return an answer that is sent as it is: we asked for that, and what unpacks to a thousand times is not read.

    Raises: SourceRefused.
    """
    coding = (answer.header("Content-Encoding") or "").strip().lower()
    if coding in ("", "identity") or answer.status not in _WITH_CONTENT:
        return answer
    answer.discard()
    raise SourceRefused(f"{_host(answer.url)} sends {coding[:40]!r} where it was asked for plain bytes.")


def _parse_endpoint(endpoint: str) -> Url:
    rule = "https://host, or http:// on this machine"
    try:
        parts = parse_url(endpoint) if _PRINTABLE.fullmatch(endpoint) else Url()
    except LocationParseError:
        parts = Url()
    secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.host))
    if not parts.host or not secure or parts.auth or parts.query or parts.fragment:
        raise InvalidInput(
            f"The hub's endpoint must be {rule}, without a user, query or fragment.", field="HF_ENDPOINT", rule=rule
        )
    return parts


def _origin(parts: Url) -> tuple[str | None, str | None, int | None]:
    return parts.scheme, parts.host, parts.port or _DEFAULT_PORTS.get(parts.scheme or "")


def _address(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address((host or "").strip("[]"))
    except ValueError:
        return None


def _is_loopback(host: str | None) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _may_be_public(host: str | None) -> bool:
    """Say whether a host may be public as it is written; the addresses that a name has are looked at when connecting.

    A name whose last label is a number is an address in disguise: 2852039166, 0xa9fea9fe, 0251.0376.0251.0376.
    """
    bare = (host or "").strip("[]").rstrip(".").lower()
    if _address(bare):
        return is_public(bare)
    last = bare.rpartition(".")[2]
    if last[:1].isdigit() or "." not in bare or not _HOST_NAME.fullmatch(bare):
        return False
    return not bare.endswith(_INTERNAL_NAMES)


def _host(url: str) -> str:
    return parse_url(url).host or "the hub"
