"""A list of files with their digests on any public server, as a source of checkpoints.

A task carries a file's name, and not its address: addresses may be signed, and tasks are kept and shown. Whoever
streams a file reads the list once in the life of its process, and sees that it is the pinned one.
"""

import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ssl import SSLContext
from threading import Lock

from pilotlight.adapters.hub_memory import HubMemory, OwnMemory
from pilotlight.adapters.hub_ranges import whole
from pilotlight.adapters.hub_reader import MOST_LISTING_BYTES, HubReader
from pilotlight.adapters.hub_refusals import throttled
from pilotlight.adapters.hub_site import PublicSites
from pilotlight.adapters.hub_transport import ANSWER_SECONDS, READ_SECONDS, Answer, HubTransport
from pilotlight.adapters.public_addresses import Resolve, resolve_by_dns
from pilotlight.adapters.web_addresses import host_of
from pilotlight.domain.errors import (
    PilotlightError,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Unavailable,
)
from pilotlight.domain.file_list import ListedFile, list_revision, read_file_list
from pilotlight.domain.file_names import sound_listing
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.spans import is_multipart

LISTS_KEPT = 4  # of the newest ones: a process stages one model, or looks at a few
FILES_AT_ONCE = 8
MOST_ASKED_FOR = 1000  # of one list: its servers are anybody's, and we are not to be a flood to them
LONGEST_ETAG = 256

_TOTAL = re.compile(r"bytes (?:\d{1,18}-\d{1,18}|\*)/(\d{1,18})")


@dataclass(frozen=True)
class _PlacedFile:
    address: str
    sha256: str


class FileListSource(HubReader):
    """Reads checkpoints from lists of files, over https from public addresses alone."""

    def __init__(
        self,
        *,
        read_timeout_seconds: float = READ_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        resolve: Resolve = resolve_by_dns,
        memory: HubMemory | None = None,
        allows_loopback: bool = False,
        ssl_context: SSLContext | None = None,
    ) -> None:
        """`allows_loopback` is for tests on one machine; without an `ssl_context` the system says whom to trust."""
        transport = HubTransport(
            PublicSites(allows_loopback=allows_loopback),
            read_timeout_seconds=read_timeout_seconds,
            answer_seconds=answer_seconds,
            resolve=resolve,
            ssl_context=ssl_context,
        )
        super().__init__(transport, memory or OwnMemory())
        self._lists: dict[str, Mapping[str, _PlacedFile]] = {}
        self._reading = Lock()

    def resolve(self, source: Source) -> Listing:
        """Return all files that the list names now; servers are asked about those that will be copied in parts.

        Raises: SourceNotFound, SourceGated, SourceRefused, Throttled, Unavailable; SourceChanged where it is not the
        pinned list any more.
        """
        pinned, files = self._fetch(source)
        # The names come first: nobody is asked for a file of a list that deceives.
        sound_listing(pinned, (SourceFile(path=file.path, size_bytes=file.size_bytes or 0) for file in files))
        if sum(map(_is_asked_for, files)) > MOST_ASKED_FOR:
            raise SourceRefused(
                f"{source} names more than {MOST_ASKED_FOR} files that are large or have no size. Name the list of one "
                "checkpoint, with sizes."
            )
        with self._reading:
            placed = self._keep(pinned, files)
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            found = threads.map(lambda file: self._found(pinned, file, placed[file.path].address), files)
            return sound_listing(pinned, found)

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned list.

        Raises: SourceChanged when it is not the file of that digest, and whatever any hub's reader raises.
        """
        content = super().read(source, path, limit_bytes=limit_bytes)
        if hashlib.sha256(content).hexdigest() != self._placed(source, path).sha256:
            raise SourceChanged(f"{path} is not the file whose SHA-256 {source} tells. Publish the list again.")
        return content

    def _fetch(self, source: Source) -> tuple[Source, tuple[ListedFile, ...]]:
        """Return the pinned list and its files. Raises: SourceChanged where another one was pinned."""
        url = _address_of(source)
        answer = self._ask(self._transport.target(url, "", "leads"))
        self._require_ok(answer, source, "the list")
        files = read_file_list(source, whole(answer, MOST_LISTING_BYTES, f"The list {source}"))
        revision = list_revision(files)
        if source.revision not in (None, revision):
            raise SourceChanged(f"{source} has another list now, of SHA-256 {revision}. Deploy it again.")
        return source.at(revision), files

    def _keep(self, pinned: Source, files: tuple[ListedFile, ...]) -> Mapping[str, _PlacedFile]:
        """Return where the files of a list are, and remember it. Raises: SourceRefused for what is not public."""
        url = _address_of(pinned)
        placed = {
            file.path: _PlacedFile(self._transport.target(url, file.address, "refers"), file.sha256) for file in files
        }
        self._lists.pop(str(pinned), None)
        while len(self._lists) >= LISTS_KEPT:
            self._lists.pop(next(iter(self._lists)))
        self._lists[str(pinned)] = placed
        return placed

    def _placed(self, source: Source, path: str) -> _PlacedFile:
        """Return where a file of a pinned list is; the list is read again where this process has not seen it."""
        with self._reading:
            placed = self._lists.get(str(source)) or self._keep(*self._fetch(source))
        if path not in placed:
            raise SourceNotFound(f"{source} lists no file {path}.")
        return placed[path]

    def _address(self, source: Source, path: str) -> str:
        return self._placed(source, path).address

    def _found(self, source: Source, file: ListedFile, address: str) -> SourceFile:
        """Return a file as its list and, where that is not enough, its server tells it.

        Raises: SourceRefused for a size that is not the listed one, and for a server that sends no ranges.
        """
        if not _is_asked_for(file):
            return SourceFile(path=file.path, size_bytes=file.size_bytes or 0, sha256=file.sha256)
        answer = self._ask(address, byte_range=(0, 0))
        if answer.status != 416:  # of an empty file
            self._require_ok(answer, source, file.path)
        answer.discard()
        size = _size(answer, source, file.path)
        if file.size_bytes not in (None, size):
            raise SourceRefused(f"{file.path} has {size} bytes; {source} tells {file.size_bytes}. Publish it again.")
        if answer.status == 200 and is_multipart(size):
            raise SourceRefused(
                f"{host_of(answer.url)} sends {file.path} of {source} whole where a range of it was asked for. Publish "
                "large files on a server that answers ranges."
            )
        return SourceFile(path=file.path, size_bytes=size, sha256=file.sha256, etag=_strong_etag(answer))

    def _require_digest(self, answer: Answer, file: SourceFile) -> None:
        """Pass any answer: entity tags of any server are opaque, and mean no digest."""

    def _version(self, url: str, file: SourceFile) -> str:
        """Return an address together with the content that the list tells: the next list may tell another one."""
        return f"{url}#{file.sha256}"

    def _require_version(self, answer: Answer, file: SourceFile) -> None:
        """Pass an answer whose entity tag is the one that the file had when it was listed. Raises: SourceChanged."""
        etag = _strong_etag(answer)
        if file.etag and etag and etag != file.etag:
            raise SourceChanged(f"{file.path} has been replaced since it was listed. Deploy it again.")

    def _require_revision(self, answer: Answer, source: Source, path: str) -> None:
        """Pass every answer: a hub to which a list refers tells its own commit."""

    def _refusal(self, answer: Answer, source: Source, what: str) -> PilotlightError:
        server, status = host_of(answer.url), answer.status
        if status == 429:
            return throttled(answer, "Try again later.", who=server)
        if status >= 500 or status == 408:
            return Unavailable(f"{server} answered {status} for {what} of {source}. Try again later.", status=status)
        if status == 416:
            return SourceChanged(f"{what} of {source} is shorter now than its list tells. Publish the list again.")
        if status in (401, 403):
            return SourceGated(
                f"{server} does not let us read {what} of {source}: it answered {status}. Make it public, or list a "
                "signed address that is still valid."
            )
        if status in (404, 410):
            return SourceNotFound(f"{server} has no {what} of {source}. Check the list and its addresses.")
        return SourceRefused(f"{server} answered {status} for {what} of {source}.", status=status)


def _is_asked_for(file: ListedFile) -> bool:
    """Say whether a file's server is asked about it: the list gives no size, or parts of the file will be copied."""
    return file.size_bytes is None or is_multipart(file.size_bytes)


def _size(answer: Answer, source: Source, path: str) -> int:
    """Return the size of a file whose first byte was asked for. Raises: Unavailable where the server hides it."""
    ranged = _TOTAL.fullmatch(answer.header("Content-Range") or "")
    size = ranged[1] if ranged else answer.header("Content-Length") if answer.status == 200 else None
    if size is None or not (size.isascii() and size.isdigit()):
        raise Unavailable(f"The server does not say how large {path} of {source} is. Publish it where servers do.")
    return int(size)


def _strong_etag(answer: Answer) -> str | None:
    """Return the entity tag that stands for every byte, where there is one. Source: RFC 9110, section 8.8.3."""
    etag = (answer.header("ETag") or "").strip()
    return etag.strip('"') if etag.startswith('"') and len(etag) <= LONGEST_ETAG else None


def _address_of(source: Source) -> str:
    return f"{source.kind}://{source.location}"
