"""Waking models and keeping them warm: one wake at a time, bounded, and every probe accounted for."""

import uuid
from datetime import datetime, timedelta

from pilotlight.contracts import ProbeTask, WakeFailureTask
from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.errors import (
    Held,
    ModelNotReady,
    NothingAnswered,
    PilotlightError,
    SpendCeilingReached,
    Superseded,
    WakesExhausted,
)
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.spending import Purpose
from pilotlight.domain.values import iso
from pilotlight.domain.warmth import (
    ProbeDecision,
    Wake,
    WakeBudget,
    WakeCount,
    WakeOutcome,
    Warmth,
    after_probe,
    new_wake,
    probe_is_due,
)
from pilotlight.ports import Clock, Deployments, Executions, InferenceBackend
from pilotlight.services.accounting import Accounting
from pilotlight.services.holding import go_on, hold
from pilotlight.services.records import amend
from pilotlight.services.spending import Spending

MACHINE = "warm"
WARMABLE = (Status.WARMING, Status.SERVING)
BEGINS_WITHIN = timedelta(seconds=15)  # a young execution may not be seen yet by those who ask after it
UNTIL_ASKED = timedelta(days=365)  # scaled down without a next window: quiet until somebody asks for a warm-up


class Warming:
    """Wakes models, probes them, and lets them go cold."""

    def __init__(
        self,
        deployments: Deployments,
        backend: InferenceBackend,
        executions: Executions,
        accounting: Accounting,
        spending: Spending,
        clock: Clock,
        budget: WakeBudget,
    ) -> None:
        self._deployments = deployments
        self._backend = backend
        self._executions = executions
        self._accounting = accounting
        self._spending = spending
        self._clock = clock
        self._budget = budget

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
        fresh = new_wake(uuid.uuid4().hex[:12], self._budget, now, purpose)
        if before.wake and before.wake.is_live(now):
            deployment = self._with_wake(name, reason, fresh, end_quiet=end_quiet)
        else:
            self._one_more(before, now)
            self._spending.require(before, purpose, wake=fresh.id)
            try:
                deployment = self._with_wake(name, reason, fresh, end_quiet=end_quiet)
            except PilotlightError:
                self._give_back(before, fresh.id)
                raise
        if not self._runs(deployment, correlation_id):
            dead = deployment.wake.id if deployment.wake else None
            another = new_wake(uuid.uuid4().hex[:12], self._budget, self._clock.now(), purpose)
            deployment = self._with_wake(name, f"{reason} (wake {dead} died)", another, dead=dead)
            self._runs(deployment, correlation_id)
        return deployment

    def _give_back(self, deployment: Deployment, wake_id: str) -> None:
        """Let go of what a wake claimed, unless the model is warm all the same."""
        if self._accounting.warmth(deployment, self._clock.now()).state is Warmth.COLD:
            self._spending.let_go(deployment, wake=wake_id)

    def _with_wake(
        self, name: str, reason: str, fresh: Wake, *, end_quiet: bool = False, dead: str | None = None
    ) -> Deployment:
        """Return the deployment with its live wake, or with a fresh one; `dead` is one that must be replaced.

        Where the dead one has ended meanwhile, by its own word, nothing is begun.
        """
        now = self._clock.now()

        def woken(before: Deployment) -> Change | None:
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
        return before.without_dead_wake(now).changed(wake=fresh, wakes=wakes, waiting_for=None)

    def _one_more(self, before: Deployment, now: datetime) -> WakeCount:
        """Return the count of wakes with one more. Raises: WakesExhausted."""
        wakes = before.wakes.one_more(self._budget, now)
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
        """End a wake that is past its deadline; whether another one is wanted is for others to say."""
        now = self._clock.now()

        def ended(before: Deployment) -> Change | None:
            if before.wake is None or before.wake.is_live(now):
                return None
            reason = "the wake ended without an answer: its execution died"
            return change(before, before.without_dead_wake(now), EventKind.WAKE, reason, now, wake=before.wake.id)

        return amend(self._deployments, name, ended)

    def probe(self, task: ProbeTask) -> ProbeDecision:
        """Invoke the model once with the smallest request and say what to do next: nothing where no money may be spent.

        Raises: Superseded when another wake has taken over.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, *WARMABLE)
        wake = self._require_wake(deployment, task.wake_id)
        permission = self._spending.permission(deployment, wake.purpose, wake=wake.id)
        if permission.refusal:
            return ProbeDecision(give_up=True, reason=permission.reason or "", refusal=permission.refusal)
        price = self._accounting.next_call(deployment, self._clock.now())
        if reason := wake.cannot_afford(price.usd, self._budget):
            return ProbeDecision(give_up=True, reason=reason)
        answered, usd = self._probe(deployment, task.correlation_id)
        now = self._clock.now()

        def counted(before: Deployment) -> Change:
            wake = self._require_wake(before.require(task.generation, *WARMABLE), task.wake_id)
            probed = wake.changed(
                attempts=wake.attempts + 1,
                usd=round(wake.usd + usd, 6),
                answered_at=now if answered else None,
            )
            said = "answered" if answered else "not ready"
            reason = f"probe {probed.attempts} {said} after {probed.elapsed(now):.0f} s"
            return change(before, before.changed(wake=probed), EventKind.WAKE, reason, now, wake=wake.id)

        deployment = amend(self._deployments, task.deployment, counted)
        return after_probe(
            self._require_wake(deployment, task.wake_id),
            answered,
            budget=self._budget,
            cold_start_seconds=deployment.cold_start_seconds,
            now=now,
        )

    def mark_warm(self, task: ProbeTask) -> Deployment:
        """End a wake with success and remember how long the cold start took."""
        now = self._clock.now()

        def warm(before: Deployment) -> Change | None:
            before.require(task.generation, *WARMABLE)
            if before.last_wake and before.last_wake.id == task.wake_id and before.last_wake.warm:
                return None
            wake = self._require_wake(before, task.wake_id)
            took = wake.elapsed(wake.answered_at or now)
            outcome = WakeOutcome(id=wake.id, warm=True, reason=f"answered after {took:.0f} s", at=now)
            was_cold = wake.attempts > 1  # a model that answers the first probe had not to be loaded
            after = before.with_cold_start(took) if was_cold else before
            after = after.changed(wake=None, last_wake=outcome, failed_wakes=0)
            return change(before, after, EventKind.WAKE, f"warm after {took:.0f} s, {wake.attempts} probes", now)

        return amend(self._deployments, task.deployment, warm)

    def mark_wake_failed(self, task: WakeFailureTask) -> Deployment:
        """End a wake without an answer, with the reason."""
        now = self._clock.now()
        reason = task.error.readable if task.error else (task.probe.reason if task.probe else "no reason given")

        def failed(before: Deployment) -> Change | None:
            if before.generation != task.generation or before.wake is None or before.wake.id != task.wake_id:
                return None
            refusal = task.probe.refusal if task.probe else None
            outcome = WakeOutcome(id=task.wake_id, warm=False, reason=reason, at=now, refusal=refusal)
            failed_wakes = before.failed_wakes + (refusal is None)  # a refusal says nothing of the model
            after = before.changed(wake=None, last_wake=outcome, failed_wakes=failed_wakes)
            return change(before, after, EventKind.WAKE, f"the wake ended without an answer: {reason}", now)

        deployment = amend(self._deployments, task.deployment, failed)
        ours = deployment.wake is None and deployment.last_wake and deployment.last_wake.id == task.wake_id
        if ours:
            self._give_back(deployment, task.wake_id)
        return deployment

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

    def scale_down(self, name: str) -> Deployment:
        """Stop keeping the model warm until its next window, and say by when it will be cold.

        Bedrock has no unload: the model goes cold when it has been idle for long enough.
        Raises: Superseded unless it is SERVING.
        """
        now = self._clock.now()

        def quiet(before: Deployment) -> Change:
            before.require_serving()
            until = before.keep_warm.next_opening(now) or now + UNTIL_ASKED
            belief = self._accounting.warmth(before, now)
            cold_by = (
                f"cold by {iso(belief.warm_until)} unless somebody calls it" if belief.warm_until else "cold already"
            )
            after = before.changed(quiet_until=until, wake=None, waiting_for=None)
            return change(
                before, after, EventKind.KEEP_WARM, f"scaled down: no probes until {iso(until)}; {cold_by}", now
            )

        return amend(self._deployments, name, quiet)

    def _probe(self, deployment: Deployment, correlation_id: str) -> tuple[bool, float]:
        try:
            answered = self._backend.probe(deployment, correlation_id=correlation_id)
        except NothingAnswered:
            answered, cost = False, self._accounting.unanswered(deployment, self._clock.now(), WindowOpener.PROBE)
        except ModelNotReady:
            return False, 0.0
        else:
            if not answered:
                return False, 0.0
            cost = self._accounting.answered(deployment, self._clock.now(), WindowOpener.PROBE)
        if cost.usd:
            self._spending.note(deployment)
        return answered, cost.usd

    @staticmethod
    def _require_wake(deployment: Deployment, wake_id: str) -> Wake:
        if deployment.wake is None:
            raise Superseded(f"Wake {wake_id} of {deployment.name} is over.", deployment=deployment.name)
        deployment.wake.require(wake_id)
        return deployment.wake
