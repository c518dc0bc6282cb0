"""SIGKILL for workers of the embedded cloud, in the middle of an invocation, after a time that a seed draws."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from local.lambda_service import LambdaService
from local.worker_pool import AtWork

LOOK_SECONDS = 0.002
LATEST_SECONDS = 0.08  # into an invocation: as long as most of ours take
MOST_IN_A_ROW = 4
DEATH = "Runtime.ExitError"


class Killer:
    """Kills a share of all invocations while it is entered; `most` is where it stops.

    Functions that are called all the time (`often`) get a smaller share and all get at most a sixth of the kills, so
    that the rest get theirs. Nobody is killed more often in a row than the machines' retries outlast.
    """

    def __init__(self, functions: LambdaService, seed: int, *, share: float, most: int, often: Iterable[str]) -> None:
        self._functions = functions
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
            at_work = self._functions.at_work()
            self._due = {each: self._due[each] if each in self._due else self._fate(each) for each in at_work}
            now = time.monotonic()
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
        return worker.since + self._luck.uniform(0, LATEST_SECONDS)

    def _kill(self, worker: AtWork) -> None:
        self._due[worker] = None
        if worker not in self._functions.at_work():
            return
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
            self.sent[worker.function] += 1
            self._left -= 1
