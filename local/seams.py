"""Put our own behaviour in the place of one of moto's methods, once, however often it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

_REPLACED = "__embedded_cloud_original__"


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Set `owner.name` to `make(original)`; replacing again starts from moto's original, not from ours.

    So a seam that is installed a second time, with another clock, swaps the clock and is not nested in itself.
    """
    declared = inspect.getattr_static(owner, name)
    static = isinstance(declared, staticmethod)
    current = declared.__func__ if static else declared
    original = getattr(current, _REPLACED, current)
    replacement = make(original)
    setattr(replacement, _REPLACED, original)
    setattr(owner, name, staticmethod(replacement) if static else replacement)
