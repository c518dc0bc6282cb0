"""Invocations as the queue's worker makes them: claimed, called, answered, or sent back until the model is up.

On "not ready" the worker makes sure that one wake is under way and lets the message come back later: it never
sits and waits for a cold start, which would be paid for. What an asynchronous endpoint takes is over for the worker.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    ConcurrentChange,
    DeadlinePassed,
    Held,
    ModelNotReady,
    PilotlightError,
    Retryable,
    Superseded,
)
from pilotlight.domain.invocation import Answered, Invocation, InvocationStatus, redelivery_seconds
from pilotlight.domain.invocation_rules import LONGEST_RUN_SECONDS
from pilotlight.domain.values import Backend, Model, iso
from pilotlight.ports import Clock, Deployments, InvocationBodies, InvocationQueue, Invocations
from pilotlight.services.answering import Answering
from pilotlight.services.ending import Ending
from pilotlight.services.submitting import Submitting
from pilotlight.services.warming import Warming


class WorkerLimits(Model):
    """How long one call may take and its claim holds (seconds)."""

    worker_seconds: float = 840.0
    claim_seconds: float = 900.0


class QueueWork:
    """Answers queued invocations."""

    def __init__(
        self,
        deployments: Deployments,
        invocations: Invocations,
        bodies: InvocationBodies,
        queue: InvocationQueue,
        answering: Answering,
        submitting: Submitting,
        ending: Ending,
        warming: Warming,
        clock: Clock,
        limits: WorkerLimits,
    ) -> None:
        self._deployments = deployments
        self._invocations = invocations
        self._bodies = bodies
        self._queue = queue
        self._answering = answering
        self._submitting = submitting
        self._ending = ending
        self._warming = warming
        self._clock = clock
        self._limits = limits

    def run(self, invocation_id: str, *, receipt: str, receives: int = 1) -> bool:
        """Answer a queued invocation; False when its message must come back, after a wait that is set here.

        A second delivery of an invocation that is answered, that an endpoint has taken, or that another worker holds,
        does nothing. The wait grows with the times that the message was received.
        """
        if self._run(invocation_id):
            return True
        self._queue.hide(receipt, redelivery_seconds(receives))
        return False

    def _run(self, invocation_id: str) -> bool:
        now = self._clock.now()
        invocation = self._invocations.get(invocation_id)
        if invocation.is_over:
            self._ending.forget(invocation)  # it may have been marked again while somebody ended it
            return True
        if invocation.submission:
            return True
        if invocation.has_expired(now):
            self._ending.fail(invocation, DeadlinePassed(invocation.expired_message))
            return True
        if invocation.claimed_until and now < invocation.claimed_until:
            return False
        try:
            claimed = self._claim(invocation)
        except ConcurrentChange:
            return False
        return self._run_claimed(claimed)

    def fail(self, invocation_id: str, reason: str) -> None:
        """Turn a dead letter into a failed record, so that whoever asks is told; what an endpoint has taken goes on."""
        invocation = self._invocations.get(invocation_id)
        if invocation.is_over or (invocation.submission and not invocation.is_lost(self._clock.now())):
            return
        self._ending.fail(invocation, DeadlinePassed(reason))

    def _run_claimed(self, invocation: Invocation) -> bool:
        try:
            try:
                if invocation.backend is Backend.SAGEMAKER_ASYNC:
                    self._submitting.submit(invocation, self._serving(invocation))
                    return True
                deployment, answered = self._answered(invocation)
            except ModelNotReady:
                rests = self._ensure_wake(invocation)
                return self._come_back(invocation, was_cold=True, waiting_for=rests)
            if answered is None:
                return self._come_back(invocation, answer_lost=True)
            self._ending.end(invocation, self._answering.settle(deployment, invocation, answered))
        except Held as why:
            return self._come_back(invocation, waiting_for=why.message)
        except Retryable:
            return self._come_back(invocation)
        except PilotlightError as exc:
            self._ending.fail(invocation, exc)
        return True

    def _serving(self, invocation: Invocation) -> Deployment:
        """Return the deployment that was asked, if it still serves. Raises: NotServing, Superseded."""
        return self._deployments.get(invocation.deployment).require(invocation.generation).require_serving()

    def _answered(self, invocation: Invocation) -> tuple[Deployment, Answered | None]:
        """Return whose answer it is, and the answer: the kept one of an earlier delivery, or a fresh one, kept at once.

        It is kept before anything else is done with it: a fault after the call must not make the model generate again.
        None says that it could not be kept, and is lost. Where that happened before, it is found out first whether an
        answer can be kept: else each delivery would generate, and be paid for, in vain.
        """
        request = self._bodies.get_request(invocation.id)
        kept = self._bodies.get_output(invocation.id) if invocation.attempts > 1 else None
        if kept is not None:
            deployment = self._deployments.get(invocation.deployment)
            return deployment.changed(generation=invocation.generation), Answered.model_validate(kept)
        deployment = self._serving(invocation)
        if invocation.answer_lost:
            self._bodies.reserve_output(invocation.id)
        answered = self._answering.call(
            deployment,
            self._answering.ask(deployment, request),
            within=self._within(invocation),
            correlation_id=invocation.correlation_id,
        )
        try:
            return deployment, self._answering.keep(invocation.id, answered)
        except Retryable:
            return deployment, None

    def _within(self, invocation: Invocation) -> float:
        """Return how long the call may take: as asked, and no longer than the backend and this worker have."""
        most = min(self._limits.worker_seconds, LONGEST_RUN_SECONDS[invocation.backend])
        return min(float(invocation.timeout_seconds or most), most)

    def _ensure_wake(self, invocation: Invocation) -> str | None:
        """Make sure that a wake is under way; where that cannot be done now, the next delivery sees to it.

        A model that does not load is given its rest after each wake: returns until when, for whoever waits.
        Raises: LeaseEnded, SpendCeilingReached: nobody will wake it; what is Held: nobody may now.
        """
        deployment = self._deployments.get(invocation.deployment)
        rests_until = deployment.wake_rests_until
        if deployment.wake is None and rests_until and self._clock.now() < rests_until:
            return f"The last wake ended without an answer: the model is woken again at {iso(rests_until)}."
        try:
            self._warming.wake(
                invocation.deployment,
                reason="a queued invocation found it cold",
                correlation_id=invocation.correlation_id,
            )
        except Held:
            raise
        except (Retryable, Superseded):
            pass
        return None

    def _claim(self, invocation: Invocation) -> Invocation:
        until = self._clock.now() + timedelta(seconds=self._limits.claim_seconds)
        claimed = invocation.changed(
            status=InvocationStatus.RUNNING, claimed_until=until, attempts=invocation.attempts + 1
        )
        return self._invocations.save(invocation, claimed)

    def _come_back(self, invocation: Invocation, **learned: Any) -> bool:
        """Give the claim back, for the message to come back; a record that others changed needs no claim of ours."""
        waiting = invocation.changed(status=InvocationStatus.QUEUED, claimed_until=None, **learned)
        with suppress(ConcurrentChange):
            self._invocations.save(invocation, waiting)
        return False
