"""Copying a checkpoint into our bucket: planned, copied span by span, sealed last.

What is copied is decided once, in `plan`; a span is copied by whoever gets it, as often as it is given; `seal`
believes nobody and asks S3. Every step is safe to repeat: what S3 holds already is not copied again.
"""

import hashlib
import json
from functools import partial

from pilotlight.contracts import SpanTask, StagingFailureTask, StagingTask
from pilotlight.domain.artifact import (
    Artifact,
    ArtifactStatus,
    Manifest,
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
from pilotlight.domain.errors import BodyCutShort, NotFound, PilotlightError, SourceChanged, SourceRefused, Superseded
from pilotlight.domain.source import Listing, SourceFile
from pilotlight.domain.staging_plan import PlannedFile, StagingPlan
from pilotlight.domain.values import Model
from pilotlight.ports import ArtifactBucket, Artifacts, Clock, ModelSource
from pilotlight.services.patience import Patience
from pilotlight.services.preflight import Preflight
from pilotlight.services.records import amend_artifact

PATIENCE_SECONDS = 100  # of a copier, for all waits that a hub asks for: a span has 150 s of its Lambda's 270
MAP_FAILED = "States.ExceedToleratedFailureThreshold"


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

        Raises: SourceChanged when the source no longer has the artifact's revision; SourceRefused when a file that
        would be staged is not what its name promises, whatever an earlier look found.
        """
        artifact = self._at_work(task)
        listing, checkpoint = self._preflight.read(artifact.pinned_source)
        if listing.revision != artifact.revision:
            raise SourceChanged(
                f"{artifact.source} is no longer at {artifact.revision}; deploy it again for the new revision.",
                artifact_id=artifact.id,
            )
        if checkpoint.problems:
            told = " ".join(str(problem) for problem in checkpoint.problems)
            raise SourceRefused(f"{artifact.source} is not staged: {told}", artifact_id=artifact.id)
        held = self._bucket.sizes(weights_prefix(artifact.id))
        plan = self._begin_uploads(artifact, checkpoint.plan, held)
        spans = self._spans(task, listing, plan, held)
        held_bytes = sum(file.size_bytes for file in plan.files) - sum(span.span.size_bytes for span in spans)
        self._artifacts.mark_span(artifact.id, task.attempt, len(spans), held_bytes)  # progress begins with it
        self._bucket.put(plan_key(artifact.id, task.attempt, "plan"), plan.model_dump_json().encode())
        spans_key = plan_key(artifact.id, task.attempt, "spans")
        self._bucket.put(spans_key, json.dumps([span.dump() for span in spans]).encode())
        return PlanSummary(bucket=self._bucket_name, spans_key=spans_key, spans=len(spans))

    def copy(self, task: SpanTask) -> None:
        """Copy what S3 does not hold yet of one span.

        A failed Map tells only that too many of its items failed: why, is kept here.
        Raises: BodyCutShort, Throttled after the waits that the hub asks for, Unavailable; SourceChanged; Superseded.
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
            part_bytes=part_bytes_for(file.size_bytes, self._limits) if in_parts else None,
        )

    def _spans(self, task: StagingTask, listing: Listing, plan: StagingPlan, held: dict[str, int]) -> list[SpanTask]:
        """Return the items of the Map: spans of which S3 does not hold every byte."""
        items: list[SpanTask] = []
        for planned in plan.files:
            file = listing.file(planned.path)
            whole = held.get(weight_key(task.artifact_id, planned.path)) == planned.size_bytes
            if planned.derived_from or file is None or whole:
                continue
            spans = spans_of(planned.path, planned.size_bytes, upload_id=planned.upload_id, limits=self._limits)
            parts = self._held_parts(task.artifact_id, planned)
            items += [
                SpanTask(**dict(task), source=listing.source, file=file, span=span)
                for span in spans
                if planned.upload_id is None or missing_parts(span, parts)
            ]
        return [item.changed(span=item.span.changed(number=number)) for number, item in enumerate(items)]

    def _held_parts(self, artifact_id: str, file: PlannedFile) -> dict[int, UploadedPart]:
        """Return the parts of an upload that an earlier attempt began."""
        return self._bucket.parts(weight_key(artifact_id, file.path), file.upload_id) if file.upload_id else {}

    def _copy(self, task: SpanTask) -> None:
        key = weight_key(task.artifact_id, task.span.path)
        patience = Patience(self._clock, PATIENCE_SECONDS)
        if task.span.upload_id is None:
            body = patience.with_waits(partial(self._read, task, task.span.offset, task.span.size_bytes))
            _require_content(task.file, body)
            self._bucket.put(key, body)
        else:
            self._copy_parts(task, key, task.span.upload_id, patience)
        self._artifacts.mark_span(task.artifact_id, task.attempt, task.span.number, task.span.size_bytes)

    def _copy_parts(self, task: SpanTask, key: str, upload_id: str, patience: Patience) -> None:
        try:
            missing = missing_parts(task.span, self._bucket.parts(key, upload_id))
            for part in missing:
                body = patience.with_waits(partial(self._read, task, part.offset, part.size_bytes))
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
        sealed = file.staged()
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
        whole = file.span(part_bytes_for(file.size_bytes, self._limits))  # of a plan that an older version wrote
        if missing := missing_parts(whole, held):
            raise BodyCutShort(
                f"{file.path} lacks {len(missing)} of {len(whole.parts())} parts; retry to copy what is missing.",
                path=file.path,
            )
        return [held[part.number] for part in whole.parts()]


def _require_content(file: SourceFile, body: bytes) -> None:
    """See that a whole file is the one that its source lists. Raises: SourceChanged."""
    found = hashlib.sha256(body).hexdigest()
    if file.sha256 and found != file.sha256:
        raise SourceChanged(
            f"{file.path} is not what its source lists: SHA-256 {found[:12]}… instead of {file.sha256[:12]}…. Deploy "
            "it again; if it stays so, the source's copy is broken.",
            path=file.path,
        )
