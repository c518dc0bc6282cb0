"""Benches in processes of their own: one stack each, and runs shared out among them."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

from tests.faults.bench import Bench, Result, Run
from tests.faults.stack import Stack

Outcome = tuple[str, tuple[str, ...], tuple[str, ...]]  # a run's text, what it violated, what went wrong in it
Given = TypeVar("Given")
Made = TypeVar("Made")
_open = ExitStack()  # for as long as the process lives
_bench: list[Bench] = []


@contextmanager
def bench() -> Iterator[Bench]:
    """Give a bench in this process."""
    with Stack() as stack:
        made = Bench(stack)
        gc.collect()
        gc.freeze()  # what a stack is made of stays: looking through it again and again takes a tenth of a run
        yield made


@contextmanager
def workers(jobs: int) -> Iterator[Any]:
    """Give a pool of processes with a bench each."""
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(jobs, initializer=_start)
    try:
        yield pool
    finally:
        pool.terminate()
        pool.join()


def runs(pool: Any, wanted: Iterable[Run]) -> Iterator[Outcome]:
    """Give the outcomes of runs, as they come."""
    yield from pool.imap_unordered(_run, [str(run) for run in wanted], chunksize=8)


def clean(pool: Any, workflows: Iterable[str]) -> dict[str, Result]:
    """Give the clean run of each workflow."""
    return {result.run.workflow: result for result in pool.imap_unordered(_clean, list(workflows))}


def do(pool: Any, work: Callable[[Bench, Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """Give what a function of a module makes of each of these at a bench, as it comes."""
    yield from pool.imap_unordered(partial(_at_bench, work), list(given))


def _at_bench(work: Callable[[Bench, Given], Made], given: Given) -> Made:
    return work(_bench[0], given)


def _start() -> None:
    _bench.append(_open.enter_context(bench()))


def _run(text: str) -> Outcome:
    result = _bench[0].run(Run.of(text))
    return text, result.violations, result.met


def _clean(workflow: str) -> Result:
    return _bench[0].run(Run(workflow))
