"""The execution environments of all functions: started on demand, kept warm, bounded, and ended together."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple

from local.workers import FunctionSettings, Outcome, Worker

# Interpreters that start at the same time only slow each other down on a small machine.
_STARTING_AT_ONCE = 2


class AtWork(NamedTuple):
    """A worker in the middle of an invocation: whose it is, its process, and when (monotonic) the invocation began."""

    function: str
    pid: int
    since: float


StartWorker = Callable[[FunctionSettings], Worker]


class ThrottledError(RuntimeError):
    """All environments that a function may have are busy."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"Rate Exceeded. {name} already runs {limit} invocations, which is its concurrency.")


class WorkerPool:
    """Lends workers out, one caller at a time each."""

    def __init__(self, start_worker: StartWorker) -> None:
        self._start_worker = start_worker
        self._guard = threading.Lock()
        self._idle: dict[str, list[Worker]] = defaultdict(list)
        self._busy: dict[str, int] = defaultdict(int)
        self._all: set[Worker] = set()
        self._at_work: dict[Worker, float] = {}
        self._starting = threading.Semaphore(_STARTING_AT_ONCE)
        self._stopped = False
        self._prewarmers: ThreadPoolExecutor | None = None

    def invoke(self, settings: FunctionSettings, payload: bytes) -> Outcome:
        """Give the outcome of one invocation.

        Raises: ThrottledError when the function's concurrency is used up.
        """
        with self._slot(settings):
            worker = self._take(settings)
            with self._guard:
                self._at_work[worker] = monotonic()
            try:
                return worker.invoke(payload)
            finally:
                with self._guard:
                    del self._at_work[worker]
                self._give_back(worker)

    def prewarm(self, functions: Iterable[FunctionSettings]) -> None:
        """Start one worker for each function in the background."""
        self._prewarmers = ThreadPoolExecutor(_STARTING_AT_ONCE, thread_name_prefix="prewarm")
        for settings in functions:
            self._prewarmers.submit(self._prewarm, settings)

    def pids(self) -> list[int]:
        """Give the ids of the running workers."""
        with self._guard:
            return [worker.pid for worker in self._all if worker.alive]

    def at_work(self) -> list[AtWork]:
        """Give the workers that are in the middle of an invocation."""
        with self._guard:
            return [AtWork(worker.settings.name, worker.pid, since) for worker, since in self._at_work.items()]

    def stop(self) -> None:
        """Kill every worker; invocations under way end with Runtime.ExitError."""
        with self._guard:
            self._stopped = True
            workers = list(self._all)
            self._all.clear()
            self._idle.clear()
        if self._prewarmers is not None:
            self._prewarmers.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        if self._prewarmers is not None:
            self._prewarmers.shutdown(wait=True)

    @contextmanager
    def _slot(self, settings: FunctionSettings) -> Iterator[None]:
        with self._guard:
            if self._busy[settings.name] >= settings.concurrency:
                raise ThrottledError(settings.name, settings.concurrency)
            self._busy[settings.name] += 1
        try:
            yield
        finally:
            with self._guard:
                self._busy[settings.name] -= 1

    def _take(self, settings: FunctionSettings) -> Worker:
        while (worker := self._idle_worker(settings)) is not None:
            if worker.alive and worker.has_keys and worker.settings == settings:
                return worker
            self._discard(worker)
        return self._start(settings)

    def _idle_worker(self, settings: FunctionSettings) -> Worker | None:
        with self._guard:
            idle = self._idle[settings.arn]
            return idle.pop() if idle else None

    def _start(self, settings: FunctionSettings) -> Worker:
        with self._starting:
            worker = self._start_worker(settings)
            with self._guard:
                stopped = self._stopped
                if not stopped:
                    self._all.add(worker)
            if stopped:  # it came too late to be seen by stop()
                worker.kill()
                return worker
            worker.warm_up()
        return worker

    def _give_back(self, worker: Worker) -> None:
        if not worker.alive:
            self._discard(worker)
            return
        with self._guard:
            if worker in self._all:
                self._idle[worker.settings.arn].append(worker)

    def _discard(self, worker: Worker) -> None:
        with self._guard:
            known = worker in self._all
            self._all.discard(worker)
        if known:
            worker.kill()

    def _prewarm(self, settings: FunctionSettings) -> None:
        with self._guard:
            if self._idle[settings.arn] or self._stopped:
                return
        self._give_back(self._start(settings))
