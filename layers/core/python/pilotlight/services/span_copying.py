"""Copying one span: what S3 does not hold yet of its files, several parts at once, each as its bytes come.

What lies in S3 already is copied by S3 itself. A span is copied by whoever gets it, as often as it is given.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from time import monotonic

from pilotlight.contracts import SpanTask, StagingTask
from pilotlight.domain.artifact import Artifact, ArtifactStatus, weight_key
from pilotlight.domain.errors import (
    BodyCutShort,
    NotFound,
    PilotlightError,
    SourceChanged,
    SourceNotFound,
    Superseded,
)
from pilotlight.domain.source import Piece, Source, SourceFile, joined
from pilotlight.domain.spans import Part, Run, missing_parts
from pilotlight.domain.staging_progress import SpanMark
from pilotlight.ports import ArtifactBucket, Artifacts, Clock, ModelSource
from pilotlight.services.copying import Copying, Item, ItemFailedError, Seconds, Transfer
from pilotlight.services.patience import Patience

PATIENCE_SECONDS = 100  # of a copier, for all waits that a hub asks for: a span has 150 s of its Lambda's 270


class SpanCopying:
    """The step of `stage_artifact` that moves bytes."""

    def __init__(
        self,
        artifacts: Artifacts,
        bucket: ArtifactBucket,
        source: ModelSource,
        clock: Clock,
        *,
        streams: int,
        seconds: Seconds = monotonic,
    ) -> None:
        self._artifacts = artifacts
        self._bucket = bucket
        self._source = source
        self._clock = clock
        self._copying = Copying(streams, seconds)

    def copy(self, task: SpanTask) -> None:
        """Copy what S3 does not hold yet of one span.

        A failed Map tells only that too many of its items failed: why, is kept here.
        Raises: BodyCutShort, Throttled after the waits that the hub asks for, Unavailable; SourceChanged; Superseded.
        """
        at_work(self._artifacts, task)
        try:
            self._copy(task)
        except ItemFailedError as failed:
            error, name = failed.error, failed.item.name
            told = error.message if name in error.message else f"{name}: {error.message}"
            self._artifacts.note_trouble(task.artifact_id, task.attempt, error.code, told)
            raise error from failed
        except PilotlightError as exc:
            self._artifacts.note_trouble(task.artifact_id, task.attempt, exc.code, exc.message)
            raise

    def _copy(self, task: SpanTask) -> None:
        patience = Patience(self._clock, PATIENCE_SECONDS)
        items = [item for run in task.span.runs for item in self._items(task, run, patience)]
        large = {run.file.path for run in task.span.runs if run.upload_id is not None}
        held: Counter[str] = Counter()
        for run in task.span.runs:
            held[run.file.path] += run.size_bytes
        for item in items:
            held[item.name] -= item.size_bytes

        def note(copied: Counter[str]) -> None:
            files = {path: held[path] + copied[path] for path in large}
            small = sum(held[path] + copied[path] for path in held if path not in large)
            mark = SpanMark(at=self._clock.now(), files=files, small_bytes=small)
            self._artifacts.mark_span(task.artifact_id, task.attempt, task.span.number, mark)

        self._copying.copy(items, note)

    def _items(self, task: SpanTask, run: Run, patience: Patience) -> list[Item]:
        """Return what is copied of a run: one small file, or the parts that S3 does not hold."""
        key = weight_key(task.artifact_id, run.file.path)
        if run.upload_id is None:
            copy = partial(self._copy_whole, task.source, run, key, patience)
            return [Item(name=run.file.path, size_bytes=run.size_bytes, copy=copy, silent=run.stored is not None)]
        return [
            Item(
                name=run.file.path,
                size_bytes=part.size_bytes,
                copy=partial(self._copy_part, task.source, run, part, key, patience),
                silent=run.stored is not None,
            )
            for part in self._missing(run, key)
        ]

    def _missing(self, run: Run, key: str) -> list[Part]:
        try:
            return missing_parts(run, self._bucket.parts(key, run.upload_id or ""))
        except NotFound:
            if self._is_whole(key, run.file):
                return []  # completed by an earlier run of `seal`
            raise

    def _copy_whole(self, source: Source, run: Run, key: str, patience: Patience, transfer: Transfer) -> None:
        file = run.file
        if run.stored is not None:
            self._bucket.copy(key, run.stored)
            return

        def read() -> bytes:
            return joined(transfer.counted(self._read(source, file, 0, file.size_bytes, transfer)))

        body = patience.with_waits(read)
        _require_content(file, body)
        self._bucket.put(key, body)

    def _copy_part(
        self, source: Source, run: Run, part: Part, key: str, patience: Patience, transfer: Transfer
    ) -> None:
        def send() -> None:
            pieces = transfer.counted(self._read(source, run.file, part.offset, part.size_bytes, transfer))
            self._bucket.upload_part(key, run.upload_id or "", part.number, part.size_bytes, pieces)

        try:
            if not self._is_copied_by_s3(run, part, key):
                patience.with_waits(send)
        except NotFound:
            if not self._is_whole(key, run.file):
                raise  # aborted, and not completed by an earlier run of `seal`

    def _is_copied_by_s3(self, run: Run, part: Part, key: str) -> bool:
        """Let S3 copy a part that lies in S3; say whether it has.

        Another artifact may be deleted while its file is copied: then what is wanted comes from its own source.
        Raises: SourceChanged, SourceNotFound, and whatever else the source itself is refused with.
        """
        if run.stored is None:
            return False
        try:
            self._bucket.copy_part(key, run.upload_id or "", part, run.stored)
        except (SourceChanged, SourceNotFound):
            if run.stored.artifact_id is None:
                raise
            return False
        return True

    def _is_whole(self, key: str, file: SourceFile) -> bool:
        return self._bucket.sizes(key).get(key) == file.size_bytes

    def _read(
        self, source: Source, file: SourceFile, offset: int, size_bytes: int, transfer: Transfer
    ) -> Iterator[Piece]:
        """Yield exactly that many bytes. Raises: BodyCutShort, and what the source raises."""
        received = 0
        for piece in self._source.stream(source, file, offset=offset, size_bytes=size_bytes, cutting=transfer.cutting):
            received += len(piece)
            yield piece
        if received != size_bytes:
            raise BodyCutShort(f"{file.path} gave {received} of {size_bytes} bytes from {offset}.", path=file.path)


def at_work(artifacts: Artifacts, task: StagingTask) -> Artifact:
    """Return the artifact if the task's attempt is the one that may work on it. Raises: Superseded."""
    artifact = artifacts.get(task.artifact_id)
    if artifact.status is not ArtifactStatus.STAGING or artifact.attempt != task.attempt:
        raise Superseded(
            f"Artifact {artifact.id} is {artifact.status} in attempt {artifact.attempt}; this task was for attempt "
            f"{task.attempt}.",
            artifact_id=artifact.id,
        )
    return artifact


def _require_content(file: SourceFile, body: bytes) -> None:
    """See that a whole file is the one that its source lists. Raises: SourceChanged."""
    found = hashlib.sha256(body).hexdigest()
    if file.sha256 and found != file.sha256:
        raise SourceChanged(
            f"{file.path} is not what its source lists: SHA-256 {found[:12]}… instead of {file.sha256[:12]}…. Deploy "
            "it again; if it stays so, the source's copy is broken.",
            path=file.path,
        )
