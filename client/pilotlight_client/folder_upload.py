"""A folder into the upload bucket, many parts at once, at addresses that the API signs: no rights on it are needed.

S3 refuses a part whose bytes are not those that were read here, and keeps what has come: a second run compares the
checksums of what it holds with those of the files, and sends only what is missing or has changed. Nothing is kept on
this machine. No more than a chunk of each part that is on its way is in memory.
"""

import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from pilotlight_client.checkpoint import CONFIG
from pilotlight_client.connection import Clock
from pilotlight_client.crc32 import READ_BYTES, crc32_of, encoded, joined
from pilotlight_client.errors import NoAnswer, NotReachable, ServerFault, TooMany, UploadFailed
from pilotlight_client.transfers import Transfers, place_of
from pilotlight_client.upload_requests import UploadRequests
from pilotlight_client.upload_views import FilePlan, PartView, UploadPlan, UploadSummary
from pilotlight_client.uploading import COMPLETE_MARK, Folder, LocalFile

PARALLEL = 8
FILES_AT_ONCE = 200  # that the API is told of in one request
ATTEMPTS = 6
LONGEST_PAUSE_SECONDS = 30.0
_EMPTY_CRC32 = encoded(0)

OnBytes = Callable[[int], None]
OnMoved = Callable[["Moved"], None]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Moved:
    """Bytes of a file that went just now, or that S3 held; fewer than none are taken back: they go once more."""

    path: str
    size_bytes: int
    was_there: bool = False


@dataclass(frozen=True)
class _Part:
    number: int
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Planned:
    """A file to send, and what the API said of it."""

    file: LocalFile
    plan: FilePlan

    @cached_property
    def held(self) -> dict[int, PartView]:
        """The parts that S3 holds, by number."""
        return {part["number"]: part for part in self.plan["parts"]}

    def may_hold(self, part: _Part) -> bool:
        """Say whether S3 holds a part of that number and size; only its checksum tells whether it is this one."""
        held = self.held.get(part.number)
        return held is not None and held["size_bytes"] == part.size_bytes

    def holds(self, part: _Part, crc: int) -> bool:
        """Say whether S3 holds a part with this content."""
        return self.may_hold(part) and self.held[part.number].get("checksum_crc32") == encoded(crc)


@dataclass(frozen=True)
class Plan:
    """What is sent, what is there already, and what the bucket holds beside it."""

    location: str
    send: tuple[Planned, ...]
    there: tuple[LocalFile, ...]
    strangers: tuple[str, ...]

    @property
    def bytes_to_send(self) -> int:
        """The bytes of all files that are sent, those included of which parts are there."""
        return sum(each.file.size_bytes for each in self.send)

    @property
    def in_parts(self) -> tuple[Planned, ...]:
        """The large files among those that are sent."""
        return tuple(each for each in self.send if each.plan.get("upload_id"))

    def summary(self, name: str, folder: Folder, held_bytes: int) -> UploadSummary:
        """Return what is told of an upload, of whose parts S3 held so many bytes."""
        return {
            "name": name,
            "address": self.location,
            "sent": [each.file.path for each in self.send],
            "already_there": [file.path for file in self.there],
            "left_out": [{"path": path, "reason": reason} for path, reason in folder.left_out],
            "sent_bytes": self.bytes_to_send - held_bytes,
            "parts_already_there_bytes": held_bytes,
        }


class Stopped(UploadFailed):
    """Another part failed, or somebody stopped the upload."""


class _Refused(UploadFailed):
    """S3 refused a part: its address may be over, or the bytes have been damaged on their way."""


class _Telling:
    """Tells of bytes as they go, one thread at a time."""

    def __init__(self, on_moved: OnMoved) -> None:
        self._on_moved = on_moved
        self._lock = threading.Lock()
        self.held_bytes = 0

    def tell(self, moved: Moved) -> None:
        """Tell of these bytes."""
        with self._lock:
            self.held_bytes += moved.size_bytes if moved.was_there else 0
            self._on_moved(moved)


class _PartTelling:
    """Tells of one part's bytes; what an attempt that failed has told is taken back by the next one."""

    def __init__(self, telling: _Telling, path: str) -> None:
        self._telling = telling
        self._path = path
        self._told = 0

    def begin(self) -> None:
        """Begin an attempt."""
        if self._told:
            self._telling.tell(Moved(self._path, -self._told))
        self._told = 0

    def tell(self, count: int) -> None:
        """Tell of bytes of this attempt."""
        self._told += count
        self._telling.tell(Moved(self._path, count))


class FolderUpload:
    """Uploads one folder under one name."""

    def __init__(
        self, requests: UploadRequests, transfers: Transfers, clock: Clock, *, parallel: int = PARALLEL
    ) -> None:
        """Take what asks the API, what reaches S3, and how many parts may be on their way at once."""
        self._requests = requests
        self._clock = clock
        self._parallel = parallel
        self._stop = threading.Event()
        self._http = transfers.client(httpx.Limits(max_connections=parallel, max_keepalive_connections=parallel))

    def __enter__(self) -> Self:
        """Return the upload; its connections to S3 end with it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def plan(self, folder: Folder) -> Plan:
        """Return what to send. Files of which S3 holds one of the same size are read, to compare their CRC32.

        Raises: ApiError, NotReachable; UploadFailed for a file that cannot be read.
        """
        planned: list[Planned] = []
        there: list[LocalFile] = []
        strangers: set[str] = set()
        location = ""
        for start in range(0, len(folder.files), FILES_AT_ONCE):
            page = folder.files[start : start + FILES_AT_ONCE]
            told = self._ask(page)
            location = told["location"]
            strangers |= set(told["others"])
            plans = {each["path"]: each for each in told["files"]}
            same = [file for file in page if _is_there(file, plans[file.path])]
            there += same
            planned += self._planned([file for file in page if file not in same], plans)
        strangers -= {file.path for file in folder.files} | {COMPLETE_MARK}
        return Plan(location, tuple(planned), tuple(there), tuple(sorted(strangers)))

    def held_bytes(self, plan: Plan) -> int:
        """Return how many bytes of the files to send S3 holds in parts; they are read, to compare their CRC32.

        Raises: UploadFailed.
        """
        return sum(
            part.size_bytes
            for each in plan.send
            for part in _parts_of(each)
            if each.may_hold(part) and each.holds(part, _read(each.file, part.offset, part.size_bytes))
        )

    def send(self, plan: Plan, on_moved: OnMoved = lambda _: None) -> int:
        """Send what the plan says, mark the folder complete, and return how many bytes S3 held in parts.

        `on_moved` is told of bytes as they go.

        What goes in parts becomes files only once all its parts are there, and what is put whole comes after it: a
        folder that was uploaded before must not come to rest with its new config and its old weights. config.json,
        without which nothing is imported, comes after all else, such as the settings of the import. The mark comes
        last, and an older one says nothing of files that are newer. Whatever ends this early, Ctrl-C too, leaves what
        S3 holds: the next run goes on from there.

        Raises: UploadFailed, also for a file that changes meanwhile; ApiError, NotReachable.
        """
        telling = _Telling(on_moved)
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="upload") as pool, ExitStack() as undo:
            undo.callback(self._end, pool)
            parts = [
                (each, [pool.submit(self._send_part, each, part, telling) for part in _parts_of(each)])
                for each in plan.in_parts
            ]
            _wait_for([future for _, futures in parts for future in futures])
            joins = [pool.submit(self._join, each, [future.result() for future in futures]) for each, futures in parts]
            _wait_for(joins)
            whole = [each for each in plan.send if not each.plan.get("upload_id")]
            for is_last in (False, True):
                turn = [each for each in whole if (each.file.path == CONFIG) is is_last]
                sent = [pool.submit(self._send_part, each, part, telling) for each in turn for part in _parts_of(each)]
                _wait_for(sent)
            self._put(COMPLETE_MARK, None, _Part(1, 0, 0), _EMPTY_CRC32, lambda: iter(()))
            undo.pop_all()
        return telling.held_bytes

    def _end(self, pool: ThreadPoolExecutor) -> None:
        """Let what is on its way end at its next chunk, and what has not begun never begin."""
        self._stop.set()
        pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, files: Collection[LocalFile], *, replace: bool = False) -> UploadPlan:
        wanted = [
            {"path": file.path, "size_bytes": file.size_bytes, **({"replace": True} if replace else {})}
            for file in files
        ]
        return self._repeated(lambda: self._requests.plan(wanted))

    def _planned(self, files: Sequence[LocalFile], plans: dict[str, FilePlan]) -> list[Planned]:
        """Return these files with what to do; of those that take the place of one of their size, it is asked anew."""
        replacing = [file for file in files if "stored_checksum_crc32" in plans[file.path]]
        if replacing:
            plans = plans | {each["path"]: each for each in self._ask(replacing, replace=True)["files"]}
        return [Planned(file, plans[file.path]) for file in files]

    def _send_part(self, planned: Planned, part: _Part, telling: "_Telling") -> tuple[int, int]:
        """Send one part unless S3 holds it; return its CRC32 and size."""
        file, upload_id = planned.file, planned.plan.get("upload_id")
        if self._stop.is_set():
            raise Stopped("The upload was stopped.")
        crc = _read(file, part.offset, part.size_bytes)
        if planned.holds(part, crc):
            telling.tell(Moved(file.path, part.size_bytes, was_there=True))
            return crc, part.size_bytes
        told = _PartTelling(telling, file.path)
        try:
            self._put(file.path, upload_id, part, encoded(crc), lambda: self._chunks(file, part, told))
        except (UploadFailed, OSError) as exc:
            if file.has_changed():
                raise _changed(file) from exc
            raise
        if file.has_changed():
            raise _changed(file)
        return crc, part.size_bytes

    def _join(self, planned: Planned, parts: Sequence[tuple[int, int]]) -> None:
        file, upload_id = planned.file, planned.plan["upload_id"]
        checksum = encoded(joined(parts))
        self._repeated(lambda: self._requests.join(file.path, upload_id, file.size_bytes, checksum))

    def _put(
        self, path: str, upload_id: str | None, part: _Part, checksum: str, chunks: Callable[[], Iterator[bytes]]
    ) -> None:
        """Put one part, at a fresh address each time. Raises: UploadFailed, NotReachable, ApiError."""
        wanted = {"number": part.number, "size_bytes": part.size_bytes, "checksum_crc32": checksum}

        def once() -> None:
            (address,) = self._requests.addresses(path, [wanted], upload_id)["addresses"]
            place = place_of(address["url"], UploadFailed)
            try:
                response = self._http.put(address["url"], headers=address["headers"], content=chunks())
            except httpx.LocalProtocolError as exc:  # fewer or more bytes than were told
                raise UploadFailed(f"{path} gave other bytes than it had: it changed while it was sent.") from exc
            except httpx.TransportError as exc:
                raise NoAnswer(f"{path} did not reach {place}: {type(exc).__name__}.") from exc
            if response.status_code == 404:
                raise UploadFailed(f"The upload of {path} is over or was aborted. Begin again: what is there stays.")
            if not response.is_success:
                raise _Refused(f"{place} refused part {part.number} of {path}: {_told(response)}.")

        self._repeated(once)

    def _repeated(self, ask: Callable[[], Answer]) -> Answer:
        """Return an answer, asked for again where that may help; every request here is safe to repeat."""
        for attempt in range(1, ATTEMPTS):
            try:
                return ask()
            except (NotReachable, ServerFault, TooMany, _Refused):
                if self._stop.is_set():
                    raise
                self._pause(min(LONGEST_PAUSE_SECONDS, 0.5 * 2**attempt))
        return ask()

    def _pause(self, seconds: float) -> None:
        ends = self._clock.monotonic() + seconds
        while not self._stop.is_set() and (left := ends - self._clock.monotonic()) > 0:
            self._clock.sleep(min(0.5, left))

    def _chunks(self, file: LocalFile, part: _Part, told: _PartTelling) -> Iterator[bytes]:
        told.begin()
        if file.has_changed():
            raise _changed(file)
        left = part.size_bytes
        with file.location.open("rb") as opened:
            opened.seek(part.offset)
            while left and (chunk := opened.read(min(READ_BYTES, left))):
                if self._stop.is_set():
                    raise Stopped("The upload was stopped.")
                left -= len(chunk)
                yield chunk
                told.tell(len(chunk))


def _parts_of(planned: Planned) -> list[_Part]:
    """Return the parts of a file; one without an upload, and an empty one, is one part."""
    size_bytes = planned.file.size_bytes
    step = planned.plan["part_bytes"] if planned.plan.get("upload_id") else max(size_bytes, 1)
    starts = range(0, max(size_bytes, 1), step)
    return [_Part(number, start, min(step, size_bytes - start)) for number, start in enumerate(starts, start=1)]


def _is_there(file: LocalFile, plan: FilePlan) -> bool:
    """Say whether the bucket holds this content. The file is read for that only where one of its size is there."""
    stored = plan.get("stored_checksum_crc32")
    return stored is not None and stored == encoded(_read(file, 0, file.size_bytes))


def _read(file: LocalFile, offset: int, size_bytes: int) -> int:
    """Return the CRC32 of a range. Raises: UploadFailed."""
    try:
        return crc32_of(file.location, offset, size_bytes)
    except OSError as exc:
        raise UploadFailed(f"{file.location} cannot be read: {exc.strerror or exc}.") from exc


def _wait_for(futures: Sequence[Future[Any]]) -> None:
    """Wait for all of these, or for the first that fails; raise what it raised."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in futures:
        if future in done:
            future.result()


def _changed(file: LocalFile) -> UploadFailed:
    return UploadFailed(
        f"{file.path} was changed while it was uploaded. Begin again once nobody writes to it: what is there stays."
    )


def _told(response: httpx.Response) -> str:
    """Return the status and S3's own code, which its XML holds; nothing else of it, for it repeats the address."""
    found = re.search(r"<Code>(\w{1,60})</Code>", response.text[:4096])
    return f"{response.status_code} {found[1]}" if found else str(response.status_code)
