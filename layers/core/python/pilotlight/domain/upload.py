"""An uploaded folder: looked at when it rests, started once for each version of its content."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from pilotlight.domain.source import SourceFile
from pilotlight.domain.values import NAME_MAX, NAME_PATTERN, Model, Moment

ROOT = "uploads/"
COMPLETE_MARK = "_COMPLETE"
SETTINGS_FILE = "pilotlight.json"
NOT_WEIGHTS = frozenset({COMPLETE_MARK, SETTINGS_FILE})


class UploadStatus(StrEnum):
    """What we know of a folder."""

    RESTING = "RESTING"
    INCOMPLETE = "INCOMPLETE"
    STARTED = "STARTED"
    HELD = "HELD"
    REFUSED = "REFUSED"


class Upload(Model):
    """The record of one folder. `seen` is the version of the last look, `started` the one that was started.

    `newest_at` is when the newest file of what was started was written, by the bucket's clock, and `seen_newest_at`
    that of what was seen. `seen_at` is when the folder was first seen as it was at the last look.
    """

    folder: str
    status: UploadStatus = UploadStatus.RESTING
    look_at: Moment | None = None
    seen: str | None = None
    seen_at: Moment | None = None
    seen_newest_at: Moment | None = None
    started: str | None = None
    newest_at: Moment | None = None
    deployment: str | None = None
    held_by: str | None = None
    missing: tuple[str, ...] = ()
    reason: str | None = None
    size_bytes: int = 0
    failed_looks: int = 0
    updated_at: Moment
    version: int = 0
    schema_version: int = 1

    def came_again(self, files: Iterable[SourceFile]) -> bool:
        """Say whether a file has been written since this folder was started: both times are the bucket's."""
        newest = newest_of(files)
        return self.newest_at is not None and newest is not None and newest > self.newest_at

    def looked_at(self, files: Iterable[SourceFile], now: datetime) -> "Upload":
        """Return the record after a look: the same content that was written again is another sight."""
        found = tuple(files)
        sight = version_of(found), newest_of(file for file in found if file.path != COMPLETE_MARK)
        same = self.seen_at if sight == (self.seen, self.seen_newest_at) else None
        return self.changed(
            seen=sight[0],
            seen_newest_at=sight[1],
            seen_at=same or now,
            size_bytes=sum(file.size_bytes for file in found),
            updated_at=now,
        )

    def rests(self, files: Iterable[SourceFile], settle: timedelta, now: datetime) -> bool:
        """Say whether the folder, as looked at now, is at rest: unchanged for long enough, or marked complete."""
        return bool(self.seen_at and now - self.seen_at >= settle) or is_marked(files)


def is_marked(files: Iterable[SourceFile]) -> bool:
    """Say whether a folder's files are marked complete.

    A mark that is older than any other file is that of an earlier upload, and says nothing of this one.
    """
    found = tuple(files)
    newest = newest_of(file for file in found if file.path != COMPLETE_MARK)
    marks = (file for file in found if file.path == COMPLETE_MARK)
    return any(newest is None or mark.modified_at is None or mark.modified_at >= newest for mark in marks)


def folder_of(key: str) -> str | None:
    """Return the folder that a key under `uploads/` belongs to, or None for a key outside of any."""
    folder, slash, rest = key.removeprefix(ROOT).partition("/")
    return folder if key.startswith(ROOT) and slash and rest and folder else None


def folder_problem(folder: str) -> str | None:
    """Return why a folder cannot name a deployment, or None."""
    if len(folder) <= NAME_MAX and re.fullmatch(NAME_PATTERN, folder):
        return None
    return (
        f"the folder's name {folder[:60]!r} cannot name a deployment: lower-case words joined by single hyphens, "
        f"at most {NAME_MAX} characters; upload it under such a name"
    )


def version_of(files: Iterable[SourceFile]) -> str:
    """Return the version of a folder: a hash over names, ETags and sizes, without the uploader's mark."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        if file.path != COMPLETE_MARK:
            digest.update(f"{file.path}\0{file.etag}\0{file.size_bytes}\n".encode())
    return digest.hexdigest()[:40]


def newest_of(files: Iterable[SourceFile]) -> datetime | None:
    """Return when the newest of some files was written, or None where their source does not tell."""
    return max((file.modified_at for file in files if file.modified_at), default=None)
