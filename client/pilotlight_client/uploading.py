"""What of a folder on this machine is uploaded under which name, and what is left out and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilotlight_client.errors import NotACheckpoint, WrongInput

COMPLETE_MARK = "_COMPLETE"
NAME_MAX = 32
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class LocalFile:
    """One file to upload; `path` is relative to its folder, with slashes; `modified_ns` is when it was written."""

    path: str
    location: Path
    size_bytes: int
    modified_ns: int = 0

    def has_changed(self) -> bool:
        """Say whether the file is another than when the folder was read."""
        try:
            now = self.location.stat()
        except OSError:
            return True
        return (now.st_size, now.st_mtime_ns) != (self.size_bytes, self.modified_ns)


@dataclass(frozen=True)
class Folder:
    """What of a folder is uploaded, and what is left out and why."""

    files: tuple[LocalFile, ...]
    left_out: tuple[tuple[str, str], ...]


def require_name(name: str) -> None:
    """Let only a name pass that a deployment may have.

    Raises: WrongInput, saying the rule.
    """
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise WrongInput(
            f"{name!r} cannot name a deployment: write lower-case words with hyphens, at most {NAME_MAX} characters."
        )


def read_folder(folder: Path) -> Folder:
    """Return the files of a folder. Dotfiles, and links that lead out of it, are left out.

    Raises: NotACheckpoint when nothing remains.
    """
    root = folder.resolve()
    files: list[LocalFile] = []
    left_out: list[tuple[str, str]] = []
    for location in sorted(_walk(folder)):
        path = location.relative_to(folder).as_posix()
        if reason := _reason_to_leave(location, path, root):
            left_out.append((path, reason))
        elif location.is_file():
            found = location.stat()
            files.append(LocalFile(path, location, found.st_size, found.st_mtime_ns))
    if not files:
        told = "; ".join(f"{path}: {reason}" for path, reason in left_out[:3])
        raise NotACheckpoint(f"{folder} holds nothing to upload" + (f" ({told})" if told else ""))
    return Folder(tuple(files), tuple(left_out))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything under a folder but what lies in a dot-folder or behind a link to a folder."""
    for entry in folder.iterdir():
        yield entry
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _walk(entry)


def _reason_to_leave(location: Path, path: str, root: Path) -> str | None:
    if location.name.startswith("."):
        return "hidden"
    if path == COMPLETE_MARK:
        return "a mark that the upload writes itself"
    if location.is_symlink():
        if not location.exists():
            return "a link to nothing"
        if not location.resolve().is_relative_to(root):
            return "a link that leads out of the folder"
        if location.is_dir():
            return "a link to a folder"
    return None
