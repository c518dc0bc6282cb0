"""Copying a checkpoint into our bucket: planned, copied span by span, sealed last.

What is copied is decided once, in `plan`; a span is copied by whoever gets it, as often as it is given; `seal`
believes nobody and asks S3. Every step is safe to repeat: what S3 holds already is not copied again.
"""

import json

from pilotlight.contracts import SpanTask, StagingFailureTask, StagingTask
from pilotlight.domain.artifact import (
    Artifact,
    ArtifactStatus,
    Manifest,
    SkippedFile,
    Span,
    SpanLimits,
    StagedFile,
    UploadedPart,
    is_multipart,
    manifest_key,
    missing_parts,
    part_bytes_for,
    plan_key,
    spans_of,
    weight_key,
    weights_prefix,
)
from pilotlight.domain.checkpoint import CheckpointPlan
from pilotlight.domain.errors import BodyCutShort, NotFound, PilotlightError, SourceChanged, Superseded
from pilotlight.domain.source import Listing, SourceFile
from pilotlight.domain.values import Backend, Model
from pilotlight.ports import ArtifactBucket, Artifacts, Clock, ModelSource
from pilotlight.services.preflight import Preflight
from pilotlight.services.records import amend_artifact

MAP_FAILED = "States.ExceedToleratedFailureThreshold"


class PlannedFile(Model):
    """One file of the plan: what sealing must find."""

    path: str
    size_bytes: int
    sha256: str | None = None
    upload_id: str | None = None
    derived_from: tuple[str, ...] = ()


class StagingPlan(Model):
    """What an attempt decided: kept beside the spans, read again by `seal`."""

    files: tuple[PlannedFile, ...]
    skipped: tuple[SkippedFile, ...]


class PlanSummary(Model):
    """What the state machine needs of a plan: where its spans are."""

    bucket: str
    spans_key: str
    spans: int


class Staging:
    """The steps of `stage_artifact`."""

    def __init__(
        self,
        artifacts: Artifacts,
        bucket: ArtifactBucket,
        source: ModelSource,
        preflight: Preflight,
        clock: Clock,
        *,
        bucket_name: str,
        limits: SpanLimits,
    ) -> None:
        self._artifacts = artifacts
        self._bucket = bucket
        self._source = source
        self._preflight = preflight
        self._clock = clock
        self._bucket_name = bucket_name
        self._limits = limits

    def plan(self, task: StagingTask) -> PlanSummary:
        """Decide what is copied, begin the uploads, and write the spans that are still to be copied.

        Raises: SourceChanged when the source no longer has the artifact's revision.
        """
        artifact = self._at_work(task)
        inspection = self._preflight.inspect(artifact.pinned_source, Backend.BEDROCK)
        if inspection.listing.revision != artifact.revision:
            raise SourceChanged(
                f"{artifact.source} is no longer at {artifact.revision}; deploy it again for the new revision.",
                artifact_id=artifact.id,
            )
        held = self._bucket.sizes(weights_prefix(artifact.id))
        plan = self._begin_uploads(artifact, inspection.plan, held)
        spans = self._spans(task, inspection.listing, plan, held)
        self._bucket.put(plan_key(artifact.id, task.attempt, "plan"), plan.model_dump_json().encode())
        spans_key = plan_key(artifact.id, task.attempt, "spans")
        self._bucket.put(spans_key, json.dumps(spans).encode())
        return PlanSummary(bucket=self._bucket_name, spans_key=spans_key, spans=len(spans))

    def copy(self, task: SpanTask) -> None:
        """Copy what S3 does not hold yet of one span.

        A failed Map tells only that too many of its items failed: why, is kept here.
        Raises: BodyCutShort, Throttled, Unavailable; SourceChanged; Superseded.
        """
        self._at_work(task)
        try:
            self._copy(task)
        except PilotlightError as exc:
            path = task.span.path
            told = exc.message if path in exc.message else f"{path}: {exc.message}"
            self._artifacts.note_trouble(task.artifact_id, task.attempt, exc.code, told)
            raise

    def seal(self, task: StagingTask) -> Artifact:
        """Join the parts of every file, see that all is there, and write the manifest: last, and only then.

        Raises: BodyCutShort naming the first file that is not complete; a repeat copies what is missing.
        """
        artifact = self._at_work(task)
        stored = self._bucket.get(plan_key(artifact.id, task.attempt, "plan"))
        if stored is None:
            raise NotFound(f"Artifact {artifact.id} has no plan of attempt {task.attempt}.", artifact_id=artifact.id)
        plan = StagingPlan.model_validate_json(stored)
        held = self._bucket.sizes(weights_prefix(artifact.id))
        files = tuple(self._sealed(artifact.id, file, held) for file in plan.files)
        now = self._clock.now()
        if artifact.facts is None:
            raise NotFound(f"Artifact {artifact.id} has no facts to seal.", artifact_id=artifact.id)
        manifest = Manifest(
            artifact_id=artifact.id,
            source=artifact.source,
            revision=artifact.revision,
            files=files,
            skipped=plan.skipped,
            facts=artifact.facts,
            total_bytes=sum(file.size_bytes for file in files),
            sealed_at=now,
        )
        self._bucket.put(manifest_key(artifact.id), manifest.model_dump_json(indent=1).encode())

        def sealed(before: Artifact | None) -> Artifact | None:
            if before is None or before.status is not ArtifactStatus.STAGING:
                return None
            return before.changed(status=ArtifactStatus.SEALED, total_bytes=manifest.total_bytes, updated_at=now)

        return amend_artifact(self._artifacts, artifact.id, sealed) or artifact

    def mark_failed(self, task: StagingFailureTask) -> Artifact | None:
        """Mark an artifact failed with its reason; what was copied stays for the next attempt."""
        now = self._clock.now()
        code, reason = task.error.code, task.error.readable
        if code == MAP_FAILED:
            code, reason = self._artifacts.trouble(task.artifact_id, task.attempt) or (code, reason)

        def failed(before: Artifact | None) -> Artifact | None:
            if before is None or before.status is not ArtifactStatus.STAGING or before.attempt != task.attempt:
                return None
            return before.changed(
                status=ArtifactStatus.FAILED, failure_code=code, failure_reason=reason, updated_at=now
            )

        return amend_artifact(self._artifacts, task.artifact_id, failed)

    def _at_work(self, task: StagingTask) -> Artifact:
        """Return the artifact if this attempt is the one that may work on it. Raises: Superseded."""
        artifact = self._artifacts.get(task.artifact_id)
        if artifact.status is not ArtifactStatus.STAGING or artifact.attempt != task.attempt:
            raise Superseded(
                f"Artifact {artifact.id} is {artifact.status} in attempt {artifact.attempt}; this task was for attempt "
                f"{task.attempt}.",
                artifact_id=artifact.id,
            )
        return artifact

    def _begin_uploads(self, artifact: Artifact, plan: CheckpointPlan, held: dict[str, int]) -> StagingPlan:
        files = [self._planned(artifact.id, file, held) for file in plan.files]
        for derived in plan.derived:
            self._bucket.put(weight_key(artifact.id, derived.path), derived.content)
            files.append(
                PlannedFile(path=derived.path, size_bytes=len(derived.content), derived_from=derived.derived_from)
            )
        return StagingPlan(files=tuple(files), skipped=plan.skipped)

    def _planned(self, artifact_id: str, file: SourceFile, held: dict[str, int]) -> PlannedFile:
        key = weight_key(artifact_id, file.path)
        in_parts = is_multipart(file.size_bytes) and held.get(key) != file.size_bytes
        return PlannedFile(
            path=file.path,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            upload_id=self._bucket.start_upload(key) if in_parts else None,
        )

    def _spans(
        self, task: StagingTask, listing: Listing, plan: StagingPlan, held: dict[str, int]
    ) -> list[dict[str, object]]:
        """Return the items of the Map: spans of files that S3 does not hold whole."""
        items: list[dict[str, object]] = []
        for planned in plan.files:
            file = listing.file(planned.path)
            whole = held.get(weight_key(task.artifact_id, planned.path)) == planned.size_bytes
            if planned.derived_from or file is None or whole:
                continue
            spans = spans_of(
                planned.path,
                planned.size_bytes,
                upload_id=planned.upload_id,
                limits=self._limits,
                first_number=len(items),
            )
            items += [SpanTask(**dict(task), source=listing.source, file=file, span=span).dump() for span in spans]
        return items

    def _copy(self, task: SpanTask) -> None:
        key = weight_key(task.artifact_id, task.span.path)
        if task.span.upload_id is None:
            self._bucket.put(key, self._read(task, task.span.offset, task.span.size_bytes))
        else:
            self._copy_parts(task, key, task.span.upload_id)
        self._artifacts.mark_span(task.artifact_id, task.attempt, task.span.number, task.span.size_bytes)

    def _copy_parts(self, task: SpanTask, key: str, upload_id: str) -> None:
        try:
            missing = missing_parts(task.span, self._bucket.parts(key, upload_id))
            for part in missing:
                body = self._read(task, part.offset, part.size_bytes)
                self._bucket.upload_part(key, upload_id, part.number, body)
        except NotFound:
            if self._bucket.sizes(key).get(key) != task.file.size_bytes:
                raise  # aborted, and not completed by an earlier run of `seal`

    def _read(self, task: SpanTask, offset: int, size_bytes: int) -> bytes:
        body = b"".join(self._source.stream(task.source, task.file, offset=offset, size_bytes=size_bytes))
        if len(body) != size_bytes:
            raise BodyCutShort(
                f"{task.file.path} gave {len(body)} of {size_bytes} bytes from {offset}.", path=task.file.path
            )
        return body

    def _sealed(self, artifact_id: str, file: PlannedFile, held: dict[str, int]) -> StagedFile:
        key = weight_key(artifact_id, file.path)
        sealed = StagedFile(
            path=file.path, size_bytes=file.size_bytes, sha256=file.sha256, derived_from=file.derived_from
        )
        if held.get(key) == file.size_bytes:
            return sealed
        if file.upload_id is None:
            raise BodyCutShort(
                f"{file.path} has {held.get(key, 0)} of {file.size_bytes} bytes; retry to copy what is missing.",
                path=file.path,
            )
        parts = self._all_parts(key, file)
        checksum = self._bucket.complete(key, file.upload_id, parts)
        return sealed.changed(checksum_crc32=checksum, parts=len(parts))

    def _all_parts(self, key: str, file: PlannedFile) -> list[UploadedPart]:
        held = self._bucket.parts(key, file.upload_id or "")
        whole = Span(
            path=file.path,
            number=0,
            offset=0,
            size_bytes=file.size_bytes,
            part_bytes=part_bytes_for(file.size_bytes, self._limits),
            upload_id=file.upload_id,
        )
        if missing := missing_parts(whole, held):
            raise BodyCutShort(
                f"{file.path} lacks {len(missing)} of {len(whole.parts())} parts; retry to copy what is missing.",
                path=file.path,
            )
        return [held[part.number] for part in whole.parts()]
