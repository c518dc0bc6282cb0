"""What a model on Bedrock costs: the ledger of billing windows, written where the money is spent."""

from datetime import datetime

from pilotlight.domain import speed
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import ConcurrentChange
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.pricing import WINDOW, BillingWindow, Tariff, WindowOpener, rate_in, window_at
from pilotlight.domain.spending import Per, charges, month_of
from pilotlight.domain.values import Money, seconds
from pilotlight.domain.warmth import Belief, estimate
from pilotlight.ports import Deployments

TOUCH_EVERY = seconds(20)
UNITS_BEFORE_IMPORT = 8  # a 70B model's, the dearest documented: an estimate is rather too high than too low


class WindowAccounting:
    """Keeps the ledger of windows, and derives money and warmth from it."""

    def __init__(
        self, deployments: Deployments, *, region: str, idle_seconds: int, idle_window_is_billed: bool
    ) -> None:
        self._deployments = deployments
        self._rate = rate_in(region)
        self._idle = seconds(idle_seconds)
        self._idle_window_is_billed = idle_window_is_billed

    def tariff(self, deployment: Deployment) -> Tariff:
        """Return the prices of a deployment's model."""
        units = deployment.imported and deployment.imported.units
        return Tariff(
            rate=self._rate,
            units=units or UNITS_BEFORE_IMPORT,
            idle_window_is_billed=self._idle_window_is_billed,
        )

    def answered(
        self,
        deployment: Deployment,
        at: datetime,
        opener: WindowOpener,
        *,
        invocation: Invocation | None = None,
        tokens_per_second: float | None = None,
    ) -> Money:
        """Enter a successful call in the ledger and return what it is charged: a window, or nothing.

        Two calls that find no window race for its ordinal: one opens it, the other is covered by it. A window that a
        wake opened for invocations that waited is charged to the first of them that is answered. An answer that is
        entered late, after a fault, is charged the window that it had then.
        Raises: ConcurrentChange where such a one lost a race for its ordinal, and is to be entered again.
        """
        latest = self._deployments.latest_window(deployment.name, deployment.generation)
        if latest and at + WINDOW <= latest.starts_at:
            charged = self._answered_late(deployment, at, opener, latest, invocation)
            return self.tariff(deployment).window if charged else Money(usd=0.0)
        window = window_at(at, latest, generation=deployment.generation, opener=opener)
        if tokens_per_second:
            window = window.changed(tokens_per_second=speed.followed(window.tokens_per_second, tokens_per_second))
        if latest is None or window.ordinal != latest.ordinal:
            window = window.changed(charged_to=invocation and invocation.id)
            charged = self._open(deployment, window, latest)
        else:
            stale = at - latest.last_answer_at >= TOUCH_EVERY
            if stale or (tokens_per_second and latest.tokens_per_second is None):
                self._deployments.touch_window(deployment.name, window)
            charged = invocation is not None and self._charge(deployment, latest, invocation)
        return self.tariff(deployment).window if charged else Money(usd=0.0)

    def _answered_late(
        self,
        deployment: Deployment,
        at: datetime,
        opener: WindowOpener,
        latest: BillingWindow,
        invocation: Invocation | None,
    ) -> bool:
        """Enter an answer that is older than the newest window; say whether it is charged.

        One that is followed by another window within its own five minutes is taken to be in that one.
        """
        windows = self._deployments.windows_back_to(deployment.name, deployment.generation, at)
        near = [window for window in windows if window.contains(at) or at < window.starts_at < at + WINDOW]
        if near:
            return invocation is not None and any(self._charge(deployment, window, invocation) for window in near)
        tariff = self.tariff(deployment)
        window = latest.changed(
            ordinal=latest.ordinal + 1,
            chains=latest.chains + 1,
            opened_by=opener,
            opened_at=at,
            charged_to=invocation and invocation.id,
            late_for=at,
        )
        price = {month_of(at): round(tariff.window.usd + tariff.idle_window.usd, 6)}
        if not self._deployments.open_window(deployment.name, window, price):
            raise ConcurrentChange(f"Others keep writing the ledger of {deployment.name}; try again.")
        return True

    def _open(self, deployment: Deployment, window: BillingWindow, before: BillingWindow | None) -> bool:
        """Open a window, and count its price in its month in the same go; False where another call was quicker."""
        return self._deployments.open_window(deployment.name, window, charges(window, before, self.tariff(deployment)))

    def _charge(self, deployment: Deployment, window: BillingWindow, invocation: Invocation) -> bool:
        """Charge a window to an invocation that it was opened for; False where it was not, or another one has it."""
        if window.charged_to:
            return window.charged_to == invocation.id  # its answer is entered once more, after a fault
        opened_for_it = invocation.was_cold and (window.opened_at or window.starts_at) >= invocation.created_at
        return opened_for_it and self._deployments.charge_window(deployment.name, window, invocation.id)

    def timed_out(self, deployment: Deployment, at: datetime, *, tokens: int, seconds: float) -> None:
        """Enter a call that was cut off: it is billed, and the model is slower than `tokens` in that time."""
        latest = self._deployments.latest_window(deployment.name, deployment.generation)
        window = window_at(at, latest, generation=deployment.generation, opener=WindowOpener.INVOCATION)
        slower = speed.bounded(window.tokens_per_second, tokens=tokens, seconds=seconds)
        window = window.changed(tokens_per_second=slower)
        is_new = latest is None or window.ordinal != latest.ordinal
        if not (is_new and self._open(deployment, window, latest)):
            self._deployments.touch_window(deployment.name, window)

    def unanswered(self, deployment: Deployment, at: datetime, opener: WindowOpener) -> Money:
        """Enter a call that was taken and gave no answer, and return its price: it may be billed.

        It is no proof that the model is warm: what was last seen of that stays as it was.
        """
        latest = self._deployments.latest_window(deployment.name, deployment.generation)
        window = window_at(at, latest, generation=deployment.generation, opener=opener)
        if latest is not None and window.ordinal == latest.ordinal:
            return Money(usd=0.0)
        seen_warm_at = latest.last_answer_at if latest else at - self._idle
        opened = self._open(deployment, window.changed(last_answer_at=seen_warm_at), latest)
        return self.tariff(deployment).window if opened else Money(usd=0.0)

    def latest_window(self, deployment: Deployment) -> BillingWindow | None:
        """Return the newest billing window of this generation."""
        return self._deployments.latest_window(deployment.name, deployment.generation)

    def spent(self, deployment: Deployment, per: Per, now: datetime) -> Money:
        """Return what counts against a ceiling: of this generation, or of the name in this calendar month (UTC).

        The month's windows are those of every generation of the name, so that a fresh deployment does not begin at
        zero; its storage is that of the generation that there is now.
        """
        if per is Per.DEPLOYMENT:
            return self.cost_so_far(deployment, now)
        month_began = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        windows = self._deployments.spent_in(deployment.name, month_of(now))
        return Money(usd=max(round(windows, 6), 0.0)) + self._storage(deployment, now, since=month_began)

    def next_call(self, deployment: Deployment, now: datetime) -> Money:
        """Return what a successful call would cost now: nothing within a window that is paid."""
        latest = self._deployments.latest_window(deployment.name, deployment.generation)
        return Money(usd=0.0) if latest and latest.covers(now) else self.tariff(deployment).window

    def belief(self, deployment: Deployment, now: datetime) -> Belief:
        """Return what to believe of the model now, from its newest window and the wake under way."""
        latest = self.latest_window(deployment)
        last_answer_at = latest.last_answer_at if latest else None
        return Belief(
            warmth=estimate(deployment.wake, last_answer_at, idle=self._idle, now=now),
            tokens_per_second=latest.tokens_per_second if latest else None,
            last_answer_at=last_answer_at,
        )

    def speed(self, deployment: Deployment) -> float | None:
        """Return the measured tokens a second, or None before the first measured answer."""
        latest = self.latest_window(deployment)
        return latest.tokens_per_second if latest else None

    def last_answer_at(self, deployment: Deployment) -> datetime | None:
        """Return when the model answered last, to about half a minute."""
        latest = self.latest_window(deployment)
        return latest.last_answer_at if latest else None

    def cost_so_far(self, deployment: Deployment, now: datetime) -> Money:
        """Return what this generation has cost: its windows and the storage of its model."""
        cost = self.tariff(deployment).windows(self.latest_window(deployment))
        return cost + self._storage(deployment, now)

    def _storage(self, deployment: Deployment, now: datetime, since: datetime | None = None) -> Money:
        """Return the price of keeping the model, from its import (or a later moment) until now, or its end."""
        imported = deployment.imported
        if not (imported and imported.ended_at and imported.model_arn):
            return Money(usd=0.0)
        until = now if deployment.is_live else deployment.updated_at
        return self.tariff(deployment).storage(until - max(imported.ended_at, since or imported.ended_at))
