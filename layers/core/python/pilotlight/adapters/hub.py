"""A hub that speaks the Hugging Face hub's HTTP API, as a source of checkpoints.

Source: Hugging Face hub documentation, "Hub API Endpoints" (model info with blobs) and "Download files" (resolve).
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, StringConstraints, ValidationError

from pilotlight.adapters.hub_memory import HubMemory, OwnMemory
from pilotlight.adapters.hub_ranges import exactly, require_commit, require_range, require_same_file, whole
from pilotlight.adapters.hub_refusals import refusal
from pilotlight.adapters.hub_transport import ANSWER_SECONDS, READ_SECONDS, Answer, HubTransport
from pilotlight.adapters.public_addresses import Resolve, resolve_by_dns
from pilotlight.domain.cutting import Cutting
from pilotlight.domain.errors import SourceChanged, SourceRefused, Throttled, Unavailable
from pilotlight.domain.file_names import LARGEST_FILE_BYTES, MOST_FILES, sound_listing
from pilotlight.domain.source import Listing, Piece, Source, SourceFile
from pilotlight.domain.strict_json import UnreadableError, json_object
from pilotlight.domain.values import Model

PUBLIC_HUB = "https://huggingface.co"
MOST_LISTING_BYTES = 32 * 1024 * 1024

_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_ADDRESS_EXPIRED = frozenset({400, 401, 403, 404, 410})  # how file servers say that a signed address is over


class _Blob(Model):
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: int = Field(ge=0, le=LARGEST_FILE_BYTES)


class _Sibling(Model):
    rfilename: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    size: int | None = Field(default=None, ge=0, le=LARGEST_FILE_BYTES)
    blob_id: str | None = Field(default=None, alias="blobId")
    lfs: _Blob | None = None


class _ModelInfo(Model):
    sha: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40,64}$")]
    siblings: tuple[_Sibling, ...] = Field(default=(), max_length=MOST_FILES)


class HubSource:
    """Reads checkpoints from a hub. A file's signed address is asked for once, and used until it expires."""

    def __init__(
        self,
        endpoint: str,
        token: Callable[[], str | None],
        *,
        read_timeout_seconds: float = READ_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        resolve: Resolve = resolve_by_dns,
        memory: HubMemory | None = None,
    ) -> None:
        self._transport = HubTransport(
            endpoint,
            token,
            read_timeout_seconds=read_timeout_seconds,
            answer_seconds=answer_seconds,
            resolve=resolve,
        )
        self._memory = memory or OwnMemory()
        self._resolving: defaultdict[str, Lock] = defaultdict(Lock)

    def resolve(self, source: Source) -> Listing:
        """Return all files at the commit that the revision names now.

        Raises: SourceNotFound, SourceGated, SourceRefused, Throttled, Unavailable.
        """
        revision = quote(source.revision or "main", safe="")
        url = f"{self._transport.endpoint}/api/models/{quote(source.location)}/revision/{revision}?blobs=true"
        answer = self._ask(url)
        self._require_ok(answer, source, "the model's listing")
        info = self._info(source, whole(answer, MOST_LISTING_BYTES, f"The listing of {source}"))
        if _COMMIT.fullmatch(source.revision or "") and info.sha != source.revision:
            raise SourceChanged(f"The hub lists commit {info.sha[:40]} where {source} was asked for. Deploy it again.")
        pinned = source.at(info.sha)
        return sound_listing(pinned, (_file(pinned, sibling) for sibling in info.siblings))

    def _info(self, source: Source, body: bytes) -> _ModelInfo:
        """Return a listing that is one. Raises: Unavailable, naming the field that is not as hubs write it."""
        try:
            return _ModelInfo.model_validate(json_object(body))
        except UnreadableError as exc:
            raise Unavailable(f"{self._transport.host} does not list {source} as a hub does: {exc}.") from exc
        except ValidationError as exc:
            field = ".".join(str(part) for part in exc.errors(include_input=False)[0]["loc"])
            raise Unavailable(f"{self._transport.host} does not list {source} as a hub does: see {field!r}.") from exc

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned source.

        Raises: SourceNotFound, SourceGated, SourceChanged, SourceRefused when it is larger than the limit.
        """
        answer = self._ask(self._resolve_url(source, path))
        self._require_ok(answer, source, path)
        require_commit(answer, source, path)
        return whole(answer, limit_bytes, f"{path} of {source}")

    def stream(
        self, source: Source, file: SourceFile, *, offset: int, size_bytes: int, cutting: Cutting | None = None
    ) -> Iterator[Piece]:
        """Yield exactly that range of a file of a pinned source, until it is cut.

        Raises: BodyCutShort, SourceChanged, SourceGated, SourceNotFound, Throttled, Unavailable.
        """
        if size_bytes == 0:
            return
        answer = self._open(source, file, (offset, offset + size_bytes - 1))
        try:
            require_range(answer, file, offset, size_bytes)
        except (SourceChanged, Unavailable):
            answer.discard()
            raise
        with (cutting or Cutting()).by(answer.cut):
            yield from exactly(answer, file.path, size_bytes)

    def _open(self, source: Source, file: SourceFile, byte_range: tuple[int, int]) -> Answer:
        """Return an answer to a range request, through the signed address that we know or a fresh one."""
        url = self._resolve_url(source, file.path)
        known = self._memory.address(url)
        if known == url:
            return self._open_fresh(url, source, file, byte_range)
        if known and (answer := self._open_known(known, source, file, byte_range)):
            return answer
        with self._resolving[url]:
            newer = self._memory.address(url, other_than=known) or self._memory.newer(url, known)
            if newer and newer != url and (answer := self._open_known(newer, source, file, byte_range)):
                return answer  # another thread, or another copier, asked for it while this one waited
            return self._open_fresh(url, source, file, byte_range)

    def _open_known(self, address: str, source: Source, file: SourceFile, byte_range: tuple[int, int]) -> Answer | None:
        """Return the answer of a signed address, or None once it does not serve us any more."""
        answer = self._transport.get(address, byte_range=byte_range)
        if answer.status in _ADDRESS_EXPIRED:
            answer.discard()
            return None
        self._require_ok(answer, source, file.path)
        return answer

    def _open_fresh(self, url: str, source: Source, file: SourceFile, byte_range: tuple[int, int]) -> Answer:
        """Return the answer of the hub, or of the signed address that it gives; the address is kept."""
        answer = self._ask(url, byte_range=byte_range)
        self._require_ok(answer, source, file.path)
        try:
            require_commit(answer, source, file.path)
            require_same_file(answer, file)
        except SourceChanged:
            answer.discard()
            raise
        if url != self._memory.address(url):
            self._memory.keep(url, url if answer.from_hub else answer.url)
        return answer

    def _resolve_url(self, source: Source, path: str) -> str:
        if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            raise SourceRefused(f"The file name {path[:200]!r} of {source} leaves its folder.")
        revision = quote(source.revision or "main", safe="")
        return f"{self._transport.endpoint}/{quote(source.location)}/resolve/{revision}/{quote(path)}"

    def _ask(self, url: str, *, byte_range: tuple[int, int] | None = None) -> Answer:
        """Return the hub's answer, unless it has asked one of us all to wait. Raises: Throttled."""
        if (seconds := self._memory.rest_seconds(url)) > 0:
            wait = math.ceil(seconds)
            raise Throttled(
                f"The hub {self._transport.host} has asked us to wait {wait} s more.", retry_after_seconds=wait
            )
        return self._transport.get(url, byte_range=byte_range)

    def _require_ok(self, answer: Answer, source: Source, what: str) -> None:
        if answer.status not in (200, 206):
            answer.discard()
            error = refusal(answer, source=source, what=what, hub=self._transport.endpoint)
            if answer.from_hub and isinstance(error, Throttled):
                self._memory.rest(self._transport.endpoint, error.detail.get("retry_after_seconds") or 0)
            raise error


def _file(source: Source, sibling: _Sibling) -> SourceFile:
    size_bytes = sibling.lfs.size if sibling.lfs else sibling.size
    if size_bytes is None:
        raise SourceRefused(
            f"The hub lists {sibling.rfilename[:200]!r} of {source} without its size. A mirror must answer ?blobs=true."
        )
    return SourceFile(
        path=sibling.rfilename,
        size_bytes=size_bytes,
        sha256=sibling.lfs.sha256 if sibling.lfs else None,
        etag=sibling.blob_id,
    )
