"""Conditions of statements: operators, sets of values, and keys that are not there.

Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local.authorization.calls import Call, Values
from local.authorization.patterns import filled, is_arn_like, is_like

Test = Callable[[str, str], bool]


def _numbers(compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return test


_TESTS: Mapping[str, Test] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": is_like,
    "ArnEquals": is_arn_like,
    "ArnLike": is_arn_like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": _numbers(lambda value, wanted: value == wanted),
    "NumericLessThan": _numbers(lambda value, wanted: value < wanted),
    "NumericLessThanEquals": _numbers(lambda value, wanted: value <= wanted),
    "NumericGreaterThan": _numbers(lambda value, wanted: value > wanted),
    "NumericGreaterThanEquals": _numbers(lambda value, wanted: value >= wanted),
}
_OPPOSITES = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}

Condition = tuple[str, str, Values]  # operator, key, the values that are wanted


class UnknownConditionError(Exception):
    """A policy asks something that the embedded cloud cannot answer: the statement does not allow, and does deny."""


def conditions_of(declared: Mapping[str, Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Give a statement's conditions one by one; all of them must hold."""
    return tuple(
        (operator, key, tuple(_text(value) for value in (wanted if isinstance(wanted, list) else [wanted])))
        for operator, tests in declared.items()
        for key, wanted in tests.items()
    )


def holds(condition: Condition, call: Call) -> bool:
    """Say whether a condition holds for a call. Raises: UnknownConditionError for an operator or key we do not know."""
    operator, key, wanted = condition
    if not call.knows(key):
        raise UnknownConditionError(f"the key {key} of {call.action}")
    quantifier, _, name = operator.rpartition(":")
    tolerant = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    found = call.fact(key)
    if name == "Null":
        return str(found is None).lower() in (value.lower() for value in wanted)
    negated = name in _OPPOSITES
    test = _TESTS.get(_OPPOSITES.get(name, name))
    if test is None or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnknownConditionError(f"the operator {operator}")
    if found is None:
        # nothing is unequal to everything, and all of nothing is whatever one wants
        return tolerant or quantifier == "ForAllValues" or (negated and not quantifier)
    matches = (any(test(value, each) for each in _filled(wanted, call)) != negated for value in found)
    return all(matches) if quantifier == "ForAllValues" else any(matches)


def _filled(wanted: Values, call: Call) -> Iterator[str]:
    return (text for value in wanted if (text := filled(value, call)) is not None)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
