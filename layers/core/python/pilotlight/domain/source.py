"""Where a model comes from: a model hub, a bucket, JumpStart's catalogue, or a list of files; see `SUPPORTED_FORMS`."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from pydantic import Field

from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.source_hints import hint_for
from pilotlight.domain.values import Model, Moment

SUPPORTED_FORMS = (
    "hf://org/name, hf://org/name@revision, ms://org/name, ms://org/name@revision, s3://bucket/, s3://bucket/prefix/, "
    "https://host/path/list.json, https://host/path/SHA256SUMS, jumpstart://model-id or jumpstart://model-id@version"
)

Piece = bytes | memoryview
"""Bytes on their way: good until the next piece is asked for, and not to be kept."""

_HUB = re.compile(
    r"^(?P<hub>hf|ms)://(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(@(?P<revision>[\w./-]{1,128}))?$", re.ASCII
)
_BUCKET = re.compile(r"^s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[^\s]*))?$")
_JUMPSTART = re.compile(
    r"^jumpstart://(?P<model>[A-Za-z0-9][A-Za-z0-9_.-]{0,127})(@(?P<version>[0-9A-Za-z*][0-9A-Za-z.*-]{0,31}))?$"
)
# Without a user or a query: these are often secrets, and a source is shown to everybody.
_FILE_LIST = re.compile(
    r"^https://(?P<location>[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?/([\w.~%+=,/-]{0,700}/)?"
    r"([\w.~%+=,-]{1,200}\.json|SHA256SUMS))(@(?P<revision>[0-9a-f]{64}))?$",
    re.ASCII,
)


class SourceKind(StrEnum):
    """Which adapter reads a source."""

    HUB = "hf"
    MODELSCOPE = "ms"
    BUCKET = "s3"
    FILE_LIST = "https"
    JUMPSTART = "jumpstart"


_DEFAULT_BRANCHES = {SourceKind.HUB: "main", SourceKind.MODELSCOPE: "master"}


class Source(Model):
    """A place that holds a checkpoint.

    `location` is `org/name`, `bucket/prefix/`, the id of a JumpStart model, or host and path of a list of files.
    """

    kind: SourceKind
    location: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a source as a user writes it.

        Raises: InvalidInput, with what may have been meant, or with the forms that exist.
        """
        if (hub := _HUB.fullmatch(text)) and ".." not in text:
            kind = SourceKind(hub["hub"])
            return cls(kind=kind, location=hub["repository"], revision=hub["revision"] or _DEFAULT_BRANCHES[kind])
        if bucket := _BUCKET.fullmatch(text):
            prefix = bucket["prefix"] or ""
            if prefix and not prefix.endswith("/"):
                raise InvalidInput(
                    f"The source {text!r} names a prefix without a slash at its end. Write {text + '/'!r} "
                    "for the folder: consumers take everything below it.",
                    field="source",
                    rule="an s3:// prefix ends with /",
                )
            return cls(kind=SourceKind.BUCKET, location=f"{bucket['bucket']}/{prefix}")
        if (listed := _FILE_LIST.fullmatch(text)) and ".." not in text:
            return cls(kind=SourceKind.FILE_LIST, location=listed["location"], revision=listed["revision"])
        if jumpstart := _JUMPSTART.fullmatch(text):
            return cls(kind=SourceKind.JUMPSTART, location=jumpstart["model"], revision=jumpstart["version"] or "*")
        advice = hint_for(text) or f"Write {SUPPORTED_FORMS}."
        raise InvalidInput(
            f"The source {text!r} is not one that Pilotlight can read. {advice}",
            field="source",
            rule=SUPPORTED_FORMS,
        )

    @property
    def bucket(self) -> str:
        """The bucket of an `s3://` source."""
        return self.location.split("/", 1)[0]

    @property
    def prefix(self) -> str:
        """The prefix of an `s3://` source, empty for a whole bucket."""
        return self.location.split("/", 1)[1]

    def at(self, revision: str) -> "Source":
        """Return the same source pinned to a revision."""
        return self.changed(revision=revision)

    def __str__(self) -> str:
        """Return the source as a user writes it, with its revision where it has one."""
        return f"{self.kind}://{self.location}" + (f"@{self.revision}" if self.revision else "")


class SourceFile(Model):
    """One file of a source. `path` is relative to it; `sha256` (hex) and `modified_at` where the source knows them."""

    path: str
    size_bytes: int = Field(ge=0)
    sha256: str | None = None
    etag: str | None = None
    modified_at: Moment | None = None


class StoredObject(Model):
    """An object of S3 that S3 copies itself, as long as it has that ETag; where it is a file of an artifact, of which.

    `checksum_crc64nvme` in base64, of the whole object, where S3 told it.
    """

    bucket: str
    key: str
    size_bytes: int = Field(ge=0)
    etag: str
    checksum_crc64nvme: str | None = None
    artifact_id: str | None = None


class Listing(Model):
    """Every file of a source at one pinned revision.

    A hub's revision is its commit; a bucket's is a hash over keys, ETags and sizes, that of a list of files one over
    names and digests.
    """

    source: Source
    files: tuple[SourceFile, ...]

    @property
    def revision(self) -> str:
        """The pinned revision."""
        return self.source.revision or ""

    def file(self, path: str) -> SourceFile | None:
        """Return the file at that path, or None."""
        return next((file for file in self.files if file.path == path), None)


def stored_object(source: Source, file: SourceFile) -> StoredObject | None:
    """Return where a file of a source lies, if that is in S3."""
    if source.kind is not SourceKind.BUCKET or file.etag is None:
        return None
    key = source.prefix + file.path
    return StoredObject(bucket=source.bucket, key=key, size_bytes=file.size_bytes, etag=file.etag)


def joined(pieces: Iterable[Piece]) -> bytes:
    """Return the bytes of all pieces."""
    body = bytearray()
    for piece in pieces:
        body += piece
    return bytes(body)
