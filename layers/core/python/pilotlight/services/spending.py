"""Asking for money where it is spent: the last look before a call that may cost something, in the task that makes it.

Nothing here trusts an earlier look, an event or the sweep: lease, switch, ledger and ceiling are read again each time.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pilotlight.contracts import KillSwitchView, SpendView
from pilotlight.domain.capacity import INSTANCES_CLAIMED_FOR, Shortage, Unit
from pilotlight.domain.deployment import Change, Deployment, EventKind, change
from pilotlight.domain.errors import (
    CapacityReached,
    KillSwitchOn,
    LeaseEnded,
    PilotlightError,
    SpendCeilingReached,
    WakesExhausted,
)
from pilotlight.domain.instance_spending import LEAST_UPTIME, InstanceStanding, may_go_on
from pilotlight.domain.kill_switch import KillSwitch, Position
from pilotlight.domain.pricing import InstanceTariff, Tariff
from pilotlight.domain.spending import (
    MICRO,
    Per,
    Permission,
    Purpose,
    Refusal,
    SpendCeiling,
    SpendingRules,
    SpendNotice,
    Standing,
    WindowStanding,
    least_to_serve,
    may_spend,
    month_of,
    notice_due,
)
from pilotlight.domain.warmth import Warmth
from pilotlight.ports import Clock, Deployments, KillSwitchPort
from pilotlight.services.accounting import Accounting
from pilotlight.services.claiming import Claiming
from pilotlight.services.notifying import Notifying
from pilotlight.services.records import amend

Room = Callable[[Deployment, Mapping[Unit, int], datetime], Shortage | None]
"""Whether there is room for a deployment's units until a moment: what is short, or None."""
AT_ONCE = timedelta()
INSTANCES_AT_CEILING = "its instances are stopped; no wake, no keep-warm, no call"
CALL_SECONDS = tuple(map(float, (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 226, 320, 452, 640)))
"""How long a call that must be over soon may take: a few lengths, because a client is made, and kept, for each."""
MARGIN_SECONDS = 1.0  # between the end of a call and the end of what is paid: an answer travels
PASSING = frozenset(error.code for error in (KillSwitchOn, CapacityReached, WakesExhausted))
"""Codes of refusals that pass by themselves."""


class Spending:
    """Says whether money may be spent, and tells how much of it is."""

    def __init__(
        self,
        deployments: Deployments,
        kill_switch: KillSwitchPort,
        accounting: Accounting,
        claiming: Claiming,
        notifying: Notifying,
        clock: Clock,
        rules: SpendingRules,
    ) -> None:
        self._deployments = deployments
        self._kill_switch = kill_switch
        self._accounting = accounting
        self._claiming = claiming
        self._notifying = notifying
        self._clock = clock
        self._rules = rules

    def switch(self) -> KillSwitch:
        """Return the kill switch as it is."""
        return self._kill_switch.read()

    def turn(self, *, on: bool, reason: str | None, by: str | None) -> KillSwitch:
        """Put the kill switch on or off, and return it as it is then.

        It is written whatever was read: that may be seconds old, and somebody else's turn may lie between.
        """
        wanted = Position.ON if on else Position.OFF
        switch = KillSwitch(position=wanted, reason=reason, since=self._clock.now(), by=by)
        before = self._kill_switch.read()
        if before.position is wanted and before.reason == reason:
            switch = before
        self._kill_switch.write(switch)
        return switch

    def require_creation(self) -> None:
        """Let something new begin. Raises: KillSwitchOn, also for a switch that cannot be read."""
        switch = self._kill_switch.read()
        if not switch.is_off:
            raise KillSwitchOn(f"Nothing new is created: {switch}. Turn it off, or wait.", reason=switch.reason)

    def require_affordable(self, deployment: Deployment) -> None:
        """Let only that begin whose ceiling pays for being warm once: whoever asks is told, not the record later.

        What is refused here could never serve. Raises: SpendCeilingReached.
        """
        now = self._clock.now()
        ceiling, needs = self.ceiling(deployment), self._least_to_serve(deployment, now)
        if needs is None:
            return
        is_made = deployment.imported or deployment.endpoint
        costs_nothing = not is_made and ceiling.per is Per.DEPLOYMENT
        spent = 0.0 if costs_nothing else self._accounting.spent(deployment, ceiling.per, now).usd
        least, what = needs
        if spent + least <= ceiling.usd + MICRO:
            return
        raise SpendCeilingReached(
            f"Deployment {deployment.name} could not be warm even once: ${spent:,.2f} of {ceiling} are spent, and "
            f"{what} costs ${least:.2f} at least. Give it a higher spend ceiling, or wait for the next month where it "
            "is counted by the month.",
            deployment=deployment.name,
            spent_usd=spent,
            ceiling_usd=ceiling.usd,
            per=ceiling.per,
        )

    def _least_to_serve(self, deployment: Deployment, now: datetime) -> tuple[float, str] | None:
        """Return what being warm once costs, and what that is; None where it is paid already, or nobody can say yet.

        Before the import tells its units a model is taken to have one.
        """
        tariff = self._accounting.tariff(deployment)
        if isinstance(tariff, InstanceTariff):
            minutes = round(LEAST_UPTIME.total_seconds() / 60)
            what = f"an instance for {minutes} minutes, from its start to its stop,"
            return (tariff.one_for(LEAST_UPTIME).usd, what) if tariff.is_known else None
        if deployment.imported is None:
            tariff = tariff.changed(units=1)
        elif (latest := self._accounting.latest_window(deployment)) and latest.covers(now):
            return None
        return least_to_serve(tariff), "that"

    def ceiling(self, deployment: Deployment) -> SpendCeiling:
        """Return a deployment's spend ceiling: its own, or that of the stack."""
        return deployment.spend_ceiling or SpendCeiling(usd=self._rules.default_ceiling_usd)

    def view(self, deployment: Deployment) -> SpendView:
        """Return what is spent of the ceiling; changes nothing."""
        ceiling = self.ceiling(deployment)
        now = self._clock.now()
        spent = self._accounting.spent(deployment, ceiling.per, now)
        view = SpendView(
            spent=spent,
            ceiling=ceiling,
            period=_period(ceiling, deployment, now),
            percent=round(100 * spent.usd / ceiling.usd, 1),
        )
        return view.changed(at_ceiling=INSTANCES_AT_CEILING) if deployment.backend.is_endpoint else view

    def standing(self, deployment: Deployment) -> WindowStanding | InstanceStanding:
        """Return what a decision about this deployment's money depends on, as it is now."""
        ceiling, tariff = self.ceiling(deployment), self._accounting.tariff(deployment)
        # The window before the sum: one that is opened between the two is counted, and its end is not counted upon.
        latest = self._accounting.latest_window(deployment)
        terms: dict[str, Any] = {
            "lease_ends_at": deployment.lease.ends_at,
            "ceiling": ceiling,
            "spent_usd": self._accounting.spent(deployment, ceiling.per, self._clock.now()).usd,
            "switch": self._kill_switch.read(),
        }
        if isinstance(tariff, Tariff):
            return WindowStanding(**terms, tariff=tariff, latest=latest, idle=self._rules.idle)
        return InstanceStanding(**terms, tariff=tariff)

    def permission(
        self, deployment: Deployment, purpose: Purpose, *, lasts: timedelta = AT_ONCE, wake: str | None = None
    ) -> Permission:
        """Return whether money may be spent on a deployment now, and why not; `lasts` is how long the call may take.

        Whatever may begin a billing window has its units claimed before it may, in the name of its wake if it has one.
        """
        return self._judged(deployment, purpose, lasts, partial(self._claiming.claim, wake=wake))

    def _judged(self, deployment: Deployment, purpose: Purpose, lasts: timedelta, room: Room) -> Permission:
        standing = self.standing(deployment)
        now = self._clock.now()
        permission = may_spend(purpose, standing, now)
        if permission.refusal is Refusal.SPEND_CEILING_REACHED:
            self._tell(deployment, standing, at_ceiling=True)
        if permission.until is None:
            return permission
        # There must be room for the model for as long as an answer by then keeps it warm.
        until = standing.room_until(purpose, min(permission.until, now + lasts), now)
        shortage = room(deployment, standing.units, until) if until else None
        return _no_room(shortage) if shortage else permission

    def must_stop(self, deployment: Deployment) -> str | None:
        """Return why a deployment's instances must be stopped now, and none begin by itself; None if they may go on.

        The owner is told how much is spent, as with `note`. What is not on instances stops by itself.
        """
        standing = self.standing(deployment)
        if not isinstance(standing, InstanceStanding):
            return None
        permission = may_go_on(standing, self._clock.now())
        self._tell(deployment, standing, at_ceiling=permission.refusal is Refusal.SPEND_CEILING_REACHED)
        return permission.reason

    def prolong(self, deployment: Deployment) -> None:
        """Keep the claim of an endpoint that is there: autoscaling may grow to its most without asking."""
        tariff = self._accounting.tariff(deployment)
        if isinstance(tariff, InstanceTariff):
            until = self._clock.now() + INSTANCES_CLAIMED_FOR
            self._claiming.prolong(deployment, {Unit.INSTANCES: max(tariff.most, tariff.instances)}, until)

    def vacate(self, deployment: Deployment) -> None:
        """Give back what an endpoint has claimed that is gone or parked, whoever claimed it."""
        self._claiming.release(deployment, whoever=True)

    def let_go(self, deployment: Deployment, *, wake: str | None = None) -> None:
        """Give back what a wake, or a call, claimed for a deployment and did not get warm.

        An endpoint keeps its claim for as long as it is there.
        """
        if not (deployment.endpoint and deployment.endpoint.exists):
            self._claiming.release(deployment, wake=wake)

    def let_go_if_cold(self, deployment: Deployment, wake: str) -> None:
        """Give back what a wake claimed, unless the model is warm all the same."""
        if self._accounting.warmth(deployment, self._clock.now()).state is Warmth.COLD:
            self.let_go(deployment, wake=wake)

    def require_possible(self, deployment: Deployment, purpose: Purpose) -> None:
        """Refuse what may not be spent now, and claim nothing. Raises: as `require`."""
        permission = self._judged(deployment, purpose, AT_ONCE, self._claiming.shortage)
        if not permission.allowed:
            raise refused(permission, deployment)

    def require(
        self, deployment: Deployment, purpose: Purpose, *, lasts: timedelta = AT_ONCE, wake: str | None = None
    ) -> Permission:
        """Return the permission to spend. Raises: LeaseEnded, SpendCeilingReached, KillSwitchOn, CapacityReached."""
        permission = self.permission(deployment, purpose, lasts=lasts, wake=wake)
        if not permission.allowed:
            raise refused(permission, deployment)
        return permission

    def seconds_for_call(self, deployment: Deployment, within: float) -> float:
        """Return how long (wall seconds) a call may take, at most `within`. Raises: as `require`."""
        until = self.require(deployment, Purpose.CALL, lasts=timedelta(seconds=within)).until
        if until is None:
            return within
        left = (until - self._clock.now()).total_seconds() / self._rules.clock_speed - MARGIN_SECONDS
        return within if left >= within else max((step for step in CALL_SECONDS if step <= left), default=0.5)

    def over_by(self, began: datetime, within: float) -> datetime:
        """Return the moment by which a call that began then and may take so long (wall seconds) is over."""
        return began + timedelta(seconds=within * self._rules.clock_speed)

    def note(self, deployment: Deployment) -> None:
        """Tell the owner when four fifths of the ceiling are spent, and when all of it is: once in each period."""
        self._tell(deployment, self.standing(deployment))

    def _tell(self, deployment: Deployment, standing: Standing, *, at_ceiling: bool = False) -> None:
        now = self._clock.now()
        period = f"{_period(standing.ceiling, deployment, now)} of ${standing.ceiling.usd}"
        percent = 100.0 if at_ceiling else standing.percent
        told = deployment.spend_notice
        share = notice_due(percent, told.percent if told and told.period == period else 0)
        if share is None:
            return
        reason = f"${standing.spent_usd:,.2f} of {standing.ceiling} are spent {standing.notice(share)}"

        def noted(before: Deployment) -> Change | None:
            known = before.spend_notice
            if known and known.period == period and known.percent >= share:
                return None
            after = before.changed(spend_notice=SpendNotice(period=period, percent=share, at=now))
            return change(before, after, EventKind.SPEND, reason, now, spent_usd=standing.spent_usd)

        after = amend(self._deployments, deployment.name, noted)
        if after.spend_notice and after.spend_notice.at == now:  # ours, and not that of another call
            self._notifying.tell("spend-ceiling", after, reason)


def _no_room(shortage: Shortage) -> Permission:
    return Permission(
        allowed=False,
        refusal=Refusal.CAPACITY_REACHED,
        reason=f"{shortage}",
        passes=not shortage.never,
        advice=shortage.advice,
    )


def _period(ceiling: SpendCeiling, deployment: Deployment, now: datetime) -> str:
    """Return what the ceiling is counted over just now, as in 2026-11 or "generation 2"."""
    return month_of(now) if ceiling.per is Per.MONTH else f"generation {deployment.generation}"


def switch_view(switch: KillSwitch) -> KillSwitchView:
    """Return the switch as the API shows it."""
    return KillSwitchView(
        on=switch.position is Position.ON,
        readable=switch.position is not Position.UNREADABLE,
        reason=switch.reason,
        since=switch.since,
        by=switch.by,
    )


def refused(permission: Permission, deployment: Deployment) -> PilotlightError:
    """Return the error of a refusal: what was wanted, what was found, and what to do."""
    name, why = deployment.name, permission.reason
    match permission.refusal:
        case Refusal.LEASE_ENDED:
            return LeaseEnded(
                f"Nothing is spent on deployment {name}: {why}. It is being taken down; deploy it again.",
                deployment=name,
                lease_ends_at=deployment.lease.ends_at,
            )
        case Refusal.KILL_SWITCH_ON:
            return KillSwitchOn(f"Nothing is spent on deployment {name}: {why}.", deployment=name, reason=why)
        case Refusal.CAPACITY_REACHED:
            return CapacityReached(
                f"Deployment {name} is not woken: {why}; {permission.advice}.",
                deployment=name,
                never=not permission.passes,
            )
        case _:
            return SpendCeilingReached(
                f"Nothing more is spent on deployment {name}: {why}. Raise its spend ceiling, "
                "or wait for the next month where it is counted by the month.",
                deployment=name,
            )
