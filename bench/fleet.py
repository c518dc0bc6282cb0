"""How long a fleet of copiers takes for a model, what it costs, and whether a byte is lost: a simulation in events.

    python -m bench.fleet [--seeds 31]

No machine here has a thousand Lambdas. What decides is real: the product's planner cuts the files, its racing decides
what is copied twice, its limits say how often something is tried. What is simulated is what they meet: how fast
connections are, and what breaks. `tail_ratio` is the 99th percentile of a run's seconds, from the request to the seal,
by its median. The last line is JSON.
"""

import argparse
import heapq
import json
import math
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from statistics import median

from pilotlight.domain.racing import Flight, worth_racing
from pilotlight.domain.source import SourceFile
from pilotlight.domain.spans import (
    Part,
    Run,
    Span,
    SpanLimits,
    UploadedPart,
    in_parts,
    is_multipart,
    missing_parts,
    part_bytes_for,
    spans_of,
    whole,
)
from pilotlight.services.copying import LOOK_SECONDS, TRIES

MB = 1_000_000
SIZES_GB = (132, 1300)
FLEETS = (17, 64, 128, 256, 1000)

# A public run of 1,000 Lambdas of 512 MiB, 2022: each wrote 94 MB/s at the median; the slowest of a hundred took 2.3
# times as long, the slowest of all four times. How much of that is the environment's and how much the connection's is
# not known: half of the variance is given to each, and a race can only help against the connection's.
MEDIAN_BYTES_PER_SECOND = 94 * MB
P99_SLOWER, MOST_SLOWER = 2.3, 4.0
STARTS_PER_SECOND = 100.0  # 1,000 new environments every 10 seconds. Source: AWS Lambda, "Lambda function scaling"
RAMP_SECONDS = 3.0  # until a new environment moves bytes
NEXT_SECONDS = 0.15  # between two spans of an environment
READ_TIMEOUT_SECONDS = 30.0  # after which a connection that stands still has failed

CUT, STALLED = 0.004, 0.002  # of all connections: the body ends early; nothing comes any more
CRASHED = 0.002  # of all spans: the Lambda dies in the middle
SPAN_TRIES, SPAN_WAIT_SECONDS = 4, 2.0  # of stage_artifact's CopySpan: see statemachines/stage_artifact.asl.yaml

PREFLIGHT_SECONDS = 6.0  # a request until its plan begins: judged by its small files, started, its machine's states
CALL_SECONDS = 0.06  # of S3's control plane
JOIN_SECONDS = 1.0  # of a CompleteMultipartUpload
SMALL_FILES, SMALL_FILE_BYTES, SHARD_BYTES = 8, 200_000, 4_700 * MB

# Source: AWS's public price lists, us-east-1, 2026-11: Lambda arm64, S3 Standard, Step Functions.
USD_PER_GB_SECOND, USD_PER_INVOCATION = 0.0000133334, 0.20 / 1e6
USD_PER_PUT = 0.005 / 1000
USD_PER_CHILD, USD_PER_TRANSITION, TRANSITIONS = 1.0 / 1e6, 0.025 / 1000, 12
MEMORY_GB = 1769 / 1024


@dataclass
class Store:
    """What S3 holds of the uploads: parts by file and number, as often as they were written."""

    parts: dict[str, dict[int, Part]] = field(default_factory=dict)
    puts: int = 0

    def write(self, path: str, part: Part) -> None:
        """Keep a part: the same one again replaces it."""
        self.puts += 1
        self.parts.setdefault(path, {})[part.number] = part

    def held(self, path: str) -> dict[int, UploadedPart]:
        """Return what ListParts tells."""
        return {
            number: UploadedPart(number=number, size_bytes=part.size_bytes, etag="e")
            for number, part in self.parts.get(path, {}).items()
        }

    def lost_and_doubled(self, files: list[SourceFile]) -> tuple[int, int]:
        """Return how many bytes of the files nobody wrote, and how many are in two parts."""
        lost = doubled = 0
        for file in files:
            at = 0
            for part in sorted(self.parts.get(file.path, {}).values(), key=lambda part: part.offset):
                lost += max(0, part.offset - at)
                doubled += max(0, at - part.offset)
                at = max(at, part.offset + part.size_bytes)
            lost += max(0, file.size_bytes - at)
        return lost, doubled


@dataclass(eq=False)
class Copy:
    """One copy of a part on its way: how fast its connection is, and where it breaks."""

    path: str
    part: Part
    began: float
    slower: float
    breaks_at: float | None = None
    stalls: bool = False
    tries: int = 1
    copied: float = 0.0
    newest: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """Which part it is a copy of."""
        return self.path, self.part.number

    @property
    def stands_still(self) -> bool:
        """Whether nothing comes any more."""
        return self.stalls and self.breaks_at is not None and self.copied >= self.breaks_at - 0.5


class Weather:
    """What a run meets, by its seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - nothing is kept secret
        self._sigma = math.log(P99_SLOWER) / 2.326 / math.sqrt(2)

    def slower(self) -> float:
        """Return how much slower than the median an environment or a connection is."""
        return min(math.exp(self._random.gauss(0, self._sigma)), math.sqrt(MOST_SLOWER))

    def copy(self, path: str, part: Part, began: float, tries: int = 1) -> Copy:
        """Return a new copy of a part, and its fate."""
        fate, where = self._random.random(), self._random.random() * part.size_bytes
        breaks = fate < CUT + STALLED
        return Copy(
            path=path,
            part=part,
            began=began,
            slower=self.slower(),
            breaks_at=where if breaks else None,
            stalls=breaks and fate >= CUT,
            tries=tries,
            newest=began,
        )

    def crash(self, seconds: float) -> float | None:
        """Return when a Lambda dies that would take so long, or None."""
        return self._random.random() * seconds if self._random.random() < CRASHED else None

    def jitter(self, seconds: float) -> float:
        """Return a wait with full jitter."""
        return self._random.random() * seconds


class Copier:
    """One environment of the copier, span after span."""

    def __init__(self, weather: Weather, store: Store, limits: SpanLimits) -> None:
        self._weather = weather
        self._store = store
        self._limits = limits
        self._rate = MEDIAN_BYTES_PER_SECOND / weather.slower()

    def copy(self, span: Span) -> tuple[float, bool]:
        """Return the seconds that a span took here, and whether it is whole; what arrived is in the store."""
        crossing = Crossing(self._weather, self._limits.streams, self._rate)
        crossing.waiting.extend((run.file.path, part) for run in span.runs for part in self._missing(run))
        is_whole = crossing.run()
        died = self._weather.crash(crossing.now)
        for moment, path, part in crossing.landed:
            if died is None or moment <= died:
                self._store.write(path, part)
        return (crossing.now, is_whole) if died is None else (died, False)

    def _missing(self, run: Run) -> list[Part]:
        if run.upload_id is None:
            return [Part(number=1, offset=0, size_bytes=run.size_bytes)]
        return missing_parts(run, self._store.held(run.file.path))


class Crossing:
    """The parts of one span on their way, as `services.copying` sends them."""

    def __init__(self, weather: Weather, streams: int, rate: float) -> None:
        self._weather = weather
        self._streams = streams
        self._rate = rate
        self._flying: list[Copy] = []
        self._rates: list[float] = []
        self.waiting: deque[tuple[str, Part]] = deque()
        self.landed: list[tuple[float, str, Part]] = []
        self.now = 0.0

    def run(self) -> bool:
        """Send all that waits; return whether all of it arrived."""
        while self.waiting or self._flying:
            self._begin()
            self._move(self._step())
            for each in list(self._flying):
                if each in self._flying and not self._settle(each):
                    return False
        return True

    def _begin(self) -> None:
        while len(self._flying) < self._streams:
            if self.waiting:
                self._flying.append(self._weather.copy(*self.waiting.popleft(), self.now))
            elif raced := self._to_race():
                self._flying.append(self._weather.copy(raced.path, raced.part, self.now))
            else:
                return

    def _to_race(self) -> Copy | None:
        keys = [each.key for each in self._flying]
        flights = [
            Flight(
                size_bytes=each.part.size_bytes,
                copied_bytes=int(each.copied),
                seconds=self.now - each.began,
                idle_seconds=self.now - each.newest,
                copies=keys.count(each.key),
            )
            for each in self._flying
        ]
        index = worth_racing(flights, self._rates)
        return None if index is None else self._flying[index]

    def _step(self) -> float:
        """Return how long until something changes, or until it is looked whether somebody is worth a race."""
        ends = [LOOK_SECONDS if len(self._flying) < self._streams else READ_TIMEOUT_SECONDS]
        for each in self._flying:
            goal = each.part.size_bytes if each.breaks_at is None else min(each.breaks_at, each.part.size_bytes)
            if speed := self._speed(each):
                ends.append(max((goal - each.copied) / speed, 1e-6))
            else:
                ends.append(max(READ_TIMEOUT_SECONDS - (self.now - each.newest), 1e-6))
        return min(ends)

    def _move(self, step: float) -> None:
        self.now += step
        for each, speed in [(each, self._speed(each)) for each in self._flying]:
            if speed:
                each.copied += speed * step
                each.newest = self.now

    def _speed(self, each: Copy) -> float:
        moving = sum(not other.stands_still for other in self._flying)
        return 0.0 if each.stands_still else self._rate / moving / each.slower

    def _settle(self, each: Copy) -> bool:
        """Take note of a copy that arrived or failed; return whether its part may still arrive."""
        if each.copied >= each.part.size_bytes - 0.5:
            self.landed.append((self.now, each.path, each.part))
            self._rates.append(each.part.size_bytes / max(self.now - each.began, 1e-9))
            self._flying = [other for other in self._flying if other.key != each.key]
            return True
        if not self._has_failed(each):
            return True
        self._flying.remove(each)
        if any(other.key == each.key for other in self._flying):
            return True
        if each.tries < TRIES:
            self._flying.append(self._weather.copy(each.path, each.part, self.now, each.tries + 1))
        return each.tries < TRIES

    def _has_failed(self, each: Copy) -> bool:
        if each.breaks_at is None or each.copied < each.breaks_at - 0.5:
            return False
        return not each.stalls or self.now - each.newest >= READ_TIMEOUT_SECONDS - 1e-6


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    seconds: float
    usd: float
    lost_bytes: int
    doubled_bytes: int


def files_of(total_bytes: int) -> list[SourceFile]:
    """Return the files of a model: shards as hubs have them, and its small files."""
    small = [SourceFile(path=f"config-{number}.json", size_bytes=SMALL_FILE_BYTES) for number in range(SMALL_FILES)]
    left = total_bytes - SMALL_FILES * SMALL_FILE_BYTES
    shards = -(-left // SHARD_BYTES)
    sizes = [left // shards] * (shards - 1)
    sizes.append(left - sum(sizes))
    return [
        *small,
        *(SourceFile(path=f"model-{number:05}.safetensors", size_bytes=size) for number, size in enumerate(sizes, 1)),
    ]


def run_of(file: SourceFile, limits: SpanLimits) -> Run:
    """Return a file as the planner begins with it."""
    if is_multipart(file.size_bytes):
        return in_parts(file, "u", part_bytes_for(file.size_bytes, limits))
    return whole(file)


def stage(total_bytes: int, lambdas: int, seed: int) -> Outcome:
    """Return what staging a model of that size with so many copiers came to."""
    weather, store = Weather(seed), Store()
    limits = SpanLimits(copiers=lambdas)
    files = files_of(total_bytes)
    spans = spans_of([run_of(file, limits) for file in files], limits)
    large = sum(is_multipart(file.size_bytes) for file in files)
    began = PREFLIGHT_SECONDS + rounds(large, limits) * 3 * CALL_SECONDS  # uploads looked for, begun; parts listed
    ended, billed, invocations = began, 0.0, 0
    free = [(began + number / STARTS_PER_SECOND, number) for number in range(min(lambdas, len(spans)))]
    heapq.heapify(free)
    copiers: dict[int, Copier] = {}
    for span in spans:
        now, number = heapq.heappop(free)
        now += NEXT_SECONDS if number in copiers else RAMP_SECONDS
        for took, is_whole, wait in tries(span, copiers, number, weather, store, limits):
            billed += took
            invocations += 1
            now += took + (0.0 if is_whole else wait)
        ended = max(ended, now)
        heapq.heappush(free, (now, number))
    sealed = ended + rounds(large, limits) * (CALL_SECONDS + JOIN_SECONDS)
    lost, doubled = store.lost_and_doubled(files)
    usd = billed * MEMORY_GB * USD_PER_GB_SECOND + invocations * USD_PER_INVOCATION
    usd += (store.puts + 3 * large) * USD_PER_PUT + len(spans) * USD_PER_CHILD + TRANSITIONS * USD_PER_TRANSITION
    return Outcome(seconds=sealed, usd=usd, lost_bytes=lost, doubled_bytes=doubled)


def rounds(files: int, limits: SpanLimits) -> int:
    """Return how often the planner or the sealer calls S3 one after the other, for something of every file."""
    return -(-files // limits.files_at_once)


def tries(
    span: Span, copiers: dict[int, Copier], number: int, weather: Weather, store: Store, limits: SpanLimits
) -> Iterator[tuple[float, bool, float]]:
    """Yield seconds, success and the wait after it of each try of a span, as the state machine tries it."""
    for count in range(SPAN_TRIES):
        copier = copiers.setdefault(number, Copier(weather, store, limits))
        took, is_whole = copier.copy(span)
        yield took, is_whole, weather.jitter(SPAN_WAIT_SECONDS * 2**count)
        if is_whole:
            return
        del copiers[number]  # another environment, after a crash


def main() -> int:
    """Simulate, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=31, help="runs of each fleet (31)")
    given = parser.parse_args()
    runs = []
    for gb in SIZES_GB:
        for lambdas in FLEETS:
            outcomes = [stage(gb * 10**9, lambdas, seed) for seed in range(given.seeds)]
            seconds = sorted(each.seconds for each in outcomes)
            middle, late = median(seconds), seconds[math.ceil(0.99 * len(seconds)) - 1]
            run = {
                "gb": gb,
                "lambdas": lambdas,
                "seconds": round(middle, 1),
                "usd": round(median(each.usd for each in outcomes), 4),
                "tail_ratio": round(late / middle, 3),
                "lost_bytes": max(each.lost_bytes for each in outcomes),
                "doubled_bytes": max(each.doubled_bytes for each in outcomes),
            }
            runs.append(run)
            told = f"{gb:5} GB, {lambdas:4} Lambdas: {middle:6.1f} s, p99 {late:6.1f} s, ${run['usd']:.4f}"
            sys.stdout.write(f"{told}; {run['lost_bytes']} bytes lost, {run['doubled_bytes']} doubled\n")
            sys.stdout.flush()
    sys.stdout.write(json.dumps({"runs": runs}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
