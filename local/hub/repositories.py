"""What the hub holds: repositories, their commits, and the files of each commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

COMMIT = re.compile(r"[0-9a-f]{40}")
_LFS_SUFFIXES = frozenset({".safetensors", ".bin", ".pth", ".pt", ".gguf", ".h5"})
_LFS_THRESHOLD_BYTES = 10 << 20  # the hub refuses larger files outside of LFS


@dataclass(frozen=True)
class File:
    """One file of a commit, kept on disk or, where small, as bytes."""

    name: str
    content: Path | bytes

    @cached_property
    def size(self) -> int:
        """Give its length in bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Give the digest under which LFS keeps it."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        with self.content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def is_lfs(self) -> bool:
        """Say whether it is a large file, which is served from the CDN."""
        return Path(self.name).suffix in _LFS_SUFFIXES or self.size > _LFS_THRESHOLD_BYTES

    @cached_property
    def blob_id(self) -> str:
        """Give git's id of what git holds: the file itself, or the pointer to the large one."""
        held = self.pointer if self.is_lfs else self.read()
        return hashlib.sha1(b"blob %d\x00" % len(held) + held, usedforsecurity=False).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        """Give the text that stands in git for a large file."""
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}", f"size {self.size}")
        return "".join(f"{line}\n" for line in lines).encode()

    def read(self) -> bytes:
        """Give its bytes."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def sibling(self, *, blobs: bool) -> dict[str, Any]:
        """Give its entry in the listing of a repository."""
        if not blobs:
            return {"rfilename": self.name}
        entry: dict[str, Any] = {"rfilename": self.name, "size": self.size, "blobId": self.blob_id}
        if self.is_lfs:
            entry["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": len(self.pointer)}
        return entry


def files_of(folder: Path) -> dict[str, File]:
    """Give every file below a folder by its path in a repository."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return {name: File(name, path) for name, path in zip(names, paths, strict=True)}


@dataclass
class Repository:
    """A model's repository: its commits by sha, and the branches and tags that name them."""

    id: str
    gated: bool
    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, File], *, branch: str) -> str:
        """Add a commit, move the branch to it, and give its sha."""
        tree = "".join(f"{name} {file.blob_id}\n" for name, file in sorted(files.items()))
        parent = self.names.get(branch, "")
        sha = hashlib.sha1(f"{self.id}\n{parent}\n{tree}".encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = files
        self.names[branch] = sha
        return sha

    def changed(self, changes: Mapping[str, bytes | Path | None], *, branch: str) -> dict[str, File]:
        """Give the branch's files after some were put or, where None, removed."""
        files = dict(self.commits[self.names[branch]])
        for name, content in changes.items():
            if content is None:
                del files[name]
            else:
                files[name] = File(name, content)
        return files

    def resolve(self, revision: str) -> str | None:
        """Give the commit that a branch, a tag or a sha names."""
        if COMMIT.fullmatch(revision):
            return revision if revision in self.commits else None
        return self.names.get(revision)

    def changed_at(self, sha: str, name: str) -> str:
        """Give the commit since which a file of a commit is what it is there."""
        held = self.commits[sha][name].blob_id
        until = list(self.commits)[: list(self.commits).index(sha) + 1]
        since = sha
        for each in reversed(until):
            file = self.commits[each].get(name)
            if file is None or file.blob_id != held:
                break
            since = each
        return since

    def describe(self, sha: str, *, blobs: bool, modified: str) -> dict[str, Any]:
        """Give the answer of the model API for one commit."""
        files = self.commits[sha]
        return {
            "_id": self.id.encode().hex()[:24].ljust(24, "0"),
            "id": self.id,
            "modelId": self.id,
            "author": self.id.partition("/")[0],
            "sha": sha,
            "lastModified": modified,
            "private": self.private,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "library_name": "transformers",
            "tags": ["transformers", "safetensors"],
            "siblings": [file.sibling(blobs=blobs) for _, file in sorted(files.items())],
        }
