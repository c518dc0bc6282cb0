"""What the parts of a run say for themselves, as lines of one table."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase

from tests.faults.api_cases import ApiCases
from tests.faults.killer import PHASES
from tests.faults.kills import Kills
from tests.faults.modes import MODES
from tests.faults.mutants import Mutants
from tests.faults.schedules import Schedules
from tests.faults.storms import Storms
from tests.faults.sweep import Sweep


def of_sweep(done: Sweep) -> list[str]:
    """Give the matrix, the figures, and every violation."""
    return [
        *matrix(done),
        f"{done.runs} single faults of {done.of_all} and {done.pairs} pairs, {len(done.violations)} violations; not "
        f"counted: {done.uncounted} whose faults were not all met, or whose competitor changed nothing; "
        f"{done.runs_per_second:.1f} runs a second",
        *(f"VIOLATED {each}" for each in done.violations),
    ]


def matrix(done: Sweep) -> list[str]:
    """Give crash points by workflow and mode: at how many calls it was met, and after a ! how often it did harm."""
    letters = dict(zip(MODES, ascii_lowercase + ascii_uppercase, strict=False))
    legend = [f"{letter} {mode}" for mode, letter in letters.items()]
    lines = [", ".join(legend[first : first + 7]) for first in range(0, len(legend), 7)]
    lines.append(f"{'crash points of':18}{'calls':>6}" + "".join(f"{letter:>6}" for letter in letters.values()))
    for workflow, calls, _, _ in done.by_workflow:
        cells = [_cell(*done.matrix.get((workflow, mode), (0, 0))) for mode in MODES]
        lines.append(f"{workflow:18}{calls:6}" + "".join(f"{cell:>6}" for cell in cells))
    counts = dict(done.by_mode)
    total = sum(calls for _, calls, _, _ in done.by_workflow)
    lines.append(f"{'all':18}{total:6}" + "".join(f"{counts.get(mode, 0):6}" for mode in MODES))
    return lines


def _cell(points: int, violations: int) -> str:
    return (str(points) if points else "·") + (f"!{violations}" if violations else "")


def of_mutants(done: Mutants) -> list[str]:
    """Give what became of each mutant."""
    return [*map(str, done.verdicts), f"{done.caught} of {len(done.verdicts)} mutants caught, in {done.seconds:.0f} s"]


def of_storms(done: Storms) -> list[str]:
    """Give a line for each storm."""
    return [
        f"storm: {done.events} events, {done.lost} lost: {done.versions} versions at rest, {done.started} started, "
        f"{done.missed} missed, {done.doubled} doubled",
        f"race: {done.race_winners} winner and {done.race_conflicts} conflicts for a name; with one key "
        f"{done.same_key_callers} callers, {done.same_key_answers} answer, {done.same_key_records} record",
        f"calls: {done.calls} in {done.interleavings} orders with scale-down and teardown, {done.calls_lost} lost; "
        + ", ".join(f"{count} {end}" for end, count in sorted(done.ends.items())),
        *(f"VIOLATED {each}" for each in done.examples),
    ]


def of_schedules(done: Schedules) -> list[str]:
    """Give one line, and every window that went wrong."""
    return [
        f"schedules: {done.zones} zones, {done.windows} windows, {done.looks} looks, {done.swept} sweeps: "
        f"{done.missed} missed, {done.doubled} doubled",
        *(f"VIOLATED {each}" for each in done.examples),
    ]


def of_kills(done: Kills) -> list[str]:
    """Give whose and when, and every life that went wrong."""
    whose = ", ".join(f"{name.removeprefix('pilotlight-')} {count}" for name, count in done.functions.items())
    when = ", ".join(f"{phase} {done.phases.get(phase, 0)}" for phase in PHASES)
    return [
        f"kills: {done.kills} in {done.lives} lives, {done.violations} violations; whose: {whose}",
        f"killed in which part of the time that the function usually takes: {when}",
        *(f"VIOLATED {each}" for each in done.examples),
    ]


def of_api(done: ApiCases) -> list[str]:
    """Give one line, and every break."""
    return [
        f"api: {done.cases} cases and {done.hostile} hostile requests: {done.server_errors} server errors, "
        f"{done.schema_breaks} breaks of the schema",
        *(f"VIOLATED {each}" for each in done.failures),
    ]
