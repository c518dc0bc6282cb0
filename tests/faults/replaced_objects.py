"""An object that is another one for as long as S3 copies it: whoever replaced it has put it back since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from botocore.awsrequest import AWSResponse
from moto.s3.models import s3_backends

from local.identity import ACCOUNT_ID
from tests.faults.seam import Meeting

COPIES = ("s3.UploadPartCopy", "s3.CopyObject")
MARK = b"replaced while it was copied "


def replaced(meeting: Meeting) -> AWSResponse:
    """Let what a call copies be replaced just before, by something as long, and put back just after it."""
    told = meeting.request.headers["x-amz-copy-source"]
    bucket, _, name = unquote(told.decode() if isinstance(told, bytes) else told).partition("/")
    key = _bucket(bucket).keys[name]
    original = key.value
    _become(key, (MARK * (len(original) // len(MARK) + 1))[: len(original)])
    try:
        return meeting.send()
    finally:
        _become(key, original)


def taken(bucket: str) -> Iterator[str]:
    """Yield the names of objects in a bucket that were copied from such a replacement."""
    for name in dict.keys(_bucket(bucket).keys):
        beginning = _bucket(bucket).keys[name]._value_buffer
        beginning.seek(0)
        if beginning.read(len(MARK)) == MARK:
            yield name


def _bucket(name: str) -> Any:
    return s3_backends[ACCOUNT_ID]["aws"].buckets[name]


def _become(key: Any, content: bytes) -> None:
    key.value, key._etag = content, None
