"""What moto finds out anew for each call, and need not here: a run makes hundreds of calls, and there are thousands."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from botocore import auth
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.parsers import BaseJSONParser
from botocore.validate import ParamValidator, ValidationErrors
from moto import backend_index
from moto.backends import get_backend
from moto.core import responses
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.exceptions import HTTPException
from moto.core.request import normalize_request
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import dynamo_to_dict
from moto.dynamodb.parsing.key_condition_expression import parse_expression

from local.attribute_values import on_the_wire
from local.identity import ACCOUNT_ID, REGION
from tests.faults.replacing import keep, replace

BY_KEY = frozenset({"TableName", "Key", "ConsistentRead"})  # how the product reads an item: whole, by its key
PAGE = frozenset({"TableName", "IndexName", "Limit", "ExclusiveStartKey", "ConsistentRead", "ScanIndexForward"})
BY_CONDITION = PAGE | {"KeyConditionExpression", "ExpressionAttributeValues"}  # and how it reads a page of items
OF_ITEMS = frozenset({"PutItemInput", "UpdateItemInput", "TransactWriteItemsInput"})
SCALARS = frozenset({"S", "N", "BOOL", "NULL"})
REQUEST_ID = "A" * 52
SIGNED_AT = "20260101T000000Z"
_VALID = ValidationErrors()
Compare = Callable[[Any, Any], bool]


def install() -> None:
    """Let methods of a service be found once, items of the table have no size, and texts be what they are.

    No item is near a limit; moto measures all of one anew for each of its attributes. Nobody checks a signature.
    """
    _who_answers.cache_clear()
    _addresses.cache_clear()
    replace(BotocoreStubber, "process_request", _straight)
    replace(BaseJSONParser, "_handle_structure", _attributes_as_they_are)
    keep(auth, "AUTH_TYPE_MAPS")
    auth.AUTH_TYPE_MAPS = {**auth.AUTH_TYPE_MAPS, "v4": SigV4Auth, "s3v4": S3SigV4Auth}  # and not those of awscrt
    replace(SigV4Auth, "add_auth", _unsigned)
    replace(ParamValidator, "validate", _of_all_but_items)
    replace(responses, "gen_amzn_requestid_long", lambda _: lambda _headers: REQUEST_ID)
    replace(responses, "method_names_from_class", lru_cache(maxsize=None))
    replace(Item, "size", lambda _: _no_bytes)
    replace(LimitedSizeDict, "__setitem__", lambda _: _set)
    replace(DynamoType, "__deepcopy__", _sharing_scalars)
    for name, compare in (("__eq__", operator.eq), ("__lt__", operator.lt)):
        replace(DynamoType, name, partial(_comparing_texts, compare))


def _comparing_texts(compare: Compare, former: Compare) -> Compare:
    """Give how two values compare where most are texts, which moto casts to what they are."""

    def compared(one: DynamoType, other: DynamoType) -> bool:
        both_are_texts = one.type == other.type == "S"
        return compare(one.value, other.value) if both_are_texts else former(one, other)

    return compared


def _sharing_scalars(original: Any) -> Callable[..., DynamoType]:
    """Copy a value that has members; what has none is never changed, and moto's own copies of it are many."""

    def __deepcopy__(value: DynamoType, memo: dict[int, Any]) -> DynamoType:  # noqa: N807
        return value if value.type in SCALARS else original(value, memo)

    return __deepcopy__


def _set(items: LimitedSizeDict, key: str, value: Any) -> None:
    dict.__setitem__(items, key, value)


def _no_bytes(_item: Any) -> int:
    return 0


# ---- calls -----------------------------------------------------------------------------------------------------------


def _straight(original: Any) -> Callable[..., Any]:
    def process_request(stubber: BotocoreStubber, request: AWSPreparedRequest) -> Any:
        answer = _who_answers(request.url.partition("?")[0])
        return _asked(answer, request) if answer else original(stubber, request)

    return process_request


@lru_cache(maxsize=20_000)
def _who_answers(url: str) -> Callable[..., Any] | None:
    """Give what of moto answers at an address: it looks through all services, and composes all their addresses."""
    services = (service for service, pattern in backend_index.backend_url_patterns if pattern.match(url))
    answers = (answer for service in services for pattern, answer in _addresses(service) if pattern.match(url))
    return next(answers, None)


@lru_cache
def _addresses(service: str) -> list[tuple[re.Pattern[str], Callable[..., Any]]]:
    backends = get_backend(service)[ACCOUNT_ID]  # type: ignore[call-overload]
    known = backends[REGION if REGION in backends else "aws"].urls
    return [(re.compile(pattern), answer) for pattern, answer in known.items()]


def _asked(answer: Callable[..., Any], request: AWSPreparedRequest) -> Any:
    asked = normalize_request(request)
    try:
        return answer(asked, asked.raw_url, asked.headers)
    except HTTPException as exc:
        return exc.code, exc.get_headers(), exc.get_body()


def _item(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Give what DynamoDB answers, or None for what is better left to moto."""
    backend = dynamodb_backends[ACCOUNT_ID][REGION]
    if asked.keys() - BY_KEY or not all(text for key in asked["Key"].values() for text in key.values()):
        return None
    item = backend.get_item(asked["TableName"], asked["Key"])
    if item is None:
        return {}
    told = _told(item)
    return None if told is None else {"Item": told}


def _page(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Give what DynamoDB answers, or None for what is better left to moto."""
    if asked.keys() - BY_CONDITION:
        return None
    backend, name, index = dynamodb_backends[ACCOUNT_ID][REGION], asked["TableName"], asked.get("IndexName")
    hashes, ranges, _ = parse_expression(
        key_condition_expression=asked["KeyConditionExpression"],
        expression_attribute_names={},
        expression_attribute_values=asked["ExpressionAttributeValues"],
        schema=backend.get_schema(table_name=name, index_name=index),
    )
    _, comparison, values = ranges[-1] if ranges else (None, None, [])
    items, _, following = backend.query(
        name,
        hashes[0][1],
        comparison,
        values,
        asked["Limit"],
        asked.get("ExclusiveStartKey"),
        asked.get("ScanIndexForward", True),
        None,
        index_name=index,
        consistent_read=asked.get("ConsistentRead", False),
        hash_key_conditions=hashes,
        range_key_conditions=ranges,
    )
    found = [_told(item) for item in items]
    more = {"LastEvaluatedKey": dynamo_to_dict(following)} if following else {}
    return None if None in found else {"Items": found, "Count": len(found), **more}


def _of_all_but_items(original: Any) -> Callable[..., ValidationErrors]:
    """Check what is asked, but not each value of an item."""

    def validate(validator: ParamValidator, asked: Any, shape: Any) -> ValidationErrors:
        return _VALID if shape.name in OF_ITEMS else original(validator, asked, shape)

    return validate


def _told(item: Item) -> dict[str, Any] | None:
    told = {name: on_the_wire(value) for name, value in item.attrs.items()}
    return None if None in told.values() else told


READ: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "dynamodb.GetItem": _item,
    "dynamodb.Query": _page,
}


def _attributes_as_they_are(original: Any) -> Callable[..., Any]:
    """Parse attribute values by what they have: botocore looks in each for all that one could have."""

    def _handle_structure(parser: BaseJSONParser, shape: Any, value: Any) -> Any:
        told = on_the_wire(value) if shape.name == "AttributeValue" else None
        return original(parser, shape, value) if told is None else told

    return _handle_structure


def _unsigned(original: Any) -> Callable[..., None]:
    """Say who asks, and sign nothing; what is signed for later is signed as ever."""

    def add_auth(signer: SigV4Auth, request: AWSRequest) -> None:
        if type(signer) not in (SigV4Auth, S3SigV4Auth) or signer.credentials is None:
            original(signer, request)
            return
        request.context["timestamp"] = SIGNED_AT
        signer._modify_request_before_signing(request)
        request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}"

    return add_auth
