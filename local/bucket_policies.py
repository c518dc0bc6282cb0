"""S3 bucket policies with their conditions on how a call comes and what it asks to be encrypted with.

moto ignores conditions, and would so refuse every call under a rule about calls without TLS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response

from local.seams import replace

# The embedded cloud is reached over loopback; its calls count as made over the TLS of today.
_CONNECTION = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
_FROM_HEADERS = ("s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id")
# An upload in parts is authorized as the Put that it becomes; moto calls it after its method.
_ACTIONS = {"s3:PostObject": "s3:PutObject"}

_headers: ContextVar[Mapping[str, str] | None] = ContextVar("headers of the call that is judged", default=None)


def install() -> None:
    """Take over the evaluation of bucket policies."""
    replace(S3Response, "_key_response", _with_headers)
    replace(FakeBucket, "get_permission", _conditional)


def _with_headers(original: Any) -> Any:
    """The headers of a call are known while it is judged."""

    def _key_response(response: S3Response, request: Any, full_url: str) -> Any:
        token = _headers.set(request.headers)
        try:
            return original(response, request, full_url)
        finally:
            _headers.reset(token)

    return _key_response


def _conditional(original: Any) -> Any:
    """Only statements whose conditions are met apply; one with a condition unknown here applies to every call."""

    def get_permission(bucket: Any, action: str, resource: str) -> Any:
        if bucket.policy is None:
            return original(bucket, action, resource)
        document = json.loads(bucket.policy)
        context = _context()
        document["Statement"] = [each for each in document["Statement"] if _applies(each, context)]
        applying = json.dumps(document).encode() if document["Statement"] else None
        return original(_Judged(applying), _ACTIONS.get(action, action), resource)

    return get_permission


def _context() -> dict[str, str]:
    """Give the condition keys of the call."""
    headers = _headers.get() or {}
    asked = {key: headers.get(key.removeprefix("s3:")) for key in _FROM_HEADERS}
    return _CONNECTION | {key: value for key, value in asked.items() if value is not None}


def _applies(statement: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    return all(
        key not in {*_CONNECTION, *_FROM_HEADERS} or _TESTS[operator](context.get(key), str(wanted))
        for operator, keys in statement.get("Condition", {}).items()
        if operator in _TESTS
        for key, wanted in keys.items()
    )


# What an absent key gives is IAM's: a negated operator is met by it, the others are not.
_TESTS: Mapping[str, Callable[[str | None, str], bool]] = {
    "Bool": lambda found, wanted: found is not None and found == wanted.lower(),
    "Null": lambda found, wanted: (found is None) == (wanted.lower() == "true"),
    "NumericLessThan": lambda found, wanted: found is not None and float(found) < float(wanted),
    "StringEquals": lambda found, wanted: found == wanted,
    "StringNotEquals": lambda found, wanted: found != wanted,
}


class _Judged:
    """What moto's evaluation reads of a bucket: its policy."""

    def __init__(self, policy: bytes | None) -> None:
        self.policy = policy
