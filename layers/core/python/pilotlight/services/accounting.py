"""What a deployment costs, whatever it runs on: one face over the ledger of windows and that of uptime."""

from datetime import datetime

from pilotlight.domain.deployment import Deployment
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.pricing import BillingWindow, InstanceTariff, Tariff, WindowOpener
from pilotlight.domain.spending import Per
from pilotlight.domain.values import Money
from pilotlight.domain.warmth import Belief, WarmthEstimate
from pilotlight.ports import Deployments, Speeds
from pilotlight.services.uptime_accounting import UptimeAccounting
from pilotlight.services.window_accounting import WindowAccounting


class Accounting:
    """Asks the ledger that a deployment's backend has."""

    def __init__(
        self,
        deployments: Deployments,
        *,
        region: str,
        idle_seconds: int,
        idle_window_is_billed: bool,
        speeds: Speeds,
    ) -> None:
        self._windows = WindowAccounting(
            deployments, region=region, idle_seconds=idle_seconds, idle_window_is_billed=idle_window_is_billed
        )
        self._uptime = UptimeAccounting(deployments, speeds, region=region)

    def _ledger(self, deployment: Deployment) -> WindowAccounting | UptimeAccounting:
        return self._uptime if deployment.backend.is_endpoint else self._windows

    def tariff(self, deployment: Deployment) -> Tariff | InstanceTariff:
        """Return the prices of a deployment's model: of its windows, or of its instances."""
        return self._ledger(deployment).tariff(deployment)

    def answered(
        self,
        deployment: Deployment,
        at: datetime,
        opener: WindowOpener,
        *,
        invocation: Invocation | None = None,
        tokens_per_second: float | None = None,
        seconds: float | None = None,
    ) -> Money:
        """Enter a successful call, and return what it is charged: a window or nothing, or its share of an instance.

        `seconds` is how long it took where the invocation does not tell; of an answer on instances only.
        Raises: ConcurrentChange where it has to be entered again.
        """
        if deployment.backend.is_endpoint:
            return self._uptime.answered(
                deployment, at, invocation=invocation, tokens_per_second=tokens_per_second, seconds=seconds
            )
        return self._windows.answered(
            deployment, at, opener, invocation=invocation, tokens_per_second=tokens_per_second
        )

    def timed_out(self, deployment: Deployment, at: datetime, *, tokens: int, seconds: float) -> None:
        """Enter a call that was cut off: it may be billed, and the model is slower than `tokens` in that time.

        Without the speed the next call of that length would be cut off and paid for like this one.
        """
        if deployment.backend.is_endpoint:
            self._uptime.timed_out(deployment, tokens=tokens, seconds=seconds)
        else:
            self._windows.timed_out(deployment, at, tokens=tokens, seconds=seconds)

    def unanswered(self, deployment: Deployment, at: datetime, opener: WindowOpener) -> Money:
        """Enter a call that was taken and gave no answer, and return what it may cost; on instances the time does."""
        return Money(usd=0.0) if deployment.backend.is_endpoint else self._windows.unanswered(deployment, at, opener)

    def latest_window(self, deployment: Deployment) -> BillingWindow | None:
        """Return the newest billing window of this generation; instances have none."""
        return None if deployment.backend.is_endpoint else self._windows.latest_window(deployment)

    def spent(self, deployment: Deployment, per: Per, now: datetime) -> Money:
        """Return what counts against a ceiling: of this generation, or of the name in this calendar month (UTC)."""
        return self._ledger(deployment).spent(deployment, per, now)

    def next_call(self, deployment: Deployment, now: datetime) -> Money:
        """Return what a successful call would cost now: nothing within what is paid, or runs, already."""
        if deployment.backend.is_endpoint:
            return self._uptime.next_call(deployment)
        return self._windows.next_call(deployment, now)

    def belief(self, deployment: Deployment, now: datetime) -> Belief:
        """Return what to believe of a model now, in one read: its warmth, its speed, its last answer."""
        return self._ledger(deployment).belief(deployment, now)

    def warmth(self, deployment: Deployment, now: datetime) -> WarmthEstimate:
        """Return what to believe of the model's memory now."""
        return self.belief(deployment, now).warmth

    def speed(self, deployment: Deployment) -> float | None:
        """Return the measured tokens a second, or None before the first measured answer."""
        return self._ledger(deployment).speed(deployment)

    def last_answer_at(self, deployment: Deployment) -> datetime | None:
        """Return when the model answered last, to about half a minute."""
        return self._ledger(deployment).last_answer_at(deployment)

    def cost_so_far(self, deployment: Deployment, now: datetime) -> Money:
        """Return what this generation has cost."""
        return self._ledger(deployment).cost_so_far(deployment, now)
