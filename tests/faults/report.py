"""What `make faults` says: one table, and one line of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.api_cases import ApiCases
from tests.faults.kills import Kills
from tests.faults.mutants import Mutants
from tests.faults.schedules import Schedules
from tests.faults.storms import Storms
from tests.faults.sweep import Sweep

LEAST = {"runs": 1500, "pairs": 2000, "mutants": 30, "kills": 100, "api_cases": 10_000}  # of a complete run


@dataclass(frozen=True)
class Report:
    """The figures of all parts that were run."""

    sweep: Sweep | None = None
    mutants: Mutants | None = None
    storms: Storms | None = None
    schedules: Schedules | None = None
    kills: Kills | None = None
    api: ApiCases | None = None

    def with_part(self, name: str, done: Any) -> Report:
        """Give the report with a part's figures."""
        return replace(self, **{name: done})

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

    def text(self) -> str:
        """Give the table and the last line."""
        parts = (
            _of_sweep(self.sweep),
            _of_mutants(self.mutants),
            _of_storms(self.storms),
            _of_schedules(self.schedules),
            _of_kills(self.kills),
            _of_api(self.api),
        )
        return "\n".join([*(line for part in parts for line in part), self.json()])


def exit_code(report: Report, *, complete: bool) -> int:
    """Give 1 after a violation, or, for a complete run, below a minimum; else 0."""
    figures = report.figures()
    short = complete and any(figures[name] < number for name, number in LEAST.items())
    wrong = ("violations", "kill_violations", "api_5xx")
    went_wrong = any(figures[name] for name in wrong) or any(figures["schedule"].values())
    broken = report.api is not None and bool(report.api.failures)
    unsound = report.storms is not None and not report.storms.sound
    survived = figures["mutants_caught"] < figures["mutants"]
    return int(went_wrong or broken or survived or unsound or short)


def _of_sweep(done: Sweep | None) -> list[str]:
    if done is None:
        return []
    lines = [f"{'workflow':18}{'calls':>7}{'faults':>8}{'violations':>12}"]
    lines += [f"{name:18}{calls:7}{faults:8}{wrong:12}" for name, calls, faults, wrong in done.by_workflow]
    lines.append("modes: " + ", ".join(f"{mode} {count}" for mode, count in done.by_mode))
    lines.append(f"{done.runs} single faults and {done.pairs} pairs, {done.runs_per_second:.1f} runs a second")
    lines += [f"VIOLATED {each}" for each in done.violations]
    return lines


def _of_mutants(done: Mutants | None) -> list[str]:
    if done is None:
        return []
    told = f"{done.caught} of {len(done.verdicts)} mutants caught, in {done.seconds:.0f} s"
    return [*map(str, done.verdicts), told]


def _of_storms(done: Storms | None) -> list[str]:
    if done is None:
        return []
    return [
        f"storm: {done.events} events, {done.lost} lost: {done.versions} versions at rest, {done.started} started, "
        f"{done.missed} missed, {done.doubled} doubled",
        f"race: {done.race_winners} winner and {done.race_conflicts} conflicts for a name; with one key "
        f"{done.same_key_callers} callers, {done.same_key_answers} answer, {done.same_key_records} record",
        f"calls: {done.calls} in {done.interleavings} orders with scale-down and teardown, {done.calls_lost} lost",
        *(f"VIOLATED {each}" for each in done.examples),
    ]


def _of_schedules(done: Schedules | None) -> list[str]:
    if done is None:
        return []
    return [
        f"schedules: {done.zones} zones, {done.windows} windows, {done.looks} looks, {done.swept} sweeps: "
        f"{done.missed} missed, {done.doubled} doubled",
        *(f"VIOLATED {each}" for each in done.examples),
    ]


def _of_kills(done: Kills | None) -> list[str]:
    if done is None:
        return []
    whose = ", ".join(f"{name.removeprefix('pilotlight-')} {count}" for name, count in done.functions.items())
    return [
        f"kills: {done.kills} in {done.lives} lives, {done.violations} violations; whose: {whose}",
        *(f"VIOLATED {each}" for each in done.examples),
    ]


def _of_api(done: ApiCases | None) -> list[str]:
    if done is None:
        return []
    told = f"api: {done.cases} cases and {done.hostile} hostile requests"
    return [
        f"{told}: {done.server_errors} server errors, {done.schema_breaks} breaks of the schema",
        *(f"VIOLATED {each}" for each in done.failures),
    ]
