"""What a global secondary index has not heard of yet: it answers as of some seconds ago, and moto's at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table


@dataclass(frozen=True)
class Before:
    """An item as it was before a write, or None where there was none."""

    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None
    item: Any

    @classmethod
    def of(cls, table: Table, operation: dict[str, Any]) -> Before | None:
        """Give what lies where an operation would write; None for one without its key, which changes nothing."""
        names = [table.hash_key_attr, table.range_key_attr]
        told = operation.get("Key") or operation.get("Item") or {}
        if any(name not in told for name in names if name):
            return None
        hash_key, range_key = (DynamoType(told[name]) if name else None for name in names)
        assert hash_key is not None
        return cls(table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key)))

    def put_into(self, items: dict[Any, Any]) -> None:
        """Put it where it was, among the items of its table or a copy of them."""
        place, key = (items, self.hash_key) if self.range_key is None else (items[self.hash_key], self.range_key)
        if self.item is None:
            place.pop(key, None)
        else:
            place[key] = self.item


@dataclass
class IndexLag:
    """How many seconds indexes are behind, by whose clock, and what was written within these."""

    seconds: float = 0.0
    timestamp: Callable[[], float] = lambda: 0.0
    _written: list[tuple[float, Before]] = field(default_factory=list)

    def set(self, seconds: float, timestamp: Callable[[], float]) -> None:
        """Let all indexes be behind by so much."""
        self.seconds, self.timestamp = seconds, timestamp
        self.forget()

    def forget(self) -> None:
        """Let all indexes know everything: somebody has put the tables back to another time."""
        self._written.clear()

    def note(self, written: Iterable[Before]) -> None:
        """Remember what a write is about to change."""
        if self.seconds:
            self._written += [(self.timestamp(), each) for each in written]

    def query(self, original: Any) -> Any:
        """Give a table's query that asks an index for what it knows."""

        taken = signature(original)

        def query(table: Table, *args: Any, **rest: Any) -> Any:
            if not self.seconds or not taken.bind(table, *args, **rest).arguments.get("index_name"):
                return original(table, *args, **rest)
            newest = table.items
            table.items = self._as_of_then(table)
            try:
                return original(table, *args, **rest)
            finally:
                table.items = newest

        return query

    def _as_of_then(self, table: Table) -> Any:
        known = self.timestamp() - self.seconds
        self._written = [(when, before) for when, before in self._written if when > known]
        items = copy.copy(table.items)
        for hash_key, place in items.items():
            items[hash_key] = copy.copy(place)
        for _, before in reversed(self._written):
            if before.table.name == table.name:
                before.put_into(items)
        return items


lag = IndexLag()
