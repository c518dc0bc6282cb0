"""What of a folder on this machine is uploaded under which name, and what is left out and why."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilotlight_client.errors import NotACheckpoint, WrongInput

COMPLETE_MARK = "_COMPLETE"
NAME_MAX = 32
MOST_LINKS = 10  # that are named
LEADS_OUT, TO_A_FOLDER, TO_NOTHING = "a link that leads out of the folder", "a link to a folder", "a link to nothing"
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
    """What of the folder at a location is uploaded, and what is left out and why."""

    location: Path
    files: tuple[LocalFile, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """The links that are left out, each with the reason."""
        return tuple(each for each in self.left_out if each[1] in {LEADS_OUT, TO_A_FOLDER, TO_NOTHING})

    def advice(self) -> str:
        """Return which links are left out and how their files are uploaded all the same; nothing without links."""
        if not self.links:
            return ""
        named = ", ".join(f"{path} ({reason})" for path, reason in self.links[:MOST_LINKS])
        more = f" and {len(self.links) - MOST_LINKS} more" if len(self.links) > MOST_LINKS else ""
        told = f"Left out: {named}{more}."
        if all(reason == TO_NOTHING for _, reason in self.links):
            return f"{told} What they lead to is not on this machine: put the files there."
        copied = f"cp -rL {shlex.quote(str(self.location))} NEW-FOLDER"
        return f"{told} Upload a copy with the files in place of the links: {copied}"


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
    read = Folder(folder, tuple(files), tuple(left_out))
    if not files:
        others = [f"{path}: {reason}" for path, reason in left_out if (path, reason) not in read.links]
        told = f" ({'; '.join(others[:3])})" if others else ""
        raise NotACheckpoint(f"{folder} holds nothing to upload{told}", (), read.links, read.advice())
    return read


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
            return TO_NOTHING
        if not location.resolve().is_relative_to(root):
            return LEADS_OUT
        if location.is_dir():
            return TO_A_FOLDER
    return None
