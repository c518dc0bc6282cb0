"""What moto finds out anew for each call, and need not here: a run makes hundreds of calls, and there are thousands."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from moto.core import responses
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

from tests.faults.replacing import replace

Compare = Callable[[Any, Any], bool]


def install() -> None:
    """Let methods of a service be found once, items of the table have no size, and texts be what they are.

    No item is near a limit; moto measures all of one anew for each of its attributes.
    """
    replace(responses, "method_names_from_class", lru_cache(maxsize=None))
    replace(Item, "size", lambda _: _no_bytes)
    replace(LimitedSizeDict, "__setitem__", lambda _: _set)
    for name, compare in (("__eq__", operator.eq), ("__lt__", operator.lt)):
        replace(DynamoType, name, partial(_comparing_texts, compare))


def _comparing_texts(compare: Compare, former: Compare) -> Compare:
    """Give how two values compare where most are texts, which moto casts to what they are."""

    def compared(one: DynamoType, other: DynamoType) -> bool:
        both_are_texts = one.type == other.type == "S"
        return compare(one.value, other.value) if both_are_texts else former(one, other)

    return compared


def _set(items: LimitedSizeDict, key: str, value: Any) -> None:
    dict.__setitem__(items, key, value)


def _no_bytes(_item: Any) -> int:
    return 0
