"""CloudFormation's properties as API parameters: the same names, but for case and for numbers written as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class UnknownPropertyError(ValueError):
    """The API has no such parameter: passing it on would drop it silently."""


def shaped(value: Any, shape: Any, where: str = "") -> Any:
    """Give the value in the types and spelling of botocore's shape.

    Raises: UnknownPropertyError with the path of what the shape does not know.
    """
    convert = _CONVERSIONS.get(shape.type_name)
    return value if convert is None else convert(value, shape, where)


def _structure(value: Any, shape: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnknownPropertyError(f"{where or shape.name} has to be a mapping, not {value!r}.")
    members = {_key(member): member for member in shape.members}
    result = {}
    for name, item in value.items():
        member = members.get(_key(name))
        if member is None:
            raise UnknownPropertyError(f"{where}.{name}".lstrip(".") + f" is no property that {shape.name} knows.")
        result[member] = shaped(item, shape.members[member], f"{where}.{member}")
    return result


def _key(name: str) -> str:
    return name[:1].lower() + name[1:]


def _text(value: Any, _shape: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise UnknownPropertyError(f"{where} has to be text, not {value!r}.")


def _list(value: Any, shape: Any, where: str) -> list[Any]:
    return [shaped(item, shape.member, f"{where}[{number}]") for number, item in enumerate(value)]


def _map(value: Any, shape: Any, where: str) -> dict[str, Any]:
    return {key: shaped(item, shape.value, f"{where}.{key}") for key, item in value.items()}


def _integer(value: Any, _shape: Any, _where: str) -> int:
    return int(value)


def _float(value: Any, _shape: Any, _where: str) -> float:
    return float(value)


def _boolean(value: Any, _shape: Any, _where: str) -> bool:
    return str(value).lower() == "true"


_CONVERSIONS: Mapping[str, Callable[[Any, Any, str], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "string": _text,
}
