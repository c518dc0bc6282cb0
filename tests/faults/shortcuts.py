"""What moto finds out anew for each call, and need not here: a run makes hundreds of calls, and there are thousands."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from moto.core import responses
from moto.dynamodb.models.dynamo_type import Item

from tests.faults.replacing import replace


def install() -> None:
    """Let methods of a service be found once, and items of the table have no size: none is near a limit."""
    replace(responses, "method_names_from_class", lru_cache(maxsize=None))
    replace(Item, "size", lambda _: _no_bytes)


def _no_bytes(_item: Any) -> int:
    return 0
