"""The large files of a staging that are under way, and how long each may still take."""

from pilotlight_client.views import FileProgress, Progress


def under_way(progress: Progress) -> list[FileProgress]:
    """Return the files that have begun and are not whole yet."""
    return [file for file in progress.get("files") or [] if 0 < file["staged_bytes"] < file["total_bytes"]]


def seconds_left(file: FileProgress, progress: Progress) -> float | None:
    """Return how long a file may still take if those under way share the whole's rate; None where that is not known.

    No file takes longer than the whole: a large one is given more as others end.
    """
    rate = progress.get("bytes_per_second")
    if not rate:
        return None
    left = (file["total_bytes"] - file["staged_bytes"]) * max(len(under_way(progress)), 1) / rate
    whole = progress.get("seconds_left")
    return left if whole is None else min(left, whole)
