"""What all who read from a hub know of it together: the signed addresses of its files, and how long it wants peace.

HUB#<host>                     until when the hub asked all of us to wait
HUB#<host>#<hash of address>   where a file's bytes are for now, and who is asking for a newer address

A fleet of copiers asks the hub once for each file, and once more when that address is over; without this each of them
would, and a thousand would be over the hub's limit. What is kept is a secret for as long as it serves: the table is
encrypted, and forgets it after a day.
"""

import hashlib
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from pilotlight.adapters.table import Table
from pilotlight.domain.errors import ConcurrentChange, PilotlightError

RENEWAL_SECONDS = 15.0  # of whoever asks for a newer address; then another one may
LOOK_SECONDS = 0.5  # between two looks whether that one has it
KEPT_SECONDS = 24 * 3600
LONGEST_REST_SECONDS = 3600.0

Wall = Callable[[], float]
"""Gives the seconds since 1970: hubs know no other clock."""


class HubMemory(Protocol):
    """What a reader of a hub remembers of it."""

    def address(self, url: str, *, other_than: str | None = None) -> str | None:
        """Return where a file's bytes are, where that is known, and is not an address that is over."""
        ...

    def keep(self, url: str, address: str) -> None:
        """Remember where a file's bytes are: at the same address where the hub sends them itself."""
        ...

    def newer(self, url: str, stale: str | None) -> str | None:
        """Return the address that somebody else is asking for, once it is there; None for who is to ask himself."""
        ...

    def rest_seconds(self, url: str) -> float:
        """Return for how long a hub is still to be left alone."""
        ...

    def rest(self, url: str, seconds: float) -> None:
        """Leave a hub alone for so long."""
        ...


class OwnMemory:
    """The memory of one process. Its own waits are its callers' business: they know what they were told."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def address(self, url: str, *, other_than: str | None = None) -> str | None:
        """Return where a file's bytes are, where that is known and is another address."""
        known = self._addresses.get(url)
        return None if known == other_than else known

    def keep(self, url: str, address: str) -> None:
        """Remember where a file's bytes are."""
        self._addresses[url] = address

    def newer(self, url: str, stale: str | None) -> str | None:  # noqa: ARG002 - nobody else asks
        """Return nothing: whoever needs an address asks for it."""
        return None

    def rest_seconds(self, url: str) -> float:  # noqa: ARG002 - see above
        """Return that nobody waits."""
        return 0.0

    def rest(self, url: str, seconds: float) -> None:
        """Forget it."""


class SharedMemory:
    """The memory of all processes of a stack, in its table. Where that does not answer, each remembers for himself."""

    def __init__(self, table: Table, wall: Wall = time.time, pause: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._wall = wall
        self._pause = pause
        self._own = OwnMemory()

    def address(self, url: str, *, other_than: str | None = None) -> str | None:
        """Return where a file's bytes are, where that is known and is another address."""
        if known := self._own.address(url, other_than=other_than):
            return known
        found = self._stored(_of_file(url)).get("address")
        if found is None or found == other_than:
            return None
        self._own.keep(url, found)
        return str(found)

    def keep(self, url: str, address: str) -> None:
        """Remember where a file's bytes are, for everybody."""
        self._own.keep(url, address)
        with suppress(PilotlightError):  # others ask for themselves
            before = self._table.get(_of_file(url)) or {}
            self._write(url, {"address": address}, before.get("version"))

    def newer(self, url: str, stale: str | None) -> str | None:
        """Return the address that somebody else is asking for, once it is there; None for who is to ask himself."""
        patience = self._wall() + RENEWAL_SECONDS
        while self._wall() < patience:
            stored = self._stored(_of_file(url))
            address = stored.get("address")
            if address is not None and address != stale:
                self._own.keep(url, address)
                return str(address)
            if stored.get("renewing_until", 0) <= self._wall() and self._claim(url, stored):
                return None
            self._pause(LOOK_SECONDS)
        return None

    def rest_seconds(self, url: str) -> float:
        """Return for how long a hub is still to be left alone."""
        until = float(self._stored(_of_hub(url)).get("rests_until", 0))
        return min(max(until - self._wall(), 0.0), LONGEST_REST_SECONDS)

    def rest(self, url: str, seconds: float) -> None:
        """Leave a hub alone for so long, all together."""
        until = math.ceil(self._wall() + min(seconds, LONGEST_REST_SECONDS))
        with suppress(PilotlightError):
            self._table.put({"pk": _of_hub(url), "sk": "META", "rests_until": until, "ttl": until + KEPT_SECONDS})

    def _claim(self, url: str, stored: dict[str, Any]) -> bool:
        """Say whether the asking is ours: others wait for what we are told. Without a table everybody asks."""
        claimed = {"address": stored.get("address"), "renewing_until": math.ceil(self._wall() + RENEWAL_SECONDS)}
        try:
            self._write(url, {name: value for name, value in claimed.items() if value}, stored.get("version"))
        except ConcurrentChange:
            return False
        except PilotlightError:
            return True
        return True

    def _write(self, url: str, what: dict[str, Any], version: int | None) -> None:
        record = {**what, "ttl": int(self._wall()) + KEPT_SECONDS}
        self._table.put_fenced(_of_file(url), record, version)

    def _stored(self, pk: str) -> dict[str, Any]:
        try:
            return self._table.get(pk) or {}
        except PilotlightError:
            return {}


def _of_hub(url: str) -> str:
    return f"HUB#{urlsplit(url).netloc}"


def _of_file(url: str) -> str:
    return f"{_of_hub(url)}#{hashlib.sha256(url.encode()).hexdigest()}"
