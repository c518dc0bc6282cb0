"""What every role called while it is watched, and whether its policies allow it.

The embedded cloud asks nobody for permission: here each call of a role is read as IAM would see it, and judged
afterwards by the policies that the template gave the role.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

ACCOUNT, REGION = "123456789012", "us-east-1"
SIGNED = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
BEDROCK = re.compile(r"/(model-import-jobs|imported-models|model)/([^/]+)")
PREFIXES = {"model-import-jobs": "model-import-job/", "imported-models": "imported-model/"}
Wanted = Iterator[tuple[str, str, dict[str, str]]]


@dataclass(frozen=True)
class Call:
    """One action on one resource by one role, and what conditions may ask about it."""

    role: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.role} may not {self.action} on {self.resource} {dict(self.context) or ''}".strip()


@dataclass
class Watch:
    """The calls that were seen."""

    calls: set[Call] = field(default_factory=set)

    @property
    def roles(self) -> set[str]:
        return {call.role for call in self.calls}

    def refused(self) -> list[str]:
        """Give what an account would have refused."""
        return sorted(str(call) for call in self.calls if not allowed(call, policies(call.role)))


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the calls of all roles; those of the harness have none."""
    watch = Watch()

    def see(request: Any, _: type, resource: str = "*") -> None:
        signed = SIGNED.search(request.headers.get("Authorization") or "")
        role = signed and _role(signed[1])
        if not signed or not role:
            return
        for action, target, context in _wanted(request, signed[2], resource):
            watch.calls.add(Call(role, action, target, tuple(context.items())))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", see)
        yield watch


def policies(role: str) -> list[Mapping[str, Any]]:
    """Give the statements of a role's policies, its own and those attached to it."""
    iam = iam_backends[ACCOUNT]["aws"]
    documents = [iam.get_role_policy(role, name)[1] for name in iam.list_role_policies(role)]
    for attached in iam.list_attached_role_policies(role)[0]:
        documents += [version.document for version in attached.versions if version.is_default]
    parsed = [json.loads(each) if isinstance(each, str) else each for each in documents]
    return [statement for document in parsed for statement in _listed(document["Statement"])]


def allowed(call: Call, statements: list[Mapping[str, Any]]) -> bool:
    """Say whether a statement allows the call and none denies it."""
    effects = {statement["Effect"] for statement in statements if _speaks_of(statement, call)}
    return effects == {"Allow"}


def _speaks_of(statement: Mapping[str, Any], call: Call) -> bool:
    context = dict(call.context)
    asked = [pair for test in (statement.get("Condition") or {}).values() for pair in test.items()]
    return (
        _matches(call.action.lower(), [each.lower() for each in _listed(statement["Action"])])
        and _matches(call.resource, _listed(statement["Resource"]))
        and all(_matches(context.get(key, ""), _listed(patterns)) for key, patterns in asked)
    )


def _matches(text: str, patterns: list[str | None]) -> bool:
    """Say whether one of the patterns matches; moto leaves AWS::NoValue in a list as None."""
    return any(pattern is not None and fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _role(access_key: str) -> str | None:
    roles = sts_backends[ACCOUNT]["aws"].assumed_roles
    return next((each.role_arn.rpartition("/")[2] for each in roles if each.access_key_id == access_key), None)


def _wanted(request: Any, service: str, resource: str) -> Wanted:
    """Give each action that a request needs, its resource, and its condition keys."""
    url = urlsplit(request.uri)
    if service == "s3":
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        yield _s3(request.method, resource, query)
        return
    action = request._get_action()
    told = _told(request)
    if service == "bedrock":
        yield from _bedrock(action, unquote(url.path), told)
    elif action == "TransactWriteItems":
        for kind, item in [pair for each in told["TransactItems"] for pair in each.items()]:
            yield f"dynamodb:{kind}Item", _arn(service, f"table/{item['TableName']}"), {}
    else:
        target = request._get_param("TopicArn") if service == "sns" else _target(service, told)
        yield f"{service}:{action}", target, {}


def _target(service: str, told: Mapping[str, Any]) -> str:
    """Give the ARN of what a request names."""
    match service:
        case "dynamodb":
            index = f"/index/{told['IndexName']}" if "IndexName" in told else ""
            return _arn(service, f"table/{told['TableName']}{index}")
        case "states":
            return str(told.get("executionArn") or told["stateMachineArn"])
        case "sqs":
            return _arn(service, told["QueueUrl"].rpartition("/")[2])
        case "secretsmanager":
            return str(told["SecretId"])
        case "servicequotas":
            return _arn(service, f"{told['ServiceCode']}/{told['QuotaCode']}")
        case _:
            return "*"


def _bedrock(action: str, path: str, told: Mapping[str, Any]) -> Wanted:
    if action == "CreateModelImportJob":
        yield "bedrock:CreateModelImportJob", "*", {}
        yield "bedrock:TagResource", _arn("bedrock", "model-import-job/new"), {}
        yield "bedrock:TagResource", _arn("bedrock", "imported-model/new"), {}
        yield "iam:PassRole", told["roleArn"], {"iam:PassedToService": "bedrock.amazonaws.com"}
    elif action == "ListTagsForResource":
        yield f"bedrock:{action}", told["resourceARN"], {}
    elif arn := re.search(r"arn:aws:bedrock:[^?]+?(?=/invoke|$)", path):
        yield f"bedrock:{action}", arn[0], {}
    else:
        found = BEDROCK.search(path)
        yield f"bedrock:{action}", _arn("bedrock", PREFIXES[found[1]] + found[2]) if found else "*", {}


def _s3(method: str, resource: str, query: Mapping[str, str]) -> tuple[str, str, dict[str, str]]:
    in_object = "/" in resource.removeprefix("arn:aws:s3:::")
    upload = "uploadId" in query
    match method, in_object:
        case "GET" | "HEAD", True:
            action = "ListMultipartUploadParts" if upload else "GetObject"
        case "GET" | "HEAD", False:
            action = "ListBucketMultipartUploads" if "uploads" in query else "ListBucket"
        case "DELETE", True:
            action = "AbortMultipartUpload" if upload else "DeleteObject"
        case "POST", False:
            return "s3:DeleteObject", f"{resource}/artifacts/several", {}
        case _:
            action = "PutObject"
    return f"s3:{action}", resource, {"s3:prefix": query["prefix"]} if "prefix" in query else {}


def _told(request: Any) -> dict[str, Any]:
    """Give a request's members where it is written in JSON."""
    body = request.raw_body
    text = body.decode() if isinstance(body, bytes) else str(body or "")
    return dict(json.loads(text)) if text.startswith("{") else {}


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"
