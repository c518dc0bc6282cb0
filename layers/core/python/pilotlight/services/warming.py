"""Waking models and keeping them warm: one wake at a time for however many ask, and no more than so many an hour."""

import uuid
from datetime import datetime, timedelta

from pilotlight.contracts import ProbeTask
from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.errors import (
    Held,
    PilotlightError,
    SpendCeilingReached,
    WakesExhausted,
)
from pilotlight.domain.spending import Purpose
from pilotlight.domain.values import iso
from pilotlight.domain.warmth import (
    Wake,
    WakeBudgets,
    WakeCount,
    Warmth,
    new_wake,
    probe_is_due,
)
from pilotlight.ports import Clock, Deployments, Executions
from pilotlight.services.accounting import Accounting
from pilotlight.services.holding import go_on, hold
from pilotlight.services.records import amend
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.spending import Spending

MACHINE = "warm"
WARMABLE = (Status.WARMING, Status.SERVING)
BEGINS_WITHIN = timedelta(seconds=15)  # a young execution may not be seen yet by those who ask after it
UNTIL_ASKED = timedelta(days=365)  # scaled down without a next window: quiet until somebody asks for a warm-up


class Warming:
    """Wakes models, keeps them warm, and lets them go cold."""

    def __init__(
        self,
        deployments: Deployments,
        executions: Executions,
        accounting: Accounting,
        spending: Spending,
        clock: Clock,
        capacity: InstanceScaling,
        budgets: WakeBudgets,
    ) -> None:
        self._deployments = deployments
        self._executions = executions
        self._accounting = accounting
        self._spending = spending
        self._clock = clock
        self._capacity = capacity
        self._budgets = budgets

    def wake(
        self,
        name: str,
        *,
        reason: str,
        correlation_id: str,
        end_quiet: bool = False,
        purpose: Purpose = Purpose.WAKE,
    ) -> Deployment:
        """Make sure that a wake is under way, whoever asks and however many do: one wake for many callers.

        A live wake is kept, and its execution started again by the same name in case it never began; a wake past
        its deadline, or whose execution is over, is replaced. A model believed warm is woken all the same: the
        caller has seen it cold. `end_quiet` lets keep-warm probes begin again after a scale-down.
        Raises: LeaseEnded, SpendCeilingReached, and what is Held, where no money may be spent on a fresh wake.
        """
        now = self._clock.now()
        before = self._deployments.get(name)
        before.require(before.generation, *WARMABLE)
        budget = self._budgets.of(before.backend)
        fresh = new_wake(uuid.uuid4().hex[:12], budget, now, purpose)
        if before.wake and before.wake.is_live(now):
            deployment = self._with_wake(name, reason, fresh, end_quiet=end_quiet)
        else:
            self._one_more(before, now)
            self._spending.require(before, purpose, wake=fresh.id)
            try:
                deployment = self._with_wake(name, reason, fresh, end_quiet=end_quiet)
            except PilotlightError:
                self._spending.let_go_if_cold(before, fresh.id)
                raise
        if not self._runs(deployment, correlation_id):
            dead = deployment.wake.id if deployment.wake else None
            another = new_wake(uuid.uuid4().hex[:12], budget, self._clock.now(), purpose)
            deployment = self._with_wake(name, f"{reason} (wake {dead} died)", another, dead=dead)
            self._runs(deployment, correlation_id)
        return deployment

    def _with_wake(
        self, name: str, reason: str, fresh: Wake, *, end_quiet: bool = False, dead: str | None = None
    ) -> Deployment:
        """Return the deployment with its live wake, or with a fresh one; `dead` is one that must be replaced.

        Where the dead one has ended meanwhile, by its own word, nothing is begun.
        """

        def woken(before: Deployment) -> Change | None:
            now = self._clock.now()  # a wake begins when it is written, however long ago it was asked for
            before.require(before.generation, *WARMABLE)
            live = before.wake and before.wake.id != dead and before.wake.is_live(now)
            quiet = None if end_quiet else before.quiet_until
            if (live and quiet == before.quiet_until) or (dead and before.wake is None):
                return None
            after = before if live else self._woken(before, fresh, now)
            wake_id = after.wake and after.wake.id
            after = after.changed(quiet_until=quiet)
            return change(before, after, EventKind.WAKE, f"waking: {reason}", now, wake=wake_id)

        return amend(self._deployments, name, woken)

    def _woken(self, before: Deployment, fresh: Wake, now: datetime) -> Deployment:
        """Return the record with a fresh wake. Raises: WakesExhausted."""
        wakes = self._one_more(before, now)
        wake = new_wake(fresh.id, self._budgets.of(before.backend), now, fresh.purpose)
        return before.without_dead_wake(now).changed(wake=wake, wakes=wakes, waiting_for=None)

    def _one_more(self, before: Deployment, now: datetime) -> WakeCount:
        """Return the count of wakes with one more. Raises: WakesExhausted."""
        wakes = before.wakes.one_more(self._budgets.of(before.backend), now)
        if wakes is None:
            raise WakesExhausted(
                f"Deployment {before.name} was woken {before.wakes.count} times within this hour of the clock, as "
                "often as it may be; its timeline says how those wakes ended.",
                deployment=before.name,
            )
        return wakes

    def _runs(self, deployment: Deployment, correlation_id: str) -> bool:
        """Start the execution of the wake, or find it at work; False where it is over and said nothing."""
        wake = deployment.wake
        if wake is None:
            return True
        run = names.wake_name(deployment.name, deployment.generation, wake.id, deployment.created_at)
        task = ProbeTask(
            deployment=deployment.name,
            generation=deployment.generation,
            wake_id=wake.id,
            correlation_id=correlation_id,
        )
        begins = wake.elapsed(self._clock.now()) < BEGINS_WITHIN.total_seconds()
        return self._executions.start(MACHINE, run, task.dump()) or begins or self._executions.is_running(MACHINE, run)

    def end_dead_wake(self, name: str) -> Deployment:
        """End a wake that is past its deadline; whether another one is wanted is for others to say.

        One that holds an instance is ended as soon as its execution is over.
        """
        now = self._clock.now()
        deployment = self._deployments.get(name)
        wake = deployment.wake
        if wake is None or (wake.is_live(now) and not self._has_died(deployment, wake, now)):
            return deployment

        def ended(before: Deployment) -> Change | None:
            if before.wake is None or before.wake.id != wake.id:
                return None
            reason = "the wake ended without an answer: its execution died"
            return change(before, before.without_dead_wake(now), EventKind.WAKE, reason, now, wake=before.wake.id)

        return amend(self._deployments, name, ended)

    def _has_died(self, deployment: Deployment, wake: Wake, now: datetime) -> bool:
        if deployment.endpoint is None or wake.elapsed(now) < BEGINS_WITHIN.total_seconds():
            return False
        run = names.wake_name(deployment.name, deployment.generation, wake.id, deployment.created_at)
        return not self._executions.is_running(MACHINE, run)

    def keep_warm(self, deployment: Deployment, *, correlation_id: str) -> None:
        """Start a wake of a model that is cold, or whose idle time runs out: its first probe answers then.

        Nothing is called here, and nothing begun where no money may be spent. After wakes that failed in a row the
        next one is put off, longer each time.
        """
        now = self._clock.now()
        rests_until = deployment.wake_rests_until
        if deployment.wake is None and rests_until and now < rests_until:
            return
        reason = self._why_wake(deployment, now)
        if reason is None:
            go_on(self._deployments, deployment, self._clock, "waits no more: it is warm")
            return
        try:
            self.wake(deployment.name, reason=reason, correlation_id=correlation_id, purpose=Purpose.KEEP_WARM)
        except (Held, SpendCeilingReached) as why:
            hold(self._deployments, deployment, why, self._clock)

    def _why_wake(self, deployment: Deployment, now: datetime) -> str | None:
        """Return for what reason a model that shall be warm is to be woken now, or None."""
        belief = self._accounting.warmth(deployment, now)
        match belief.state:
            case Warmth.WAKING:
                return "keep-warm"
            case Warmth.COLD:
                return "keep-warm window is open"
            case Warmth.WARM:
                due = belief.warm_until and probe_is_due(belief.warm_until, now)
                return "keep-warm probe" if due else None

    def _cold_by(self, deployment: Deployment, now: datetime) -> str:
        """Return by when a model is cold that nobody keeps warm, in words."""
        if deployment.endpoint:
            return "its instances go when nobody waits"
        warm_until = self._accounting.warmth(deployment, now).warm_until
        return f"cold by {iso(warm_until)} unless somebody calls it" if warm_until else "cold already"

    def scale_down(self, name: str) -> Deployment:
        """Stop keeping the model warm until its next window, and say by when it will be cold.

        Bedrock has no unload: the model goes cold when it has been idle for long enough. Instances are let go at once,
        or when the calls are answered that are under way.
        Raises: NotServing unless it is SERVING.
        """
        now = self._clock.now()

        def quiet(before: Deployment) -> Change:
            before.require_serving()
            opening = before.keep_warm.next_opening(now)
            until = opening or now + UNTIL_ASKED
            rests = f"no probes until {iso(opening)}" if opening else "no probes until somebody asks for a warm-up"
            after = before.changed(quiet_until=until, quiet_since=now, wake=None, waiting_for=None)
            return change(
                before, after, EventKind.KEEP_WARM, f"scaled down: {rests}; {self._cold_by(before, now)}", now
            )

        deployment = amend(self._deployments, name, quiet)
        return self._capacity.leave(deployment, "scaled down on request") if deployment.endpoint else deployment
