"""Connections to the public internet only: the address that is connected to is the one that was looked at.

A name is resolved once, every address that it has must be public, and the socket is opened to one of those: a name
that answers with another address the second time (DNS rebinding) is not asked a second time.
"""

import ipaddress
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util.connection import create_connection

from pilotlight.adapters.cutting_off import cut_off

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a host."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # Source: RFC 6052; the IPv4 address is in the last 32 bits


class ForbiddenAddressError(HTTPError):
    """The host leads to an address that is not public."""


def resolve_by_dns(host: str, port: int) -> list[str]:
    """Return every address of a host. Raises: socket.gaierror."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def is_public(text: str) -> bool:
    """Say whether an address, as it is written, leads to the public internet; one inside another counts as itself."""
    try:
        address: Address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    inner = _inner(address)
    return is_public(str(inner)) if inner else address.is_global and not address.is_multicast


def _inner(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 address carries, or None."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def guarded_pools(
    *,
    exempt: Callable[[str], bool],
    resolve: Resolve,
    timeout: Timeout,
    head_seconds: float,
    per_host: int,
    ssl_context: SSLContext | None = None,
) -> PoolManager:
    """Return pools whose connections reach public addresses only, and exempt hosts wherever those are.

    An answer whose headers have not come whole within `head_seconds` is cut off: a timeout of the socket alone would
    wait for each of their bytes anew.
    """

    def connected(connection: HTTPConnection) -> socket.socket:
        if exempt(connection.host):
            return HTTPConnection._new_conn(connection)
        return _connect(connection, resolve)

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connected(self)

        def getresponse(self) -> Any:
            return _in_time(self, head_seconds, super().getresponse)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connected(self)

        def getresponse(self) -> Any:
            return _in_time(self, head_seconds, super().getresponse)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    trust: dict[str, Any] = {"ssl_context": ssl_context} if ssl_context else {}  # else what the system trusts
    pools = PoolManager(timeout=timeout, maxsize=per_host, retries=False, **trust)
    pools.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pools


def _connect(connection: HTTPConnection, resolve: Resolve) -> socket.socket:
    try:
        addresses = resolve(connection.host, connection.port)
    except (socket.gaierror, UnicodeError) as exc:
        raise NameResolutionError(connection.host, connection, socket.gaierror(str(exc))) from exc
    if not addresses or not all(map(is_public, addresses)):
        raise ForbiddenAddressError(f"{connection.host} has an address that is not public")
    try:
        return create_connection(
            (addresses[0], connection.port),
            connection.timeout,
            source_address=connection.source_address,
            socket_options=connection.socket_options,
        )
    except TimeoutError as exc:
        raise ConnectTimeoutError(connection, f"{connection.host} did not answer") from exc
    except OSError as exc:
        raise NewConnectionError(connection, f"{connection.host} cannot be reached") from exc


def _in_time(connection: HTTPConnection, seconds: float, receive: Callable[[], BaseHTTPResponse]) -> BaseHTTPResponse:
    with cut_off(connection.sock, seconds) as late:
        answer = receive()
    if late.is_set():  # a connection that ends within the headers looks like one whose headers are over
        answer.close()
        raise ReadTimeoutError(None, connection.host, "the headers took too long")  # type: ignore[arg-type]
    return answer
