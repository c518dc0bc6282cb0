"""Is the model loaded, who is waking it, and when does a wake end?

No Bedrock call tells warm from cold: the warmth shown is an estimate with its moment, and the call itself is
the test. Of instances it is what was last seen of their endpoint. One wake runs at a time: it carries an id and a
deadline, and whoever finds it past its deadline may begin another under a new id.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.errors import Superseded
from pilotlight.domain.hosting import ScaleIn
from pilotlight.domain.spending import Purpose
from pilotlight.domain.values import Backend, Model, Moment

FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 30
COLD_STARTS_KEPT = 5
BETWEEN_LOOKS = timedelta(minutes=1)  # at an endpoint that costs: the interval of the sweep
KEEP_WARM_MARGIN = timedelta(minutes=2)  # twice the interval of the sweep
TAKES_CALLS = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
"""Statuses in which the instances that an endpoint has answer: an update keeps the old ones until it is over."""
ASSUMED_COLD_START_SECONDS = 110.0  # until measured here. Source: AWS workshop on imported 8B models, 60–120 s


class Warmth(StrEnum):
    """What we believe of the model's memory."""

    COLD = "COLD"
    WAKING = "WAKING"
    WARM = "WARM"


class WarmthEstimate(Model):
    """A belief and the moment it is of; `warm_until` where the model is taken to be warm."""

    state: Warmth
    as_of: Moment
    warm_until: Moment | None = None


class Belief(Model):
    """What the ledger tells of a model: whether it is warm, how fast it was, and when it answered last."""

    warmth: WarmthEstimate
    tokens_per_second: float | None = None
    last_answer_at: Moment | None = None


class WakeBudget(Model):
    """What one warm-up may use: probes, seconds and dollars; and how many may begin within an hour."""

    max_attempts: int = Field(default=120, ge=1)
    max_seconds: int = Field(default=1500, ge=1)
    max_usd: float = Field(default=25.0, ge=0)
    max_per_hour: int = Field(default=60, ge=1)


class WakeBudgets(Model):
    """The budgets of both kinds of backend: where an instance has to be started first, a wake takes longer."""

    windows: WakeBudget = WakeBudget()
    instances: WakeBudget = WakeBudget(max_seconds=5400)

    def of(self, backend: Backend) -> WakeBudget:
        """Return the budget of a backend."""
        return self.instances if backend.is_endpoint else self.windows


class WakeCount(Model):
    """How many wakes began in one hour of the clock."""

    hour: Moment | None = None
    count: int = 0

    def one_more(self, budget: WakeBudget, now: datetime) -> "WakeCount | None":
        """Return the count with a wake that begins now; None where as many as may have begun in this hour."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        count = self.count if self.hour == hour else 0
        return None if count >= budget.max_per_hour else WakeCount(hour=hour, count=count + 1)


class Wake(Model):
    """One warm-up under way: the execution `warm` of the same id does the work.

    `awaited` says that an instance had to be waited for.
    """

    id: str
    started_at: Moment
    deadline: Moment
    attempts: int = 0
    usd: float = 0.0
    answered_at: Moment | None = None
    awaited: bool = False
    purpose: Purpose = Purpose.WAKE

    def require(self, wake_id: str) -> None:
        """Let only the holder of this wake go on.

        Raises: Superseded when another wake has taken over.
        """
        if self.id != wake_id:
            raise Superseded(f"Wake {wake_id} was replaced by {self.id}; only the newest one goes on.", wake=self.id)

    def is_live(self, now: datetime) -> bool:
        """Say whether this wake may still act."""
        return now < self.deadline

    def elapsed(self, now: datetime) -> float:
        """Return the seconds since it began."""
        return (now - self.started_at).total_seconds()

    @property
    def probes(self) -> str:
        """How many probes there were, in words."""
        return "1 probe" if self.attempts == 1 else f"{self.attempts} probes"

    def exhausted(self, budget: WakeBudget, now: datetime) -> str | None:
        """Return why this wake must stop, or None while it may go on."""
        if self.attempts >= budget.max_attempts:
            return f"no answer after {self.attempts} of {budget.max_attempts} probes"
        if self.elapsed(now) >= budget.max_seconds:
            return f"no answer within {budget.max_seconds} s"
        if self.usd >= budget.max_usd:
            return f"${self.usd:.2f} of ${budget.max_usd:.2f} spent on probes"
        return None

    def cannot_afford(self, window_usd: float, budget: WakeBudget) -> str | None:
        """Return why this wake must not probe: an answer would open a window that its dollars do not cover.

        Only the window itself is counted, not an idle one after it. Nothing is known to be spent before an answer.
        """
        left = budget.max_usd - self.usd
        if window_usd <= left:
            return None
        return (
            f"an answer would open a window of ${window_usd:.2f}; ${max(left, 0):.2f} of ${budget.max_usd:.2f} are left"
        )


class WakeOutcome(Model):
    """How a wake ended, and why; `refusal` is the code where no money was given for it.

    `began_at` is there for one that succeeded: what was answered since then was answered by what it woke.
    """

    id: str
    warm: bool
    reason: str
    refusal: str | None = None
    began_at: Moment | None = None
    at: Moment


class ProbeDecision(Model):
    """What follows from one probe, and why. `wait_seconds` until the next one where there is one.

    `awaits` says that there is no instance yet, for which the machine waits. `refusal` is the code where no money was
    given for it.
    """

    ready: bool = False
    give_up: bool = False
    awaits: bool = False
    refusal: str | None = None
    wait_seconds: int = 0
    reason: str


def new_wake(wake_id: str, budget: WakeBudget, now: datetime, purpose: Purpose = Purpose.WAKE) -> Wake:
    """Return a wake that begins now and must end a little after its budget of seconds."""
    deadline = now + timedelta(seconds=budget.max_seconds + 120)
    return Wake(id=wake_id, started_at=now, deadline=deadline, purpose=purpose)


def after_probe(
    wake: Wake, answered: bool, *, budget: WakeBudget, cold_start_seconds: float, now: datetime
) -> ProbeDecision:
    """Decide whether a wake is done, goes on, or gives up, and how long to wait.

    The wait doubles from 2 s up to a tenth of the median cold start measured for this model: a probe during
    loading costs nothing on Bedrock, because windows open at the first successful call.
    Source: Amazon Bedrock user guide, "Calculate the cost of running a custom model".
    """
    if answered:
        return ProbeDecision(ready=True, reason=f"answered after {wake.elapsed(now):.0f} s, {wake.probes}")
    if reason := wake.exhausted(budget, now):
        return ProbeDecision(give_up=True, reason=reason)
    longest = min(max(cold_start_seconds / 10, FIRST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
    wait = min(FIRST_WAIT_SECONDS * 2 ** max(wake.attempts - 1, 0), longest)
    return ProbeDecision(wait_seconds=max(round(wait), 1), reason=f"still loading after {wake.elapsed(now):.0f} s")


def estimate(wake: Wake | None, last_answer_at: datetime | None, *, idle: timedelta, now: datetime) -> WarmthEstimate:
    """Return what to believe now, from the wake under way and the last answer seen."""
    warm_until = last_answer_at + idle if last_answer_at else None
    if warm_until and now < warm_until:
        return WarmthEstimate(state=Warmth.WARM, as_of=last_answer_at or now, warm_until=warm_until)
    if wake and wake.is_live(now):
        return WarmthEstimate(state=Warmth.WAKING, as_of=now)
    return WarmthEstimate(state=Warmth.COLD, as_of=now)


def warmth_of(endpoint: Endpoint | None, wake: Wake | None, now: datetime, *, kept: bool = False) -> WarmthEstimate:
    """Return what to believe of a model on instances, from what was last seen of its endpoint.

    They stay until autoscaling lets them go, and nobody knows when; or, where they go with the last answer and are not
    `kept` by a keep-warm policy, with a look, of which there is one each minute.
    """
    seen = endpoint if endpoint and endpoint.exists else None
    capacity = seen and (seen.instances if seen.copies is None else seen.copies)
    if seen and capacity and seen.status in TAKES_CALLS:
        goes_with_a_look = seen.scaling.scale_in is ScaleIn.IMMEDIATE and not kept
        warm_until = now + BETWEEN_LOOKS if goes_with_a_look else None
        return WarmthEstimate(state=Warmth.WARM, as_of=seen.seen_at or now, warm_until=warm_until)
    begins = seen and (seen.desired > seen.instances or seen.status == "Creating")
    state = Warmth.WAKING if begins or (wake and wake.is_live(now)) else Warmth.COLD
    return WarmthEstimate(state=state, as_of=(seen and seen.seen_at) or now)


def probe_is_due(warm_until: datetime, now: datetime) -> bool:
    """Say whether a model that shall stay warm must be called now: it must not go cold before the look after next."""
    return warm_until - now <= KEEP_WARM_MARGIN


def median_cold_start(measured: tuple[float, ...]) -> float:
    """Return the median of the measured cold starts in seconds, or what is assumed before there is one."""
    ordered = sorted(measured)
    return ordered[len(ordered) // 2] if ordered else ASSUMED_COLD_START_SECONDS
