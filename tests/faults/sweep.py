"""Every single fault of every workflow, or a sample of them, and pairs of faults by seed.

A run counts where all its faults were met, and whoever acted beside it was not refused: what is left over proves
no more than a run without a fault does, and is told apart.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults import workers
from tests.faults.bench import Result, Run, applicable
from tests.faults.modes import MODES
from tests.faults.workers import Outcome
from tests.faults.workflows import WORKFLOWS

SINGLES = 2150  # of some 70,000: what a full run has the time for
PAIRS = 2000
MOST_DRAWS = 3  # times the pairs that are wanted: of those whose faults are not all met, others are drawn
TELLS_EVERY_SECONDS = 30.0
BEYOND = 4  # how far past the last call of a clean run a second fault may lie
NEAR, NEARBY = 10, 0.7  # this share of second faults lies within so many calls: what the first one has ended meets none
SELDOM_TAKEN = {"retry": 0.1, "second_deploy": 0.25}  # of competitors who are mostly refused: which share is drawn


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
    of_all: int = 0  # how many distinct single faults there are
    uncounted: int = 0  # runs whose faults were not all met, or whose competitor was refused

    @property
    def runs_per_second(self) -> float:
        """Give how fast it went, all processes together."""
        return (self.runs + self.pairs + self.uncounted) / self.seconds if self.seconds else 0.0


def run(pool: Any, *, seed: int, pairs: int = PAIRS, most_singles: int | None = SINGLES) -> Sweep:
    """Sweep all workflows; `most_singles` takes a sample, by seed, as there is not the time for all."""
    began = time.monotonic()
    chance = random.Random(seed)
    clean = workers.clean(pool, [name for name, workflow in WORKFLOWS.items() if workflow.swept])
    everything = singles_of(clean)
    singles = [each for group in everything.values() for each in group]
    if most_singles is not None and (least := len(promised(everything, random.Random(seed)))) > most_singles:
        raise ValueError(f"{most_singles} faults are no sample of each mode and each kind of call: these are {least}")
    chosen = singles if most_singles is None else sampled(everything, chance, most_singles)
    chance.shuffle(chosen)  # the long ones among the short
    alone = list(_told(workers.runs(pool, chosen), f"of {len(chosen)} single faults"))
    together = list(_told(_pairs(pool, clean, chance, pairs), f"pairs, until {pairs} of them count"))
    broken = [f"{result.run}: {each}" for result in clean.values() for each in result.violations]
    broken += [f"{done.text}: nothing went wrong in it" for done in alone if not done.met]
    broken += [f"{done.text}: {'; '.join(done.violations)}" for done in (*alone, *together) if done.violations]
    counted = [Run.of(done.text) for done in alone if done.counts]
    double = sum(done.counts for done in together)
    return Sweep(
        runs=len(counted),
        pairs=double,
        violations=tuple(broken),
        by_workflow=tuple(_by_workflow(clean, counted, broken)),
        by_mode=tuple(Counter(mode for each in counted for _, mode in each.plan).most_common()),
        seconds=time.monotonic() - began,
        matrix=_matrix(counted, {done.text for done in alone if done.violations}),
        of_all=len(singles),
        uncounted=len(alone) + len(together) - len(counted) - double,
    )


def singles_of(clean: dict[str, Result]) -> dict[tuple[str, ...], list[Run]]:
    """Give every single fault, those together that are of one mode at one kind of call of one workflow."""
    groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for name, result in sorted(clean.items()):
        kinds = {call.number: str(call) for call in result.calls}
        for number, mode in applicable(result.calls):
            groups[name, mode, kinds[number]].append(Run(name, ((number, mode),)))
    return groups


def sampled(groups: dict[tuple[str, ...], list[Run]], chance: random.Random, most: int) -> list[Run]:
    """Give that many faults: those that are promised first, then one of each group, then whatever is left."""
    first = promised(groups, chance)
    rest = [chance.choice(runs) for runs in groups.values()]
    others = [each for runs in groups.values() for each in runs]
    chance.shuffle(rest)
    chance.shuffle(others)
    return list(dict.fromkeys([*first, *rest, *others]))[:most]


def promised(groups: dict[tuple[str, ...], list[Run]], chance: random.Random) -> list[Run]:
    """Give so many faults that each mode is met in each workflow, and each kind of call of each workflow has one.

    A fault counts for both: of the modes of a workflow each is tried at a kind of call that had none yet, where there
    is one, and whatever had none then gets one.
    """
    drawn = [(group, chance.choice(runs)) for group, runs in groups.items()]
    chance.shuffle(drawn)
    modes: dict[tuple[str, str], dict[str, Run]] = defaultdict(dict)
    for (workflow, mode, kind), each in drawn:
        modes[workflow, mode][kind] = each
    chosen: list[Run] = []
    met: set[tuple[str, str]] = set()
    for (workflow, _), kinds in sorted(
        modes.items(), key=lambda item: len(item[1])
    ):  # those with the least choice first
        kind = next((each for each in kinds if (workflow, each) not in met), next(iter(kinds)))
        met.add((workflow, kind))
        chosen.append(kinds[kind])
    for (workflow, _, kind), each in drawn:
        if (workflow, kind) not in met:
            met.add((workflow, kind))
            chosen.append(each)
    return list(dict.fromkeys(chosen))


def _told(outcomes: Iterable[Outcome], what: str) -> Iterator[Outcome]:
    """Yield outcomes, and tell on the way how far one is, and of each violation at once."""
    told = began = time.monotonic()
    for number, done in enumerate(outcomes, start=1):
        if done.violations:
            sys.stderr.write(f"sweep: {done.text}: {'; '.join(done.violations)}\n")
        if time.monotonic() - told > TELLS_EVERY_SECONDS:
            told = time.monotonic()
            sys.stderr.write(f"sweep: {number} {what}, after {told - began:.0f} s\n")
        yield done


def _pairs(pool: Any, clean: dict[str, Result], chance: random.Random, wanted: int) -> Iterator[Outcome]:
    """Yield the outcomes of pairs, until as many as are wanted count, or too few do."""
    left, draws = wanted, wanted * MOST_DRAWS
    while left > 0 and draws > 0:
        drawn = list(pairs_of(clean, chance, min(left, draws)))
        draws -= len(drawn)
        for done in workers.runs(pool, drawn):
            left -= done.counts
            yield done


def pairs_of(clean: dict[str, Result], chance: random.Random, number: int) -> Iterable[Run]:
    """Give runs with two faults each, every workflow as often as its calls make it worth.

    One on instances is drawn a quarter as often: a run of it takes twice as long, and there are as many of them.
    """
    names = sorted(clean)
    weights = [len(clean[name].calls) ** 0.5 / (4 if WORKFLOWS[name].hosted else 1) for name in names]
    faults = {name: applicable(clean[name].calls) for name in names}
    for _ in range(number):
        name = chance.choices(names, weights)[0]
        calls = clean[name].calls
        first = _drawn(faults[name], chance)
        # the second may come in what the first one leads to: in a retry, or in a compensation
        left = max(len(calls) - first[0], 1) + BEYOND
        later = first[0] + chance.randint(1, min(left, NEAR) if chance.random() < NEARBY else left)
        fits = [
            (later, mode.name)
            for mode in MODES.values()
            if (mode.applies(calls[later - 1]) if later <= len(calls) else not mode.only)
        ]
        yield Run(name, (first, _drawn(fits, chance)))


def _drawn(faults: list[tuple[int, str]], chance: random.Random) -> tuple[int, str]:
    """Give one of these faults, seldom one that mostly makes no difference."""
    while True:
        drawn = chance.choice(faults)
        if chance.random() < SELDOM_TAKEN.get(drawn[1], 1.0):
            return drawn


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
