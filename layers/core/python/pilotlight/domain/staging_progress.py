"""How far a staging is, how fast it goes and how long it will take, from what its copiers noted now and then."""

from collections import Counter
from collections.abc import Mapping, Sequence
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
    """How far one file in parts is; what is left of its time once some of it has been copied, and until all is."""

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
    rate = _rate(staged, plan.copied_bytes if plan else 0, plan, now)
    copied: Counter[str] = Counter()
    for mark in marks:
        copied.update(mark.files)
    sizes = plan.sizes if plan and plan.sizes else {}

    def of_file(path: str, size: int) -> FileProgress:
        held, staged = plan.files.get(path, 0) if plan else 0, min(copied[path], size)
        pace = _rate(staged, held, plan, now)
        left = (size - staged) / pace if pace and staged < size else None
        return FileProgress(path=path, staged_bytes=staged, total_bytes=size, seconds_left=left)

    return StagingProgress(
        staged_bytes=staged,
        total_bytes=total_bytes,
        percent=round(100 * staged / total_bytes, 1) if total_bytes else 100.0,
        bytes_per_second=rate,
        seconds_left=(total_bytes - staged) / rate if rate else None,
        files=tuple(of_file(path, size) for path, size in sorted(sizes.items())),
    )


def _rate(staged_bytes: int, held_bytes: int, plan: SpanMark | None, now: datetime) -> float | None:
    """Return the bytes a second since the plan, which found so many of them; None before there are more."""
    if plan is None or plan.at is None or staged_bytes <= held_bytes or now <= plan.at:
        return None
    return (staged_bytes - held_bytes) / (now - plan.at).total_seconds()
