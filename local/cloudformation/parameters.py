"""CloudFormation's properties as API parameters: the same names, but for case and for numbers written as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class UnknownProperty(ValueError):
    """The API has no such parameter: passing it on would drop it silently."""


def shaped(value: Any, shape: Any, where: str = "") -> Any:
    """Give the value in the types and spelling of botocore's shape.

    Raises: UnknownProperty with the path of what the shape does not know.
    """
    match shape.type_name:
        case "structure":
            return _structure(value, shape, where)
        case "list":
            return [shaped(item, shape.member, f"{where}[{n}]") for n, item in enumerate(value)]
        case "map":
            return {key: shaped(item, shape.value, f"{where}.{key}") for key, item in value.items()}
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "string":
            return value if isinstance(value, str) else _text(value, where)
        case _:
            return value


def _structure(value: Any, shape: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnknownProperty(f"{where or shape.name} has to be a mapping, not {value!r}.")
    members = {_key(member): member for member in shape.members}
    result = {}
    for name, item in value.items():
        member = members.get(_key(name))
        if member is None:
            raise UnknownProperty(f"{where}.{name}".lstrip(".") + f" is no property that {shape.name} knows.")
        result[member] = shaped(item, shape.members[member], f"{where}.{member}")
    return result


def _key(name: str) -> str:
    return name[:1].lower() + name[1:]


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise UnknownProperty(f"{where} has to be text, not {value!r}.")
