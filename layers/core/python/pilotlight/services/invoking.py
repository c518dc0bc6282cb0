"""Invocations as the API takes them: answered at once by a warm model, otherwise recorded, queued and woken for.

The API never waits for a cold start. It calls the backend itself only where the answer fits its limit at the
measured speed; everything else is a record to ask for. An asynchronous endpoint is never called here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from pydantic import Field
from ulid import ULID

from pilotlight.contracts import InvocationView
from pilotlight.domain.container_answers import is_shown
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    Held,
    InvalidInput,
    ModelNotReady,
    PilotlightError,
    Retryable,
    Terminal,
)
from pilotlight.domain.invocation import (
    KEPT,
    Answered,
    Form,
    Invocation,
    InvocationRequest,
    InvocationStatus,
    RawInvocation,
    fits,
)
from pilotlight.domain.scaling import leaving_since
from pilotlight.domain.spending import Purpose
from pilotlight.domain.values import Backend, Model
from pilotlight.domain.warmth import Warmth
from pilotlight.domain.webhook import Webhook
from pilotlight.ports import Clock, Deployments, Invocations
from pilotlight.services.accounting import Accounting
from pilotlight.services.answering import Answering
from pilotlight.services.ending import Ending
from pilotlight.services.inputs import Inputs
from pilotlight.services.invocation_views import InvocationViews
from pilotlight.services.prompting import Ask
from pilotlight.services.queueing import Queueing
from pilotlight.services.spending import Spending
from pilotlight.services.warming import Warming

POLL_SECONDS = 0.25
Asked = InvocationRequest | RawInvocation


class InvocationLimits(Model):
    """How long the API may work and wait (wall seconds), and how many requests may be held."""

    direct_seconds: float = 20.0
    longest_wait_seconds: float = Field(default=25.0, le=28.0)
    held_requests: int = 20
    expires_after_seconds: int = 6 * 3600


class Invoking:
    """Takes invocations and tells what became of them."""

    def __init__(
        self,
        deployments: Deployments,
        invocations: Invocations,
        queueing: Queueing,
        inputs: Inputs,
        answering: Answering,
        ending: Ending,
        views: InvocationViews,
        accounting: Accounting,
        spending: Spending,
        warming: Warming,
        clock: Clock,
        limits: InvocationLimits,
    ) -> None:
        self._deployments = deployments
        self._invocations = invocations
        self._queueing = queueing
        self._inputs = inputs
        self._answering = answering
        self._ending = ending
        self._views = views
        self._accounting = accounting
        self._spending = spending
        self._warming = warming
        self._clock = clock
        self._limits = limits

    def invoke(self, name: str, request: Asked, *, wait_seconds: float, correlation_id: str) -> InvocationView:
        """Return the answer of a warm model, or the record of an invocation that waits for one.

        Raises: NotServing; UnsupportedParameter; InvalidInput; QueueFull; LeaseEnded; SpendCeilingReached.
        """
        deployment = self._deployments.get(name).require_serving()
        ask = self._accepted(deployment, request)
        invocation = self._fresh(deployment, request, correlation_id)
        belief = self._accounting.belief(deployment, self._clock.now())
        patience = min(wait_seconds, self._limits.longest_wait_seconds)
        cold = belief.warmth.state is not Warmth.WARM
        waits_for = self._require_spendable(deployment) if cold else None
        seen_cold = False
        if not cold and self._answers_at_once(deployment, request, ask, belief.tokens_per_second):
            try:
                answered = self._call(deployment, invocation, ask)
            except Retryable as exc:
                cold = seen_cold = isinstance(exc, ModelNotReady)  # anything else says nothing of the model's memory
                waits_for = exc.message if isinstance(exc, Held) else None
                patience = min(patience, self._limits.longest_wait_seconds - self._limits.direct_seconds)
            else:
                return self._tell(deployment, invocation, answered)
        invocation = invocation.changed(was_cold=cold, waiting_for=waits_for)
        self._queueing.enqueue(invocation, request)
        if cold and deployment.backend is not Backend.SAGEMAKER_ASYNC:  # its worker wakes what it has handed over to
            with self._surviving("the model could not be woken", invocation):  # its worker sees to it, or says why not
                self._wake(name, correlation_id, seen_cold=seen_cold)
        return self._wait(invocation, patience)

    def _accepted(self, deployment: Deployment, request: Asked) -> Ask:
        """Return a request made ready, where its backend takes it. Raises: InvalidInput, UnsupportedParameter."""
        self._answering.require_supported(deployment, request)
        if isinstance(request, InvocationRequest):
            self._inputs.require_readable(request.input)
        return self._answering.ask(deployment, request)

    def _answers_at_once(self, deployment: Deployment, request: Asked, ask: Ask, speed: float | None) -> bool:
        """Say whether the API itself calls a warm model: not where it is told another time, or another place.

        Nor where its instances are to go: what is queued is marked, and they stay for it.
        """
        within = self._limits.direct_seconds
        if deployment.endpoint and leaving_since(deployment, deployment.endpoint, self._clock.now()):
            return False
        if deployment.backend is Backend.SAGEMAKER_ASYNC or request.webhook or (request.timeout_seconds or 0) > within:
            return False
        if ask.form is Form.BODY:
            return not self._answering.is_slow(deployment, within=within)
        return fits(ask.parameters, speed, within_seconds=within)

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
        return self._views.of(self._invocations.get(invocation_id))

    def _call(self, deployment: Deployment, invocation: Invocation, ask: Ask) -> Answered:
        within = self._limits.direct_seconds
        try:
            return self._answering.call(deployment, ask, within=within, correlation_id=invocation.correlation_id)
        except Terminal as exc:
            self._ending.record(self._ending.failed(invocation, exc))
            raise

    def _tell(self, deployment: Deployment, invocation: Invocation, answered: Answered) -> InvocationView:
        """Enter an answer and give it to its caller, whatever goes wrong with the entries: it was generated, and paid.

        The next answer enters a window that could not be entered.
        """
        over = self._answering.answered(invocation, answered).changed(body_kept=False)  # it goes with the answer
        try:
            if answered.result and not is_shown(answered.result.content_type, answered.result.size_bytes):
                answered = self._answering.keep(invocation.id, answered)  # it goes by an address, and not in JSON
            over = self._answering.settle(deployment, over, answered)
            self._invocations.put(over)
        except PilotlightError as exc:
            self._ending.surprise("an answer could not be entered", over, exc)
        self._ending.record(over)
        return self._views.of(over, answered)

    def _wait(self, invocation: Invocation, patience: float) -> InvocationView:
        """Hold the request until its answer or the end of its patience; beyond a bound of held ones, not at all.

        It is queued by now: whatever goes wrong costs its caller the wait, and nobody a second answer.
        """
        began = self._clock.now()
        with self._surviving("a caller could not be held", invocation):
            if patience > 0 and self._invocations.hold(began, self._limits.held_requests):
                return self._views.of(self._held(invocation, patience, began))
        return self._views.of(invocation)

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
            self._ending.surprise(message, invocation, exc)

    def _fresh(self, deployment: Deployment, request: Asked, correlation_id: str) -> Invocation:
        now = self._clock.now()
        return Invocation(
            id=str(ULID()).lower(),
            deployment=deployment.name,
            generation=deployment.generation,
            backend=deployment.backend,
            form=request.form,
            status=InvocationStatus.QUEUED,
            created_at=now,
            expires_at=now + timedelta(seconds=self._limits.expires_after_seconds),
            kept_until=now + KEPT,
            correlation_id=correlation_id,
            input_length=request.input_length,
            timeout_seconds=request.timeout_seconds,
            webhook=Webhook() if request.webhook else None,
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
