"""S3's requests as IAM sees them. Source: S3 user guide, "Required permissions for Amazon S3 API operations"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from moto.s3.exceptions import S3ClientError
from moto.s3.responses import S3Response

from local.authorization.requests import Needed, UnknownRequestError

_BUCKETS = "arn:aws:s3:::"
# What is read or written about a bucket and has an action of its own, which nobody has named here yet.
_SETTINGS = frozenset({"accelerate", "analytics", "encryption", "intelligent-tiering", "inventory", "metrics"}) | {
    "object-lock",
    "ownershipControls",
    "publicAccessBlock",
    "replication",
    "requestPayment",
}
# What conditions may ask about a list of objects; S3 tells IAM none of it about other lists, not even of uploads.
# Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"
_OF_LISTS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
_LISTS = frozenset({"ListBucket", "ListBucketVersions"})
_ENCRYPTION = "x-amz-server-side-encryption"
SEVERAL = "DeleteObjects"


def needed_by(response: S3Response, resource: str) -> Iterator[Needed]:
    """Give what a request needs. Raises: UnknownRequestError."""
    query = dict(response.normalized_request.args)
    action = response.data.get("Action", "")
    in_object = "/" in resource.removeprefix(_BUCKETS)
    if action == "HeadBucket":
        action = "ListBucket"
    if not in_object and (unknown := _SETTINGS & query.keys()):
        raise UnknownRequestError(f"s3 with ?{min(unknown)}")
    if response.method == "POST" and "delete" in query:
        return  # each key by itself, and those that may not be deleted stay: `seam` does it
    yield f"s3:{action}", resource, _facts(response, action, query)
    if "attributes" in query:
        yield "s3:GetObjectAttributes", resource, {}
    if "x-amz-tagging" in response.headers:
        yield "s3:PutObjectTagging", resource, {}
    if source := response.headers.get("x-amz-copy-source"):
        bucket, _, key = unquote(source).lstrip("/").partition("?")[0].partition("/")
        yield "s3:GetObject", object_arn(bucket, key), {}
        yield from _told_missing(response, bucket, key)
    elif action == "GetObject":
        yield from _told_missing(response, response.bucket_name, response.parse_key_name())


def object_arn(bucket: str, key: str) -> str:
    """Give an object's ARN."""
    return f"{_BUCKETS}{bucket}/{key}"


def _facts(response: S3Response, action: str, query: dict[str, Any]) -> dict[str, str]:
    asked = {_OF_LISTS[name]: str(value) for name, value in query.items() if action in _LISTS and name in _OF_LISTS}
    headers = (_ENCRYPTION, f"{_ENCRYPTION}-aws-kms-key-id")
    asked |= {f"s3:{name}": response.headers[name] for name in headers if name in response.headers}
    return asked | ({"local:multipart": "true"} if query.keys() & {"uploads", "uploadId"} else {})


def _told_missing(response: S3Response, bucket: str, key: str) -> Iterator[Needed]:
    """Who may not list is not told whether a key is there: 403 and not 404. No prefix is asked for then."""
    if _is_missing(response, bucket, key):
        yield "s3:ListBucket", _BUCKETS + bucket, {}


def _is_missing(response: S3Response, bucket: str, key: str) -> bool:
    try:
        response.backend.get_bucket(bucket)
        return response.backend.get_object(bucket, key) is None
    except S3ClientError:
        return False
