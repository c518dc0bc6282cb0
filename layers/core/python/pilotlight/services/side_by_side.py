"""The same for each of many, several at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
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


def ahead(make: Callable[[One], Made], items: Iterable[One], at_once: int) -> Iterator[Made]:
    """Yield what is made of each item, in order, while the next few are being made already.

    Raises: what the first item in order raised.
    """
    if at_once == 1:
        yield from map(make, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(at_once) as pool:
        making = deque(pool.submit(make, item) for item in islice(waiting, at_once))
        while making:
            made = making.popleft().result()
            making.extend(pool.submit(make, item) for item in islice(waiting, 1))
            yield made
