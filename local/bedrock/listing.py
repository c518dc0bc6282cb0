"""What the service's lists have in common: pages, times and tags."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from local.bedrock.errors import invalid

PAGE = 100


class Created(Protocol):
    """Something with an ARN and a time of creation, by which lists are sorted."""

    arn: str
    created: float


Item = TypeVar("Item", bound=Created)


def page(items: Sequence[Item], request: dict[str, Any]) -> tuple[list[Item], str | None]:
    """Give one page of the items, newest first unless asked otherwise, and the token of the next page.

    A token names the last item of its page, so a page stays right when items come and go between two calls.
    """
    newest_first = request.get("sortOrder", "Descending") == "Descending"
    after, before = request.get("creationTimeAfter"), request.get("creationTimeBefore")
    wanted = [item for item in items if _between(item.created, after, before)]
    wanted.sort(key=_position, reverse=newest_first)
    if token := request.get("nextToken"):
        last = _decoded(token)
        wanted = [item for item in wanted if (_position(item) < last if newest_first else _position(item) > last)]
    size = request.get("maxResults") or PAGE
    chosen = wanted[:size]
    return chosen, _encoded(chosen[-1]) if len(wanted) > size else None


def at(timestamp: float) -> datetime:
    """Give a time as moto sends it."""
    return datetime.fromtimestamp(timestamp, UTC)


def tags_from(listed: list[dict[str, str]] | None) -> dict[str, str]:
    """Give tags by key."""
    return {tag["key"]: tag["value"] for tag in listed or []}


def _position(item: Created) -> tuple[float, str]:
    return item.created, item.arn


def _between(created: float, after: datetime | None, before: datetime | None) -> bool:
    # moto parses times to naive ones that mean UTC
    late_enough = after is None or created > after.replace(tzinfo=UTC).timestamp()
    return late_enough and (before is None or created < before.replace(tzinfo=UTC).timestamp())


def _encoded(item: Created) -> str:
    return base64.urlsafe_b64encode(f"{item.created!r} {item.arn}".encode()).decode()


def _decoded(token: str) -> tuple[float, str]:
    try:
        created, _, arn = base64.urlsafe_b64decode(token).decode().partition(" ")
        return float(created), arn
    except (binascii.Error, ValueError) as exc:
        raise invalid("The provided nextToken is invalid.") from exc
