"""Whether a service may assume a role."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from moto.iam.exceptions import NotFoundException


def is_assumable(iam: Any, arn: str, service: str) -> bool:
    """Say whether the role exists and its trust policy names the service. Conditions are not evaluated."""
    try:
        document = iam.get_role_by_arn(arn).assume_role_policy_document
    except NotFoundException:
        return False
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    return any(_trusts(statement, service) for statement in _listed(policy.get("Statement")))


def _trusts(statement: dict[str, Any], service: str) -> bool:
    principal = statement.get("Principal") or {}
    trusted = _listed(principal.get("Service")) if isinstance(principal, dict) else []
    allowed = statement.get("Effect") == "Allow" and "sts:AssumeRole" in _listed(statement.get("Action"))
    return allowed and service in trusted


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
