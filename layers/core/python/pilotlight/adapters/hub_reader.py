"""The files of a hub, whatever its API: read whole or in ranges, at one pinned revision.

A file's signed address is asked for once, and used until it expires.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from urllib.parse import urlsplit

from pilotlight.adapters.hub_memory import HubMemory, OwnMemory
from pilotlight.adapters.hub_ranges import exactly, require_commit, require_range, require_same_file, whole
from pilotlight.adapters.hub_site import HUGGING_FACE, HubSettings, HubSite, Token
from pilotlight.adapters.hub_transport import ANSWER_SECONDS, READ_SECONDS, Answer, HubTransport
from pilotlight.adapters.public_addresses import Resolve, resolve_by_dns
from pilotlight.domain.cutting import Cutting
from pilotlight.domain.errors import PilotlightError, SourceChanged, SourceRefused, Throttled, Unavailable
from pilotlight.domain.source import Listing, Piece, Source, SourceFile

ALONE_SECONDS = 5.0  # that a thread waits for another one, which asks for the address that it needs, too
MOST_LISTING_BYTES = 32 * 1024 * 1024

_ADDRESS_EXPIRED = frozenset({400, 401, 403, 404, 410})  # how file servers say that a signed address is over


class HubReader(ABC):
    """What the readers of all hubs share; one that implements `ports.ModelSource` says where its files are."""

    most_passed_over_bytes = 0
    """The largest file that a hub itself may answer whole where a range of it was asked for."""

    def __init__(self, transport: HubTransport, memory: HubMemory) -> None:
        self._transport = transport
        self._memory = memory
        self._resolving: defaultdict[str, Lock] = defaultdict(Lock)

    @abstractmethod
    def resolve(self, source: Source) -> Listing:
        """Return all files at a pinned revision."""

    @abstractmethod
    def _address(self, source: Source, path: str) -> str:
        """Return where to ask for a file of a pinned source."""

    @abstractmethod
    def _refusal(self, answer: Answer, source: Source, what: str) -> PilotlightError:
        """Return the error that a refusing answer stands for."""

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned source.

        Raises: SourceNotFound, SourceGated, SourceChanged, SourceRefused when it is larger than the limit.
        """
        answer = self._ask(self._address(source, path))
        self._require_ok(answer, source, path)
        self._require_revision(answer, source, path)
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
        is_whole = self._is_whole(answer, file)
        try:
            self._require_version(answer, file)
            if is_whole:
                require_range(answer, file, 0, file.size_bytes)
            else:
                require_range(answer, file, offset, size_bytes)
        except (SourceChanged, Unavailable):
            answer.discard()
            raise
        with (cutting or Cutting()).by(answer.cut):
            yield from exactly(answer, file.path, size_bytes, passed_over=offset if is_whole else 0)

    def _require_revision(self, answer: Answer, source: Source, path: str) -> None:
        """Pass an answer of the pinned revision, where the answer tells. Raises: SourceChanged."""
        require_commit(answer, source, path)

    def _require_digest(self, answer: Answer, file: SourceFile) -> None:
        """Pass an answer whose size and digest, where it tells them, are the listed ones. Raises: SourceChanged."""
        require_same_file(answer, file)

    def _version(self, url: str, _file: SourceFile) -> str:
        """Return under what the signed address of a file is remembered: a hub's own address names the commit."""
        return url

    def _require_version(self, answer: Answer, file: SourceFile) -> None:  # noqa: B027 - where nothing more is known
        """Pass an answer of the very version of a file that was listed. Raises: SourceChanged."""

    def _is_whole(self, answer: Answer, file: SourceFile) -> bool:
        """Say whether a range may be cut out of an answer that carries all of a small file."""
        return answer.status == 200 and answer.from_hub and file.size_bytes <= self.most_passed_over_bytes

    def _open(self, source: Source, file: SourceFile, byte_range: tuple[int, int]) -> Answer:
        """Return an answer to a range request, through the signed address that we know or a fresh one."""
        url = self._address(source, file.path)
        version = self._version(url, file)
        known = self._memory.address(version)
        if known == url:
            return self._open_fresh(url, source, file, byte_range)
        if known and (answer := self._open_known(known, source, file, byte_range)):
            return answer
        with self._alone(version):
            newer = self._memory.address(version, other_than=known) or self._memory.newer(version, known)
            if newer and newer != url and (answer := self._open_known(newer, source, file, byte_range)):
                return answer  # another thread, or another copier, asked for it while this one waited
            return self._open_fresh(url, source, file, byte_range)

    @contextmanager
    def _alone(self, version: str) -> Iterator[None]:
        """Let one thread ask for an address at a time; one that stands still holds up the others for seconds only."""
        lock = self._resolving[version]
        is_alone = lock.acquire(timeout=ALONE_SECONDS)
        try:
            yield
        finally:
            if is_alone:
                lock.release()

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
            self._require_revision(answer, source, file.path)
            self._require_digest(answer, file)
        except SourceChanged:
            answer.discard()
            raise
        version = self._version(url, file)
        if url != self._memory.address(version):
            self._memory.keep(version, url if answer.from_hub else answer.url)
        return answer

    def _ask(self, url: str, *, byte_range: tuple[int, int] | None = None) -> Answer:
        """Return the hub's answer, unless it has asked one of us all to wait. Raises: Throttled."""
        if (seconds := self._memory.rest_seconds(url)) > 0:
            wait = math.ceil(seconds)
            raise Throttled(
                f"The hub {urlsplit(url).hostname} has asked us to wait {wait} s more.", retry_after_seconds=wait
            )
        return self._transport.get(url, byte_range=byte_range)

    def _require_ok(self, answer: Answer, source: Source, what: str) -> None:
        if answer.status not in (200, 206):
            answer.discard()
            error = self._refusal(answer, source, what)
            if answer.from_hub and isinstance(error, Throttled):
                self._memory.rest(answer.url, error.detail.get("retry_after_seconds") or 0)
            raise error


class NamedHub(HubReader):
    """What the readers of one hub share, which whoever deploys the stack has named."""

    settings: HubSettings = HUGGING_FACE

    def __init__(
        self,
        endpoint: str,
        token: Token,
        *,
        read_timeout_seconds: float = READ_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        resolve: Resolve = resolve_by_dns,
        memory: HubMemory | None = None,
    ) -> None:
        self._site = HubSite(endpoint, token, self.settings)
        transport = HubTransport(
            self._site, read_timeout_seconds=read_timeout_seconds, answer_seconds=answer_seconds, resolve=resolve
        )
        super().__init__(transport, memory or OwnMemory())


def require_inside(source: Source, path: str) -> None:
    """Pass the name of a file that stays within its source. Raises: SourceRefused."""
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise SourceRefused(f"The file name {path[:200]!r} of {source} leaves its folder.")
