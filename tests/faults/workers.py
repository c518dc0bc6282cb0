"""Benches in processes of their own: one stack each, and runs shared out among them."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.faults.bench import Bench, Result, Run
from tests.faults.hubs import hub
from tests.faults.stack import Stack

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Outcome:
    """A run as the processes tell of it: its text, what it violated, what went wrong in it, and whether it counts."""

    text: str
    violations: tuple[str, ...]
    met: tuple[str, ...]
    counts: bool


_open = ExitStack()  # for as long as the process lives
_bench: list[Bench] = []


@contextmanager
def bench() -> Iterator[Bench]:
    """Give a bench in this process."""
    with hub() as address, Stack(address) as stack:
        made = Bench(stack)
        gc.collect()
        gc.freeze()  # what a stack is made of stays: looking through it again and again takes a tenth of a run
        yield made


@contextmanager
def workers(jobs: int, start: Callable[[], object] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes with a bench each: one that dies breaks the pool, where another kind would wait."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=start or _start) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def pooled(run: Callable[..., Made], jobs: int, *, seed: int) -> Made:
    """Give what a part makes of a pool of so many processes."""
    with workers(jobs) as pool:
        return run(pool, seed=seed)


def runs(pool: Any, wanted: Iterable[Run]) -> Iterator[Outcome]:
    """Give the outcomes of runs, as they come."""
    yield from _shared(pool, _run, [str(run) for run in wanted], at_once=8)


def clean(pool: Any, workflows: Iterable[str]) -> dict[str, Result]:
    """Give the clean run of each workflow."""
    return {result.run.workflow: result for result in _shared(pool, _clean, list(workflows))}


def do(pool: Any, work: Callable[[Bench, Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """Give what a function of a module makes of each of these at a bench, as it comes."""
    yield from _shared(pool, work, list(given))


def _shared(
    pool: ProcessPoolExecutor, work: Callable[[Bench, Given], Made], given: Sequence[Given], at_once: int = 1
) -> Iterator[Made]:
    """Give what becomes of all, so many handed out at once. Raises: BrokenProcessPool where a process has died."""
    shares = [given[first : first + at_once] for first in range(0, len(given), at_once)]
    for share in as_completed([pool.submit(_at_bench, work, share) for share in shares]):
        yield from share.result()


def _at_bench(work: Callable[[Bench, Given], Made], given: Sequence[Given]) -> list[Made]:
    return [work(_bench[0], each) for each in given]


def _start() -> None:
    _bench.append(_open.enter_context(bench()))


def _run(bench: Bench, text: str) -> Outcome:
    try:
        result = bench.run(Run.of(text))
    except Exception as exc:  # noqa: BLE001 - what a run comes to is told, and the others go on
        told = " ".join("".join(traceback.format_exception(exc)[-3:]).split())
        return Outcome(text, (f"the run broke off: {told}",), (text,), counts=True)
    return Outcome(text, result.violations, result.met, result.counts)


def _clean(bench: Bench, workflow: str) -> Result:
    return bench.run(Run(workflow))
