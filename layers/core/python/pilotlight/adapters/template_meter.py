"""What one rendering may spend: steps, characters and seconds, counted where a template makes them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import Formatter
from time import monotonic
from typing import Any

from jinja2 import TemplateRuntimeError

# A width of four digits and more, or one taken from the arguments, makes gigabytes out of a few characters.
_WILD_PERCENT = re.compile(r"%(\([^)]*\))?[^a-zA-Z%]*(\d{4,}|\*)")
_WILD_SPECIFICATION = re.compile(r"\d{4,}|\{")
_DEEPEST_VALUE = 100
_ITEM_CHARS = 8  # what an item takes besides itself, in memory at least
_MOST_BITS = 4096


class TooCostlyError(TemplateRuntimeError):
    """The template wants more than one rendering may spend."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one rendering. A long conversation spends a few thousand steps and twice its own characters."""

    template_chars: int = 128 * 1024
    text_chars: int = 8_000_000
    work_chars: int = 256_000_000
    steps: int = 1_000_000
    seconds: float = 5.0


class Meter:
    """Counts what a rendering spends, and ends it once that is too much."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps = 0
        self._work = 0
        self._deadline = monotonic() + limits.seconds

    def step(self) -> None:
        """Count one iteration, call or piece of output. Raises: TooCostlyError."""
        self._steps += 1
        if self._steps > self._limits.steps:
            raise TooCostlyError(f"it takes more than {self._limits.steps} steps")
        if monotonic() > self._deadline:
            raise TooCostlyError(f"it takes longer than {self._limits.seconds:g} s")

    def charge(self, chars: int) -> None:
        """Count a text (or list) of that length before it is made. Raises: TooCostlyError."""
        if chars > self._limits.text_chars:
            raise TooCostlyError(f"it makes a text of more than {self._limits.text_chars} characters")
        self._work += chars
        if self._work > self._limits.work_chars:
            raise TooCostlyError(f"it handles more than {self._limits.work_chars} characters")

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items, a step each."""
        for item in items:
            self.step()
            yield item

    def concat(self, pieces: Iterable[str]) -> str:
        """Return the pieces as one text; stops while they are being made if they become too many or too long."""
        parts: list[str] = []
        total = 0
        for piece in self.counted(pieces):
            total += len(piece)
            if total > self._limits.text_chars:
                break
            parts.append(piece)
        self.charge(total)
        return "".join(parts)

    def write(self, value: Any) -> int:
        """Count a value that is written out as text, and return about how long that is. Raises: TooCostlyError."""
        size = self.measure(value)
        self.charge(size)
        return size

    def measure(self, value: Any) -> int:
        """Return about how long a value is as text, without making the text.

        A few lists that hold one another twice are gigabytes when written out (or compared), so that every mention
        is counted and not every list. Raises: TooCostlyError.
        """
        total = 0
        rest = [(value, 0)]
        while rest and total <= self._limits.text_chars:
            each, depth = rest.pop()
            if isinstance(each, str):
                total += len(each)
            elif isinstance(each, dict | list | tuple | set | frozenset):
                if depth == _DEEPEST_VALUE:
                    raise TooCostlyError(f"it nests values deeper than {_DEEPEST_VALUE} levels")
                total += _ITEM_CHARS * len(each)
                children = (*each.keys(), *each.values()) if isinstance(each, dict) else each
                rest.extend((child, depth + 1) for child in children)
            else:
                total += 1
        if total > self._limits.text_chars:
            raise TooCostlyError(f"it makes a value of more than {self._limits.text_chars} characters")
        return total

    def require_tame_percent(self, text: str) -> None:
        """Pass a %-format (or a date's) that cannot blow up what it formats. Raises: TooCostlyError."""
        if _WILD_PERCENT.search(text):
            raise TooCostlyError("it formats with a width that is too large or not fixed")

    def require_tame_braces(self, text: str) -> None:
        """Pass a format for `str.format` that cannot blow up what it formats. Raises: TooCostlyError, ValueError."""
        if any(_WILD_SPECIFICATION.search(field[2] or "") for field in Formatter().parse(text)):
            raise TooCostlyError("it formats with a width that is too large or not fixed")

    def require_small_number(self, operator: str, left: int, right: int) -> None:
        """Pass a product or power of integers that stays a number one can print. Raises: TooCostlyError."""
        bits = left.bit_length() + right.bit_length()
        if operator == "**":
            bits = max(1, left.bit_length()) * abs(right)
        if bits > _MOST_BITS:
            raise TooCostlyError("it makes a number that is too large")
