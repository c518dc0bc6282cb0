"""Keys of one's own: what a service does with a KMS key for whoever reads or writes what the key encrypts.

S3, SQS, SNS, DynamoDB, Secrets Manager and Bedrock use the key in the caller's name, so the caller must be allowed to.
Source: KMS developer guide, "How AWS services use AWS KMS", and each service's page on encryption at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local.authorization.calls import Call
from local.authorization.sources import key_of
from local.identity import ACCOUNT_ID, REGION

# A table's key is used whatever one does with its items. A multipart upload is read again to be joined.
_NEEDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "bedrock": {
        "CreateModelImportJob": ("CreateGrant", "DescribeKey", "GenerateDataKey", "Decrypt"),
        "InvokeModel": ("Decrypt", "GenerateDataKey"),
        "InvokeModelWithResponseStream": ("Decrypt", "GenerateDataKey"),
    },
    "s3": {"GetObject": ("Decrypt",), "PutObject": ("GenerateDataKey", "Decrypt")},
    "sqs": {"SendMessage": ("GenerateDataKey", "Decrypt"), "ReceiveMessage": ("Decrypt",)},
    "sns": {"Publish": ("GenerateDataKey", "Decrypt")},
    "secretsmanager": {"GetSecretValue": ("Decrypt",), "PutSecretValue": ("GenerateDataKey", "Decrypt")},
    "dynamodb": dict.fromkeys(
        ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem"),
        ("Decrypt",),
    ),
}


def uses_of_keys(call: Call) -> Iterator[Call]:
    """Give the uses of a customer's key that a call brings along; none where AWS' own keys encrypt."""
    service, _, action = call.action.partition(":")
    needed = _NEEDS.get(service, {}).get(action)
    if not needed:
        return
    key = key_of(_model_key_of(call) if service == "bedrock" else _key_id(service, call.resource))
    if key is None:
        return
    facts = {
        "kms:ViaService": f"{service}.{REGION}.amazonaws.com",
        "kms:CallerAccount": ACCOUNT_ID,
        **_encryption_context(service, call.resource),
    }
    for each in needed:
        if service == "s3" and each == "Decrypt" and action == "PutObject" and not _in_parts(call):
            continue
        yield Call.of(call.caller, f"kms:{each}", key.arn, facts)


def model_keys_are_kept_by(lookup: Callable[[str], str | None]) -> None:
    """Let `lookup` tell which key encrypts an imported model: whoever simulates it knows."""
    global _key_of_model  # noqa: PLW0603 - one cloud runs in a process
    _key_of_model = lookup


def _no_key(_: str) -> str | None:
    return None


_key_of_model: Callable[[str], str | None] = _no_key


def _model_key_of(call: Call) -> str | None:
    """Give the key that a job names for its model, or that an imported model was encrypted with."""
    named = call.fact("local:model-key")
    return named[0] if named else _key_of_model(call.resource)


def _in_parts(call: Call) -> bool:
    return call.fact("local:multipart") is not None


def _key_id(service: str, resource: str) -> str | None:
    name = resource.rpartition(":")[2]
    found: Any = None
    match service:
        case "s3":
            bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(name.partition("/")[0])
            rule = ((bucket.encryption or {}).get("Rule") or {}) if bucket else {}
            found = _first(rule).get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
        case "sqs":
            queue = sqs_backends[ACCOUNT_ID][REGION].queues.get(name)
            found = getattr(queue, "kms_master_key_id", None)
        case "sns":
            topic = sns_backends[ACCOUNT_ID][REGION].topics.get(resource)
            found = getattr(topic, "kms_master_key_id", None)
        case "secretsmanager":
            found = getattr(secretsmanager_backends[ACCOUNT_ID][REGION].secrets.get(resource), "kms_key_id", None)
        case "dynamodb":
            table = dynamodb_backends[ACCOUNT_ID][REGION].tables.get(name.split("/")[1])
            found = (getattr(table, "sse_specification", None) or {}).get("KMSMasterKeyId")
    return found or None


def _encryption_context(service: str, resource: str) -> dict[str, str]:
    match service:
        case "s3":
            return {"kms:EncryptionContext:aws:s3:arn": _of_s3(resource)}
        case "sqs" | "sns":
            return {f"kms:EncryptionContext:aws:{service}:arn": resource}
        case "secretsmanager":
            return {"kms:EncryptionContext:SecretARN": resource}
        case "bedrock":
            return {}
        case _:
            return {
                "kms:EncryptionContext:aws:dynamodb:tableName": resource.split("/")[1],
                "kms:EncryptionContext:aws:dynamodb:subscriberId": ACCOUNT_ID,
            }


def _of_s3(resource: str) -> str:
    """Give what S3 tells KMS: the object, or the bucket where one key of the bucket's stands for many calls."""
    name = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    rule = _first((s3_backends[ACCOUNT_ID]["aws"].buckets[name].encryption or {}).get("Rule"))
    shared = str(rule.get("BucketKeyEnabled", "")).lower() == "true"
    return f"arn:aws:s3:::{name}" if shared else resource


def _first(rule: Any) -> Mapping[str, Any]:
    found = rule[0] if isinstance(rule, list) else rule
    return found or {}
