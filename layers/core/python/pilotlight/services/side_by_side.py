"""The same for each of many, several at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

One = TypeVar("One")
Made = TypeVar("Made")


def side_by_side(make: Callable[[One], Made], items: Sequence[One], at_once: int) -> list[Made]:
    """Return what is made of each item, in order; one at a time in the thread of whoever asks.

    Raises: what the first item in order raised, once none is under way any more.
    """
    if at_once == 1:
        return [make(item) for item in items]
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(make, items))
