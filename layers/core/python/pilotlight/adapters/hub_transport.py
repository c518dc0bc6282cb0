"""Requests to a hub: redirects followed by hand, so that the token never leaves the hub's own origin.

An origin is scheme, host and port together. The hub sends us on to a CDN with a signed address; a request there
carries no Authorization. Neither a token nor such an address is ever part of an error's text: errors name hosts.
"""

import ipaddress
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from pilotlight.domain.errors import BodyCutShort, InvalidInput, SourceRefused, Unavailable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # between two pieces of a body, not for all of it
MOST_REDIRECTS = 5
PIECE_BYTES = 1024 * 1024
CONNECTIONS_PER_HOST = 16

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DISCARDED_BYTES = 64 * 1024
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash, on which URL parsers disagree
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Answer:
    """The last answer of a chain of redirects, its body unread; `told` holds the headers of every hop, lower-case."""

    response: BaseHTTPResponse
    url: str
    from_hub: bool
    told: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    def header(self, name: str) -> str | None:
        """Return a header of the last answer."""
        return self.response.headers.get(name)

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield the body in pieces as they come. Raises: BodyCutShort when it ends early or stands still."""
        try:
            while piece := self.response.read(PIECE_BYTES, decode_content=False):
                yield piece
        except (HTTPError, OSError) as exc:
            raise BodyCutShort(f"The connection to {_host(self.url)} broke: {type(exc).__name__}.") from exc
        finally:
            self.discard()

    def discard(self) -> None:
        """Let go of the connection: it is kept only when the body has been read to its end."""
        left = getattr(self.response, "length_remaining", None)
        try:
            if left is not None and left <= _DISCARDED_BYTES:
                self.response.read(decode_content=False)
        except (HTTPError, OSError):
            return  # a broken connection is closed already
        finally:
            self.response.close()


class HubTransport:
    """Sends GET requests; `token` is asked for each request to the hub, so that a rotated secret is taken up."""

    def __init__(
        self, endpoint: str, token: Callable[[], str | None], *, read_timeout_seconds: float = READ_SECONDS
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        origin = _parse_endpoint(self.endpoint)
        self.host = origin.host
        self._origin = _origin(origin)
        self._on_loopback = _is_loopback(origin.host)
        self._token = token
        self._pool = PoolManager(
            timeout=Timeout(connect=CONNECT_SECONDS, read=read_timeout_seconds),
            maxsize=CONNECTIONS_PER_HOST,
            retries=False,
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
            answer = Answer(response=response, url=url, from_hub=from_hub, told=told)
            if response.status not in _REDIRECTS:
                return answer
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
            return self._pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
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

        Raises: SourceRefused unless it is https to a public host, or our own machine for a hub on it.
        """
        target = urljoin(url, location or "")
        try:
            parts = parse_url(target) if _PRINTABLE.fullmatch(target) else Url()
        except LocationParseError:
            parts = Url()
        if parts.host and not parts.auth and self._may_go_to(parts):
            return target
        raise SourceRefused(
            f"The hub {self.host} redirects to {parts.scheme or 'no'}://{parts.host or 'address'}, "
            "which is not a public https address. Is HF_ENDPOINT the hub that you meant?"
        )

    def _may_go_to(self, parts: Url) -> bool:
        if _origin(parts) == self._origin:
            return True
        if self._on_loopback and _is_loopback(parts.host):
            return parts.scheme in _DEFAULT_PORTS
        return parts.scheme == "https" and _is_public(parts.host)


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


def _is_public(host: str | None) -> bool:
    """Say whether a host may be public: names are taken at their word, as https checks them by certificate."""
    address = _address(host)
    return address.is_global if address else bool(host) and host != "localhost"


def _host(url: str) -> str:
    return parse_url(url).host or "the hub"
