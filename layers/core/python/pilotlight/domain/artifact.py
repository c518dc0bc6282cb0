"""An artifact: sealed weights in our bucket; how its files are cut into spans, and what its manifest says.

artifacts/<id>/weights/…                   what a consumer takes, as a whole prefix
artifacts/<id>/manifest.json               beside it, written last: the seal
artifacts/<id>/attempts/<n>/plan.json      what an attempt decided: files, uploads, part sizes
artifacts/<id>/attempts/<n>/spans.json     what its Map is given
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.source import Source
from pilotlight.domain.values import Model, Moment
from pilotlight.domain.weight_formats import WeightFormat

MIB = 1024 * 1024
SMALLEST_PART_BYTES = 5 * MIB  # every part but the last. Source: Amazon S3 multipart upload limits
MOST_PARTS = 10_000  # Source: Amazon S3 multipart upload limits
LONGEST_STAGING_LAMBDA = timedelta(minutes=10)  # that of seal_artifact: see template.yaml
WHOLE_FILE_BYTES = SMALLEST_PART_BYTES  # a smaller file is put whole


class ArtifactStatus(StrEnum):
    """Where an artifact is on its way."""

    STAGING = "STAGING"
    SEALED = "SEALED"
    FAILED = "FAILED"
    DELETING = "DELETING"
    GONE = "GONE"


class ModelFacts(Model):
    """What the checkpoint's small files tell: kept, so that nobody has to read them again.

    `kv_heads` and `head_dim` are those of the cache: see `model_shape`.
    """

    architecture: str
    model_type: str
    dtype: str | None = None
    context_tokens: int | None = None
    parameter_count: int | None = None
    weight_bytes: int = 0
    tokenizer_class: str | None = None
    chat_template: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    layers: int | None = None
    attention_heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    hidden_size: int | None = None
    quantisation: str | None = None
    format: WeightFormat | None = None


class StagedFile(Model):
    """One file of the manifest. `derived_from` names the sources of a file that we wrote ourselves.

    `sha256` is what the source tells; `verified` says that what was copied was hashed and is just that. Of any other
    file the source's identity, every part's size and every part's CRC32 on its way to S3 were checked.
    """

    path: str
    size_bytes: int
    sha256: str | None = None
    verified: bool = False
    checksum_crc32: str | None = None
    parts: int = 1
    derived_from: tuple[str, ...] = ()


class SkippedFile(Model):
    """A file of the source that is not staged, and why."""

    path: str
    size_bytes: int
    reason: str


class Manifest(Model):
    """What was sealed: written beside the weights when every file is complete, and never changed."""

    artifact_id: str
    source: str
    revision: str
    files: tuple[StagedFile, ...]
    skipped: tuple[SkippedFile, ...] = ()
    facts: ModelFacts
    total_bytes: int
    sealed_at: Moment
    schema_version: int = 1


class Artifact(Model):
    """The record of an artifact. `users` are the deployments that refer to it, as `<name>-g<generation>`."""

    id: str
    source: str
    revision: str
    status: ArtifactStatus = ArtifactStatus.STAGING
    attempt: int = 1
    revivals: int = 0
    total_bytes: int = 0
    users: tuple[str, ...] = ()
    facts: ModelFacts | None = None
    failure_code: str | None = None
    failure_reason: str | None = None
    created_at: Moment
    updated_at: Moment
    version: int = 0
    schema_version: int = 1

    def used_by(self, user: str) -> "Artifact":
        """Return the artifact with one more user."""
        return self if user in self.users else self.changed(users=(*self.users, user))

    def given_back_by(self, user: str, now: datetime) -> "Artifact":
        """Return the artifact without that user; staging that nobody waits for any more has failed.

        So its copiers are superseded, and whoever comes to want it stages it again.
        """
        after = self.changed(users=tuple(each for each in self.users if each != user))
        if after.users or after.status is not ArtifactStatus.STAGING:
            return after
        reason = "nobody refers to it any more"
        return after.changed(
            status=ArtifactStatus.FAILED, failure_code="given-back", failure_reason=reason, updated_at=now
        )

    def settles_at(self) -> datetime | None:
        """Return when the last Lambda of its staging must be over, or None where it is.

        Stopping an execution stops no Lambda: one under way may still begin an upload or put an object. An artifact
        that was sealed by an execution that never died has none left.
        """
        if self.status is ArtifactStatus.SEALED and not self.revivals:
            return None
        return self.updated_at + LONGEST_STAGING_LAMBDA

    @property
    def pinned_source(self) -> Source:
        """The source at the artifact's revision."""
        return Source.parse(self.source).at(self.revision)


class Span(Model):
    """What one copier copies: a run of parts of one file, or one small file whole (`upload_id` is None)."""

    path: str
    number: int = Field(ge=0)
    offset: int = Field(ge=0)
    size_bytes: int = Field(ge=0)
    part_bytes: int = Field(ge=1)
    first_part: int = Field(default=1, ge=1)
    upload_id: str | None = None

    def parts(self) -> list["Part"]:
        """Return the parts of this span in order; only a file's last part may be shorter than the others."""
        return [
            Part(
                number=self.first_part + index,
                offset=self.offset + start,
                size_bytes=min(self.part_bytes, self.size_bytes - start),
            )
            for index, start in enumerate(range(0, self.size_bytes, self.part_bytes))
        ]


class Part(Model):
    """One part of a multipart upload; `offset` counts from the file's beginning."""

    number: int
    offset: int
    size_bytes: int


class UploadedPart(Model):
    """A part that S3 holds, as ListParts tells it; `checksum_crc32` in base64."""

    number: int
    size_bytes: int
    etag: str
    checksum_crc32: str | None = None


class SpanLimits(Model):
    """How files are cut. A span must be copied well within a child execution's five minutes."""

    part_bytes: int = Field(default=64 * MIB, ge=SMALLEST_PART_BYTES)
    span_seconds: int = Field(default=150, ge=1)
    worst_bytes_per_second: int = Field(default=25_000_000, ge=1)

    @property
    def parts_per_span(self) -> int:
        """How many parts one copier can copy in its time at the worst expected rate, at least one."""
        return max(1, self.span_seconds * self.worst_bytes_per_second // self.part_bytes)


def part_bytes_for(size_bytes: int, limits: SpanLimits) -> int:
    """Return the part size of a file: the usual one, or as much larger as 10,000 parts demand, in whole MiB."""
    needed = -(-size_bytes // MOST_PARTS)
    return max(limits.part_bytes, -(-needed // MIB) * MIB)


def is_multipart(size_bytes: int) -> bool:
    """Say whether a file is uploaded in parts."""
    return size_bytes > WHOLE_FILE_BYTES


def spans_of(
    path: str, size_bytes: int, *, upload_id: str | None, limits: SpanLimits, first_number: int = 0
) -> list[Span]:
    """Cut one file into spans that together cover it exactly once."""
    if not is_multipart(size_bytes):
        return [Span(path=path, number=first_number, offset=0, size_bytes=size_bytes, part_bytes=WHOLE_FILE_BYTES)]
    part_bytes = part_bytes_for(size_bytes, limits)
    span_bytes = part_bytes * limits.parts_per_span
    return [
        Span(
            path=path,
            number=first_number + index,
            offset=offset,
            size_bytes=min(span_bytes, size_bytes - offset),
            part_bytes=part_bytes,
            first_part=offset // part_bytes + 1,
            upload_id=upload_id,
        )
        for index, offset in enumerate(range(0, size_bytes, span_bytes))
    ]


def missing_parts(span: Span, held: dict[int, UploadedPart]) -> list[Part]:
    """Return the parts of a span that S3 does not hold in full: what there is, is not copied again."""
    return [part for part in span.parts() if part.number not in held or held[part.number].size_bytes != part.size_bytes]


def weights_prefix(artifact_id: str) -> str:
    """Return the prefix that a consumer takes whole."""
    return f"artifacts/{artifact_id}/weights/"


def weight_key(artifact_id: str, path: str) -> str:
    """Return the key of one staged file.

    Raises: InvalidInput for a path that would leave the prefix.
    """
    if path.startswith("/") or ".." in path.split("/") or "\\" in path:
        raise InvalidInput(f"The file name {path!r} leaves its folder.", field="path", rule="relative, without ..")
    return weights_prefix(artifact_id) + path


def manifest_key(artifact_id: str) -> str:
    """Return the key of the manifest: beside the weights."""
    return f"artifacts/{artifact_id}/manifest.json"


def plan_key(artifact_id: str, attempt: int, what: Literal["plan", "spans"]) -> str:
    """Return the key of what one attempt decided: its plan, or the spans that its Map reads."""
    return f"artifacts/{artifact_id}/attempts/{attempt}/{what}.json"
