"""DynamoDB's attribute values as they go over the wire, told straight: moto looks under forty names for each of them.

What moto keeps of an item has the wire's form already, but for the odd typed value in it. Through moto's serializer
of shapes that took two fifths of the time of whole runs.
"""

from __future__ import annotations

from typing import Any

from moto.core.serialize import JSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType

from local.seams import replace

_PLAIN = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})


def install() -> None:
    """Serialize attribute values as they are; binary ones are left to moto."""
    replace(JSONSerializer, "_serialize_type_structure", _straight)


def _straight(original: Any) -> Any:
    def _serialize_type_structure(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        told = on_the_wire(value) if shape.name == "AttributeValue" and key else None
        if told is None:
            original(serializer, serialized, value, shape, key)
        else:
            serialized[serializer.get_serialized_name(shape, key)] = told

    return _serialize_type_structure


def on_the_wire(value: Any) -> dict[str, Any] | None:
    """Give an attribute value as JSON tells it, or None for what is not told straight: bytes, and what is no value."""
    if isinstance(value, DynamoType):
        value = {value.type: value.value}
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((kind, held),) = value.items()
    if kind in _PLAIN:
        return {kind: str(held) if kind in "SN" else held}
    members = _members(kind, held)
    return None if members is None else {kind: members}


def _members(kind: str, held: Any) -> Any:
    if kind == "M":
        named = {name: on_the_wire(member) for name, member in held.items()}
        return None if None in named.values() else named
    if kind == "L":
        listed = [on_the_wire(member) for member in held]
        return None if None in listed else listed
    return None
