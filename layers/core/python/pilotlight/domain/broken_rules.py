"""What is wrong with what a user sent, in words for whoever wrote it: pydantic's own speak of types and validators.

Nothing of the input is repeated but what one of our own rules quotes, and that is cut short: it may be a prompt.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pilotlight.domain.containers import HOST_VERSION_PATTERN, LMI_VERSION_PATTERN
from pilotlight.domain.folder_upload import CRC32_PATTERN
from pilotlight.domain.hosting import INSTANCE_PATTERN
from pilotlight.domain.invocation_request import INPUT_PATTERN, MEDIA_TYPE_PATTERN
from pilotlight.domain.keep_warm import TIME_PATTERN
from pilotlight.domain.values import NAME_MAX, NAME_PATTERN, TAG_PATTERN
from pilotlight.domain.webhook import ADDRESS_PATTERN

LONGEST_MESSAGE = 300
OWN_WORDS = "Value error, "  # how pydantic begins what one of our own validators says
NOT_A_NAME = "(no name of a field)"
_FIELD = re.compile(r"[A-Za-z0-9_-]{1,40}")

FORMS: Mapping[str, str] = {
    NAME_PATTERN: f'write lower-case words joined by single hyphens, at most {NAME_MAX} characters: "my-model"',
    TIME_PATTERN: 'write a time of day as HH:MM: "09:00"',
    INSTANCE_PATTERN: 'write an instance type: "ml.g5.xlarge"',
    LMI_VERSION_PATTERN: 'write a version of LMI: "0.33.0" or "0.33.0-lmi15.0.0-cu128"',
    HOST_VERSION_PATTERN: 'write lower-case words joined by hyphens: "al2023-ami-sagemaker-inference-gpu-4-1"',
    INPUT_PATTERN: 'write the place of an object: "s3://my-bucket/some/key"',
    MEDIA_TYPE_PATTERN: 'write a content type: "image/png"',
    ADDRESS_PATTERN: 'write a whole address: "https://example.com/hooks"',
    CRC32_PATTERN: 'write a CRC32 as S3 does, big-endian, in base64: "y/Q5Jg=="',
    TAG_PATTERN: "write letters a to z, digits, spaces and . _ : / = + @ - only",
}
"""What is to be written where text has to match one of these patterns."""

_KINDS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not known: leave it out, or look at how it is spelled",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "dict_type": "must be an object, {…}",
    "model_type": "must be an object, {…}",
    "model_attributes_type": "must be an object, {…}",
    "json_invalid": "is not JSON",
}
_BOUNDED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda bound: f"must be above {_number(bound['gt'])}",
    "greater_than_equal": lambda bound: f"must be at least {_number(bound['ge'])}",
    "less_than": lambda bound: f"must be below {_number(bound['lt'])}",
    "less_than_equal": lambda bound: f"must be at most {_number(bound['le'])}",
    "string_too_short": lambda bound: f"must have at least {_counted(bound['min_length'], 'character')}",
    "string_too_long": lambda bound: f"must have at most {_counted(bound['max_length'], 'character')}",
    "too_short": lambda bound: f"must have at least {_counted(bound['min_length'], 'item')}",
    "too_long": lambda bound: f"must have at most {_counted(bound['max_length'], 'item')}",
    "enum": lambda bound: f"must be {_double_quoted(bound['expected'])}",
    "literal_error": lambda bound: f"must be {_double_quoted(bound['expected'])}",
    "string_pattern_mismatch": lambda bound: FORMS.get(bound["pattern"], f"must match {bound['pattern']}"),
}


class BrokenRule(BaseModel):
    """One rule that a field breaks: where, which, and what to write instead. `rule` is for programs."""

    field: str
    rule: str
    message: str

    def __str__(self) -> str:
        """Return it as part of a sentence."""
        return f"{self.field}: {self.message}"


def broken_rules(error: ValidationError, whole: str = "body") -> tuple[BrokenRule, ...]:
    """Return what broke which rule, field by field; `whole` is what the input itself is called.

    A list whose items are wrong counts as empty for pydantic, and is told of once.
    """
    found = error.errors(include_input=False, include_url=False)
    places = [each["loc"] for each in found]
    return tuple(
        BrokenRule(field=_field(each["loc"]) or whole, rule=each["type"], message=_message(each))
        for each in found
        if not (each["type"] == "too_short" and any(_is_below(place, each["loc"]) for place in places))
    )


def _message(each: Mapping[str, Any]) -> str:
    kind = each["type"]
    plain = _KINDS.get(kind) or str(each["msg"]).removeprefix(OWN_WORDS)
    told = _BOUNDED[kind](each["ctx"]) if kind in _BOUNDED else plain
    return told if len(told) <= LONGEST_MESSAGE else f"{told[:LONGEST_MESSAGE]}…"


def _field(place: tuple[str | int, ...]) -> str:
    """Return where something is, without a part that is no name: a field that we do not know may hold anything."""
    parts = [str(part) for part in place if part != "[key]"]
    return ".".join(part if _FIELD.fullmatch(part) else NOT_A_NAME for part in parts)


def _is_below(place: tuple[str | int, ...], above: tuple[str | int, ...]) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


def _double_quoted(text: str) -> str:
    return text.replace("'", '"')


def _number(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:,}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
