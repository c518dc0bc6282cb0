"""The end of an invocation, whoever writes it: its record, the notice to somebody's server, its one line in the log.

The notice is queued before the record is written: it waits for the record, and no crash between the two loses it.
"""

from contextlib import suppress

from pilotlight.domain.errors import PilotlightError, Retryable
from pilotlight.domain.invocation import Invocation, InvocationStatus
from pilotlight.ports import Clock, InFlight, InvocationBodies, Invocations, Journal, WebhookQueue

LONGEST_TOLD = 2000


class Ending:
    """Ends invocations."""

    def __init__(
        self,
        invocations: Invocations,
        bodies: InvocationBodies,
        in_flight: InFlight,
        webhooks: WebhookQueue,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._invocations = invocations
        self._bodies = bodies
        self._in_flight = in_flight
        self._webhooks = webhooks
        self._journal = journal
        self._clock = clock

    def end(self, before: Invocation, over: Invocation) -> Invocation:
        """Write the end of an invocation and return it as it is written.

        Raises: ConcurrentChange where somebody wrote since `before`; Retryable.
        """
        if over.webhook:
            self._webhooks.send(over.id, over.correlation_id)
        written = self._invocations.save(before, over)
        self.record(written)
        self.forget(written)
        return written

    def fail(self, before: Invocation, error: PilotlightError) -> Invocation:
        """Keep the failure for whoever asks, and a service's own words beside it. Raises: as `end`."""
        over = self.failed(before, error)
        told = str(error.detail.get("told") or "")[:LONGEST_TOLD]
        return self.end(before, over.changed(error_told=True) if told and self._keep(before.id, told) else over)

    def _keep(self, invocation_id: str, told: str) -> bool:
        """Keep a service's words; where they are refused twice, the failure is told without them."""
        for _ in range(2):
            with suppress(Retryable):
                self._bodies.put_failure(invocation_id, told)
                return True
        return False

    def failed(self, invocation: Invocation, error: PilotlightError) -> Invocation:
        """Return the invocation as failed."""
        return invocation.changed(
            status=InvocationStatus.FAILED,
            ended_at=self._clock.now(),
            claimed_until=None,
            error_code=error.code,
            error_message=error.message,
        )

    def forget(self, invocation: Invocation) -> None:
        """Remove the mark of a call that is over; one that is left behind is found by the next look at its endpoint."""
        if invocation.backend.is_endpoint:
            with suppress(Retryable):
                self._in_flight.forget(invocation)

    def surprise(self, message: str, invocation: Invocation, error: PilotlightError) -> None:
        """Say what went wrong beside a call that was answered, or accepted, all the same."""
        self._journal.surprise(message, invocation=invocation.id, code=error.code, reason=error.message)

    def record(self, invocation: Invocation) -> None:
        """Write the one structured record of an invocation: lengths, never contents."""
        self._journal.invocation(
            {
                "request_id": invocation.id,
                "deployment": invocation.deployment,
                "correlation_id": invocation.correlation_id,
                "input_length": invocation.input_length,
                "output_length": invocation.output_length or 0,
                "inference_time": (invocation.latency_ms or 0) / 1000,
                "was_cold": invocation.was_cold,
                "status": invocation.status.value,
                "error_code": invocation.error_code,
            }
        )
