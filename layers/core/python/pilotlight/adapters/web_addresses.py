"""Addresses of the web as strangers write them: can one be read, whose is it, may it lead to the public internet?"""

import ipaddress
import re

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from pilotlight.adapters.public_addresses import is_public

Origin = tuple[str | None, str | None, int | None]
"""Scheme, host and port together."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash, on which URL parsers disagree
_HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_INTERNAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp")


def is_printable(text: str) -> bool:
    """Say whether a text is of visible ASCII alone, without the backslash."""
    return _PRINTABLE.fullmatch(text) is not None


def read_address(text: str) -> Url:
    """Return the parts of an address; none where it is not one."""
    try:
        return parse_url(text) if is_printable(text) else Url()
    except LocationParseError:
        return Url()


def origin_of(parts: Url) -> Origin:
    """Return whose an address is."""
    return parts.scheme, parts.host, parts.port or DEFAULT_PORTS.get(parts.scheme or "")


def host_of(url: str) -> str:
    """Return the host of an address, for errors: the rest of it may be a secret."""
    return parse_url(url).host or "the hub"


def is_loopback(host: str | None) -> bool:
    """Say whether a host, as it is written, is this machine."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def is_public_https(parts: Url) -> bool:
    """Say whether an address, as it is written, is of https on its usual port, at a host that may be public."""
    return parts.scheme == "https" and parts.port in (None, 443) and may_be_public(parts.host)


def may_be_public(host: str | None) -> bool:
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


def _address(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address((host or "").strip("[]"))
    except ValueError:
        return None
