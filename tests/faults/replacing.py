"""Our behaviour in the place of moto's for as long as a stack stands, and moto's again afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import seams

_INHERITED = object()
_before: list[tuple[Any, str, Any]] = []


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Set `owner.name` to `make(original)`, until `put_back`."""
    keep(owner, name)
    seams.replace(owner, name, make)


def keep(owner: Any, name: str) -> None:
    """Remember how something is, whoever replaces it; what a class inherits may be replaced above it, too."""
    _before.append((owner, name, vars(owner).get(name, _INHERITED)))


def put_back() -> None:
    """Let everything be as it was: other tests of this process have clouds of their own."""
    while _before:
        owner, name, value = _before.pop()
        if value is not _INHERITED:
            setattr(owner, name, value)
        elif name in vars(owner):
            delattr(owner, name)
