"""S3 bucket policies, as if every call came over TLS: the embedded cloud is reached over loopback without it."""

from __future__ import annotations

import json
from typing import Any

from moto.s3.models import FakeBucket

from local.seams import replace

_NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def install() -> None:
    """Take over the evaluation of bucket policies."""
    replace(FakeBucket, "get_permission", _over_tls)


def _over_tls(original: Any) -> Any:
    """Statements about calls without TLS do not apply; moto ignores conditions and would apply them to every call."""

    def get_permission(bucket: Any, action: str, resource: str) -> Any:
        if bucket.policy is None:
            return original(bucket, action, resource)
        document = json.loads(bucket.policy)
        document["Statement"] = [each for each in document["Statement"] if each.get("Condition") != _NO_TLS]
        applying = json.dumps(document).encode() if document["Statement"] else None
        return original(_Judged(applying), action, resource)

    return get_permission


class _Judged:
    """What moto's evaluation reads of a bucket: its policy."""

    def __init__(self, policy: bytes | None) -> None:
        self.policy = policy
