"""Probing a model until it answers: the steps of `warm`, bounded by a budget, and every probe accounted for."""

from collections.abc import Mapping

from pilotlight.contracts import ProbeTask, WakeFailureTask
from pilotlight.domain.deployment import Change, Deployment, EventKind, change
from pilotlight.domain.errors import ModelNotReady, NothingAnswered, Superseded
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import ProbeDecision, Wake, WakeBudgets, WakeOutcome, after_probe
from pilotlight.ports import Clock, Deployments, InferenceBackend
from pilotlight.services.accounting import Accounting
from pilotlight.services.records import amend
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.spending import Spending
from pilotlight.services.warming import WARMABLE


class Probing:
    """Probes models on behalf of their wakes, and says how these ended."""

    def __init__(
        self,
        deployments: Deployments,
        backends: Mapping[Backend, InferenceBackend],
        accounting: Accounting,
        spending: Spending,
        clock: Clock,
        capacity: InstanceScaling,
        budgets: WakeBudgets,
    ) -> None:
        self._deployments = deployments
        self._backends = backends
        self._accounting = accounting
        self._spending = spending
        self._clock = clock
        self._capacity = capacity
        self._budgets = budgets

    def probe(self, task: ProbeTask) -> ProbeDecision:
        """Invoke the model once with the smallest request and say what to do next: nothing where no money may be spent.

        Raises: Superseded when another wake has taken over.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, *WARMABLE)
        wake, budget = self._require_wake(deployment, task.wake_id), self._budgets.of(deployment.backend)
        permission = self._spending.permission(deployment, wake.purpose, wake=wake.id)
        if permission.refusal:
            return ProbeDecision(give_up=True, reason=permission.reason or "", refusal=permission.refusal)
        price = self._accounting.next_call(deployment, self._clock.now())
        if reason := wake.cannot_afford(price.usd, budget):
            return ProbeDecision(give_up=True, reason=reason)
        if deployment.backend.is_endpoint and not self._capacity.ensure_capacity(deployment):
            return self._await_capacity(task, deployment, wake)
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
            budget=budget,
            cold_start_seconds=deployment.cold_start_seconds,
            now=now,
        )

    def _await_capacity(self, task: ProbeTask, deployment: Deployment, wake: Wake) -> ProbeDecision:
        """Return that an instance is waited for, while the wake has time for it."""
        now = self._clock.now()
        if reason := wake.exhausted(self._budgets.of(deployment.backend), now):
            return ProbeDecision(give_up=True, reason=reason)

        def awaiting(before: Deployment) -> Change | None:
            wake = self._require_wake(before.require(task.generation, *WARMABLE), task.wake_id)
            if wake.awaited:
                return None
            after = before.changed(wake=wake.changed(awaited=True))
            return change(before, after, EventKind.WAKE, "waits for an instance", now, wake=wake.id)

        amend(self._deployments, task.deployment, awaiting)
        return ProbeDecision(awaits=True, reason="waits for an instance")

    def mark_warm(self, task: ProbeTask) -> Deployment:
        """End a wake with success and remember how long the cold start took."""
        now = self._clock.now()

        def warm(before: Deployment) -> Change | None:
            before.require(task.generation, *WARMABLE)
            if before.last_wake and before.last_wake.id == task.wake_id and before.last_wake.warm:
                return None
            wake = self._require_wake(before, task.wake_id)
            took = wake.elapsed(wake.answered_at or now)
            reason = f"answered after {took:.0f} s"
            outcome = WakeOutcome(id=wake.id, warm=True, reason=reason, began_at=wake.started_at, at=now)
            was_cold = wake.attempts > 1 or wake.awaited  # one that answers the first probe had not to be loaded
            after = before.with_cold_start(took) if was_cold else before
            after = after.changed(wake=None, last_wake=outcome, failed_wakes=0)
            return change(before, after, EventKind.WAKE, f"warm after {took:.0f} s, {wake.probes}", now)

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
            self._spending.let_go_if_cold(deployment, task.wake_id)
        return deployment

    def _probe(self, deployment: Deployment, correlation_id: str) -> tuple[bool, float]:
        """Return whether the model answers, and what that cost.

        An asynchronous endpoint with an instance is ready: that its container is healthy SageMaker has found out, and a
        probe would only wait behind the calls that it was woken for.
        """
        if deployment.backend is Backend.SAGEMAKER_ASYNC:
            return True, 0.0
        try:
            answered = self._backends[deployment.backend].probe(deployment, correlation_id=correlation_id)
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
