"""What S3 refuses to copy: an object that is not there, or not the one that was asked for, a range beyond its end."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlparse

from moto.s3.exceptions import MissingKey, PreconditionFailed, S3ClientError
from moto.s3.models import FakeKey
from moto.s3.responses import S3Response

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class InvalidRangeError(S3ClientError):  # type: ignore[misc]
    """The range to copy is not one that the object has."""

    code = "InvalidArgument"


def copied_object(response: S3Response) -> FakeKey:
    """Give the object that a request copies.

    Raises: NoSuchBucket, NoSuchKey (moto answers a part's copy with an empty 404), PreconditionFailed.
    """
    source = urlparse(response.headers["x-amz-copy-source"])
    bucket, name = unquote(source.path).lstrip("/").split("/", 1)
    version = parse_qs(source.query).get("versionId", [None])[0]
    key = response.backend.get_object(bucket, name, version_id=version)
    if key is None:
        raise MissingKey(key=name)
    wanted = response.headers.get("x-amz-copy-source-if-match")
    if wanted is not None and wanted.strip('"') != key.etag.strip('"'):
        raise PreconditionFailed(failed_condition="x-amz-copy-source-If-Match")
    return key


def require_range(asked: str | None, size: int) -> None:
    """Pass a range that lies within an object. Raises: InvalidArgument, in S3's words."""
    if asked is None:
        return
    found = _RANGE.fullmatch(asked)
    if found is None or not int(found[1]) <= int(found[2]) < size:
        raise InvalidRangeError(f"Range specified is not valid for source object of size: {size}")
