"""Bringing a checkpoint into our bucket: planned, copied span by span (see `span_copying`), sealed last.

What is copied is decided once, in `plan`; `seal` believes nobody and asks S3. Every step is safe to repeat: what S3
holds already is not copied again.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from pilotlight.contracts import PlanSummary, Sealed, SpanTask, StagingFailureTask, StagingTask
from pilotlight.domain.artifact import (
    Artifact,
    ArtifactStatus,
    Manifest,
    StagedFile,
    manifest_key,
    plan_key,
    unverified_key,
    weight_key,
    weights_prefix,
)
from pilotlight.domain.checkpoint import CheckpointPlan
from pilotlight.domain.errors import BodyCutShort, NotFound, SourceChanged, SourceRefused, Superseded
from pilotlight.domain.source import Listing, Source, SourceFile, SourceKind, StoredObject, stored_object
from pilotlight.domain.spans import (
    Run,
    SpanLimits,
    UploadedPart,
    is_multipart,
    missing_parts,
    missing_runs,
    part_bytes_for,
    spans_of,
    whole,
)
from pilotlight.domain.staging_plan import PlannedFile, StagingPlan
from pilotlight.domain.staging_progress import SpanMark
from pilotlight.ports import ArtifactBucket, Artifacts, Clock, ModelSource
from pilotlight.services.preflight import Preflight
from pilotlight.services.records import amend_artifact
from pilotlight.services.reusing import Reusing
from pilotlight.services.side_by_side import side_by_side
from pilotlight.services.span_copying import at_work

MAP_FAILED = "States.ExceedToleratedFailureThreshold"
TOO_LATE = "a Lambda that copied or verified a file was over before it could say why: its time was, or its memory"


class Staging:
    """The steps of `stage_artifact` before and after the bytes move."""

    def __init__(
        self,
        artifacts: Artifacts,
        bucket: ArtifactBucket,
        source: ModelSource,
        preflight: Preflight,
        reusing: Reusing,
        clock: Clock,
        *,
        bucket_name: str,
        limits: SpanLimits,
    ) -> None:
        self._artifacts = artifacts
        self._bucket = bucket
        self._source = source
        self._preflight = preflight
        self._reusing = reusing
        self._clock = clock
        self._bucket_name = bucket_name
        self._limits = limits

    def plan(self, task: StagingTask) -> PlanSummary:
        """Decide what is copied, begin the uploads, and write the spans that are still to be copied.

        Raises: SourceChanged when the source no longer has the artifact's revision; SourceRefused when a file that
        would be staged is not what its name promises, whatever an earlier look found.
        """
        artifact = at_work(self._artifacts, task)
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
        plan = self._begin_uploads(artifact, listing.source, checkpoint.plan, held, self._begun(task))
        spans = self._spans(task, listing, plan, held)
        self._artifacts.mark_span(artifact.id, task.attempt, len(spans), self._held(plan, spans))
        self._bucket.put(plan_key(artifact.id, task.attempt, "plan"), plan.model_dump_json().encode())
        spans_key = plan_key(artifact.id, task.attempt, "spans")
        self._bucket.put(spans_key, json.dumps([span.dump() for span in spans]).encode())
        copiers = self._limits.copiers
        return PlanSummary(bucket=self._bucket_name, spans_key=spans_key, spans=len(spans), copiers=copiers)

    def seal(self, task: StagingTask) -> Sealed:
        """Join the parts of every file, see that all is there, and write the manifest: last, and only then.

        Raises: BodyCutShort naming the first file that is not complete; a repeat copies what is missing.
        """
        if (found := self._artifacts.get(task.artifact_id)).is_sealed_in(task.attempt):
            return Sealed(unverified=found.unverified, copiers=self._limits.copiers)  # the first answer was lost
        artifact = at_work(self._artifacts, task)
        stored = self._bucket.get(plan_key(artifact.id, task.attempt, "plan"))
        if stored is None:
            raise NotFound(f"Artifact {artifact.id} has no plan of attempt {task.attempt}.", artifact_id=artifact.id)
        plan = StagingPlan.model_validate_json(stored)
        held = self._bucket.sizes(weights_prefix(artifact.id))
        at_once = self._limits.files_at_once
        files = tuple(side_by_side(lambda file: self._sealed(artifact.id, file, held), plan.files, at_once))
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
        unverified = [file for file in files if file.is_to_be_verified]
        if unverified:
            listed = [file.model_dump(include={"path", "size_bytes", "sha256"}) for file in unverified]
            self._bucket.put(unverified_key(artifact.id), json.dumps(listed).encode())
        self._bucket.put(manifest_key(artifact.id), manifest.model_dump_json(indent=1).encode())
        reused_bytes = sum(file.size_bytes for file in files if file.copied_from)

        def sealed(before: Artifact | None) -> Artifact | None:
            if before is None or before.status is not ArtifactStatus.STAGING or before.attempt != task.attempt:
                return None
            after = before.changed(
                status=ArtifactStatus.SEALED,
                total_bytes=manifest.total_bytes,
                reused_bytes=reused_bytes,
                updated_at=now,
            )
            return after.changed(unverified=len(unverified), verified_at=None, revivals=0, died=before.revivals > 0)

        after = amend_artifact(self._artifacts, artifact.id, sealed)
        if after is None or not after.is_sealed_in(task.attempt):
            raise Superseded(f"Attempt {task.attempt} of artifact {artifact.id} was overtaken while it was sealed.")
        return Sealed(unverified=len(unverified), copiers=self._limits.copiers)

    def mark_failed(self, task: StagingFailureTask) -> Artifact | None:
        """Mark an artifact failed with its reason; what was copied stays for the next attempt.

        One that is sealed, and of which a file cannot be read back, has failed, too.
        """
        now = self._clock.now()
        code, reason = task.error.code, task.error.readable
        if code == Superseded.code:
            return None  # whoever took over goes on
        if code == MAP_FAILED:
            code, reason = self._artifacts.trouble(task.artifact_id, task.attempt) or (code, TOO_LATE)

        def failed(before: Artifact | None) -> Artifact | None:
            if before is None or not before.is_worked_on or before.attempt != task.attempt:
                return None
            return before.changed(
                status=ArtifactStatus.FAILED, failure_code=code, failure_reason=reason, updated_at=now
            )

        return amend_artifact(self._artifacts, task.artifact_id, failed)

    def _begun(self, task: StagingTask) -> dict[str, int]:
        """Return the part size of the uploads that the newest plan so far names, by their ids."""
        for attempt in range(task.attempt, 0, -1):
            if stored := self._bucket.get(plan_key(task.artifact_id, attempt, "plan")):
                files = StagingPlan.model_validate_json(stored).files
                return {file.upload_id: file.part_bytes for file in files if file.upload_id and file.part_bytes}
        return {}

    def _begin_uploads(
        self,
        artifact: Artifact,
        source: Source,
        plan: CheckpointPlan,
        held: Mapping[str, int],
        begun: Mapping[str, int],
    ) -> StagingPlan:
        at_once = self._limits.files_at_once
        stored = self._in_s3(artifact.id, source, plan.files, held)
        files = side_by_side(lambda file: self._planned(artifact.id, file, held, stored, begun), plan.files, at_once)
        for derived in plan.derived:
            self._bucket.put(weight_key(artifact.id, derived.path), derived.content)
            files.append(
                PlannedFile(path=derived.path, size_bytes=len(derived.content), derived_from=derived.derived_from)
            )
        return StagingPlan(files=tuple(files), skipped=plan.skipped)

    def _in_s3(
        self, artifact_id: str, source: Source, files: Sequence[SourceFile], held: Mapping[str, int]
    ) -> dict[str, StoredObject]:
        """Return by path what S3 can copy itself of what it does not hold yet: from the source, or other artifacts."""
        wanted = [file for file in files if held.get(weight_key(artifact_id, file.path)) != file.size_bytes]
        if source.kind is not SourceKind.BUCKET:
            return self._reusing.donors(wanted)
        return {file.path: stored for file in wanted if (stored := stored_object(source, file))}

    def _planned(
        self,
        artifact_id: str,
        file: SourceFile,
        held: Mapping[str, int],
        stored: Mapping[str, StoredObject],
        begun: Mapping[str, int],
    ) -> PlannedFile:
        """Return how a file is copied.

        An upload goes on with the part size that it was begun with, whatever is usual now: a part of the former size
        would else be taken for one of the same number and length elsewhere in the file.
        """
        key = weight_key(artifact_id, file.path)
        planned = PlannedFile(
            path=file.path, size_bytes=file.size_bytes, sha256=file.sha256, stored=stored.get(file.path)
        )
        if not is_multipart(file.size_bytes) or held.get(key) == file.size_bytes:
            return planned
        upload_id = self._bucket.start_upload(key)
        usual = part_bytes_for(file.size_bytes, self._limits, copied_by_s3=file.path in stored)
        return planned.changed(upload_id=upload_id, part_bytes=begun.get(upload_id, usual))

    def _spans(self, task: StagingTask, listing: Listing, plan: StagingPlan, held: dict[str, int]) -> list[SpanTask]:
        """Return the items of the Map: spans of what S3 does not hold yet."""

        def missing(planned: PlannedFile) -> list[Run]:
            file = listing.file(planned.path)
            key = weight_key(task.artifact_id, planned.path)
            if planned.derived_from or file is None or held.get(key) == planned.size_bytes:
                return []
            if planned.upload_id is None:
                return [whole(file).changed(stored=planned.stored)]
            run = planned.run(self._limits.part_bytes).changed(file=file)
            return missing_runs(run, self._bucket.parts(key, planned.upload_id))

        found = side_by_side(missing, plan.files, self._limits.files_at_once)
        runs = [run for each in found for run in each]
        return [SpanTask(**dict(task), source=listing.source, span=span) for span in spans_of(runs, self._limits)]

    def _held(self, plan: StagingPlan, spans: Sequence[SpanTask]) -> SpanMark:
        """Return what S3 holds of a plan: progress begins with it."""
        missing: Counter[str] = Counter()
        for run in (run for task in spans for run in task.span.runs):
            missing[run.file.path] += run.size_bytes
        large = {file.path: file.size_bytes for file in plan.files if is_multipart(file.size_bytes)}
        held = sum(file.size_bytes for file in plan.files) - missing.total()
        files = {path: size - missing[path] for path, size in large.items()}
        return SpanMark(at=self._clock.now(), files=files, small_bytes=held - sum(files.values()), sizes=large)

    def _sealed(self, artifact_id: str, file: PlannedFile, held: dict[str, int]) -> StagedFile:
        key = weight_key(artifact_id, file.path)
        sealed = file.staged()
        if held.get(key) == file.size_bytes:
            stored = self._bucket.stored(key) if is_multipart(file.size_bytes) else None
            return sealed.changed(checksum_crc64nvme=stored.checksum_crc64nvme) if stored else sealed
        if file.upload_id is None:
            raise BodyCutShort(
                f"{file.path} has {held.get(key, 0)} of {file.size_bytes} bytes; retry to copy what is missing.",
                path=file.path,
            )
        parts = self._all_parts(key, file)
        self._require_same_as_donor(key, file, parts)
        checksum = self._bucket.complete(key, file.upload_id, parts)
        return sealed.changed(checksum_crc64nvme=checksum, parts=len(parts))

    def _require_same_as_donor(self, key: str, file: PlannedFile, parts: Sequence[UploadedPart]) -> None:
        """See that parts make what the other artifact holds, also where some came from the source after all.

        Raises: SourceChanged, once the upload is aborted: the next attempt copies all of it anew.
        """
        if file.donor is None:
            return
        found, wanted = self._bucket.checksum_of(key, parts), file.donor.checksum_crc64nvme
        if found != wanted:
            self._bucket.abort_upload(key, file.upload_id or "")
            raise SourceChanged(
                f"{file.path} is not what artifact {file.donor.artifact_id} holds under the same SHA-256: CRC64NVME "
                f"{found} instead of {wanted}. Retry to copy it anew; if it stays so, delete what uses that artifact.",
                path=file.path,
            )

    def _all_parts(self, key: str, file: PlannedFile) -> list[UploadedPart]:
        held = self._bucket.parts(key, file.upload_id or "")
        run = file.run(part_bytes_for(file.size_bytes, self._limits))  # of a plan that an older version wrote
        if missing := missing_parts(run, held):
            raise BodyCutShort(
                f"{file.path} lacks {len(missing)} of {len(run.parts())} parts; retry to copy what is missing.",
                path=file.path,
            )
        return [held[part.number] for part in run.parts()]
