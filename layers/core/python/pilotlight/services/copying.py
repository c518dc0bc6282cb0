"""Copying items several at once, the slowest one raced: parts of weights, each streamed from its source to its place.

Nobody holds a part: a piece of a MiB is read, hashed and sent before the next one is asked for.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field

from pilotlight.domain.cutting import Cutting
from pilotlight.domain.errors import BodyCutShort, PilotlightError, Retryable, Throttled
from pilotlight.domain.racing import Flight, worth_racing
from pilotlight.domain.source import Piece

LOOK_SECONDS = 0.25  # between two looks at what is on its way
PROGRESS_SECONDS = 5.0  # between two notes of how far all of it has come
TRIES = 3  # of one item; a Map's retry would copy its span's others, too

Seconds = Callable[[], float]
"""A clock that only goes forward."""

Note = Callable[[Counter[str]], None]
"""What is told how many bytes have come, by the items' names."""


@dataclass(eq=False)
class Transfer:
    """One copy of one item on its way; `cutting` ends it from outside."""

    item: "Item"
    seconds: Seconds
    began: float
    newest: float
    copied_bytes: int = 0
    cutting: Cutting = field(default_factory=Cutting)

    def counted(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield pieces and count them, until the transfer is cut. Raises: BodyCutShort when it is."""
        self.copied_bytes = 0
        for piece in pieces:
            if self.cutting.is_cut:
                raise BodyCutShort("Another copy was there first.")
            self.copied_bytes += len(piece)
            self.newest = self.seconds()
            yield piece


@dataclass(eq=False)
class Item:
    """What is copied as a whole, a part or a small file: `copy` does it, and may run twice at once.

    A silent one is copied by S3 itself, and counts no bytes before all of them are there.
    """

    name: str
    size_bytes: int
    copy: Callable[[Transfer], None]
    silent: bool = False


class ItemFailedError(Exception):
    """An item could not be copied, and why."""

    def __init__(self, item: Item, error: PilotlightError) -> None:
        super().__init__(item.name)
        self.item = item
        self.error = error


class Copying:
    """Copies items, `streams` of them at once; a single stream is the thread of whoever asks, and races nobody."""

    def __init__(self, streams: int, seconds: Seconds) -> None:
        self._streams = streams
        self._seconds = seconds

    def copy(self, items: Iterable[Item], note: Note) -> None:
        """Copy all items; `note` is told now and then, and at the end, how many bytes of each name have come.

        Raises: ItemFailedError of the first item that failed for good; the others are cut.
        """
        crossing = _Crossing(self._streams, deque(items), self._seconds, note)
        if self._streams == 1:
            crossing.one_by_one()
        else:
            crossing.together()
        crossing.tell()


class _Crossing:
    """All items of one call of `Copying.copy`, on their way."""

    def __init__(self, streams: int, waiting: deque[Item], seconds: Seconds, note: Note) -> None:
        self._streams = streams
        self._waiting = waiting
        self._seconds = seconds
        self._note = note
        self._noted = seconds()
        self._arrived: set[Item] = set()
        self._rates: list[float] = []
        self._flying: dict[Future[None], Transfer] = {}

    def one_by_one(self) -> None:
        while self._waiting:
            transfer = self._transfer(self._waiting.popleft())
            try:
                _copy(transfer)
            except PilotlightError as exc:
                raise ItemFailedError(transfer.item, exc) from exc
            self._land(transfer)
            self._tell_sometimes()

    def together(self) -> None:
        pool = ThreadPoolExecutor(self._streams, thread_name_prefix="stream")
        try:
            while self._waiting or any(transfer.item not in self._arrived for transfer in self._flying.values()):
                self._begin(pool)
                done, _ = wait(self._flying, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(future)
                self._tell_sometimes()
        finally:
            for transfer in self._flying.values():
                transfer.cutting.cut()
            pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Let every free stream copy something: what waits, or else what is so late that it is worth a race."""
        while len(self._flying) < self._streams:
            item = self._waiting.popleft() if self._waiting else self._to_race()
            if item is None:
                return
            transfer = self._transfer(item)
            self._flying[pool.submit(_copy, transfer)] = transfer

    def _to_race(self) -> Item | None:
        now = self._seconds()
        transfers = [each for each in self._flying.values() if each.item not in self._arrived]
        copies = [sum(other.item is each.item for other in transfers) for each in transfers]
        flights = [
            Flight(
                size_bytes=each.item.size_bytes,
                copied_bytes=each.copied_bytes,
                seconds=now - each.began,
                idle_seconds=now - each.newest,
                copies=count,
                silent=each.item.silent and each.copied_bytes == 0,
            )
            for each, count in zip(transfers, copies, strict=True)
        ]
        index = worth_racing(flights, self._rates)
        return None if index is None else transfers[index].item

    def _settle(self, future: Future[None]) -> None:
        """Take note of a copy that is over. Raises: what it raised, where no other copy of its item is left."""
        transfer = self._flying.pop(future)
        if transfer.item in self._arrived:
            return  # it lost
        error = future.exception()
        if error is None:
            self._land(transfer)
        elif not any(other.item is transfer.item for other in self._flying.values()):
            raise ItemFailedError(transfer.item, error) if isinstance(error, PilotlightError) else error

    def _land(self, transfer: Transfer) -> None:
        self._arrived.add(transfer.item)
        took = self._seconds() - transfer.began
        if took > 0:
            self._rates.append(transfer.item.size_bytes / took)
        for other in self._flying.values():
            if other.item is transfer.item:
                other.cutting.cut()

    def _tell_sometimes(self) -> None:
        if self._seconds() - self._noted >= PROGRESS_SECONDS:
            self._noted = self._seconds()
            with suppress(PilotlightError):  # the next note tells it, too; what cannot be told at the end has failed
                self.tell()

    def tell(self) -> None:
        under_way: dict[Item, int] = {}
        for each in self._flying.values():
            if each.item not in self._arrived:
                under_way[each.item] = max(under_way.get(each.item, 0), each.copied_bytes)
        copied: Counter[str] = Counter()
        for item in self._arrived:
            copied[item.name] += item.size_bytes
        for item, size_bytes in under_way.items():
            copied[item.name] += size_bytes
        self._note(copied)

    def _transfer(self, item: Item) -> Transfer:
        now = self._seconds()
        return Transfer(item=item, seconds=self._seconds, began=now, newest=now)


def _copy(transfer: Transfer) -> None:
    """Copy one item, again where that may help. A wait that a source asks for is the item's own business."""
    tries = 1
    while True:
        try:
            return transfer.item.copy(transfer)
        except Throttled:
            raise
        except Retryable:
            if tries == TRIES or transfer.cutting.is_cut:
                raise
            tries += 1
