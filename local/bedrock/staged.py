"""The checkpoint that a job is to import, as it lies in S3: read from moto's store, without copies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends


class UnimportableError(Exception):
    """The checkpoint cannot be imported; the message becomes the job's failureMessage."""


@dataclass(frozen=True)
class Staged:
    """The objects under a prefix by their names below it."""

    s3_uri: str
    objects: dict[str, Any]

    @property
    def size_bytes(self) -> int:
        """Give the bytes of all objects."""
        return sum(int(key.size) for key in self.objects.values())

    def json(self, name: str) -> dict[str, Any]:
        """Give the content of a JSON file. Raises: UnimportableError where it is missing or broken."""
        if name not in self.objects:
            raise UnimportableError(f"The file {name} was not found at {self.s3_uri}.")
        try:
            content = json.loads(self.objects[name].value)
        except ValueError as exc:
            raise UnimportableError(f"The file {name} is not valid JSON: {exc}.") from exc
        if not isinstance(content, dict):
            raise UnimportableError(f"The file {name} does not hold a JSON object.")
        return content

    def size(self, name: str) -> int:
        """Give an object's bytes."""
        return int(self.objects[name].size)

    def start_of(self, name: str, size: int, *, offset: int = 0) -> bytes:
        """Give a few bytes of an object; moto's own reading would copy all of it."""
        key = self.objects[name]
        with key.lock:
            key._value_buffer.seek(offset)
            return bytes(key._value_buffer.read(size))


def staged_at(account: str, s3_uri: str) -> Staged:
    """Give what lies under an S3 address. Raises: UnimportableError where the bucket is missing."""
    bucket_name, _, prefix = s3_uri.removeprefix("s3://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    backend = s3_backends[account]["aws"]
    try:
        bucket = backend.get_bucket(bucket_name)
    except MissingBucket as exc:
        raise UnimportableError(f"Unable to access {s3_uri}: the bucket does not exist.") from exc
    keys = backend.list_objects(bucket, prefix or None, None, None, None)[0]
    return Staged(s3_uri, {key.name.removeprefix(prefix): key for key in keys})
