"""How a checkpoint is cut into spans: what one copier copies, within its time, whatever the files are like.

A span is made of runs: runs of parts of one file or of several, or small files that are put whole, many together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import Field

from pilotlight.domain.source import SourceFile, StoredObject
from pilotlight.domain.values import Model

MIB = 1024 * 1024
SMALLEST_PART_BYTES = 5 * MIB  # every part but the last. Source: Amazon S3 multipart upload limits
MOST_PARTS = 10_000  # Source: Amazon S3 multipart upload limits
WHOLE_FILE_BYTES = SMALLEST_PART_BYTES  # a file up to this is put whole
FILES_AT_ONCE = 16  # joining a large file takes S3 a second, and a model has a hundred
COPIED_PARTS = 4  # as large are parts that S3 copies itself: no byte of them passes us …
LARGEST_COPIED_PART_BYTES = 1024 * MIB  # … but S3 is silent until one is copied, and a client waits for a minute
MOST_SMALL_FILES = 64  # of one span: each costs the hub an answer, and is worth no Lambda of its own


class Part(Model):
    """One part of a multipart upload; `offset` counts from the file's beginning."""

    number: int
    offset: int
    size_bytes: int


class UploadedPart(Model):
    """A part that S3 holds, as ListParts tells it; `checksum_crc64nvme` in base64."""

    number: int
    size_bytes: int
    etag: str
    checksum_crc64nvme: str | None = None


class Run(Model):
    """A run of parts of one file, or a small file whole (`upload_id` is None); S3 copies it where it is `stored`."""

    file: SourceFile
    offset: int = Field(ge=0)
    size_bytes: int = Field(ge=0)
    part_bytes: int = Field(ge=1)
    first_part: int = Field(default=1, ge=1)
    upload_id: str | None = None
    stored: StoredObject | None = None

    def parts(self) -> list[Part]:
        """Return the parts of this run in order; only a file's last part may be shorter than the others."""
        return [
            part.changed(number=self.first_part + part.number - 1, offset=self.offset + part.offset)
            for part in parts_of(self.size_bytes, self.part_bytes)
        ]


class Span(Model):
    """What one copier copies."""

    number: int = Field(ge=0)
    runs: tuple[Run, ...]

    @property
    def size_bytes(self) -> int:
        """The bytes of all its runs."""
        return sum(run.size_bytes for run in self.runs)


class SpanLimits(Model):
    """How files are cut. A span must be copied well within a child execution's five minutes.

    `copiers` is how many work at once, `streams` how many parts each of them copies at once.
    """

    part_bytes: int = Field(default=128 * MIB, ge=SMALLEST_PART_BYTES)
    span_seconds: int = Field(default=150, ge=1)
    worst_bytes_per_second: int = Field(default=25_000_000, ge=1)
    copiers: int = Field(default=8, ge=1)
    streams: int = Field(default=4, ge=1)

    @property
    def bytes_in_time(self) -> int:
        """How much one copier can copy in its time at the worst expected rate."""
        return self.span_seconds * self.worst_bytes_per_second

    @property
    def files_at_once(self) -> int:
        """Of how many files the planner and the sealer ask S3 at once; of one, where one part is copied at once."""
        return 1 if self.streams == 1 else FILES_AT_ONCE


def part_bytes_for(size_bytes: int, limits: SpanLimits, *, copied_by_s3: bool = False) -> int:
    """Return the part size of a file: the usual one, or as much larger as 10,000 parts demand, in whole MiB."""
    usual = min(limits.part_bytes * COPIED_PARTS, LARGEST_COPIED_PART_BYTES) if copied_by_s3 else limits.part_bytes
    needed = -(-size_bytes // MOST_PARTS)
    return max(usual, -(-needed // MIB) * MIB)


def parts_of(size_bytes: int, part_bytes: int) -> list[Part]:
    """Return the parts of so many bytes, in order: all as large, and the last one what is left."""
    return [
        Part(number=number, offset=start, size_bytes=min(part_bytes, size_bytes - start))
        for number, start in enumerate(range(0, size_bytes, part_bytes), start=1)
    ]


def is_multipart(size_bytes: int) -> bool:
    """Say whether a file is uploaded in parts."""
    return size_bytes > WHOLE_FILE_BYTES


def whole(file: SourceFile) -> Run:
    """Return a small file as a run."""
    return Run(file=file, offset=0, size_bytes=file.size_bytes, part_bytes=WHOLE_FILE_BYTES)


def in_parts(file: SourceFile, upload_id: str, part_bytes: int) -> Run:
    """Return all parts of a file as a run."""
    return Run(file=file, offset=0, size_bytes=file.size_bytes, part_bytes=part_bytes, upload_id=upload_id)


def missing_parts(run: Run, held: Mapping[int, UploadedPart]) -> list[Part]:
    """Return the parts of a run that S3 does not hold in full: what there is, is not copied again."""
    return [part for part in run.parts() if part.number not in held or held[part.number].size_bytes != part.size_bytes]


def missing_runs(run: Run, held: Mapping[int, UploadedPart]) -> list[Run]:
    """Return what is missing of a run, as runs without holes."""
    runs: list[Run] = []
    for part in missing_parts(run, held):
        last = runs[-1] if runs else None
        if last and last.offset + last.size_bytes == part.offset:
            runs[-1] = last.changed(size_bytes=last.size_bytes + part.size_bytes)
        else:
            runs.append(run.changed(offset=part.offset, size_bytes=part.size_bytes, first_part=part.number))
    return runs


def spans_of(runs: Sequence[Run], limits: SpanLimits) -> list[Span]:
    """Cut runs into spans that together cover them exactly once: the large ones first, the small files after them."""
    large = [run for run in runs if run.upload_id is not None]
    small = [run for run in runs if run.upload_id is None]
    longest = _parts_of_a_span(large, limits)
    cut = [(piece,) for run in large for piece in _cut(run, min(longest, _parts_in_time(run, limits)))]
    grouped = [*cut, *_together(small, limits)]
    return [Span(number=number, runs=group) for number, group in enumerate(grouped)]


def _parts_of_a_span(runs: Iterable[Run], limits: SpanLimits) -> int:
    """Return how many parts a span has where all copiers are to have the same to do, and each of their streams one."""
    parts = sum(-(-run.size_bytes // run.part_bytes) for run in runs)
    return max(limits.streams, -(-parts // limits.copiers))


def _parts_in_time(run: Run, limits: SpanLimits) -> int:
    return max(1, limits.bytes_in_time // run.part_bytes)


def _cut(run: Run, parts: int) -> Iterator[Run]:
    step = run.part_bytes * parts
    for index, start in enumerate(range(0, run.size_bytes, step)):
        yield run.changed(
            offset=run.offset + start,
            size_bytes=min(step, run.size_bytes - start),
            first_part=run.first_part + index * parts,
        )


def _together(runs: Sequence[Run], limits: SpanLimits) -> Iterator[tuple[Run, ...]]:
    """Yield small files in groups that one copier has time for."""
    group: list[Run] = []
    size_bytes = 0
    for run in runs:
        full = len(group) == MOST_SMALL_FILES
        if group and (full or size_bytes + run.size_bytes > limits.bytes_in_time):
            yield tuple(group)
            group, size_bytes = [], 0
        group.append(run)
        size_bytes += run.size_bytes
    if group:
        yield tuple(group)
