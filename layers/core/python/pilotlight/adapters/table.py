"""The one DynamoDB table: items, keys, fences and pages. What a record means is its own adapter's business.

pk                       sk
DEPLOYMENT#<name>        META · EVENT#<ulid> · WINDOW#<generation>#<ordinal> · SPENT#<month>
                         UPTIME#<generation>#<ordinal> · PENDING#<generation>#<invocation> · LATENCY#<generation>
ARTIFACT#<id>            META · SPAN#<attempt>#<path and number>
CONTENT#<sha256>#<size>  HOLDER#<artifact>
UPLOAD#<folder>          META
INVOCATION#<id>          META
IDEMPOTENCY#<key>        META
HELD#<half minute>       META
NOTICE#<subject>         META
RECONCILIATION#newest    META
CAPACITY                 META
indexes: due (kind, next_look_at), sparse · kinds (kind, pk)
"""

import base64
import binascii
import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from pydantic import ValidationError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.errors import ConcurrentChange, InvalidInput, NotFound, PilotlightError, Throttled
from pilotlight.domain.values import Model

META = "META"
CONDITION_FAILED = "ConditionalCheckFailedException"
TRANSACTION_CANCELLED = "TransactionCanceledException"
MET_ANOTHER = frozenset({"TransactionConflictException", "TransactionInProgressException"})
THROTTLED_WITHIN = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})
LONGEST_KEY_BYTES = 1024  # Source: Amazon DynamoDB developer guide, constraints: sort keys

Record = TypeVar("Record", bound=Model)

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def encode(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values as DynamoDB attributes."""
    exact = json.loads(json.dumps(values), parse_float=Decimal)
    return {key: _serializer.serialize(value) for key, value in exact.items() if value is not None}


def decode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return DynamoDB attributes as plain values."""
    return {key: _plain(_deserializer.deserialize(value)) for key, value in item.items()}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value


def key(pk: str, sk: str = META) -> dict[str, Any]:
    """Return the key of an item."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def record_of(model: type[Record], item: Mapping[str, Any]) -> Record:
    """Return an item as its record. Raises: NotFound for one that cannot be read, without a word of it."""
    try:
        return model.model_validate(item)
    except ValidationError as exc:
        where = f"{item.get('pk')}/{item.get('sk')}"
        raise NotFound(
            f"Record {where} cannot be read: {exc.error_count()} fields are not valid.", record=where
        ) from exc


def readable(model: type[Record], items: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Return the records of a list without those that cannot be read: one must not hide all others."""
    records = []
    for item in items:
        with suppress(NotFound):
            records.append(record_of(model, item))
    return records


def sortable(moment: datetime) -> str:
    """Return a moment as text that sorts by time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Table:
    """Calls on the table, with the domain's errors."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def get(self, pk: str, sk: str = META) -> dict[str, Any] | None:
        """Return an item as it is now, or None."""
        with translated(f"reading {pk}"):
            item = self.client.get_item(TableName=self.name, Key=key(pk, sk), ConsistentRead=True).get("Item")
        return decode(item) if item else None

    def put(self, item: Mapping[str, Any], **condition: Any) -> bool:
        """Write an item; False where its condition does not hold."""
        return self._conditional(
            "put_item", f"writing {item['pk']}", TableName=self.name, Item=encode(item), **condition
        )

    def update(self, pk: str, sk: str = META, **expression: Any) -> bool:
        """Update an item; False where its condition does not hold."""
        return self._conditional("update_item", f"updating {pk}", TableName=self.name, Key=key(pk, sk), **expression)

    def delete(self, pk: str, sk: str = META) -> None:
        """Delete an item; one that is not there is a success."""
        with translated(f"deleting {pk}"):
            self.client.delete_item(TableName=self.name, Key=key(pk, sk))

    def transact(self, operations: list[dict[str, Any]], what: str) -> bool:
        """Write several items in one go; False where a condition does not hold."""
        return self._conditional("transact_write_items", what, TransactItems=operations)

    def put_fenced(
        self,
        pk: str,
        record: Mapping[str, Any],
        before_version: int | None,
        *,
        along: Mapping[str, Any] | None = None,
    ) -> int:
        """Write a record as its next version, if the stored one is still `before_version` (None: if there is none).

        `along` is an item that is written in the same go. Returns the new version. A lost response makes the SDK
        repeat the write, which then fails on its own first success: the write's id in the record tells our own write
        from another's. Raises: ConcurrentChange.
        """
        version, write_id = (before_version or 0) + 1, uuid.uuid4().hex
        put = self._fenced({**record, "pk": pk, "sk": META, "version": version, "write_id": write_id}, before_version)
        if along is None:
            written = self._conditional("put_item", f"writing {pk}", **put)
        else:
            line = {"TableName": self.name, "Item": encode(along)}
            written = self.transact([{"Put": put}, {"Put": line}], f"writing {pk}")
        if not written and (self.get(pk) or {}).get("write_id") != write_id:
            raise ConcurrentChange(f"{pk} was changed by somebody else; read it again.", record=pk)
        return version

    def _fenced(self, item: Mapping[str, Any], before_version: int | None) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self.name,
            "Item": encode(item),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if before_version:
            put |= {
                "ConditionExpression": "#version = :before",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":before": {"N": str(before_version)}},
            }
        return put

    def query(
        self, pk: str, sk_prefix: str, *, limit: int, cursor: str | None = None, newest_first: bool = False
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of a record's items by sort key, and the cursor of the next page."""
        return self._page(
            limit,
            _from_cursor(cursor, {"pk": pk}, {"sk": sk_prefix}),
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk_prefix}},
            ConsistentRead=True,
            ScanIndexForward=not newest_first,
        )

    def of_kind(self, kind: str, *, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of the records of one kind by name, and the cursor of the next page."""
        return self._page(
            limit,
            _from_cursor(cursor, {"kind": kind, "sk": META}, {"pk": f"{kind}#"}),
            IndexName="kinds",
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
        )

    def due(self, kind: str, now: datetime, *, limit: int) -> list[dict[str, Any]]:
        """Return keys of the records of one kind whose next look is due, the longest overdue first."""
        items, _ = self._page(
            limit,
            None,
            IndexName="due",
            KeyConditionExpression="kind = :kind AND next_look_at <= :now",
            ExpressionAttributeValues={":kind": {"S": kind}, ":now": {"S": sortable(now)}},
        )
        return items

    def _page(self, limit: int, after: dict[str, Any] | None, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
        start = {"ExclusiveStartKey": after} if after else {}
        with translated("reading a page of records"):
            page = self.client.query(TableName=self.name, Limit=limit, **query, **start)
        following = page.get("LastEvaluatedKey")
        return [decode(item) for item in page["Items"]], _to_cursor(following) if following else None

    def _conditional(self, operation: str, what: str, **request: Any) -> bool:
        with translated(what):
            try:
                getattr(self.client, operation)(**request)
            except ClientError as exc:
                if _lost_condition(exc):
                    return False
                raise _passing(exc, what) or exc from exc
        return True


def _lost_condition(error: ClientError) -> bool:
    if code_of(error) == CONDITION_FAILED:
        return True
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    return code_of(error) == TRANSACTION_CANCELLED and bool(
        reasons & {"ConditionalCheckFailed", "TransactionConflict"} or not reasons
    )


def _passing(error: ClientError, what: str) -> PilotlightError | None:
    """Return the error of a write that met another one or a throttle, which may succeed later; None for any other."""
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    if code_of(error) in MET_ANOTHER:
        return ConcurrentChange(f"{what}: met another write; try again.", aws_code=code_of(error))
    if reasons & THROTTLED_WITHIN:
        return Throttled(f"{what}: the table asks us to slow down.", aws_code=code_of(error))
    return None


def _to_cursor(last: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(last, sort_keys=True).encode()).decode().rstrip("=")


def _from_cursor(cursor: str | None, exactly: Mapping[str, str], beginning: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the key at which a page begins, None for the first one.

    Anybody can write a cursor: its keys are those of the query, its values what the query can give, or it is refused.
    """
    if not cursor:
        return None
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        last = {name: _text(value) for name, value in told.items()}
    except (binascii.Error, ValueError, AttributeError, RecursionError):
        last = {}
    known = last.keys() == exactly.keys() | beginning.keys()
    if not (
        known
        and all(last[name] == value for name, value in exactly.items())
        and all(last[name].startswith(value) for name, value in beginning.items())
    ):
        raise InvalidInput(
            "The cursor is not one that a list gave; begin without one.", field="cursor", rule="`next` of a list"
        )
    return {name: {"S": value} for name, value in last.items()}


def _text(value: Any) -> str:
    """Return the text of an attribute. Raises: ValueError for anything else, and for what no key can be."""
    if not isinstance(value, dict) or value.keys() != {"S"} or not isinstance(value["S"], str):
        raise ValueError("not a text")
    text: str = value["S"]
    if not 0 < len(text.encode()) <= LONGEST_KEY_BYTES:
        raise ValueError("not a key")
    return text
