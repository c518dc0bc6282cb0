"""Is an answer what was asked for: that commit, that file, that range, all of it?"""

import re
from collections.abc import Iterator
from contextlib import closing

from pilotlight.adapters.hub_transport import Answer
from pilotlight.domain.errors import BodyCutShort, SourceChanged, SourceRefused, Unavailable
from pilotlight.domain.source import Source, SourceFile

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_BLOB = re.compile(r"[0-9a-f]{40}")


def require_commit(answer: Answer, source: Source, path: str) -> None:
    """Pass an answer of the pinned commit, or one that does not tell its commit. Raises: SourceChanged."""
    commit = answer.told.get("x-repo-commit")
    if commit and commit != source.revision:
        raise SourceChanged(f"The hub sent {path} of commit {commit[:40]}; {source} was asked for. Deploy it again.")


def require_same_file(answer: Answer, file: SourceFile) -> None:
    """Pass an answer whose size and digest, where it tells them, are the listed ones. Raises: SourceChanged."""
    size = answer.told.get("x-linked-size", "")
    if size.isascii() and size.isdigit() and int(size) != file.size_bytes:
        raise SourceChanged(f"{file.path} has {size} bytes now; {file.size_bytes} were listed. Deploy it again.")
    digest = _bare(answer.told.get("x-linked-etag") or answer.told.get("etag", ""))
    # File servers have entity tags of their own: only those that are digests can be compared.
    for form, listed in ((_SHA256, file.sha256), (_GIT_BLOB, file.etag)):
        if listed and form.fullmatch(digest) and form.fullmatch(listed) and digest != listed:
            raise SourceChanged(f"{file.path} has another digest now than when it was listed. Deploy it again.")


def require_range(answer: Answer, file: SourceFile, offset: int, size_bytes: int) -> None:
    """Pass an answer that carries exactly that range and promises its length: a body without an end is refused here.

    Raises: SourceChanged when the file has another size; Unavailable when the server did not keep to the range.
    """
    promised = answer.header("Content-Length")
    if promised is None:
        raise Unavailable(f"The server does not say how many bytes of {file.path} it sends. Try again.")
    if answer.status == 206:
        _require_content_range(answer, file, offset, size_bytes)
    elif (offset, size_bytes) != (0, file.size_bytes):
        raise Unavailable(f"The server answered a range of {file.path} with the whole file. Try again.")
    elif promised != str(size_bytes):
        raise SourceChanged(f"{file.path} has {promised} bytes now; {size_bytes} were listed. Deploy it again.")
    if promised != str(size_bytes):
        raise Unavailable(f"The server promises {promised} bytes for a range of {size_bytes}. Try again.")


def _require_content_range(answer: Answer, file: SourceFile, offset: int, size_bytes: int) -> None:
    found = _CONTENT_RANGE.fullmatch(answer.header("Content-Range") or "")
    if found is None:
        raise Unavailable(f"The server sent a part of {file.path} without saying which. Try again.")
    first, last, total = int(found[1]), int(found[2]), found[3]
    if total != "*" and int(total) != file.size_bytes:
        raise SourceChanged(f"{file.path} has {total} bytes now; {file.size_bytes} were listed. Deploy it again.")
    if (first, last) != (offset, offset + size_bytes - 1):
        raise Unavailable(f"The server sent bytes {first}-{last} of {file.path} and not those asked for. Try again.")


def exactly(answer: Answer, path: str, size_bytes: int, *, passed_over: int = 0) -> Iterator[memoryview]:
    """Yield the body up to that many bytes: what a server sends beyond them is cut. Raises: BodyCutShort.

    The bytes to be passed over come first, and are not yielded.
    """
    left = size_bytes
    with closing(answer.pieces()) as pieces:
        for piece in pieces:
            with piece[passed_over : passed_over + left] as wanted:
                passed_over -= min(len(piece), passed_over)
                left -= len(wanted)
                if wanted:
                    yield wanted
            if left <= 0:
                return
    raise BodyCutShort(f"{path}: {size_bytes - left} of {size_bytes} bytes arrived. Try again.")


def whole(answer: Answer, limit_bytes: int, what: str) -> bytes:
    """Return a small body. Raises: SourceRefused as soon as it is larger than the limit; BodyCutShort."""
    body = bytearray()
    with closing(answer.pieces()) as pieces:
        for piece in pieces:
            body += piece
            if len(body) > limit_bytes:
                raise SourceRefused(f"{what} is larger than the {limit_bytes} bytes that such a file may have.")
    return bytes(body)


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')
