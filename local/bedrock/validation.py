"""Check a request against the constraints in the service's own model, as the service does before anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from moto.core.utils import get_service_model

from local.bedrock.errors import invalid

# Python's matcher takes exponential time over this part of the names' pattern where a long name of dashes
# is wrong; the second form accepts exactly the same names.
_SLOW, _FAST = r"(-*[a-zA-Z0-9\+\-\.])*", r"[a-zA-Z0-9+.\-]*"


def validate(operation: str, request: dict[str, Any]) -> None:
    """Return if the request is as the service's model asks for; raise a ValidationException that says what is not.

    The words are the service's own: "1 validation error detected: Value '…' at '…' failed to satisfy …".
    """
    shape = get_service_model("bedrock").operation_model(operation).input_shape
    found = list(_faults(shape, request, ""))
    if found:
        noun = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {noun} detected: " + "; ".join(found))


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            yield from _structure(shape, value, path)
        case "list":
            yield from _length(shape, value, path, len(value))
            for number, item in enumerate(value, start=1):
                yield from _faults(shape.member, item, f"{path}.{number}.member")
        case "string":
            yield from _string(shape, value, path)
        case "integer":
            yield from _number(shape, value, path)


def _structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inner = f"{path}.{name}" if path else name
        if value.get(name) is not None:
            yield from _faults(member, value[name], inner)
        elif name in shape.required_members:
            yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"


def _string(shape: Any, value: str, path: str) -> Iterator[str]:
    too_long = list(_length(shape, value, path, len(value)))
    yield from too_long
    pattern = shape.metadata.get("pattern")
    if pattern and not too_long and not _compiled(pattern).fullmatch(value):
        yield _fault(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    if shape.enum and value not in shape.enum:
        yield _fault(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")


def _length(shape: Any, value: Any, path: str, length: int) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", length)
    if length > most:
        yield _fault(value, path, f"Member must have length less than or equal to {most}")
    if length < least:
        yield _fault(value, path, f"Member must have length greater than or equal to {least}")


def _number(shape: Any, value: int, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", value), shape.metadata.get("max", value)
    if value > most:
        yield _fault(value, path, f"Member must have value less than or equal to {most}")
    if value < least:
        yield _fault(value, path, f"Member must have value greater than or equal to {least}")


def _fault(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(_SLOW, _FAST))
