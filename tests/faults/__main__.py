"""`make faults`: break every call of every workflow, and say what came of it.

The last line is JSON. The exit code is 1 after a violation, for a mutant that nobody caught, or below a minimum.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from functools import partial

from tests.faults import alone, api_cases, kills, mutants, report, schedules, storms, sweep, workers
from tests.faults.bench import Run
from tests.faults.mutating import mutated
from tests.faults.report import Report

ALONE = {  # one at a time, in a process of its own
    "storms": storms.run,
    "schedules": schedules.run,
    "kills": kills.run,
    "api": partial(api_cases.run, report.LEAST["api_cases"]),
}
POOLED = {"sweep": sweep.run, "mutants": mutants.run}  # shared out among processes with a stack each
PARTS = (*POOLED, *ALONE)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for and give the exit code."""
    asked = _arguments(arguments)
    if asked.replay:
        return _replay(asked.replay, asked.mutant)
    parts = asked.only or list(PARTS)
    told = Report()
    if POOLED.keys() & set(parts):
        with workers.workers(asked.jobs) as pool:
            for name, run in POOLED.items():
                if name in parts:
                    told = told.with_part(name, run(pool, seed=asked.seed))
    for name, apart in ALONE.items():
        if name in parts:
            told = told.with_part(name, alone.done(apart, seed=asked.seed))
    print(told.json() if asked.json_only else told.text())
    return report.exit_code(told, complete=not asked.only)


def _replay(text: str, mutant: str | None) -> int:
    run = Run.of(text)
    with workers.bench() as bench:
        bench.calls(run.workflow)  # where it begins is made without the bug
        with mutated(mutants.named(mutant)) if mutant else nullcontext():
            result = bench.run(run)
    print(f"{result.run}: " + ("; ".join(result.violations) or "as it should be"))
    for met in result.met:
        print(f"  went wrong: {met}")
    for call in result.calls:
        print(f"  {call.number:4} {call}")
    return bool(result.violations)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part only (may be given again)")
    parser.add_argument("--seed", type=int, default=4, help="what all that is left to chance is drawn from")
    parser.add_argument("--replay", metavar="RUN", help="do one run again, such as deploy:17:crash_after+41:throttle")
    parser.add_argument("--mutant", metavar="NAME", help="do that run with this bug in the code")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 2), help="how many processes")
    parser.add_argument("--json-only", action="store_true", help="print the last line only")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
