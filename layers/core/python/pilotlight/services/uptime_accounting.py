"""What a model on instances costs: read from the ledger of their uptime, which looks at the endpoint write."""

from datetime import datetime

from pilotlight.domain import speed
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.instance_spending import LEAST_UPTIME
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.pricing import InstanceTariff
from pilotlight.domain.spending import Per, month_of
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.uptime import (
    Metered,
    Uptime,
    believed_instances,
    believed_usd_per_hour,
    metered,
    none_before,
)
from pilotlight.domain.values import Money
from pilotlight.domain.values import seconds as span
from pilotlight.domain.warmth import Belief, warmth_of
from pilotlight.ports import Deployments, Speeds

TOUCH_EVERY = span(20)
UNKNOWN = "ml.unknown"  # is priced as the dearest instance that there is


class UptimeAccounting:
    """Derives money and warmth from uptime. A call adds nothing to it, and is told its share of the time."""

    def __init__(self, deployments: Deployments, speeds: Speeds, *, region: str) -> None:
        self._deployments = deployments
        self._speeds = speeds
        self._region = region

    def tariff(self, deployment: Deployment) -> InstanceTariff:
        """Return the prices of a deployment's instances, and how many run now or are on their way."""
        endpoint, hosting = deployment.endpoint, deployment.hosting
        if endpoint:
            return InstanceTariff(
                usd_per_hour=endpoint.dearest_usd_per_hour,
                instances=believed_instances(endpoint),
                most=max(endpoint.most_instances, 1),
            )
        most = hosting.scaling.for_backend(deployment.backend).max if hosting else 1
        wanted = hosting.instance.type if hosting else None
        proposed = deployment.proposal and deployment.proposal.usd_per_hour
        usd_per_hour = proposed or rate_of(wanted or UNKNOWN, self._region).usd_per_hour
        return InstanceTariff(usd_per_hour=usd_per_hour, most=max(most, 1), is_known=bool(proposed or wanted))

    def answered(
        self,
        deployment: Deployment,
        at: datetime,
        *,
        invocation: Invocation | None = None,
        tokens_per_second: float | None = None,
        seconds: float | None = None,
    ) -> Money:
        """Enter when a model answered, and how fast; return the call's share: an instance for as long as it took.

        It is charged to nobody, because the time is. `seconds` is how long it took where the invocation does not tell.
        """
        latest = self._latest(deployment)
        if latest:
            measured = tokens_per_second and speed.followed(latest.tokens_per_second, tokens_per_second)
            self._touch(deployment, latest, at, tokens_per_second=measured or latest.tokens_per_second)
        if seconds is None:
            seconds = ((invocation and invocation.latency_ms) or 0) / 1000
        return self.tariff(deployment).one_for(span(seconds))

    def timed_out(self, deployment: Deployment, *, tokens: int, seconds: float) -> None:
        """Enter a call that was cut off: the model is slower than `tokens` in that time."""
        if latest := self._latest(deployment):
            slower = speed.bounded(latest.tokens_per_second, tokens=tokens, seconds=seconds)
            self._deployments.touch_uptime(deployment.name, latest.changed(tokens_per_second=slower))

    def next_call(self, deployment: Deployment) -> Money:
        """Return what a successful call would cost now: nothing while instances run, else a start and a stop."""
        tariff = self.tariff(deployment)
        return Money(usd=0.0) if tariff.instances else tariff.one_for(LEAST_UPTIME)

    def belief(self, deployment: Deployment, now: datetime) -> Belief:
        """Return what to believe of the model now, from what was last seen of its endpoint and from the ledger."""
        latest = self._latest(deployment)
        return Belief(
            warmth=warmth_of(deployment.endpoint, deployment.wake, now, kept=deployment.wants_warm(now)),
            tokens_per_second=latest.tokens_per_second if latest else None,
            last_answer_at=latest.last_answer_at if latest else None,
        )

    def speed(self, deployment: Deployment) -> float | None:
        """Return the measured tokens a second, or None before the first measured answer."""
        latest = self._latest(deployment)
        return latest.tokens_per_second if latest else None

    def last_answer_at(self, deployment: Deployment) -> datetime | None:
        """Return when the model answered last, to about half a minute."""
        latest = self._latest(deployment)
        return latest.last_answer_at if latest else None

    def spent(self, deployment: Deployment, per: Per, now: datetime) -> Money:
        """Return what counts against a ceiling: of this generation, or of the name in this calendar month (UTC)."""
        if per is Per.DEPLOYMENT:
            return self.cost_so_far(deployment, now)
        # The ledger before the sum: what is metered between the two is counted twice, and not left out.
        ahead = self._ahead(deployment, self._latest(deployment), now)
        charged = self._deployments.spent_in(deployment.name, month_of(now))
        unmetered = ahead.charges.get(month_of(now), 0.0) if ahead else 0.0
        return Money(usd=max(round(charged + unmetered, 6), 0.0))

    def cost_so_far(self, deployment: Deployment, now: datetime) -> Money:
        """Return what this generation has cost: what is metered, and what runs, as far as is known, since then."""
        latest = self._latest(deployment)
        ahead = self._ahead(deployment, latest, now)
        return Money(usd=ahead.latest.usd if ahead else latest.usd if latest else 0.0)

    def _latest(self, deployment: Deployment) -> Uptime | None:
        return self._deployments.latest_uptime(deployment.name, deployment.generation)

    def _ahead(self, deployment: Deployment, latest: Uptime | None, now: datetime) -> Metered | None:
        """Return what a look would add that was made now and saw what the record tells; None where nothing can run."""
        endpoint = deployment.endpoint
        if endpoint is None or not endpoint.exists:
            return None
        return metered(
            latest,
            generation=deployment.generation,
            instances=believed_instances(endpoint),
            usd_per_hour=believed_usd_per_hour(endpoint),
            at=now,
            none_before=none_before(endpoint),
        )

    def _touch(self, deployment: Deployment, latest: Uptime, at: datetime, *, tokens_per_second: float | None) -> None:
        """Move last answer and speed forward, at most every so often: a busy model writes no record per call."""
        is_fresh = latest.last_answer_at and at - latest.last_answer_at < TOUCH_EVERY
        is_first_speed = tokens_per_second is not None and latest.tokens_per_second is None
        if is_fresh and not is_first_speed:
            return
        newest: Uptime | None = latest
        while newest:
            last_answer_at = max(at, newest.last_answer_at or at)
            touched = newest.changed(last_answer_at=last_answer_at, tokens_per_second=tokens_per_second)
            self._deployments.touch_uptime(deployment.name, touched)
            newest = self._begun_after(deployment, newest)
        if tokens_per_second:
            self._note_speed(deployment, tokens_per_second, at)

    def _begun_after(self, deployment: Deployment, stretch: Uptime) -> Uptime | None:
        """Return the stretch that a look has begun since that one was read, without what it was touched with."""
        latest = self._latest(deployment)
        return latest if latest and latest.ordinal > stretch.ordinal else None

    def _note_speed(self, deployment: Deployment, tokens_per_second: float, at: datetime) -> None:
        """Keep what one caller got, for whoever deploys the same model: an estimate gives way to it."""
        proposal, endpoint = deployment.proposal, deployment.endpoint
        if not (deployment.artifact_id and proposal and endpoint):
            return
        if endpoint.instance_type != proposal.instance_type:
            return
        measured = Measurement(
            instance_type=endpoint.instance_type,
            tensor_parallel_degree=proposal.tensor_parallel_degree,
            tokens_per_second=tokens_per_second,
            measured_at=at,
            deployment=deployment.name,
        )
        self._speeds.note(deployment.artifact_id, measured)
