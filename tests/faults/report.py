"""What `make faults` says: one table, one line of JSON, and whether all of it is as it should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults import figures
from tests.faults.alone import Broken
from tests.faults.api_cases import ApiCases
from tests.faults.kills import Kills
from tests.faults.mutants import Mutants
from tests.faults.schedules import Schedules
from tests.faults.storms import CALLERS, Storms
from tests.faults.sweep import Sweep

LEAST = {"runs": 1500, "pairs": 2000, "mutants": 30, "kills": 100, "api_cases": 10_000}  # of a complete run
STORM = {"events": 10_000, "started": 1}  # at least, too
SCHEDULES = {"zones": 590, "windows": 5_000, "looks": 500_000, "swept": 50_000}  # at least: about half of what there is
RACE = {"winners": 1, "conflicts": CALLERS - 1}  # exactly
MOST_SECONDS = 40 * 60.0
LINES: dict[str, Callable[[Any], list[str]]] = {
    "sweep": figures.of_sweep,
    "mutants": figures.of_mutants,
    "storms": figures.of_storms,
    "schedules": figures.of_schedules,
    "kills": figures.of_kills,
    "api": figures.of_api,
}


@dataclass(frozen=True)
class Report:
    """The figures of all parts that were run; of those that have none, why, and how long each took."""

    sweep: Sweep | None = None
    mutants: Mutants | None = None
    storms: Storms | None = None
    schedules: Schedules | None = None
    kills: Kills | None = None
    api: ApiCases | None = None
    broken: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    took_seconds: float = 0.0
    seed: int = 0

    def with_part(self, name: str, done: Any, seconds: float = 0.0) -> Report:
        """Give the report with a part's figures, or with why it has none."""
        told = replace(self, seconds={**self.seconds, name: seconds})
        if isinstance(done, Broken):
            return replace(told, broken={**self.broken, name: done.why})
        return replace(told, **{name: done})

    def figures(self) -> dict[str, Any]:
        """Give the figures by their names; a part that was not run has zeros."""
        done, storms, schedules, kills = self.sweep, self.storms, self.schedules, self.kills
        return {
            "runs": done.runs if done else 0,
            "pairs": done.pairs if done else 0,
            "violations": len(done.violations) if done else 0,
            "mutants": len(self.mutants.verdicts) if self.mutants else 0,
            "mutants_caught": self.mutants.caught if self.mutants else 0,
            "storm": {name: getattr(storms, name, 0) for name in ("events", "started", "doubled", "missed")},
            "race": {name: getattr(storms, f"race_{name}", 0) for name in ("winners", "conflicts")},
            "schedule": {name: getattr(schedules, name, 0) for name in ("missed", "doubled")},
            "kills": kills.kills if kills else 0,
            "kill_violations": kills.violations if kills else 0,
            "api_cases": self.api.cases if self.api else 0,
            "api_5xx": self.api.server_errors if self.api else 0,
        }

    def json(self) -> str:
        """Give the last line."""
        return json.dumps(self.figures())

    def text(self, *, complete: bool) -> str:
        """Give the table, what is wrong, and the last line."""
        parts = {name: getattr(self, name) for name in LINES}
        lines = [line for name, done in parts.items() if done is not None for line in LINES[name](done)]
        lines.append(self._time())
        return "\n".join([*lines, *(f"WRONG {each}" for each in wrong(self, complete=complete)), self.json()])

    def _time(self) -> str:
        each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.seconds.items())
        pace = f"; {self.sweep.runs_per_second:.1f} runs a second" if self.sweep else ""
        return f"{self.took_seconds:.0f} s in all ({each}){pace}; seed {self.seed}"


def exit_code(report: Report, *, complete: bool) -> int:
    """Give 1 where anything is wrong, else 0."""
    return int(any(True for _ in wrong(report, complete=complete)))


def wrong(report: Report, *, complete: bool) -> Iterator[str]:
    """Give everything that is: harm that was done, parts without figures, and a complete run's too small ones."""
    told = report.figures()
    yield from (f"{name}: {why}" for name, why in report.broken.items())
    yield from (f"{told[name]} {name}" for name in ("violations", "kill_violations", "api_5xx") if told[name])
    yield from (f"schedule: {number} {name}" for name, number in told["schedule"].items() if number)
    if report.api and report.api.failures:
        yield f"{len(report.api.failures)} failures of the API"
    if report.storms and not report.storms.sound:
        yield f"an unsound storm: {report.storms}"
    if told["mutants_caught"] < told["mutants"]:
        yield f"{told['mutants'] - told['mutants_caught']} mutants survived"
    if complete:
        yield from _too_little(report, told)


def _too_little(report: Report, told: dict[str, Any]) -> Iterator[str]:
    yield from (f"{told[name]} {name}, not {least}" for name, least in LEAST.items() if told[name] < least)
    storm, race = told["storm"], told["race"]
    yield from (f"{storm[name]} storm {name}, not {least}" for name, least in STORM.items() if storm[name] < least)
    yield from (f"{race[name]} race {name}, not {number}" for name, number in RACE.items() if race[name] != number)
    looked = {name: getattr(report.schedules, name, 0) for name in SCHEDULES}
    yield from (
        f"{looked[name]} {name} of schedules, not {least}" for name, least in SCHEDULES.items() if looked[name] < least
    )
    if (seconds := report.took_seconds) > MOST_SECONDS:
        yield f"{seconds:.0f} s, not {MOST_SECONDS:.0f}"
