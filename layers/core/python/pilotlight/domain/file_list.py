"""A list of files with their digests, as anybody may publish one: JSON, or what `sha256sum` prints.

    {"files": [{"path": "config.json", "url": "files/config.json", "size_bytes": 612, "sha256": "…"}]}

`url` is absolute, or relative to the list; without one the file lies beside the list under its path. SHA256SUMS has a
line `<sha256>  <path>` for each file, and no sizes: the server is asked for these.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, StringConstraints, ValidationError

from pilotlight.domain.errors import SourceRefused
from pilotlight.domain.file_names import LARGEST_FILE_BYTES, MOST_FILES
from pilotlight.domain.source import Source
from pilotlight.domain.strict_json import UnreadableError, json_object
from pilotlight.domain.values import Model

LONGEST_ADDRESS = 4096

# Source: GNU coreutils manual, "cksum output modes": a space, then a space for text or an asterisk for binary.
_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?P<path>.+)")


class ListedFile(Model):
    """A file of a list; `url` as it is written there, `size_bytes` where the list tells it."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_FILE_BYTES, strict=True)] | None = None
    url: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ADDRESS)] | None = None

    @property
    def address(self) -> str:
        """Where it is: absolute, or relative to the list."""
        return self.url or "./" + quote(self.path)


class _SizedFile(ListedFile):
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_FILE_BYTES, strict=True)]


class _Document(Model):
    files: tuple[_SizedFile, ...] = Field(max_length=MOST_FILES)


def read_file_list(source: Source, content: bytes) -> tuple[ListedFile, ...]:
    """Return the files of a list, whose names are still claims. Raises: SourceRefused, naming what is wrong with it."""
    files = _of_json(source, content) if source.location.endswith(".json") else _of_lines(source, content)
    if not files:
        raise SourceRefused(f"The list {source} names no files.")
    return files


def list_revision(files: Iterable[ListedFile]) -> str:
    """Return the SHA-256 over names and digests: of the lines of SHA256SUMS, sorted by the bytes of their names.

    Addresses are no part of it: a file is the same wherever it lies.
    """
    lines = sorted((file.path.encode("utf-8", "surrogatepass"), file.sha256) for file in files)
    digest = hashlib.sha256()
    for path, sha256 in lines:
        digest.update(sha256.encode() + b"  " + path + b"\n")
    return digest.hexdigest()


def _of_json(source: Source, content: bytes) -> tuple[ListedFile, ...]:
    wanted = '{"files": [{"path": …, "url": …, "size_bytes": …, "sha256": …}]}'
    try:
        return _Document.model_validate(json_object(content)).files
    except UnreadableError as exc:
        raise SourceRefused(f"The list {source} cannot be read: {exc}. It must be {wanted}.") from exc
    except ValidationError as exc:
        error = exc.errors(include_input=False)[0]
        field = ".".join(str(part) for part in error["loc"])
        raise SourceRefused(f"The list {source} is not {wanted}: see {field!r}: {error['msg']}.") from exc


def _of_lines(source: Source, content: bytes) -> tuple[ListedFile, ...]:
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise SourceRefused(f"The list {source} cannot be read: it is not UTF-8.") from exc
    files: list[ListedFile] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise SourceRefused(
                f"Line {number} of the list {source} is not '<sha256>  <path>', as sha256sum writes it."
            )
        if len(files) == MOST_FILES:
            raise SourceRefused(
                f"The list {source} names more than {MOST_FILES} files. Name the list of one checkpoint."
            )
        try:
            files.append(ListedFile(path=found["path"].removeprefix("./"), sha256=found["sha256"]))
        except ValidationError as exc:
            raise SourceRefused(
                f"Line {number} of the list {source} names no file: no name, or too long a one."
            ) from exc
    return tuple(files)
