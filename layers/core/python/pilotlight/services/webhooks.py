"""Telling somebody's server that an invocation is over, until it takes the notice or hours have passed.

An end may be queued more than once: whoever writes it queues it before, and again where somebody else wrote meanwhile.
The first message that finds it over tells of it, and the others are dropped.
"""

import json

from pilotlight.domain.errors import ConcurrentChange, PilotlightError, Retryable
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.webhook import (
    MOST_ATTEMPTS,
    NOT_OVER_SECONDS,
    SIGNATURE_HEADER,
    Webhook,
    WebhookStatus,
    is_accepted,
    is_refused_for_good,
    retry_seconds,
    signature,
)
from pilotlight.ports import Clock, InvocationBodies, Invocations, WebhookQueue, WebhookSecret, WebhookSender
from pilotlight.services.invocation_views import InvocationViews

NOT_TOLD = ("output_url", "webhook")
"""What of an invocation's view is not sent: an address that needs no signature is a secret."""
ATTEMPTS = 3


class Webhooks:
    """Delivers notices."""

    def __init__(
        self,
        invocations: Invocations,
        bodies: InvocationBodies,
        views: InvocationViews,
        queue: WebhookQueue,
        sender: WebhookSender,
        secret: WebhookSecret,
        clock: Clock,
    ) -> None:
        self._invocations = invocations
        self._bodies = bodies
        self._views = views
        self._queue = queue
        self._sender = sender
        self._secret = secret
        self._clock = clock

    def deliver(self, invocation_id: str, *, message: str, receipt: str, receives: int = 1) -> bool:
        """Tell of an invocation's end; False when its message must come back, after a wait that is set here.

        `message` is the same at each receipt. One that came as often as it may is left to the queue's dead letters, and
        the record says so.
        """
        invocation = self._invocations.find(invocation_id)
        if invocation is None or invocation.webhook is None:
            return True
        if invocation.webhook.status is not WebhookStatus.PENDING:
            return True
        if not invocation.is_over:
            self._queue.hide(receipt, NOT_OVER_SECONDS)
            return False
        ours = self._claimed(invocation, message)
        if ours is None or ours.webhook is None:
            return True
        reason, may_come_back = self._told(ours, self._secret())
        last = max(receives, ours.webhook.attempts + 1) >= MOST_ATTEMPTS
        self._note(ours, reason, final=last or not may_come_back)
        if reason is None or not may_come_back:
            return True
        if not last:
            self._queue.hide(receipt, retry_seconds(receives))
        return False

    def _claimed(self, invocation: Invocation, message: str) -> Invocation | None:
        """Return the record as one that this message tells of; None where another message does. Raises: as `_note`."""
        for _ in range(ATTEMPTS):
            if invocation.told_by:
                return invocation if invocation.told_by == message else None
            try:
                return self._invocations.save(invocation, invocation.changed(told_by=message))
            except ConcurrentChange:
                invocation = self._invocations.get(invocation.id)
        raise ConcurrentChange(f"Others keep writing invocation {invocation.id}.")

    def _told(self, invocation: Invocation, secret: str) -> tuple[str | None, bool]:
        """Make one attempt; return why it failed, if it did, and whether another one can help."""
        try:
            url = self._bodies.get_request(invocation.id).webhook
            body = self._body(invocation)
            status = self._sender.post(url or "", body, self._headers(invocation, body, secret))
        except Retryable as exc:
            return exc.message, True
        except PilotlightError as exc:
            return exc.message, False
        if is_accepted(status):
            return None, False
        return f"it was answered with status {status}", not is_refused_for_good(status)

    def _body(self, invocation: Invocation) -> bytes:
        view = self._views.of(invocation).dump()
        told = {name: value for name, value in view.items() if name not in NOT_TOLD}
        return json.dumps(told, ensure_ascii=False).encode()

    def _headers(self, invocation: Invocation, body: bytes, secret: str) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "X-Correlation-Id": invocation.correlation_id,
            SIGNATURE_HEADER: signature(secret, body, self._clock.now()),
        }

    def _note(self, invocation: Invocation, reason: str | None, *, final: bool) -> None:
        """Keep what became of it. Raises: ConcurrentChange where others keep writing the record."""
        for _ in range(ATTEMPTS):
            webhook, now = invocation.webhook or Webhook(), self._clock.now()
            attempts = webhook.attempts + 1
            after = (
                webhook.delivered(now, attempts)
                if reason is None
                else webhook.failed(now, attempts, reason, final=final)
            )
            try:
                self._invocations.save(invocation, invocation.changed(webhook=after))
            except ConcurrentChange:
                invocation = self._invocations.get(invocation.id)
            else:
                return
        raise ConcurrentChange(f"Others keep writing invocation {invocation.id}.")
