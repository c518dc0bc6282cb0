"""DynamoDB's promise that a write happens whole or not at all, and one at a time, on a server of many threads."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local import attribute_values
from local.index_lag import Before, lag
from local.seams import replace

_one_at_a_time = threading.RLock()


def install() -> None:
    """Take calls one at a time, and let a cancelled transaction take back what it wrote and nothing else."""
    attribute_values.install()
    replace(DynamoHandler, "call_action", _alone)
    replace(Table, "query", lag.query)
    replace(DynamoDBBackend, "transact_write_items", _taking_back_its_own)
    replace(models, "copy", lambda original: SimpleNamespace(copy=original.copy, deepcopy=_copy_of_all_but_tables))


def _alone(original: Any) -> Any:
    """The gap: moto looks at a condition and writes without a lock; of two threads both find it fulfilled."""

    def call_action(handler: Any) -> Any:
        with _one_at_a_time:
            if lag.seconds:
                lag.note(_before(handler.dynamodb_backend, _operations(handler)))
            return original(handler)

    return call_action


def _taking_back_its_own(original: Any) -> Any:
    """The gap: moto copies the whole table first, which takes its time, and puts the copy back: others' writes go."""

    def transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        with _one_at_a_time, _as_it_was(backend, transact_items):
            original(backend, transact_items)

    return transact_write_items


@contextmanager
def _as_it_was(backend: DynamoDBBackend, operations: list[dict[str, Any]]) -> Iterator[None]:
    """Put the items of a transaction back when it fails, whatever it fails of."""
    undo = list(_before(backend, operations))
    try:
        yield
    except BaseException:
        for before in undo:
            before.put_into(backend.tables[before.table.name].items)
        raise


def _operations(handler: Any) -> list[dict[str, Any]]:
    """Give what a call would write, as a transaction tells of it."""
    match handler._get_action():
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return [{"Write": handler.params}]
        case "TransactWriteItems":
            return list(handler.params["TransactItems"])
    return []


def _before(backend: DynamoDBBackend, operations: list[dict[str, Any]]) -> Iterator[Before]:
    """Give what lies where operations would write."""
    for each in _written(backend, operations):
        if before := Before.of(backend.tables[each["TableName"]], each):
            yield before


def _written(backend: DynamoDBBackend, operations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for operation in operations:
        for each in operation.values():
            if each.get("TableName") in backend.tables:
                yield each


def _copy_of_all_but_tables(value: Any, memo: dict[int, Any] | None = None) -> Any:
    return value if isinstance(value, Table) else copy.deepcopy(value, memo)
