"""How far a staging is, how fast it goes and how long it will take, from what its copiers noted now and then."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import Field

from pilotlight.domain.values import Model, Moment


class SpanMark(Model):
    """What of a span has been copied: bytes of each file in parts, and those of all small files together.

    The plan leaves one, too: what S3 held before, and the sizes of all files in parts.
    """

    at: Moment | None = None
    files: Mapping[str, int] = Field(default_factory=dict)
    small_bytes: int = 0
    sizes: Mapping[str, int] | None = None

    @property
    def copied_bytes(self) -> int:
        """All of them."""
        return sum(self.files.values()) + self.small_bytes


class FileProgress(Model):
    """How far one file in parts is; while it is under way, the seconds that it may still take.

    That is if all files under way share the rate of the whole. None takes longer than the whole: a large one is given
    more as others end.
    """

    path: str
    staged_bytes: int
    total_bytes: int
    seconds_left: float | None = None


class StagingProgress(Model):
    """How far a staging is; a rate and what is left of the time once something has been copied."""

    staged_bytes: int
    total_bytes: int
    percent: float = Field(ge=0, le=100)
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    files: tuple[FileProgress, ...] = ()


def progress_of(marks: Sequence[SpanMark], total_bytes: int, now: datetime) -> StagingProgress:
    """Return the progress of an attempt: counted from its plan on, as what S3 held before took it no time."""
    staged = min(sum(mark.copied_bytes for mark in marks), total_bytes)
    plan = next((mark for mark in marks if mark.sizes is not None), None)
    rate = _rate(staged, plan, now)
    copied: Counter[str] = Counter()
    for mark in marks:
        copied.update(mark.files)
    sizes = plan.sizes if plan and plan.sizes else {}
    files = [
        FileProgress(path=path, staged_bytes=min(copied[path], size), total_bytes=size)
        for path, size in sorted(sizes.items())
    ]
    return StagingProgress(
        staged_bytes=staged,
        total_bytes=total_bytes,
        percent=round(100 * staged / total_bytes, 1) if total_bytes else 100.0,
        bytes_per_second=rate,
        seconds_left=(total_bytes - staged) / rate if rate else None,
        files=tuple(_with_time_left(files, rate, total_bytes - staged)),
    )


def _rate(staged_bytes: int, plan: SpanMark | None, now: datetime) -> float | None:
    if plan is None or plan.at is None or staged_bytes <= plan.copied_bytes or now <= plan.at:
        return None
    return (staged_bytes - plan.copied_bytes) / (now - plan.at).total_seconds()


def _with_time_left(files: Sequence[FileProgress], rate: float | None, left_bytes: int) -> Iterator[FileProgress]:
    sharing = sum(0 < file.staged_bytes < file.total_bytes for file in files)
    for file in files:
        left = file.total_bytes - file.staged_bytes
        if rate and left and file.staged_bytes:
            yield file.changed(seconds_left=min(left * sharing, left_bytes) / rate)
        else:
            yield file
