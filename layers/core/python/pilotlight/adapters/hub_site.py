"""Whom a transport talks to: what is theirs, what they are told of us, and where they may lead us.

A hub is one origin that whoever deploys the stack has named, and the only one that is told its token. The servers of
lists are anybody's: they are told nothing, and lead to public addresses alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from urllib3.util import Url

from pilotlight.adapters.web_addresses import (
    DEFAULT_PORTS,
    is_loopback,
    is_printable,
    is_public_https,
    origin_of,
    read_address,
)
from pilotlight.domain.errors import InvalidInput

Token = Callable[[], str | None]
"""Gives the token; asked for each request, so that a rotated secret is taken up."""


class Site(Protocol):
    """Whom a transport talks to."""

    name: str
    """What errors call it."""

    advice: str
    """What to do about it when it leads where we must not go."""

    def owns(self, parts: Url) -> bool:
        """Say whether an address is the hub's own, and not one of its file servers'."""
        ...

    def credentials(self) -> dict[str, str]:
        """Return the headers that tell the hub who we are. Raises: InvalidInput for a token that cannot be one."""
        ...

    def may_lead_to(self, parts: Url) -> bool:
        """Say whether we go to that address when we are sent there."""
        ...

    def is_exempt(self, host: str) -> bool:
        """Say whether a host may have any address, and not only public ones."""
        ...


@dataclass(frozen=True)
class HubSettings:
    """What a hub's settings are called, for errors that say what to do."""

    endpoint: str
    variable: str
    stored_in: str = "the hub secret of the stack"
    cookie: str | None = None
    """The cookie that carries the token beside the Authorization header, where a hub has one."""

    @property
    def set_a_token(self) -> str:
        """The advice to set a token, up to what it is to be set to."""
        return f"set {self.variable} locally, or {self.stored_in},"


HUGGING_FACE = HubSettings(endpoint="HF_ENDPOINT", variable="HF_TOKEN")


class HubSite:
    """The hub that a setting names; its host may have any address, for a mirror may be internal."""

    def __init__(self, endpoint: str, token: Token, settings: HubSettings = HUGGING_FACE) -> None:
        """Read the endpoint. Raises: InvalidInput unless it is https, or http on this machine."""
        self.endpoint = endpoint.rstrip("/")
        self.settings = settings
        parts = _parse_endpoint(self.endpoint, settings)
        self.host = parts.host or ""
        self.name = f"The hub {self.host}"
        self.advice = f"Is {settings.endpoint} the hub that you meant?"
        self._origin = origin_of(parts)
        self._on_loopback = is_loopback(parts.host)
        self._token = token

    def owns(self, parts: Url) -> bool:
        """Say whether an address has the hub's own scheme, host and port."""
        return origin_of(parts) == self._origin

    def credentials(self) -> dict[str, str]:
        """Return the headers with the token, checked here: an HTTP library would quote an ill-formed one."""
        token = (self._token() or "").strip()
        if not token:
            return {}
        if not is_printable(token):
            raise InvalidInput(
                f"The hub's token contains characters that no token has. Set {self.settings.variable}, or the stack's "
                "secret, again.",
                field=self.settings.variable,
                rule="visible ASCII",
            )
        cookie = {"Cookie": f"{self.settings.cookie}={token}"} if self.settings.cookie else {}
        return {"Authorization": f"Bearer {token}", **cookie}

    def may_lead_to(self, parts: Url) -> bool:
        """Say whether an address is https to a public host, or the very machine of a hub on this one."""
        if self.owns(parts):
            return True
        if self._on_loopback and parts.host == self.host:
            return parts.scheme in DEFAULT_PORTS
        return is_public_https(parts)

    def is_exempt(self, host: str) -> bool:
        """Say whether it is the hub that was configured."""
        return host == self.host


class PublicSites:
    """Any server of the public internet: it is named by whoever deploys a model, and told nothing of us."""

    name = "The server of the list"
    advice = "A list, and all files that it names, must lie at public https addresses."

    def __init__(self, *, allows_loopback: bool = False) -> None:
        """`allows_loopback` is for tests on one machine."""
        self._allows_loopback = allows_loopback

    def owns(self, parts: Url) -> bool:  # noqa: ARG002 - an address is as good as any other
        """Return False: there is no hub whose word would count more than that of its file servers."""
        return False

    def credentials(self) -> dict[str, str]:
        """Return nothing."""
        return {}

    def may_lead_to(self, parts: Url) -> bool:
        """Say whether an address is https to a public host."""
        return is_public_https(parts) or (parts.scheme == "https" and self.is_exempt(parts.host or ""))

    def is_exempt(self, host: str) -> bool:
        """Say whether it is this machine, where that is allowed."""
        return self._allows_loopback and is_loopback(host)


def _parse_endpoint(endpoint: str, settings: HubSettings) -> Url:
    rule = "https://host, or http:// on this machine"
    parts = read_address(endpoint)
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.host))
    if not parts.host or not secure or parts.auth or parts.query or parts.fragment:
        raise InvalidInput(
            f"The hub's endpoint must be {rule}, without a user, query or fragment.",
            field=settings.endpoint,
            rule=rule,
        )
    return parts
