"""Every single fault of every workflow, and pairs of faults by seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults import workers
from tests.faults.bench import Result, Run, applicable
from tests.faults.modes import MODES
from tests.faults.workflows import WORKFLOWS

PAIRS = 2000


@dataclass(frozen=True)
class Sweep:
    """The figures of a sweep: runs by workflow and mode, and each violation with what replays it."""

    runs: int
    pairs: int
    violations: tuple[str, ...]
    by_workflow: tuple[tuple[str, int, int, int], ...]  # name, calls, distinct faults, violations
    by_mode: tuple[tuple[str, int], ...]
    seconds: float
    matrix: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # crash points and violations

    @property
    def runs_per_second(self) -> float:
        """Give how fast it went, all processes together."""
        return (self.runs + self.pairs) / self.seconds if self.seconds else 0.0


def run(pool: Any, *, seed: int, pairs: int = PAIRS) -> Sweep:
    """Sweep all workflows."""
    began = time.monotonic()
    chance = random.Random(seed)
    clean = workers.clean(pool, [name for name, workflow in WORKFLOWS.items() if workflow.swept])
    singles = singles_of(clean)
    chance.shuffle(singles)  # the long ones among the short
    doubles = list(pairs_of(clean, chance, pairs))
    outcomes = list(workers.runs(pool, [*singles, *doubles]))
    broken = [f"{result.run}: {each}" for result in clean.values() for each in result.violations]
    broken += [f"{text}: {'; '.join(violations)}" for text, violations, _ in outcomes if violations]
    return Sweep(
        runs=len(singles),
        pairs=len(doubles),
        violations=tuple(broken),
        by_workflow=tuple(_by_workflow(clean, singles, broken)),
        by_mode=tuple(Counter(mode for each in singles for _, mode in each.plan).most_common()),
        seconds=time.monotonic() - began,
        matrix=_matrix(singles, {text for text, violations, _ in outcomes if violations}),
    )


def singles_of(clean: dict[str, Result]) -> list[Run]:
    """Give a run for each fault that a workflow's calls can meet."""
    return [Run(name, (fault,)) for name, result in sorted(clean.items()) for fault in applicable(result.calls)]


def pairs_of(clean: dict[str, Result], chance: random.Random, number: int) -> Iterable[Run]:
    """Give runs with two faults each, every workflow as often as its calls make it worth."""
    names = sorted(clean)
    weights = [len(clean[name].calls) ** 0.5 for name in names]
    for _ in range(number):
        name = chance.choices(names, weights)[0]
        faults = applicable(clean[name].calls)
        first = chance.choice(faults)
        # the second may come in what the first one leads to: in a retry, or in a compensation
        later = first[0] + chance.randint(1, max(len(clean[name].calls) - first[0], 1) + 8)
        yield Run(name, (first, (later, chance.choice(list(MODES)))))


def _matrix(singles: list[Run], broken: set[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Give by workflow and mode at how many calls it was met alone, and how many of these violated something."""
    cells = [(each.workflow, each.plan[0][1], str(each) in broken) for each in singles]
    points = Counter((workflow, mode) for workflow, mode, _ in cells)
    wrong = Counter((workflow, mode) for workflow, mode, violated in cells if violated)
    return {cell: (number, wrong[cell]) for cell, number in points.items()}


def _by_workflow(
    clean: dict[str, Result], singles: list[Run], broken: list[str]
) -> Iterable[tuple[str, int, int, int]]:
    for name, result in sorted(clean.items()):
        mine = sum(each.workflow == name for each in singles)
        yield name, len(result.calls), mine, sum(each.startswith(f"{name}:") for each in broken)
