"""`make faults`: break every call of every workflow, and say what came of it.

The last line is JSON, whatever became of the parts. The exit code is 1 after a violation, for a mutant that nobody
caught, for a part that broke off, or below a minimum.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from tests.faults import alone, mutants, workers
from tests.faults.bench import Run
from tests.faults.mutating import Mutant, mutated
from tests.faults.parts import PARTS, Part
from tests.faults.report import MOST_SECONDS, Report, exit_code


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for and give the exit code."""
    asked = _arguments(arguments)
    if asked.replay:
        try:
            run = Run.of(asked.replay)
            mutant = mutants.named(asked.mutant) if asked.mutant else None
        except ValueError as exc:
            print(exc, file=sys.stderr)
            return 2
        return _replay(run, mutant)
    parts = {name: part for name, part in PARTS.items() if not asked.only or name in asked.only}
    told = told_by(parts, asked.seed, asked.jobs)
    complete = not asked.only
    print(told.json() if asked.json_only else told.text(complete=complete))
    return exit_code(told, complete=complete)


def told_by(parts: Mapping[str, Part], seed: int, jobs: int, most_seconds: float = MOST_SECONDS) -> Report:
    """Run parts, none longer than it may be, nor than what is left of the time for all; give the figures.

    Those that need one core and no quiet go first, beside one another; each of the others has the machine for itself.
    """
    told = Report(seed=seed)
    began = time.monotonic()

    def do(name: str) -> tuple[str, Any, float]:
        left = max(0.0, most_seconds - (time.monotonic() - began))
        begins = time.monotonic()
        done = alone.done(parts[name].with_jobs(jobs), min(parts[name].limit_seconds, left), seed=seed)
        print(f"{name}: {time.monotonic() - begins:.0f} s", file=sys.stderr, flush=True)
        return name, done, time.monotonic() - begins

    for at_once, names in ((jobs, [name for name in parts if parts[name].beside]), (1, list(parts))):
        with ThreadPoolExecutor(at_once) as doing:
            for name, done, seconds in doing.map(do, [name for name in names if name not in told.seconds]):
                told = told.with_part(name, done, seconds)
    return replace(told, took_seconds=time.monotonic() - began)


def _replay(run: Run, mutant: Mutant | None) -> int:
    """Do one run again; give 1 where it violates something, 2 where not all that it names happens."""
    with workers.bench() as bench:
        bench.calls(run.workflow)  # where it begins is made without the bug
        with mutated(mutant) if mutant else nullcontext():
            result = bench.run(run)
    unmet = len(run.plan) - len(result.met)
    well = f"{unmet} of its faults met no call of {len(result.calls)}" if unmet else "as it should be"
    print(f"{result.run}: " + ("; ".join(result.violations) or well))
    for met in result.met:
        print(f"  went wrong: {met}")
    for call in result.calls:
        print(f"  {call.number:4} {call}")
    return 1 if result.violations else 2 * bool(unmet)


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
