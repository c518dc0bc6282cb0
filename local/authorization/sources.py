"""Where policies are kept: a role's own and attached ones, and those of buckets, queues, topics, functions and keys.

They are read anew for each call, so that a change holds at once; parsing is what is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import lambda_backends
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local.authorization.callers import Caller, Role
from local.authorization.calls import Call
from local.authorization.policies import Policy, policy_of
from local.identity import ACCOUNT_ID, REGION

_BY_AWS = "alias/aws/"


def of_caller(caller: Caller) -> list[Policy]:
    """Give the policies that say what a caller may do: a role's; nobody else has any."""
    return [policy_of(document) for document in _documents(caller.role_arn)] if isinstance(caller, Role) else []


def of_resource(call: Call) -> Policy | None:
    """Give the policy of the resource that a call is about, None where it has none."""
    if call.action == "sts:AssumeRole":
        return policy_of(_text(_role(call.resource).assume_role_policy_document))
    document: Any = None
    match call.action.partition(":")[0]:
        case "s3":
            document = _bucket_policy(call.resource.removeprefix("arn:aws:s3:::").partition("/")[0])
        case "sqs":
            queue = sqs_backends[ACCOUNT_ID][REGION].queues.get(call.resource.rpartition(":")[2])
            document = queue.policy if queue else None
        case "sns":
            topic = sns_backends[ACCOUNT_ID][REGION].topics.get(call.resource)
            document = topic.policy if topic else None
        case "lambda":
            document = _function_policy(call.resource)
        case "kms":
            key = key_of(call.resource)
            document = key.policy if key else None
        case "secretsmanager":
            secret = secretsmanager_backends[ACCOUNT_ID][REGION].secrets.get(call.resource)
            document = secret.policy if secret else None
    return policy_of(_text(document)) if document else None


def key_of(identifier: str | None) -> Any:
    """Give moto's key by its id, ARN or alias; None for a key that AWS itself manages, or for none."""
    if not identifier or _BY_AWS in identifier:
        return None
    backend = kms_backends[ACCOUNT_ID][REGION]
    name = identifier.rpartition(":")[2]
    wanted = backend.get_key_id_from_alias(name) if name.startswith("alias/") else backend.get_key_id(identifier)
    key = backend.keys.get(wanted)
    return key if key and not any(alias.startswith(_BY_AWS) for alias in key.aliases) else None


def _documents(role_arn: str) -> Iterator[str]:
    try:
        role = _role(role_arn)
    except NotFoundException:  # deleted while its keys are still about: it may do nothing
        return
    yield from (_text(document) for document in list(role.policies.values()))
    for policy in list(role.managed_policies.values()):
        yield from (_text(version.document) for version in policy.versions if version.is_default)


def _role(role_arn: str) -> Any:
    return iam_backends[ACCOUNT_ID]["aws"].get_role_by_arn(role_arn)


def _bucket_policy(name: str) -> bytes | None:
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(name)
    return bucket.policy if bucket else None


def _function_policy(arn: str) -> dict[str, Any] | None:
    try:
        function = lambda_backends[ACCOUNT_ID][REGION].get_function(arn)
    except UnknownFunctionException:
        return None
    return {"Statement": function.policy.statements} if function.policy.statements else None


def _text(document: Any) -> str:
    if isinstance(document, bytes):
        return document.decode()
    return document if isinstance(document, str) else json.dumps(document)
