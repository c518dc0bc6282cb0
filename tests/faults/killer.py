"""SIGKILL for workers of the embedded cloud, anywhere in an invocation: after a share of its time that a seed draws."""

import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from statistics import median
from types import TracebackType

from local.lambda_service import LambdaService
from local.worker_pool import AtWork

LOOK_SECONDS = 0.002
LATEST_SECONDS = 0.08  # into an invocation of a function that nobody has seen end
REMEMBERED = 20  # invocations of each function, the latest
PHASES = ("first third", "second third", "last third", "later")  # than a usual one takes
MOST_IN_A_ROW = 4
DEATH = "Runtime.ExitError"


class Durations:
    """How long the latest invocations of each function took."""

    def __init__(self) -> None:
        self._seen: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def note(self, function: str, seconds: float) -> None:
        """Remember one that came to its end."""
        self._seen[function].append(seconds)

    def usual(self, function: str) -> float:
        """Give how long a function takes: of those that were seen, the one in the middle."""
        return median(self._seen[function]) if self._seen[function] else LATEST_SECONDS

    def phase(self, function: str, seconds: float) -> str:
        """Give in which part of a usual invocation it is after so many seconds."""
        return PHASES[min(int(3 * seconds / self.usual(function)), 3)]


class Killer:
    """Kills a share of all invocations while it is entered; `most` is where it stops.

    Functions that are called all the time (`often`) get a smaller share and all get at most a sixth of the kills, so
    that the rest get theirs. Whoever is to be killed is killed at any moment of the time that his function was seen to
    take, the last as likely as the first. Nobody is killed more often in a row than the machines' retries outlast.
    """

    def __init__(
        self,
        functions: LambdaService,
        seed: int,
        *,
        share: float,
        most: int,
        often: Iterable[str],
        durations: Durations,
    ) -> None:
        self._functions = functions
        self._durations = durations
        self._luck = random.Random(seed)
        self._share = share
        self._most_of_one = max(1, most // 6)
        self._often = frozenset(often)
        self._in_a_row: Counter[str] = Counter()
        self._left = most
        self._due: dict[AtWork, float | None] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="killer", daemon=True)
        self.sent: Counter[str] = Counter()
        self.phases: Counter[str] = Counter()
        self._killed: set[AtWork] = set()

    def __enter__(self) -> "Killer":
        """Begin to kill."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill nobody from now on."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            at_work, now = self._functions.at_work(), time.monotonic()
            for each in self._due.keys() - {*at_work} - self._killed:
                self._durations.note(each.function, now - each.since)
            self._due = {each: self._due[each] if each in self._due else self._fate(each) for each in at_work}
            for each, when in list(self._due.items()):
                if when is not None and when <= now and self._left:
                    self._kill(each)

    def _fate(self, worker: AtWork) -> float | None:
        """Draw when to kill an invocation, or None for one that may live."""
        name = worker.function
        share = self._share / 8 if name.removeprefix("pilotlight-") in self._often else self._share
        outlasted = self._in_a_row[name] >= MOST_IN_A_ROW or self.sent[name] >= self._most_of_one
        if outlasted or self._luck.random() >= share:
            self._in_a_row[name] = 0
            return None
        self._in_a_row[name] += 1
        return worker.since + self._luck.uniform(0, self._durations.usual(name))

    def _kill(self, worker: AtWork) -> None:
        self._due[worker] = None
        if worker not in self._functions.at_work():
            return
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
            self._killed.add(worker)
            self.sent[worker.function] += 1
            self.phases[self._durations.phase(worker.function, time.monotonic() - worker.since)] += 1
            self._left -= 1
