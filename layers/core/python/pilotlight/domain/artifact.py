"""An artifact: sealed weights in our bucket, and what its manifest says.

artifacts/<id>/weights/…                   what a consumer takes, as a whole prefix
artifacts/<id>/manifest.json               beside it, written last: the seal
artifacts/<id>/attempts/<n>/plan.json      what an attempt decided: files, uploads, part sizes
artifacts/<id>/attempts/<n>/spans.json     what its Map is given
artifacts/<id>/attempts/unverified.json    files whose SHA-256 is to be seen yet, once all are sealed
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.retention import DELETE, Retention, collected_at, longest
from pilotlight.domain.source import Source
from pilotlight.domain.values import Model, Moment
from pilotlight.domain.weight_formats import WeightFormat

LARGEST_VERIFIED_BYTES = 60 * 10**9  # in a Lambda's 900 s at 67 MB/s; the hub takes no file of more than 50 GB
LONGEST_STAGING_LAMBDA = timedelta(minutes=10)  # that of seal_artifact: see template.yaml


class ArtifactStatus(StrEnum):
    """Where an artifact is on its way."""

    STAGING = "STAGING"
    SEALED = "SEALED"
    QUARANTINED = "QUARANTINED"  # sealed, and then found not to be what its source lists
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

    `sha256` is what the source tells; `verified` says that what was copied was hashed on its way and is just that. Of
    any other file the source's identity, every part's size and the CRC64NVME of every part and of the whole were
    checked when it was sealed; what has a `sha256` is hashed after that: see the artifact's `unverified`.
    `copied_from` is the artifact that held the same content and whose file S3 copied, as far as it stayed there.
    """

    path: str
    size_bytes: int
    sha256: str | None = None
    verified: bool = False
    checksum_crc64nvme: str | None = None
    parts: int = 1
    copied_from: str | None = None
    derived_from: tuple[str, ...] = ()

    @property
    def is_to_be_verified(self) -> bool:
        """Whether it is read back once all is sealed: it is not hashed yet, and not too large for one Lambda."""
        return self.sha256 is not None and not self.verified and self.size_bytes <= LARGEST_VERIFIED_BYTES


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
    """The record of an artifact. `users` are the deployments that refer to it, as `<name>-g<generation>`.

    `revivals` counts the executions that died, of staging until it is sealed and of verifying after that; `died` says
    that one of staging did.
    `unverified` is how many files have been sealed and not yet been read back and hashed: nothing serves before that.
    `reused_bytes` of it were copied from other artifacts, which held them already, by the attempt that sealed it.
    `keep` is the longest that any of its users wished for, `last_used_at` when the latest of them gave it back.
    """

    id: str
    source: str
    revision: str
    status: ArtifactStatus = ArtifactStatus.STAGING
    attempt: int = 1
    revivals: int = 0
    died: bool = False
    total_bytes: int = 0
    unverified: int = 0
    verified_at: Moment | None = None
    reused_bytes: int = 0
    users: tuple[str, ...] = ()
    keep: Retention | None = None
    last_used_at: Moment | None = None
    facts: ModelFacts | None = None
    failure_code: str | None = None
    failure_reason: str | None = None
    created_at: Moment
    updated_at: Moment
    version: int = 0
    schema_version: int = 1

    def used_by(self, user: str, wish: Retention) -> "Artifact":
        """Return the artifact with one more user, kept for as long as that one wishes, too."""
        if user in self.users:
            return self
        return self.changed(users=(*self.users, user), keep=longest(self.keep, wish))

    def given_back_by(self, user: str, now: datetime) -> "Artifact":
        """Return the artifact without that user; staging that nobody waits for any more has failed.

        So its copiers are superseded, and whoever comes to want it stages it again.
        """
        after = self.changed(users=tuple(each for each in self.users if each != user))
        if user in self.users:
            after = after.changed(last_used_at=now)
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
        if self.status is ArtifactStatus.SEALED and not self.revivals and not self.died:
            return None
        return self.updated_at + LONGEST_STAGING_LAMBDA

    @property
    def as_staged(self) -> str:
        """How sealed weights came here, in words: how fast where one attempt did it, and how much was here already."""
        told = f"staged {self.total_bytes:,} bytes"
        seconds = (self.updated_at - self.created_at).total_seconds()
        if self.attempt == 1 and seconds > 0:
            rate = self.total_bytes / seconds / 1e6
            told += f" in {seconds:,.0f} s ({rate:{',.0f' if rate >= 100 else '.2g'}} MB/s)"
        return told + (f", {self.reused_bytes:,} of them from other artifacts" if self.reused_bytes else "")

    def is_sealed_in(self, attempt: int) -> bool:
        """Whether that very attempt has sealed it."""
        return self.status is ArtifactStatus.SEALED and self.attempt == attempt

    def is_unverified_in(self, attempt: int) -> bool:
        """Whether it is that attempt's to verify it."""
        return self.is_sealed_in(attempt) and self.unverified > 0

    @property
    def is_worked_on(self) -> bool:
        """Whether an execution of `stage_artifact` copies it, or verifies what was copied."""
        sealed = self.status is ArtifactStatus.SEALED
        return self.status is ArtifactStatus.STAGING or (sealed and self.unverified > 0)

    @property
    def retention(self) -> Retention | None:
        """How long it is to be kept: not at all where it is in quarantine, whatever its users wished."""
        return DELETE if self.status is ArtifactStatus.QUARANTINED else self.keep

    @property
    def kept_until(self) -> datetime | None:
        """From when it may be collected once nobody uses it; None where it stays until somebody deletes it.

        Never before its staging has settled: a Lambda that is late would put down what nobody collects.
        """
        at = collected_at(self.retention, self.last_used_at or self.updated_at)
        settles_at = self.settles_at()
        return max(at, settles_at) if at and settles_at else at

    def is_over(self, now: datetime) -> bool:
        """Say whether nobody uses it and its time has passed, so that it may be deleted."""
        kept_until = self.kept_until
        return not self.users and kept_until is not None and now >= kept_until

    @property
    def pinned_source(self) -> Source:
        """The source at the artifact's revision."""
        return Source.parse(self.source).at(self.revision)


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


def unverified_key(artifact_id: str) -> str:
    """Return the key of the list of files that are verified once all are sealed: what a Map is given."""
    return f"artifacts/{artifact_id}/attempts/unverified.json"
