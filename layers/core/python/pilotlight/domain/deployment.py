"""A deployment: its record, its statuses, and what may follow what."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from pilotlight.domain import names
from pilotlight.domain.endpoint import Endpoint, look_interval_seconds
from pilotlight.domain.errors import IllegalTransition, NotServing, Superseded
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.keep_warm import KeepWarm, Policy
from pilotlight.domain.lease import Lease
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.retention import DEFAULT_RETENTION, Retention
from pilotlight.domain.spending import SpendCeiling, SpendNotice
from pilotlight.domain.statuses import TRANSITIONS, UNDER_WAY, Status
from pilotlight.domain.values import Backend, DeploymentName, Model, Moment, backoff, seconds
from pilotlight.domain.warmth import COLD_STARTS_KEPT, Wake, WakeCount, WakeOutcome, median_cold_start

__all__ = [
    "SWEEP_INTERVAL",
    "TRANSITIONS",
    "UNDER_WAY",
    "Change",
    "Deployment",
    "Event",
    "EventKind",
    "Failure",
    "ImportedModel",
    "Status",
    "change",
    "next_generation",
]

SCHEMA_VERSION = 1
SWEEP_INTERVAL = timedelta(minutes=1)
CHECK_INTERVAL = timedelta(minutes=5)  # how soon the death of an execution is noticed
LONGEST_TEARDOWN_REST = timedelta(hours=1)  # between rounds that keep failing
KEEP_WARM_CONFIRMED_FOR = timedelta(days=90)  # money without a caller: somebody must still want it
KEEP_WARM_WARNING = timedelta(days=7)
LONGEST_WAKE_REST = timedelta(minutes=30)  # between wakes that keep failing, where nobody asks


class Failure(Model):
    """Why a deployment failed, in the words of whoever refused, and what it was doing."""

    code: str
    reason: str
    during: Status
    at: Moment


class ImportedModel(Model):
    """The import of one generation: the job that makes the model, and the model.

    `units` are Bedrock's custom model units per copy, known after the import. `starting_at` is set just before
    Bedrock is asked for the job.
    """

    job_name: str
    model_name: str
    started_at: Moment
    starting_at: Moment | None = None
    job_arn: str | None = None
    model_arn: str | None = None
    units: int | None = None
    ended_at: Moment | None = None


class Deployment(Model):
    """The record of one deployment. `version` is the fence: a write with an old one is refused.

    `artifact` says how long its weights are kept when nobody uses them any more.
    `imported` is what Bedrock made of it, `endpoint` its instances at SageMaker: it has the one or the other.

    `former_artifacts` are those of earlier attempts at another revision: they are released with the last one.
    `failed_wakes` and `failed_looks` count failures in a row. `left_alone` names what a teardown found and is not
    ours, `teardown_trouble` why its last round failed.
    """

    name: DeploymentName
    generation: int = Field(default=1, ge=1)
    attempt: int = Field(default=1, ge=1)
    status: Status = Status.REQUESTED
    source: str
    backend: Backend
    lease: Lease
    keep_warm: KeepWarm = KeepWarm()
    keep_warm_until: Moment | None = None
    keep_warm_warned: bool = False
    spend_ceiling: SpendCeiling | None = None
    spend_notice: SpendNotice | None = None
    tags: dict[str, str] = {}
    import_role_arn: str | None = None
    artifact: Retention = DEFAULT_RETENTION
    hosting: Hosting | None = None
    proposal: Proposal | None = None
    correlation_id: str
    request_key: str | None = None
    created_at: Moment
    updated_at: Moment
    artifact_id: str | None = None
    former_artifacts: tuple[str, ...] = ()
    revision: str | None = None
    imported: ImportedModel | None = None
    endpoint: Endpoint | None = None
    failure: Failure | None = None
    wake: Wake | None = None
    last_wake: WakeOutcome | None = None
    failed_wakes: int = 0
    wakes: WakeCount = WakeCount()
    cold_starts: tuple[float, ...] = ()
    waiting_for: str | None = None
    quiet_until: Moment | None = None
    quiet_since: Moment | None = None
    teardown_round: int = 0
    teardown_trouble: str | None = None
    left_alone: str | None = None
    failed_looks: int = 0
    next_look_at: Moment | None = None
    next_step: str | None = None
    version: int = 0
    schema_version: int = SCHEMA_VERSION

    def moved_to(self, status: Status, now: datetime, **fields: Any) -> "Deployment":
        """Return the record in its next status.

        Raises: IllegalTransition, naming both statuses and what is possible.
        """
        if status not in TRANSITIONS[self.status]:
            possible = ", ".join(sorted(TRANSITIONS[self.status]))
            raise IllegalTransition(
                f"Deployment {self.name} is {self.status} and cannot become {status}; it can become {possible}.",
                deployment=self.name,
                status=self.status,
                wanted=status,
            )
        return self.changed(status=status, updated_at=now, **fields)

    def require(self, generation: int, *statuses: Status) -> "Deployment":
        """Return the record if it is still of that generation and in one of these statuses.

        Raises: Superseded: a task of an older generation, or one that comes back late, must not act.
        """
        if self.generation != generation:
            raise Superseded(
                f"Deployment {self.name} is at generation {self.generation}; this task was for {generation}.",
                deployment=self.name,
            )
        if statuses and self.status not in statuses:
            raise Superseded(
                f"Deployment {self.name} is {self.status}; this task works on {', '.join(statuses)}.",
                deployment=self.name,
                status=self.status,
            )
        return self

    def require_serving(self) -> "Deployment":
        """Return the record if it takes invocations.

        Raises: NotServing, saying what it does instead and what to do.
        """
        if self.status is Status.SERVING:
            return self
        advice = {
            Status.FAILED: "read why in its events, then retry or delete it",
            Status.TEARING_DOWN: "it is being removed: deploy it again once it is GONE",
            Status.GONE: "it has been removed: deploy it again",
        }.get(self.status, "wait until it is SERVING: its status shows how far it is")
        raise NotServing(
            f"Deployment {self.name} is {self.status} and takes no invocations; {advice}.",
            deployment=self.name,
            status=self.status,
        )

    @property
    def is_live(self) -> bool:
        """Whether it holds its name: everything but GONE."""
        return self.status is not Status.GONE

    @property
    def cold_start_seconds(self) -> float:
        """The median of its measured cold starts, or what is assumed before there is one."""
        return median_cold_start(self.cold_starts)

    def import_job_name(self, attempt: int) -> str:
        """Return the name of the import job of one attempt."""
        return names.import_job_name(self.name, self.generation, attempt, self.created_at)

    @property
    def as_user(self) -> str:
        """How this generation is named among the users of an artifact."""
        return f"{self.name}-g{self.generation}"

    @property
    def wake_rests_until(self) -> datetime | None:
        """Until when only a new caller wakes it, after wakes without an answer: 1, 2, 4 … 30 minutes."""
        if self.last_wake is None or not self.failed_wakes:
            return None
        return self.last_wake.at + backoff(self.failed_wakes, SWEEP_INTERVAL, LONGEST_WAKE_REST)

    def without_dead_wake(self, now: datetime) -> "Deployment":
        """Return the record after its wake was found dead: its execution is over and told nothing."""
        if self.wake is None:
            return self
        outcome = WakeOutcome(id=self.wake.id, warm=False, reason="its execution died", at=now)
        return self.changed(wake=None, last_wake=outcome, failed_wakes=self.failed_wakes + 1)

    def with_cold_start(self, elapsed_seconds: float) -> "Deployment":
        """Return the record with one more measured cold start."""
        return self.changed(cold_starts=(*self.cold_starts, round(elapsed_seconds, 1))[-COLD_STARTS_KEPT:])

    def next_look(self, now: datetime) -> tuple[datetime, str] | None:
        """Return when the sweep must look at this record next, and what for; None once it is GONE."""
        looks: list[tuple[datetime, str]] = []
        if self.status in UNDER_WAY:
            looks.append((now + CHECK_INTERVAL, "check that it goes on"))
        if self.status is Status.TEARING_DOWN:
            rest = backoff(self.teardown_round, CHECK_INTERVAL, LONGEST_TEARDOWN_REST)
            return now + rest, "check that its teardown goes on"
        if self.status is not Status.GONE and self.lease.ends_at:
            looks.append((self.lease.ends_at, "lease ends: teardown"))
        if self.endpoint and self.endpoint.is_watched:
            looks.append((now + seconds(look_interval_seconds(self.endpoint)), "look at its endpoint"))
        if self.status is Status.SERVING:
            looks += self._looks_while_serving(now)
        return min(looks, default=None)

    def _looks_while_serving(self, now: datetime) -> list[tuple[datetime, str]]:
        looks: list[tuple[datetime, str]] = []
        if self.lease.warn_at and not self.lease.warned:
            looks.append((self.lease.warn_at, "notice that the lease ends soon"))
        if self.keep_warm_warn_at:
            looks.append((self.keep_warm_warn_at, "notice that keep-warm ends unless it is confirmed"))
        if self.endpoint and self.endpoint.lacks_bounds:
            looks.append((now, "set what scales its endpoint"))
        if self.endpoint and self.endpoint.has_bounds_left:
            rests_until = self.endpoint.tidy_rests_until or now
            looks.append((max(now + SWEEP_INTERVAL, rests_until), "remove what scaled its endpoint"))
        if self.wake:
            looks.append((min(self.wake.deadline, now + CHECK_INTERVAL), "check that the wake goes on"))
        if self.wants_warm(now):
            looks.append((max(now + SWEEP_INTERVAL, self.wake_rests_until or now), "keep the model warm"))
        else:
            end_of_quiet = self.quiet_until if self.keep_warm.wants_warm(now) else None
            opening = self.keep_warm.next_opening(now) or end_of_quiet
            looks += [(opening, "keep-warm window opens: wake the model")] if opening and opening > now else []
        return looks

    def wants_warm(self, now: datetime) -> bool:
        """Say whether the model shall be kept warm now: its policy wants it, and nobody asked for quiet."""
        quiet = self.quiet_until and now < self.quiet_until
        ends = self.keep_warm_ends_at
        return self.keep_warm.wants_warm(now) and not quiet and not (ends and now >= ends)

    @property
    def keep_warm_ends_at(self) -> datetime | None:
        """When it is no longer kept warm unless somebody confirms that it shall be; None where it is not kept so."""
        if self.keep_warm.policy is Policy.NONE:
            return None
        return self.keep_warm_until or self.created_at + KEEP_WARM_CONFIRMED_FOR

    @property
    def keep_warm_warn_at(self) -> datetime | None:
        """When the owner is told that it will not be kept warm any more; None where he was told, or need not be."""
        ends = None if self.keep_warm_warned else self.keep_warm_ends_at
        return ends - KEEP_WARM_WARNING if ends else None


class EventKind(StrEnum):
    """What a line of the timeline tells."""

    STATUS = "status"
    WAKE = "wake"
    KEEP_WARM = "keep-warm"
    LEASE = "lease"
    SPEND = "spend"
    IMPORT = "import"
    ENDPOINT = "endpoint"
    ARTIFACT = "artifact"
    TEARDOWN = "teardown"
    NOTE = "note"


class Event(Model):
    """One line of a deployment's timeline: what happened, why, and between which statuses."""

    at: Moment
    kind: EventKind
    reason: str
    generation: int
    before: Status | None = None
    after: Status | None = None
    detail: dict[str, Any] = {}


class Change(Model):
    """A decision about a record: what it becomes, and the line of the timeline that says why.

    `event` is None where the line of another change tells of this one, too: of two that note one call, before and after
    it, the one.
    """

    after: Deployment
    event: Event | None


def change(before: Deployment, after: Deployment, kind: EventKind, reason: str, now: datetime, **detail: Any) -> Change:
    """Return a change with its line of the timeline and its next look; statuses are named where they differ."""
    moved = before.status is not after.status
    at, step = after.next_look(now) or (None, None)
    return Change(
        after=after.changed(updated_at=now, next_look_at=at, next_step=step),
        event=Event(
            at=now,
            kind=kind,
            reason=reason,
            generation=after.generation,
            before=before.status if moved else None,
            after=after.status if moved else None,
            detail=detail,
        ),
    )


def next_generation(gone: Deployment, fresh: Deployment) -> Deployment:
    """Return a fresh record as the generation after the one that is gone: names and tokens outlive what they made."""
    return fresh.changed(generation=gone.generation + 1, version=gone.version)
