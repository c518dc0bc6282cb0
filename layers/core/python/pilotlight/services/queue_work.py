"""Invocations as the queue's worker makes them: claimed, called, answered, or sent back until the model is up.

On "not ready" the worker makes sure that one wake is under way and lets the message come back later: it never
sits and waits for a cold start, which would be paid for.
"""

from contextlib import suppress
from datetime import timedelta

from pilotlight.domain.errors import (
    ConcurrentChange,
    DeadlinePassed,
    ModelNotReady,
    PilotlightError,
    Retryable,
    Superseded,
    Throttled,
    Unavailable,
)
from pilotlight.domain.invocation import Invocation, InvocationStatus
from pilotlight.domain.values import Model
from pilotlight.ports import Clock, Deployments, InvocationBodies, InvocationQueue, Invocations
from pilotlight.services.answering import Answering
from pilotlight.services.warming import Warming


class WorkerLimits(Model):
    """How long one call may take and its claim holds, and how long a message stays away (seconds)."""

    worker_seconds: float = 840.0
    claim_seconds: float = 900.0
    wait_seconds: int = 10


class QueueWork:
    """Answers queued invocations."""

    def __init__(
        self,
        deployments: Deployments,
        invocations: Invocations,
        bodies: InvocationBodies,
        queue: InvocationQueue,
        answering: Answering,
        warming: Warming,
        clock: Clock,
        limits: WorkerLimits,
    ) -> None:
        self._deployments = deployments
        self._invocations = invocations
        self._bodies = bodies
        self._queue = queue
        self._answering = answering
        self._warming = warming
        self._clock = clock
        self._limits = limits

    def run(self, invocation_id: str, *, receipt: str) -> bool:
        """Answer a queued invocation; False when its message must come back, after a wait that is set here.

        A second delivery of an answered invocation, or of one that another worker holds, does nothing.
        """
        now = self._clock.now()
        invocation = self._invocations.get(invocation_id)
        if invocation.is_over:
            return True
        if invocation.has_expired(now):
            self._answering.fail(invocation, DeadlinePassed("Nobody could answer it before it expired."))
            return True
        if invocation.claimed_until and now < invocation.claimed_until:
            return self._look_again(receipt)
        try:
            claimed = self._claim(invocation)
        except ConcurrentChange:
            return self._look_again(receipt)
        return self._run_claimed(claimed, receipt)

    def fail(self, invocation_id: str, reason: str) -> None:
        """Turn a dead letter into a failed record, so that whoever asks is told."""
        invocation = self._invocations.get(invocation_id)
        if not invocation.is_over:
            self._answering.fail(invocation, DeadlinePassed(reason))

    def _run_claimed(self, invocation: Invocation, receipt: str) -> bool:
        try:
            request = self._bodies.get_request(invocation.id)
            deployment = self._deployments.get(invocation.deployment)
            deployment.require(invocation.generation).require_serving()
            prompt = self._answering.render(deployment, request)
            answer, latency_ms = self._answering.call(
                deployment,
                prompt,
                request,
                within=self._limits.worker_seconds,
                correlation_id=invocation.correlation_id,
            )
        except ModelNotReady:
            self._ensure_wake(invocation)
            return self._come_back(invocation.changed(was_cold=True), receipt)
        except (Throttled, Unavailable, ConcurrentChange):
            return self._come_back(invocation, receipt)
        except PilotlightError as exc:
            self._answering.fail(invocation, exc)
            return True
        over, output = self._answering.settle(deployment, invocation, prompt, answer, latency_ms)
        self._bodies.put_output(over.id, output.dump())
        self._invocations.save(invocation, over)
        self._answering.record(over)
        return True

    def _ensure_wake(self, invocation: Invocation) -> None:
        """Make sure that a wake is under way; where that cannot be done now, the next delivery sees to it."""
        with suppress(Retryable, Superseded):
            self._warming.wake(
                invocation.deployment,
                reason="a queued invocation found it cold",
                correlation_id=invocation.correlation_id,
            )

    def _claim(self, invocation: Invocation) -> Invocation:
        until = self._clock.now() + timedelta(seconds=self._limits.claim_seconds)
        claimed = invocation.changed(
            status=InvocationStatus.RUNNING, claimed_until=until, attempts=invocation.attempts + 1
        )
        return self._invocations.save(invocation, claimed)

    def _come_back(self, invocation: Invocation, receipt: str) -> bool:
        """Give the claim back and let the message come back; a record that others changed needs no claim of ours."""
        waiting = invocation.changed(status=InvocationStatus.QUEUED, claimed_until=None)
        with suppress(ConcurrentChange):
            self._invocations.save(invocation, waiting)
        return self._look_again(receipt)

    def _look_again(self, receipt: str) -> bool:
        self._queue.hide(receipt, self._limits.wait_seconds)
        return False
