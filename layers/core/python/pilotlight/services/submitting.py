"""Handing queued invocations to an asynchronous endpoint, which answers when it has an instance for them.

What the endpoint has taken is marked in the record. A crash between the two hands a call over once more: its answers
are the same, and the first that comes is taken.
"""

from datetime import timedelta
from math import ceil

from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import ConcurrentChange, PilotlightError, Retryable
from pilotlight.domain.invocation import Invocation, InvocationStatus, Submission
from pilotlight.domain.invocation_request import Content
from pilotlight.domain.invocation_rules import DEFAULT_RUN_SECONDS
from pilotlight.domain.spending import Purpose
from pilotlight.domain.warmth import Warmth
from pilotlight.ports import AsyncInferenceBackend, Clock, InFlight, InvocationBodies, Invocations
from pilotlight.services.accounting import Accounting
from pilotlight.services.answering import Answering
from pilotlight.services.ending import Ending
from pilotlight.services.spending import Spending
from pilotlight.services.warming import Warming

TOLD_WITHIN = timedelta(minutes=5)  # after the last moment at which an answer can come: topics and writes take a while


class Submitting:
    """Hands invocations over."""

    def __init__(
        self,
        invocations: Invocations,
        bodies: InvocationBodies,
        in_flight: InFlight,
        backend: AsyncInferenceBackend,
        answering: Answering,
        ending: Ending,
        accounting: Accounting,
        spending: Spending,
        warming: Warming,
        clock: Clock,
    ) -> None:
        self._invocations = invocations
        self._bodies = bodies
        self._in_flight = in_flight
        self._backend = backend
        self._answering = answering
        self._ending = ending
        self._accounting = accounting
        self._spending = spending
        self._warming = warming
        self._clock = clock

    def submit(self, invocation: Invocation, deployment: Deployment) -> None:
        """Hand over an invocation that its worker has claimed, and see that there will be an instance for it.

        Raises: ModelNotReady where there is no endpoint yet; what is Held; LeaseEnded, SpendCeilingReached;
        ConcurrentChange where somebody wrote the record, which may be its end; InvocationFailed and its like.
        """
        request = self._bodies.get_request(invocation.id)
        ask = self._answering.ask(deployment, request)
        warmth = self._accounting.warmth(deployment, self._clock.now()).state
        self._spending.require(deployment, Purpose.CALL)
        self._in_flight.put(invocation)  # as it was when it was taken: a mark that was lost is made again
        now = self._clock.now()
        waits = ceil((invocation.expires_at - now).total_seconds())
        runs = invocation.timeout_seconds or DEFAULT_RUN_SECONDS
        taken = self._backend.submit(
            deployment,
            self._carried(invocation, ask.content or Content()),
            invocation_id=invocation.id,
            waits_seconds=waits,
            runs_seconds=runs,
            correlation_id=invocation.correlation_id,
        )
        submission = Submission(
            at=now,
            by=max(invocation.expires_at, now + timedelta(minutes=1)) + timedelta(seconds=runs) + TOLD_WITHIN,
            output_location=taken.output_location,
            failure_location=taken.failure_location,
            thinking_opened=ask.thinking_opened,
        )
        self._mark(invocation, submission, was_cold=warmth is not Warmth.WARM)
        if warmth is Warmth.COLD:
            self._wake(deployment, invocation)

    def _carried(self, invocation: Invocation, content: Content) -> Content:
        """Return what the call carries: the body itself where it is short, else the place where it lies."""
        data = content.data
        if data is None or len(data) <= self._backend.largest_inline_bytes:
            return content
        location = self._bodies.put_content(invocation.id, data, content.content_type)
        return content.changed(data=None, location=location)

    def _mark(self, invocation: Invocation, submission: Submission, *, was_cold: bool) -> None:
        """Note what was taken; its end may have been written already, which is as good."""
        marked = invocation.changed(
            status=InvocationStatus.RUNNING,
            claimed_until=None,
            waiting_for=None,
            was_cold=invocation.was_cold or was_cold,
            submission=submission,
        )
        try:
            self._invocations.save(invocation, marked)
        except ConcurrentChange:
            if not self._invocations.get(invocation.id).is_over:
                raise
            self._ending.forget(invocation)

    def _wake(self, deployment: Deployment, invocation: Invocation) -> None:
        """Ask for an instance now: minutes before an alarm would. The alarm will, where this fails."""
        try:
            self._warming.wake(
                deployment.name, reason="a call waits for an instance", correlation_id=invocation.correlation_id
            )
        except Retryable:
            return
        except PilotlightError as exc:
            self._ending.surprise("the model could not be woken", invocation, exc)
