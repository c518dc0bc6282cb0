"""Storms: thousands of upload events, a name that a hundred want at once, and calls of a model that is taken away.

`python -m tests.faults --only storms` runs them in full.
"""

from dataclasses import dataclass, field

from tests.faults import races
from tests.faults.ground import Ground
from tests.faults.upload_storm import storm

CALLERS = 100
INTERLEAVINGS = 1_000


@dataclass(frozen=True)
class Storms:
    """What came of all storms.

    Uploads: `versions` of folders came to rest under `events`, of which `lost` never came; `started` of them were
    started, `missed` never, `doubled` more than once. Deploys of one name: `race_winners` and `race_conflicts` with
    different keys, `same_key_answers` different answers to `same_key_callers` with the same one. Calls: `calls` in
    `interleavings` of callers, workers, scale-down, teardown and sweep, of which `calls_lost` were never told how they
    ended; `ends` counts how the others did.
    """

    events: int
    lost: int
    versions: int
    started: int
    missed: int
    doubled: int
    race_winners: int
    race_conflicts: int
    race_odd: int
    race_executions: int
    same_key_callers: int
    same_key_answers: int
    same_key_records: int
    interleavings: int
    calls: int
    calls_lost: int
    ends: dict[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every storm came out as it should."""
        uploads = (self.started, self.missed, self.doubled) == (self.versions, 0, 0)
        race = (self.race_winners, self.race_odd, self.race_executions) == (1, 0, 1)
        same_key = (self.same_key_answers, self.same_key_records) == (1, 1)
        calls = not self.calls_lost and self.ends.keys() <= races.ENDS and sum(self.ends.values()) == self.calls
        return uploads and race and same_key and calls


def run(events: int = 10_000, seed: int = 1, callers: int = CALLERS, interleavings: int = INTERLEAVINGS) -> Storms:
    """Let all storms pass over a stack of their own and return what they left."""
    with Ground() as ground:
        race = races.deploys(ground, "wanted", callers, lambda number: f"key-{seed}-{number}")
        same = races.deploys(ground, "repeated", callers, lambda _: f"key-{seed}")
        uploads = storm(ground, events=events, seed=seed, scan=ground.scan())
    calls = races.calls(interleavings, seed)
    return Storms(
        events=uploads.events,
        lost=uploads.lost,
        versions=uploads.versions,
        started=uploads.started,
        missed=uploads.missed,
        doubled=uploads.doubled,
        race_winners=race.winners,
        race_conflicts=race.conflicts,
        race_odd=race.odd,
        race_executions=race.executions,
        same_key_callers=same.winners,
        same_key_answers=same.answers,
        same_key_records=same.records,
        interleavings=calls.interleavings,
        calls=calls.calls,
        calls_lost=calls.lost,
        ends=dict(calls.ends),
        examples=(*uploads.examples[:5], *calls.examples[:5]),
    )
