"""Policies: statements as they are written, and what they say to a call.

Source: IAM user guide, "Policy evaluation logic", within one account.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from local.authorization.callers import Account, Caller, Role, Service
from local.authorization.calls import Call
from local.authorization.conditions import Condition, UnknownConditionError, conditions_of, holds
from local.authorization.patterns import filled, is_action, is_like
from local.identity import ACCOUNT_ID

_LOG = logging.getLogger(__name__)


class Effect(StrEnum):
    """What a statement does to calls that it speaks of."""

    ALLOW = "Allow"
    DENY = "Deny"


class Named(StrEnum):
    """How a policy of a resource names a caller."""

    ITSELF = "itself"
    ITS_ACCOUNT = "its account"  # who then decides by the policies of its roles
    NOT = "not"


@dataclass(frozen=True)
class Statement:
    """One statement; patterns are kept with whether they are to match or not to."""

    sid: str
    effect: Effect
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]
    principals: tuple[tuple[str, str], ...] | None  # (kind, value); None in a policy of a role
    not_principals: bool

    def speaks_of(self, call: Call) -> bool:
        """Say whether the statement is about the call's action and resource, and its conditions hold."""
        if any(is_action(call.action, each) for each in self.actions) is self.not_actions:
            return False
        if self.resources and self._is_about(call) is self.not_resources:
            return False
        try:
            return all(holds(condition, call) for condition in self.conditions)
        except UnknownConditionError as exc:
            _LOG.warning(
                "Policy statement %s asks for %s, which the embedded cloud cannot answer (local/authorization): "
                "it does not allow, and it does deny.", self.sid or self.actions, exc
            )  # fmt: skip
            return self.effect is Effect.DENY

    def names(self, caller: Caller) -> Named:
        """Say how the statement's principal names a caller."""
        found = {_naming(kind, value, caller) for kind, value in self.principals or ()}
        if self.not_principals:
            return Named.NOT if found - {Named.NOT} else Named.ITSELF
        return next((each for each in (Named.ITSELF, Named.ITS_ACCOUNT) if each in found), Named.NOT)

    def _is_about(self, call: Call) -> bool:
        return any(
            pattern is not None and is_like(call.resource, pattern)
            for pattern in (filled(each, call) for each in self.resources)
        )


Policy = tuple[Statement, ...]


@lru_cache(maxsize=1024)
def policy_of(document: str) -> Policy:
    """Give the statements of a policy's document."""
    text = unquote(document) if document.lstrip().startswith("%") else document
    return tuple(_statement(each) for each in _listed(json.loads(text).get("Statement")))


def _statement(declared: Mapping[str, Any]) -> Statement:
    principals = declared.get("Principal", declared.get("NotPrincipal"))
    return Statement(
        sid=str(declared.get("Sid", "")),
        effect=Effect(declared["Effect"]),
        actions=_texts(declared.get("Action", declared.get("NotAction"))),
        not_actions="NotAction" in declared,
        resources=_texts(declared.get("Resource", declared.get("NotResource"))),
        not_resources="NotResource" in declared,
        conditions=conditions_of(declared.get("Condition") or {}),
        principals=None if principals is None else _principals(principals),
        not_principals="NotPrincipal" in declared,
    )


def _principals(declared: Any) -> tuple[tuple[str, str], ...]:
    if declared == "*":
        return (("*", "*"),)
    return tuple((kind, value) for kind, values in declared.items() for value in _texts(values))


def _naming(kind: str, value: str, caller: Caller) -> Named:
    if value == "*":
        return Named.ITSELF
    match caller:
        case Service():
            return Named.ITSELF if kind == "Service" and value == caller.principal else Named.NOT
        case Role() if kind == "AWS" and value in (caller.role_arn, caller.arn):
            return Named.ITSELF
        case Role() | Account() if kind == "AWS" and value in (ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:root"):
            return Named.ITS_ACCOUNT
        case _:
            return Named.NOT


def _texts(declared: Any) -> tuple[str, ...]:
    """Give a list of patterns; moto leaves AWS::NoValue in a list as None."""
    return tuple(each for each in _listed(declared) if isinstance(each, str))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
