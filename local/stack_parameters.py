"""What whoever deploys the stack may set, checked by the template's own rules, as CloudFormation does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from local import sam


class ParameterError(ValueError):
    """A parameter that the template does not take."""


def read(said: Iterable[str], template: Path) -> dict[str, str]:
    """Give the parameters that were said, each as NAME=VALUE.

    Raises: ParameterError with what was wanted instead.
    """
    declared: Mapping[str, Mapping[str, Any]] = sam.load(template).get("Parameters", {})
    given: dict[str, str] = {}
    for each in said:
        name, equals, value = each.partition("=")
        if not equals:
            raise ParameterError(f"{each!r} sets nothing: write NAME=VALUE, as in SourceBuckets=my-models-*")
        if name not in declared:
            near = get_close_matches(name, declared, n=1)
            known = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(declared))}"
            raise ParameterError(f"{template.name} has no parameter {name!r}; {known}")
        if wanted := _refused(value, declared[name]):
            raise ParameterError(f"{name} is not to be {value!r}: it is {wanted}")
        given[name] = value
    return given


def _refused(value: str, rules: Mapping[str, Any]) -> str | None:
    """Give what a parameter is to be where a value is something else."""
    if allowed := [str(each) for each in rules.get("AllowedValues", ())]:
        return None if value in allowed else f"one of {', '.join(allowed)}"
    if rules["Type"] == "Number":
        least, most = float(rules.get("MinValue", "-inf")), float(rules.get("MaxValue", "inf"))
        is_one = re.fullmatch(r"-?\d+(\.\d+)?", value) and least <= float(value) <= most
        return None if is_one else f"a number from {least:g} to {most:g}"
    if re.fullmatch(rules.get("AllowedPattern", ".*"), value, re.DOTALL):
        return None
    return str(rules.get("ConstraintDescription", rules.get("AllowedPattern")))
