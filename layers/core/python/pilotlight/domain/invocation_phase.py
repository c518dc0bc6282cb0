"""How far an invocation is, and how long it may take yet: derived, never stored.

Nobody tells what an asynchronous endpoint does with one call. What is known is what waits before it, what was last
seen of the endpoint, how long the last answers took and how long it took to start. An estimate says what it is made of.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.backlog import BacklogSizes
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.errors import DeadlinePassed
from pilotlight.domain.invocation import DEFAULT_MAX_TOKENS, Invocation, InvocationStatus
from pilotlight.domain.values import Model, Moment, seconds
from pilotlight.domain.warmth import TAKES_CALLS

ASSUMED_ANSWER_SECONDS = 30.0
ASSUMED_INSTANCE_START_SECONDS = 564.0  # Source: AWS's scale-to-zero walk-through: 9 min 24 s with a 0.6B model
LEAST_LEFT_SECONDS = 5.0  # of what is under way: it may be over at any moment, and is not yet
FRESH_AFTER = seconds(60)  # a measure is of the minute before it


class Phase(StrEnum):
    """How far an invocation is."""

    QUEUED = "queued"
    INSTANCE_STARTING = "instance-starting"
    LOADING = "loading"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class EstimateBasis(StrEnum):
    """Whether an estimate is made of what was measured on this deployment, or partly of what is assumed."""

    MEASURED = "measured"
    ASSUMED = "assumed"


class Estimate(Model):
    """How long an invocation may take yet."""

    seconds_left: int = Field(ge=0)
    basis: EstimateBasis


class Progress(Model):
    """How far an invocation is, and what is left where it is not over."""

    phase: Phase
    estimate: Estimate | None = None


class Scene(Model):
    """What is known around an invocation. `waiting` are the ids of all that wait or run, the oldest first."""

    now: Moment
    deployment: Deployment | None = None
    waiting: tuple[str, ...] = ()
    latencies: tuple[float, ...] = ()
    tokens_per_second: float | None = None
    backlog: BacklogSizes | None = None


def progress_of(invocation: Invocation, scene: Scene) -> Progress:
    """Return how far an invocation is."""
    phase = phase_of(invocation, scene)
    if invocation.is_over:
        return Progress(phase=phase)
    return Progress(phase=phase, estimate=_estimate(invocation, phase, scene))


def phase_of(invocation: Invocation, scene: Scene) -> Phase:
    """Return the phase of an invocation."""
    match invocation.status:
        case InvocationStatus.SUCCEEDED:
            return Phase.DONE
        case InvocationStatus.FAILED:
            return Phase.EXPIRED if invocation.error_code == DeadlinePassed.code else Phase.FAILED
    if not invocation.backend.is_endpoint:
        return _phase_without_instances(invocation, scene)
    endpoint = _endpoint(invocation, scene)
    if endpoint is None:
        return Phase.INSTANCE_STARTING if _wakes(scene) else Phase.QUEUED
    if _serves(endpoint, scene):
        runs = invocation.status is InvocationStatus.RUNNING and _ahead(invocation, scene) < _slots(endpoint)
        return Phase.RUNNING if runs else Phase.QUEUED
    if endpoint.instances:
        return Phase.LOADING
    begins = endpoint.desired or _wakes(scene) or endpoint.status in ("Creating", "Updating")
    return Phase.INSTANCE_STARTING if begins else Phase.QUEUED


def _phase_without_instances(invocation: Invocation, scene: Scene) -> Phase:
    if invocation.status is InvocationStatus.RUNNING:
        return Phase.RUNNING
    return Phase.LOADING if invocation.was_cold and _wakes(scene) else Phase.QUEUED


def _estimate(invocation: Invocation, phase: Phase, scene: Scene) -> Estimate:
    answer, answer_measured = _answer_seconds(scene)
    endpoint = _endpoint(invocation, scene)
    slots = _slots(endpoint) if endpoint else 1
    rounds = 1 if phase is Phase.RUNNING else _ahead(invocation, scene) // slots + 1
    start, start_measured = _start_seconds(invocation, phase, scene)
    working = rounds * answer
    if phase is Phase.RUNNING:
        ran = (scene.now - _began(invocation, scene)).total_seconds()
        working = max(answer - ran, LEAST_LEFT_SECONDS)
    basis = EstimateBasis.MEASURED if answer_measured and start_measured else EstimateBasis.ASSUMED
    return Estimate(seconds_left=round(start + working), basis=basis)


def _answer_seconds(scene: Scene) -> tuple[float, bool]:
    """Return how long an answer takes, and whether that was measured here."""
    if scene.latencies:
        ordered = sorted(scene.latencies)
        return ordered[len(ordered) // 2], True
    if scene.tokens_per_second:
        return DEFAULT_MAX_TOKENS / scene.tokens_per_second, True
    return ASSUMED_ANSWER_SECONDS, False


def _start_seconds(invocation: Invocation, phase: Phase, scene: Scene) -> tuple[float, bool]:
    """Return what is left of a start, and whether how long that takes was measured here; nothing where all is up."""
    deployment, endpoint = scene.deployment, _endpoint(invocation, scene)
    up = phase is Phase.RUNNING or (endpoint is not None and _serves(endpoint, scene))
    if up or (phase is Phase.QUEUED and not invocation.backend.is_endpoint) or deployment is None:
        return 0.0, True
    measured = bool(deployment.cold_starts)
    assumed = ASSUMED_INSTANCE_START_SECONDS if invocation.backend.is_endpoint else deployment.cold_start_seconds
    whole = deployment.cold_start_seconds if measured else assumed
    if phase is Phase.QUEUED:
        return whole, measured
    began = deployment.wake.started_at if deployment.wake else _submitted_at(invocation)
    return max(whole - (scene.now - began).total_seconds(), LEAST_LEFT_SECONDS), measured


def _ahead(invocation: Invocation, scene: Scene) -> int:
    """Return how many calls come before: by what we know of, and by the endpoint's own measure where it is newer.

    Others may call the endpoint past us, and answers may be there of which we have not heard.
    """
    known = sum(each < invocation.id for each in scene.waiting)
    sizes, submission = scene.backlog, invocation.submission
    if sizes is None or sizes.measured_at is None or submission is None:
        return known
    if sizes.measured_at < submission.at + FRESH_AFTER:
        return known
    return max(known + sizes.size - len(scene.waiting), 0)


def _began(invocation: Invocation, scene: Scene) -> datetime:
    """Return when a running call can have begun: not before it was handed over, nor before the endpoint was awake."""
    woken = scene.deployment.last_wake if scene.deployment else None
    submitted = _submitted_at(invocation)
    return max(submitted, woken.at) if woken and woken.warm else submitted


def _submitted_at(invocation: Invocation) -> datetime:
    return invocation.submission.at if invocation.submission else invocation.created_at


def _endpoint(invocation: Invocation, scene: Scene) -> Endpoint | None:
    """Return the endpoint that the call is for, where there is one."""
    deployment = scene.deployment
    if deployment is None or deployment.generation != invocation.generation:
        return None
    return deployment.endpoint if deployment.endpoint and deployment.endpoint.exists else None


def _serves(endpoint: Endpoint, scene: Scene) -> bool:
    """Say whether calls are answered: not yet by the first instances after none, which are there before they are up."""
    capacity = endpoint.instances if endpoint.copies is None else endpoint.copies
    comes_up = endpoint.status == "Updating" and endpoint.instances == endpoint.desired and not endpoint.update
    return bool(capacity) and endpoint.status in TAKES_CALLS and not (comes_up and _wakes(scene))


def _slots(endpoint: Endpoint) -> int:
    """Return how many calls run at once: one on each instance, where nobody said more."""
    return max(endpoint.instances, 1) * (endpoint.scaling.concurrent_invocations or 1)


def _wakes(scene: Scene) -> bool:
    wake = scene.deployment.wake if scene.deployment else None
    return wake is not None and wake.is_live(scene.now)
