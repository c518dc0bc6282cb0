"""Invocations that have to wait: a record, its body in a bucket, its id in the queue, and a mark at its endpoint."""

from contextlib import suppress

from pilotlight.domain.errors import PilotlightError, QueueFull, Retryable
from pilotlight.domain.invocation import Invocation, InvocationRequest, RawInvocation
from pilotlight.ports import InFlight, InvocationBodies, InvocationQueue, Invocations
from pilotlight.services.ending import Ending


class Queueing:
    """Lets invocations wait for a worker."""

    def __init__(
        self,
        invocations: Invocations,
        bodies: InvocationBodies,
        in_flight: InFlight,
        queue: InvocationQueue,
        ending: Ending,
        *,
        most_waiting: int = 10_000,
    ) -> None:
        self._invocations = invocations
        self._bodies = bodies
        self._in_flight = in_flight
        self._queue = queue
        self._ending = ending
        self._most_waiting = most_waiting

    def enqueue(self, invocation: Invocation, request: InvocationRequest | RawInvocation) -> None:
        """Let an invocation wait. One whose message is not taken has failed: its mark would keep an instance.

        Its caller hears of that here, and no webhook does. Raises: QueueFull; what the queue raises.
        """
        if self._queue.depth() >= self._most_waiting:
            raise QueueFull(
                f"{self._most_waiting} invocations wait already; send this one again later.", retry_after_seconds=60
            )
        if isinstance(request, RawInvocation):
            location = self._bodies.put_content(invocation.id, request.data, request.content_type)
            request = request.lying_at(location)
        self._bodies.put_request(invocation.id, request)
        self._invocations.put(invocation)
        if invocation.backend.is_endpoint:
            self._in_flight.put(invocation)
        try:
            self._queue.send(invocation.id, invocation.correlation_id)
        except PilotlightError as exc:
            with suppress(Retryable):  # also where a worker has it after all: the message was sent, and not confirmed
                self._ending.end(invocation, self._ending.failed(invocation, exc).changed(webhook=None))
            raise
