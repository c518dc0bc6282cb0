"""Invocations as the API takes them: answered at once by a warm model, otherwise recorded, queued and woken for.

The API never waits for a cold start. It calls the backend itself only where the answer fits its limit at the
measured speed; everything else is a record to ask for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from pydantic import Field
from ulid import ULID

from pilotlight.contracts import InvocationView
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    DeadlinePassed,
    Held,
    InvalidInput,
    ModelNotReady,
    PilotlightError,
    QueueFull,
    Retryable,
    Terminal,
)
from pilotlight.domain.invocation import (
    KEPT,
    LONGEST_REDELIVERY_SECONDS,
    Answered,
    Invocation,
    InvocationRequest,
    InvocationStatus,
    Output,
    fits,
)
from pilotlight.domain.spending import Purpose
from pilotlight.domain.values import Model
from pilotlight.domain.warmth import Warmth
from pilotlight.ports import Clock, Deployments, InvocationBodies, InvocationQueue, Invocations
from pilotlight.services.accounting import Accounting
from pilotlight.services.answering import Answering
from pilotlight.services.prompting import Prompt
from pilotlight.services.spending import Spending
from pilotlight.services.warming import Warming

POLL_SECONDS = 0.25


class InvocationLimits(Model):
    """How long the API may work and wait (wall seconds), and how much may be held and queued.

    Callers wait `retry_after_seconds` of our clock, which runs `clock_speed` times as fast as theirs.
    """

    direct_seconds: float = 20.0
    longest_wait_seconds: float = Field(default=25.0, le=28.0)
    held_requests: int = 20
    queue_depth: int = 10_000
    expires_after_seconds: int = 6 * 3600
    retry_after_seconds: int = 10
    clock_speed: float = 1.0


class Invoking:
    """Takes invocations and tells what became of them."""

    def __init__(
        self,
        deployments: Deployments,
        invocations: Invocations,
        bodies: InvocationBodies,
        queue: InvocationQueue,
        answering: Answering,
        accounting: Accounting,
        spending: Spending,
        warming: Warming,
        clock: Clock,
        limits: InvocationLimits,
    ) -> None:
        self._deployments = deployments
        self._invocations = invocations
        self._bodies = bodies
        self._queue = queue
        self._answering = answering
        self._accounting = accounting
        self._spending = spending
        self._warming = warming
        self._clock = clock
        self._limits = limits

    def invoke(
        self, name: str, request: InvocationRequest, *, wait_seconds: float, correlation_id: str
    ) -> InvocationView:
        """Return the answer of a warm model, or the record of an invocation that waits for one.

        Raises: NotServing; UnsupportedParameter; InvalidInput; QueueFull; LeaseEnded; SpendCeilingReached.
        """
        deployment = self._deployments.get(name).require_serving()
        self._answering.require_supported(request)
        prompt = self._answering.render(deployment, request)
        invocation = self._fresh(deployment, request, correlation_id)
        latest = self._accounting.latest_window(deployment)
        belief = self._accounting.warmth_by(latest, deployment.wake, self._clock.now())
        speed = latest.tokens_per_second if latest else None
        quick = fits(request.parameters, speed, within_seconds=self._limits.direct_seconds)
        patience = min(wait_seconds, self._limits.longest_wait_seconds)
        cold = belief.state is not Warmth.WARM
        waits_for = self._require_spendable(deployment) if cold else None
        seen_cold = False
        if quick and not cold:
            try:
                answered = self._call(deployment, invocation, request, prompt)
            except Retryable as exc:
                cold = seen_cold = isinstance(exc, ModelNotReady)  # anything else says nothing of the model's memory
                waits_for = exc.message if isinstance(exc, Held) else None
                patience = min(patience, self._limits.longest_wait_seconds - self._limits.direct_seconds)
            else:
                return self._tell(deployment, invocation, answered)
        invocation = invocation.changed(was_cold=cold, waiting_for=waits_for)
        self._enqueue(invocation, request)
        if cold:
            with self._surviving("the model could not be woken", invocation):  # its worker sees to it, or says why not
                self._wake(name, correlation_id, seen_cold=seen_cold)
        return self._wait(invocation, patience)

    def _require_spendable(self, deployment: Deployment) -> str | None:
        """Refuse a call for which no model may be woken; return what it must wait for, where that passes by itself.

        Raises: LeaseEnded, SpendCeilingReached.
        """
        try:
            self._spending.require_possible(deployment, Purpose.WAKE)
        except Held as why:
            return why.message
        except Retryable:
            return None  # its worker asks again
        return None

    def _wake(self, name: str, correlation_id: str, *, seen_cold: bool) -> None:
        """Wake a model, unless it was only believed to be cold and another caller's wake has ended meanwhile."""
        if not seen_cold:
            belief = self._accounting.warmth(self._deployments.get(name), self._clock.now())
            if belief.state is Warmth.WARM:
                return
        self._warming.wake(name, reason="an invocation waits", correlation_id=correlation_id)

    def view(self, invocation_id: str) -> InvocationView:
        """Return an invocation with its output, while that is kept."""
        return self._view(self._invocations.get(invocation_id))

    def _call(
        self, deployment: Deployment, invocation: Invocation, request: InvocationRequest, prompt: Prompt
    ) -> Answered:
        within = self._limits.direct_seconds
        try:
            return self._answering.call(
                deployment, prompt, request, within=within, correlation_id=invocation.correlation_id
            )
        except Terminal as exc:
            self._answering.record(self._answering.failed(invocation, exc))
            raise

    def _tell(self, deployment: Deployment, invocation: Invocation, answered: Answered) -> InvocationView:
        """Enter an answer and give it to its caller, whatever goes wrong with the entries: it was generated, and paid.

        The next answer enters a window that could not be entered.
        """
        over = self._answering.answered(invocation, answered).changed(body_kept=False)  # it goes with the answer
        try:
            over = self._answering.settle(deployment, over, answered)
            self._invocations.put(over)
        except PilotlightError as exc:
            self._answering.surprise("an answer could not be entered", over, exc)
        self._answering.record(over)
        return self._view(over, answered.output)

    def _enqueue(self, invocation: Invocation, request: InvocationRequest) -> None:
        if self._queue.depth() >= self._limits.queue_depth:
            raise QueueFull(
                f"{self._limits.queue_depth} invocations wait already; send this one again later.",
                retry_after_seconds=60,
            )
        self._bodies.put_request(invocation.id, request)
        self._invocations.put(invocation)
        self._queue.send(invocation.id, invocation.correlation_id)

    def _wait(self, invocation: Invocation, patience: float) -> InvocationView:
        """Hold the request until its answer or the end of its patience; beyond a bound of held ones, not at all.

        It is queued by now: whatever goes wrong costs its caller the wait, and nobody a second answer.
        """
        began = self._clock.now()
        with self._surviving("a caller could not be held", invocation):
            if patience > 0 and self._invocations.hold(began, self._limits.held_requests):
                return self._view(self._held(invocation, patience, began))
        return self._view(invocation)

    def _held(self, invocation: Invocation, patience: float, began: datetime) -> Invocation:
        """Return the invocation as it is when it is over, or patience is."""
        try:
            waited = 0.0
            while waited < patience and not invocation.is_over:
                self._clock.pause(POLL_SECONDS)
                waited += POLL_SECONDS
                invocation = self._invocations.get(invocation.id)
        finally:
            with self._surviving("a place could not be given back", invocation):  # it comes free in half a minute
                self._invocations.release(began)
        return invocation

    @contextmanager
    def _surviving(self, message: str, invocation: Invocation) -> Iterator[None]:
        """Accept a call that is queued whatever goes wrong beside it; tell of what does not pass by itself."""
        try:
            yield
        except Retryable:
            return
        except PilotlightError as exc:
            self._answering.surprise(message, invocation, exc)

    def _fresh(self, deployment: Deployment, request: InvocationRequest, correlation_id: str) -> Invocation:
        now = self._clock.now()
        return Invocation(
            id=str(ULID()).lower(),
            deployment=deployment.name,
            generation=deployment.generation,
            status=InvocationStatus.QUEUED,
            created_at=now,
            expires_at=now + timedelta(seconds=self._limits.expires_after_seconds),
            kept_until=now + KEPT,
            correlation_id=correlation_id,
            input_length=request.input_length,
        )

    def _retry_after(self, invocation: Invocation, now: datetime) -> int | None:
        """Return the wall's seconds until it is worth asking again: what is left of a cold start."""
        if invocation.is_over:
            return None
        waits = float(self._limits.retry_after_seconds)
        deployment = self._deployments.find(invocation.deployment) if invocation.was_cold else None
        if deployment:
            began = deployment.wake.started_at if deployment.wake else invocation.created_at
            left = deployment.cold_start_seconds - (now - began).total_seconds()
            waits = min(max(left, waits), LONGEST_REDELIVERY_SECONDS)
        return max(1, round(waits / self._limits.clock_speed))

    def _view(self, invocation: Invocation, output: Output | None = None) -> InvocationView:
        now = self._clock.now()
        if invocation.is_lost(now):  # its message was lost, or never sent: nobody else would say so
            invocation = invocation.changed(
                status=InvocationStatus.FAILED,
                ended_at=invocation.expires_at,
                error_code=DeadlinePassed.code,
                error_message=invocation.expired_message,
            )
        kept = invocation.status is InvocationStatus.SUCCEEDED and invocation.body_kept and output is None
        stored = self._bodies.get_output(invocation.id) if kept else None
        error = invocation.error_code and {"code": invocation.error_code, "message": invocation.error_message}
        return InvocationView(
            id=invocation.id,
            deployment=invocation.deployment,
            status=invocation.status,
            output=output or (Output.model_validate(stored) if stored else None),
            usage=invocation.usage,
            latency_ms=invocation.latency_ms,
            was_cold=invocation.was_cold,
            cost=invocation.cost,
            waiting_for=None if invocation.is_over else invocation.waiting_for,
            error=error or None,
            correlation_id=invocation.correlation_id,
            created_at=invocation.created_at,
            ended_at=invocation.ended_at,
            expires_at=invocation.expires_at,
            retry_after_seconds=self._retry_after(invocation, now),
        )


def parse_prefer(header: str | None) -> float:
    """Return the seconds of `Prefer: wait=N` (RFC 7240), 0 without it.

    Raises: InvalidInput for a wait that is not a number of seconds.
    """
    for preference in (header or "").split(","):
        key, _, value = preference.strip().partition("=")
        if key.strip().lower() == "wait":
            if not (value.strip().isascii() and value.strip().isdigit()):
                raise InvalidInput(
                    f"Prefer: {preference.strip()} is not understood; write wait=20.",
                    field="Prefer",
                    rule="wait=<seconds>",
                )
            return float(value)
    return 0.0
