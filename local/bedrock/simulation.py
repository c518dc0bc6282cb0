"""The state of the simulated service, and what tests may look at and turn."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, NamedTuple, Protocol

from local.bedrock.inspection import Inspection
from local.bedrock.settings import Settings
from local.bedrock.warmth import Warmth, Window
from local.clock import ScaledClock


class Clock(Protocol):
    """What tells the time and lets it pass: a ScaledClock, or one that a test moves by hand."""

    def timestamp(self) -> float:
        """Give the seconds since 1970."""

    def sleep(self, simulated_seconds: float) -> None:
        """Return when the seconds have passed."""


class Place(NamedTuple):
    """An account in a region: jobs, models, names, tokens and quotas are counted in each apart."""

    account: str
    region: str

    def arn(self, kind: str) -> str:
        """Give a new ARN of that kind."""
        return f"arn:aws:bedrock:{self.region}:{self.account}:{kind}/{uuid.uuid4().hex[:12]}"


@dataclass
class Job:
    """An import job. It stays for good, and so does its name."""

    place: Place
    arn: str
    created: float
    seconds: float
    request: dict[str, Any]
    tags: dict[str, str]
    verdict: Inspection | str  # what the checkpoint is, or the message with which the job will fail
    stuck: bool = False
    status: str = "InProgress"
    ended: float | None = None
    model_arn: str | None = None

    @property
    def name(self) -> str:
        """Give its name."""
        return str(self.request["jobName"])

    @property
    def model_name(self) -> str:
        """Give the name of the model that it makes."""
        return str(self.request["importedModelName"])

    @property
    def s3_uri(self) -> str:
        """Give where the checkpoint lies."""
        return str(self.request["modelDataSource"]["s3DataSource"]["s3Uri"])


@dataclass
class Model:
    """An imported model."""

    place: Place
    arn: str
    name: str
    created: float
    job: Job
    inspection: Inspection
    tags: dict[str, str]
    warmth: Warmth = field(default_factory=Warmth)


@dataclass
class Knobs:
    """What a test turns to see the service at its worst. Each is off by itself."""

    fail_next_import: str | None = None  # the failureMessage of the next job that is created
    stick_next_import: bool = False  # the next job stays InProgress
    refuse_roles: int = 0  # so many CreateModelImportJob calls find the role not propagated yet
    throttle_calls: int = 0  # so many invocations are throttled
    fail_calls: list[str] = field(default_factory=list)  # the next invocations raise these errors, in order
    quote_prompts: bool = False  # errors quote what was asked, as a model's own may
    never_ready: bool = False  # models load and load
    hollow_first_answer: bool = False  # the first answer after a cold start has no text


class Simulation:
    """One simulated service; `lock` is held by whoever changes it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything but the clock."""
        with self.lock:
            self.settings = Settings()
            self.knobs = Knobs()
            self.jobs: list[Job] = []
            self.models: dict[str, Model] = {}
            self.gone_windows: list[Window] = []
            self.correlation_ids: list[str] = []

    def windows(self) -> list[Window]:
        """Give every billed window, also those of models that are deleted by now."""
        with self.lock:
            living = (m.warmth.windows(arn, self.settings) for arn, m in self.models.items())
            return self.gone_windows + [window for windows in living for window in windows]

    def is_warm(self, model_arn: str) -> bool:
        """Say whether an invocation would be answered now."""
        with self.lock:
            return self.models[model_arn].warmth.is_loaded(self.clock.timestamp(), self.settings)

    def warm(self, model_arn: str) -> None:
        """Load a model at once, as if it had been called a cold start ago."""
        with self.lock:
            began = self.clock.timestamp() - self.settings.cold_start_seconds
            self.models[model_arn].warmth.loading_since = began

    def evict(self, model_arn: str) -> None:
        """Unload a model at once, as if it had idled; what it was billed stays."""
        with self.lock:
            model = self.models[model_arn]
            self.gone_windows += model.warmth.windows(model_arn, self.settings)
            model.warmth = Warmth()


_current = [Simulation(ScaledClock())]


def simulation() -> Simulation:
    """Give the simulated service of this process."""
    return _current[0]


def begin(clock: Clock) -> None:
    """Start anew, by another clock."""
    _current[0] = Simulation(clock)


def reset() -> None:
    """Forget everything but the clock: jobs, models, records, settings and knobs."""
    simulation().clear()
