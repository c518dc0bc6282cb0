"""JSON as strangers send it: read once, by the strictest reading, in memory that its size bounds.

Parsers disagree on what is said twice and on NaN: whoever reads the file after us may see another document than the
one that was judged. So what is not one document for everybody is refused.
"""

import json
from typing import Any, NoReturn

MOST_MARKS = 4_000_000  # of brackets, braces and commas: each may cost a hundred bytes once it is an object
MOST_DEPTH = 64
MOST_DIGITS = 40  # tokenizers write "no limit" as 10 to the power of 30, in full


class UnreadableError(ValueError):
    """The file is not what its name promises; the text says why, without quoting it."""


def read_json(content: bytes, *, unique: bool = True, naturals: bool = False) -> Any:
    """Return the document of a file.

    `unique` refuses a name that an object says twice, `naturals` every number but 0, 1, 2 and so on.
    Raises: UnreadableError for what is not UTF-8, not JSON, too deep, or more than anybody needs.
    """
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_MARKS:
        raise UnreadableError(f"it has more than {MOST_MARKS} values")
    try:
        document = json.loads(
            content.decode("utf-8-sig"),
            parse_int=_natural if naturals else _integer,
            parse_float=_no_number if naturals else None,
            parse_constant=_no_number,
            object_pairs_hook=_unique if unique else None,
        )
    except UnreadableError:
        raise
    except (ValueError, RecursionError) as exc:
        raise UnreadableError("it is not JSON in UTF-8") from exc
    if _is_deeper(document, MOST_DEPTH):
        raise UnreadableError(f"it is nested deeper than {MOST_DEPTH} levels")
    return document


def json_object(content: bytes, *, unique: bool = True, naturals: bool = False) -> dict[str, Any]:
    """Return a file's JSON object. Raises: UnreadableError, also for a document that is none."""
    document = read_json(content, unique=unique, naturals=naturals)
    if not isinstance(document, dict):
        raise UnreadableError("it is not a JSON object")
    return document


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise UnreadableError(f"it has a number of more than {MOST_DIGITS} digits")
    return int(digits)


def _natural(digits: str) -> int:
    return _no_number(digits) if digits.startswith("-") else _integer(digits)


def _no_number(text: str) -> NoReturn:
    raise UnreadableError(f"the number {text[:24]} has no place in it")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableError("an object in it says a name twice")
    return found


def _is_deeper(document: Any, depth: int) -> bool:
    level: list[Any] = [document] if isinstance(document, dict | list) else []
    for _ in range(depth):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return bool(level)
