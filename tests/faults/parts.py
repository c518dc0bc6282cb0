"""The parts of a full run, in their order: the sweep comes last and has what the others leave of the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.faults import api_cases, kills, mutants, schedules, storms, sweep, workers
from tests.faults.report import LEAST, MOST_SECONDS, STORM


@dataclass(frozen=True)
class Part:
    """One part: `run(seed=…)` in a process of its own, or, `pooled`, shared out among processes with a bench each.

    One that needs one core and no quiet may run `beside` others.
    """

    run: Callable[..., Any]
    limit_seconds: float
    pooled: bool = False
    beside: bool = False

    def with_jobs(self, jobs: int) -> Callable[..., Any]:
        """Give what runs it with so many processes."""
        return partial(workers.pooled, self.run, jobs) if self.pooled else self.run


PARTS = {
    "api": Part(partial(api_cases.run, LEAST["api_cases"]), 900, beside=True),
    "storms": Part(partial(storms.run, STORM["events"]), 900, beside=True),
    "schedules": Part(schedules.run, 900, beside=True),
    "kills": Part(partial(kills.run, LEAST["kills"]), 900),
    "mutants": Part(mutants.run, 900, pooled=True),
    "sweep": Part(sweep.run, MOST_SECONDS, pooled=True),
}
