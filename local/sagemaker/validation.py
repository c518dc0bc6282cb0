"""Check a request against the constraints in a service's own model, as the service does before anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from moto.core.utils import get_service_model

from local.sagemaker.errors import invalid

# Classes of Unicode that Python's matcher does not know by these names, as near as it comes.
_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{Z}": r" ",
    r"\p{N}": r"\d",
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"[\p{Print}]": r"[ -~]",
    r"\p{Print}": r"[ -~]",
    r"\z": r"\Z",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",  # pairs of surrogates
}
_SIZED = {"string", "list", "map", "blob"}
_NUMBERS = {"integer", "long", "float", "double"}


def validate(service: str, operation: str, request: dict[str, Any]) -> None:
    """Return if the request is as the service's model asks for; raise a ValidationException that says what is not.

    The words are the service's own: "1 validation error detected: Value '…' at '…' failed to satisfy …".
    """
    shape = get_service_model(service).operation_model(operation).input_shape
    found = list(_faults(shape, request, ""))
    if found:
        noun = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {noun} detected: " + "; ".join(found))


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name in _SIZED:
        yield from _bounded(shape, value, path, len(value), "length")
    match shape.type_name:
        case "structure":
            yield from _structure(shape, value, path)
        case "list":
            for number, item in enumerate(value, start=1):
                yield from _faults(shape.member, item, f"{path}.{number}.member")
        case "map":
            for key, item in value.items():
                yield from _faults(shape.key, key, f"{path}.key")
                yield from _faults(shape.value, item, f"{path}.{key}")
        case "string":
            yield from _string(shape, value, path)
        case kind if kind in _NUMBERS:
            yield from _bounded(shape, value, path, value, "value")


def _structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        told = name[0].lower() + name[1:]
        inner = f"{path}.{told}" if path else told
        if value.get(name) is not None:
            yield from _faults(member, value[name], inner)
        elif name in shape.required_members:
            yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"


def _string(shape: Any, value: str, path: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern")
    if pattern and len(value) <= shape.metadata.get("max", len(value)) and not _compiled(pattern).fullmatch(value):
        yield _fault(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    if shape.enum and value not in shape.enum:
        yield _fault(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")


def _bounded(shape: Any, value: Any, path: str, size: float, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", size), shape.metadata.get("max", size)
    if size > most:
        yield _fault(value, path, f"Member must have {what} less than or equal to {most}")
    if size < least:
        yield _fault(value, path, f"Member must have {what} greater than or equal to {least}")


def _fault(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    for theirs, ours in _CLASSES.items():
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)
