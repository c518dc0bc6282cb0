"""What the service's lists have in common: filters, order, pages, times and tags."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from local.sagemaker.errors import invalid

PAGE = 10  # the service's own where nobody says how many
MOST_TAGS = 50


class Listed(Protocol):
    """Something that lists hold."""

    name: str
    arn: str
    created: float
    modified: float


Item = TypeVar("Item", bound=Listed)


def page(items: Iterable[Item], request: dict[str, Any]) -> tuple[list[Item], str | None]:
    """Give one page of the items, newest first unless asked otherwise, and the token of the next page.

    A token names the last item of its page, so a page stays right when items come and go between two calls.
    """
    newest_first = request.get("SortOrder", "Descending") == "Descending"
    by_name = request.get("SortBy") == "Name"
    wanted = [item for item in items if _is_wanted(item, request)]
    wanted.sort(key=lambda item: _position(item, by_name), reverse=newest_first)
    if token := request.get("NextToken"):
        wanted = wanted[_after(wanted, _decoded(token), by_name=by_name, newest_first=newest_first) :]
    size = request.get("MaxResults") or PAGE
    chosen = wanted[:size]
    return chosen, _encoded(chosen[-1]) if len(wanted) > size else None


def at(timestamp: float) -> datetime:
    """Give a time as moto sends it."""
    return datetime.fromtimestamp(timestamp, UTC)


def tags_from(listed: Iterable[dict[str, str]] | None) -> dict[str, str]:
    """Give tags by key."""
    return {tag["Key"]: tag["Value"] for tag in listed or ()}


def told_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    """Give tags as the service lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def given(told: dict[str, Any]) -> dict[str, Any]:
    """Give an answer without the members that have no value."""
    return {name: value for name, value in told.items() if value is not None}


def _is_wanted(item: Listed, request: dict[str, Any]) -> bool:
    return (
        request.get("NameContains", "").lower() in item.name.lower()
        and _between(item.created, request.get("CreationTimeAfter"), request.get("CreationTimeBefore"))
        and _between(item.modified, request.get("LastModifiedTimeAfter"), request.get("LastModifiedTimeBefore"))
    )


def _between(moment: float, after: datetime | None, before: datetime | None) -> bool:
    # moto parses times to naive ones that mean UTC
    late_enough = after is None or moment > after.replace(tzinfo=UTC).timestamp()
    return late_enough and (before is None or moment < before.replace(tzinfo=UTC).timestamp())


def _position(item: Listed, by_name: bool) -> tuple[Any, str]:
    return (item.name if by_name else item.created), item.arn


def _encoded(item: Listed) -> str:
    return base64.urlsafe_b64encode(f"{item.created!r} {item.name} {item.arn}".encode()).decode()


def _after(items: list[Item], last: tuple[float, str, str], *, by_name: bool, newest_first: bool) -> int:
    """Give where the page after an item begins, whether or not that item is still there."""
    created, name, arn = last
    passed = (name if by_name else created, arn)
    for number, item in enumerate(items):
        position = _position(item, by_name)
        if (position < passed) if newest_first else (position > passed):
            return number
    return len(items)


def _decoded(token: str) -> tuple[float, str, str]:
    try:
        created, name, arn = base64.urlsafe_b64decode(token).decode().split(" ")
        return float(created), name, arn
    except (binascii.Error, ValueError) as exc:
        raise invalid("Invalid pagination token.") from exc
