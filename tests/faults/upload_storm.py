"""Thousands of upload events, late, repeated, shuffled and lost: is each version that comes to rest started once?

Folders are uploaded several times over: in bursts, under events that come in any order, some of them hours later, under
sweeps that are skipped. The real handlers note the events, the real sweep looks. Each execution that begins is counted,
by its input, for what lies in the bucket at that moment, and compared with what came to rest there; what a version is,
is worked out here, from names, sizes and ETags, and not asked of the product. Executions do not run: a deployment is
torn down by the API and by the teardown's last step.
"""

import hashlib
import heapq
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pilotlight.domain.deployment import EventKind, Status, change
from pilotlight.domain.upload import COMPLETE_MARK, ROOT, SETTINGS_FILE

from local.checkpoints import write_checkpoint
from local.index_lag import lag
from tests.faults.ground import ApiCaller, Ground
from tests.faults.product import ROOT as REPOSITORY

ROUNDS = 3
LOST = 0.05
BURST_SECONDS = 30.0  # of one folder's files: shorter than what counts as rest
SPREAD_SECONDS = 600.0  # within which all folders are uploaded
QUIET_SECONDS = 1800.0  # without an upload, until everything has been looked at
SETTLED_SECONDS = 300.0  # after the last event there is hardly anything to look at
SKIPPED_SWEEPS, SKIPPED_WHEN_QUIET = 0.1, 0.9
MARKED = 0.25
VERY_LATE = 0.03
TORN_DOWN_FIRST = 0.5
COPIES = (1, 2, 4, 7)
DEPLOYING_SECONDS = 90.0
INDEX_LAG_SECONDS = 3.0  # by which the table's indexes are behind


@dataclass
class UploadStorm:
    """What was told and what was started: `missed` and `doubled` are versions of folders."""

    events: int = 0
    lost: int = 0
    versions: int = 0
    started: int = 0
    missed: int = 0
    doubled: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class _Storm:
    ground: Ground
    luck: random.Random
    files: dict[str, bytes]
    deaf: float  # share of the uploads of which every event is lost; the rest of LOST is spread over all others
    told: UploadStorm = field(default_factory=UploadStorm)
    agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    numbers: Any = field(default_factory=count)
    rested: set[tuple[str, str]] = field(default_factory=set)
    started: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: dict[str, tuple[int, str]] = field(default_factory=dict)  # by folder, the latest generation and its version

    def __post_init__(self) -> None:
        self.note, self.sweep = self.ground.handler("note_upload"), self.ground.handler("sweep")
        self.gone = self.ground.handler("mark_gone")
        self.api = ApiCaller(self.ground)
        self.seen = len(self.ground.begun)
        self.busy_until = 0.0
        self.bucket = self.ground.outputs["UploadBucketName"]
        events = REPOSITORY / "events"
        self.event: dict[str, Any] = json.loads((events / "note_upload/object-created.json").read_text())
        self.tick: dict[str, Any] = json.loads((events / "sweep/every-minute.json").read_text())

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do that so many seconds from now."""
        heapq.heappush(self.agenda, (self.ground.clock.timestamp() + seconds, next(self.numbers), act))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with what is due in it, and a sweep in each minute that is not skipped."""
        clock = self.ground.clock
        end = clock.timestamp() + seconds
        while (minute := min(clock.timestamp() + 60, end)) > clock.timestamp():
            while self.agenda and self.agenda[0][0] <= minute:
                at, _, act = heapq.heappop(self.agenda)
                clock.advance(seconds=max(0.0, at - clock.timestamp()))
                act()
                self._count_begun()
                self.busy_until = clock.timestamp() + SETTLED_SECONDS
            clock.advance(seconds=minute - clock.timestamp())
            skipped = SKIPPED_SWEEPS if minute < self.busy_until else SKIPPED_WHEN_QUIET
            if self.luck.random() >= skipped:
                self.sweep(self.tick)
            self._count_begun()

    def _count_begun(self) -> None:
        """Count what has begun for what lies there now; later the records become what the executions would make them.

        Who looks may not come later: the bucket would have changed.
        """
        begun = self.ground.begun[self.seen :]
        self.seen += len(begun)
        for arn in begun:
            if arn.split(":")[6].endswith("-deploy"):
                told = self.ground.client("stepfunctions").describe_execution(executionArn=arn)
                work = json.loads(told["input"])
                folder, version = work["deployment"], self.lying(work["deployment"])
                self.started[folder, version] += 1
                self.runs[folder] = work["generation"], version
                self.later(DEPLOYING_SECONDS, partial(self._serve, folder))

    def lying(self, folder: str) -> str:
        """Return what lies in a folder: a hash over its files but the mark, which changes nothing about them."""
        listed = self.ground.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=f"{ROOT}{folder}/")
        files = [(each["Key"], each["Size"], each["ETag"]) for each in listed.get("Contents", [])]
        told = json.dumps(sorted(file for file in files if not file[0].endswith(f"/{COMPLETE_MARK}")))
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def _serve(self, name: str) -> None:
        deployments, now = self.ground.runtime("mark_serving").deployments, self.ground.clock.now()
        found = deployments.get(name)
        if found.status is Status.REQUESTED:
            after = found.changed(status=Status.SERVING)
            deployments.save(found, change(found, after, EventKind.STATUS, "it serves", now))


def storm(ground: Ground, *, events: int, seed: int, scan: Callable[[], None] | None = None) -> UploadStorm:
    """Send about so many events and return what came of them; `scan` finds what no event told of."""
    luck = random.Random(seed)
    with TemporaryDirectory() as folder:
        made = write_checkpoint(Path(folder), shards=2, shard_bytes=20_000, clutter=False)
        files = {file: (made.folder / file).read_bytes() for file in made.files}
    # without a scan nobody can know of a folder of which every event is lost
    state = _Storm(ground, luck, files, deaf=LOST / 2 if scan else 0.0)
    lag.set(INDEX_LAG_SECONDS, ground.clock.timestamp)
    try:
        _pass(state, events, scan)
    finally:
        lag.set(0.0, ground.clock.timestamp)
    _count(state)
    return state.told


def _pass(state: _Storm, events: int, scan: Callable[[], None] | None) -> None:
    """Let all rounds of uploads pass, and the latest events after them."""
    folders = [f"folder-{number}" for number in range(max(2, int(events / _events_of_a_folder(state.files))))]
    for number in range(1, ROUNDS + 1):
        _upload_all(state, folders, number)
        state.pass_time(SPREAD_SECONDS + QUIET_SECONDS)
        if scan:
            scan()
            state.pass_time(300)
        _compare(state, folders)
    while state.told.events < events:
        _tell(state, state.luck.choice(folders), state.luck.choice([*state.files]), 0.0, lost=False)
    state.pass_time(6 * 3600)  # the latest events change nothing


def _events_of_a_folder(files: dict[str, bytes]) -> float:
    return ROUNDS * (len(files) + 1 + MARKED) * sum(COPIES) / len(COPIES)


def _upload_all(state: _Storm, folders: list[str], number: int) -> None:
    """Upload a version of every folder, and tear the former ones down, before or after."""
    for folder in folders:
        begins = state.luck.uniform(0, SPREAD_SECONDS)
        first = state.luck.random() < TORN_DOWN_FIRST
        if number > 1:
            gone = begins - 20 if first else begins + BURST_SECONDS + state.luck.uniform(0, 400)
            state.later(max(0.0, gone), partial(_tear_down, state, folder))
        lost = state.luck.random() < state.deaf
        names = [*state.files, SETTINGS_FILE]
        state.luck.shuffle(names)
        if state.luck.random() < MARKED:
            names.append(COMPLETE_MARK)
        for place, name in enumerate(names):
            at = begins + BURST_SECONDS * place / len(names)
            state.later(at, partial(_put, state, folder, name, number))
            for _ in range(state.luck.choice(COPIES)):
                _tell(state, folder, name, at, lost=lost)


def _tell(state: _Storm, folder: str, name: str, at: float, *, lost: bool) -> None:
    """Send an object's event, mostly soon, sometimes hours later; or lose it."""
    state.told.events += 1
    if lost or state.luck.random() < LOST - state.deaf:
        state.told.lost += 1
        return
    late = state.luck.uniform(3600, 5 * 3600) if state.luck.random() < VERY_LATE else state.luck.expovariate(1 / 45)
    state.later(at + late, lambda: state.note(_event(state, folder, name)))


def _event(state: _Storm, folder: str, name: str) -> dict[str, Any]:
    told = dict(state.event)
    detail = dict(told["detail"])
    detail |= {"bucket": {"name": state.bucket}, "object": {**detail["object"], "key": f"{ROOT}{folder}/{name}"}}
    return {**told, "detail": detail}


def _put(state: _Storm, folder: str, name: str, number: int) -> None:
    settings = json.dumps({"tags": {"round": str(number)}, "lease": "permanent"}).encode()
    body = settings if name == SETTINGS_FILE else state.files.get(name, b"")
    state.ground.client("s3").put_object(Bucket=state.bucket, Key=f"{ROOT}{folder}/{name}", Body=body)


def _tear_down(state: _Storm, folder: str) -> None:
    begun = state.api.ask("DELETE", "/deployments/{name}", name=folder)
    if begun.status == 404:  # what no event told of was never started
        return
    assert begun.status == 202, begun
    task = {"deployment": folder, "generation": begun.body["generation"], "correlation_id": "c-storm"}
    state.gone(task)


def _compare(state: _Storm, folders: list[str]) -> None:
    """Count what lies at rest now, and whether it runs."""
    for folder in folders:
        version = state.lying(folder)
        state.rested.add((folder, version))
        found = state.api.ask("GET", "/deployments/{name}", name=folder)
        live = found.status == 200 and found.body["status"] in ("REQUESTED", "SERVING")
        if not live or state.runs.get(folder) != (found.body["generation"], version):
            state.told.missed += 1
            state.told.examples.append(f"{folder}: {version} lies there, {state.runs.get(folder)} runs: {found}")


def _count(state: _Storm) -> None:
    """Count what was started, and what should not have been: a second time, or before it was at rest."""
    for (folder, version), times in state.started.items():
        state.told.started += times
        wrong = times - ((folder, version) in state.rested)
        state.told.doubled += wrong
        if wrong:
            state.told.examples.append(f"{folder}: {version} was started {times} times")
    state.told.versions = len(state.rested)
