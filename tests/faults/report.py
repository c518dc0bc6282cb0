"""What `make faults` says: one table, and one line of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.sweep import Sweep

LEAST_SINGLES, LEAST_PAIRS = 1500, 2000


@dataclass(frozen=True)
class Report:
    """The figures of all parts that were run."""

    sweep: Sweep | None = None

    def with_sweep(self, done: Sweep) -> Report:
        """Give the report with the sweep's figures."""
        return replace(self, sweep=done)

    def figures(self) -> dict[str, Any]:
        """Give the figures by their names; a part that was not run has zeros."""
        done = self.sweep
        return {
            "runs": done.runs if done else 0,
            "pairs": done.pairs if done else 0,
            "violations": len(done.violations) if done else 0,
        }

    def json(self) -> str:
        """Give the last line."""
        return json.dumps(self.figures())

    def text(self) -> str:
        """Give the table and the last line."""
        return "\n".join([*_of_sweep(self.sweep), self.json()])


def exit_code(report: Report, *, complete: bool) -> int:
    """Give 1 after a violation, or, for a complete run, below a minimum; else 0."""
    figures = report.figures()
    short = complete and (figures["runs"] < LEAST_SINGLES or figures["pairs"] < LEAST_PAIRS)
    return int(bool(figures["violations"]) or short)


def _of_sweep(done: Sweep | None) -> list[str]:
    if done is None:
        return []
    lines = [f"{'workflow':18}{'calls':>7}{'faults':>8}{'violations':>12}"]
    lines += [f"{name:18}{calls:7}{faults:8}{wrong:12}" for name, calls, faults, wrong in done.by_workflow]
    lines.append("modes: " + ", ".join(f"{mode} {count}" for mode, count in done.by_mode))
    lines.append(f"{done.runs} single faults and {done.pairs} pairs, {done.runs_per_second:.1f} runs a second")
    lines += [f"VIOLATED {each}" for each in done.violations]
    return lines
