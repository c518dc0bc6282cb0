"""Bugs on purpose, one at a time: each takes a guard away, and an oracle must say so, or the guard proves nothing.

A mutant is caught by a run that violates something with the bug and nothing without it; not by an error of its own.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tests.faults import workers
from tests.faults.bench import Bench, Run
from tests.faults.mutating import Mutant, mutated
from tests.faults.specimens import MUTANTS

BROKE_DOWN = re.compile(r"\w+ raised ")  # how a bench tells of an error of a handler that is none of the product's
MOST_RUNS = 60  # of one mutant: who is not seen in so many is not seen


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the run that caught it and what an oracle said, or None after so many runs."""

    mutant: str
    runs: int
    run: str | None = None
    words: str | None = None

    def __str__(self) -> str:
        """Give it as a line of the report."""
        if self.run is None:
            return f"SURVIVED {self.mutant}: nobody noticed in {self.runs} runs"
        return f"{self.mutant}: {self.words} ({self.run}, run {self.runs})"


@dataclass(frozen=True)
class Mutants:
    """The figures of all mutants that were hunted."""

    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def caught(self) -> int:
        """Give how many were."""
        return sum(verdict.run is not None for verdict in self.verdicts)


def run(pool: Any, *, seed: int, most: int | None = None) -> Mutants:
    """Hunt every mutant, or a sample by seed."""
    began = time.monotonic()
    chosen = sample(seed, most)
    verdicts = list(workers.do(pool, hunt_by_name, [mutant.name for mutant in chosen]))
    return Mutants(
        tuple(sorted(verdicts, key=lambda each: (each.run is not None, each.mutant))), time.monotonic() - began
    )


def sample(seed: int, most: int | None) -> Sequence[Mutant]:
    """Give all mutants, or so many of them as the seed decides."""
    return MUTANTS if most is None else random.Random(seed).sample(MUTANTS, most)


def hunt_by_name(bench: Bench, name: str) -> Verdict:
    """Hunt the mutant of that name."""
    return hunt(bench, named(name))


def named(name: str) -> Mutant:
    """Give the mutant of that name. Raises: ValueError where there is none."""
    try:
        return next(mutant for mutant in MUTANTS if mutant.name == name)
    except StopIteration:
        raise ValueError(f"{name!r} is no mutant; there are {[mutant.name for mutant in MUTANTS]}") from None


def hunt(bench: Bench, mutant: Mutant) -> Verdict:
    """Do the runs in which a mutant should show, until one of them violates something that it alone is to blame for."""
    done = 0
    bench.reconciles = False  # it sets right what others forget, and would hide that they do
    try:
        for each in islice(_runs(bench, mutant), MOST_RUNS):
            done += 1
            with mutated(mutant):
                violations = bench.run(each).violations
            if _told_by_oracles(violations) and (
                not each.plan or not bench.run(each).violations
            ):  # a clean run was made before
                return Verdict(mutant.name, done, str(each), violations[0])
    finally:
        bench.reconciles = True
    return Verdict(mutant.name, done)


def _told_by_oracles(violations: Sequence[str]) -> bool:
    """Say whether oracles saw harm: of a run in which a handler broke down, nobody knows what else went wrong in it."""
    return bool(violations) and not any(BROKE_DOWN.match(each) for each in violations)


def _runs(bench: Bench, mutant: Mutant) -> Iterator[Run]:
    for hunt_ in mutant.hunts:
        yield from hunt_.runs(bench.calls(hunt_.workflow))  # a clean run first: where it begins is no mutant's work
