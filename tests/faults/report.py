"""What `make faults` says: one table, and one line of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.kills import Kills
from tests.faults.mutants import Mutants
from tests.faults.schedules import Schedules
from tests.faults.storms import Storms
from tests.faults.sweep import Sweep

LEAST_SINGLES, LEAST_PAIRS, LEAST_MUTANTS = 1500, 2000, 30


@dataclass(frozen=True)
class Report:
    """The figures of all parts that were run."""

    sweep: Sweep | None = None
    mutants: Mutants | None = None
    storms: Storms | None = None
    schedules: Schedules | None = None
    kills: Kills | None = None

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
        )
        return "\n".join([*(line for part in parts for line in part), self.json()])


def exit_code(report: Report, *, complete: bool) -> int:
    """Give 1 after a violation, or, for a complete run, below a minimum; else 0."""
    figures = report.figures()
    least = {"runs": LEAST_SINGLES, "pairs": LEAST_PAIRS, "mutants": LEAST_MUTANTS}
    short = complete and any(figures[name] < number for name, number in least.items())
    went_wrong = figures["violations"] or figures["kill_violations"] or any(figures["schedule"].values())
    unsound = report.storms is not None and not report.storms.sound
    survived = figures["mutants_caught"] < figures["mutants"]
    return int(bool(went_wrong) or survived or unsound or short)


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
