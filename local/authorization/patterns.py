"""Patterns of policies: wildcards, ARNs part by part, and variables."""

from __future__ import annotations

import re
from functools import lru_cache

from local.authorization.calls import Call

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PARTS_OF_AN_ARN = 6


@lru_cache(maxsize=4096)
def wildcard(pattern: str) -> re.Pattern[str]:
    """Give what matches a pattern in which * is anything and ? is one character; nothing else is special."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each) or re.escape(each) for each in pattern), re.DOTALL)


def is_like(text: str, pattern: str) -> bool:
    """Say whether a text matches a pattern, case and all."""
    return pattern == "*" or wildcard(pattern).fullmatch(text) is not None


def is_action(action: str, pattern: str) -> bool:
    """Say whether an action matches a pattern; actions compare without case."""
    return is_like(action.lower(), pattern.lower())


def is_arn_like(arn: str, pattern: str) -> bool:
    """Say whether an ARN matches a pattern, each of its six parts by itself."""
    mine, wanted = (text.split(":", _PARTS_OF_AN_ARN - 1) for text in (arn, pattern))
    return len(mine) == len(wanted) == _PARTS_OF_AN_ARN and all(map(is_like, mine, wanted))


def filled(pattern: str, call: Call) -> str | None:
    """Give a pattern with its variables filled, None where one of them has no value: then it matches nothing."""
    if "${" not in pattern:
        return pattern
    values = {name: _value(name, call) for name in _VARIABLE.findall(pattern)}
    if None in values.values():
        return None
    return _VARIABLE.sub(lambda found: str(values[found[1]]), pattern)


def _value(name: str, call: Call) -> str | None:
    if name in ("*", "?", "$"):
        return name
    name, _, default = (part.strip() for part in name.partition(","))
    values = call.fact(name)
    return values[0] if values and len(values) == 1 else default.strip("'") or None
