"""One call to a model and what it leaves behind: the answer, the ledger's entry, the record and its metrics."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from statistics import median

from pilotlight.domain import lmi
from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    InvocationTimedOut,
    ModelNotReady,
    NotFound,
    NothingAnswered,
    PilotlightError,
    Retryable,
)
from pilotlight.domain.invocation import (
    Answered,
    BackendAnswer,
    ContainerAnswer,
    Invocation,
    InvocationRequest,
    InvocationStatus,
    RawInvocation,
    Result,
    split_reasoning,
)
from pilotlight.domain.invocation_request import Content, Form
from pilotlight.domain.invocation_rules import LARGEST_REALTIME_BYTES, require_inline, require_taken
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.values import Backend
from pilotlight.ports import Artifacts, Clock, InferenceBackend, InFlight, InvocationBodies, PromptRenderer
from pilotlight.services.accounting import Accounting
from pilotlight.services.ending import Ending
from pilotlight.services.prompting import Ask, for_container, for_model
from pilotlight.services.spending import Spending

UNTIMED = datetime(1970, 1, 1, tzinfo=UTC)


class Answering:
    """Makes the call, for the API and for the queue's worker alike, at the backend that the deployment has."""

    def __init__(
        self,
        artifacts: Artifacts,
        bodies: InvocationBodies,
        in_flight: InFlight,
        backends: Mapping[Backend, InferenceBackend],
        templates: PromptRenderer,
        accounting: Accounting,
        spending: Spending,
        ending: Ending,
        clock: Clock,
    ) -> None:
        self._artifacts = artifacts
        self._bodies = bodies
        self._in_flight = in_flight
        self._backends = backends
        self._templates = templates
        self._accounting = accounting
        self._spending = spending
        self._ending = ending
        self._clock = clock
        self._facts: dict[str, ModelFacts] = {}

    def require_supported(self, deployment: Deployment, request: InvocationRequest | RawInvocation) -> None:
        """Refuse what the backend does not take, or would ignore. Raises: InvalidInput, UnsupportedParameter."""
        backend = self._backends.get(deployment.backend)
        supported = backend.supported_parameters if backend else lmi.SUPPORTED
        require_taken(request, deployment.backend, deployment.hosting, supported)

    def ask(self, deployment: Deployment, request: InvocationRequest | RawInvocation) -> Ask:
        """Return a request made ready, with the prompt through the model's own chat template.

        Raises: InvalidInput, also for what is too large for the backend.
        """
        facts = self._facts_of(deployment.artifact_id)
        if deployment.backend.is_endpoint or isinstance(request, RawInvocation):
            ask = for_container(request, facts, self._templates)
            if deployment.backend is Backend.SAGEMAKER_REALTIME and ask.content and ask.content.data is not None:
                require_inline(ask.content, deployment.name)
            return ask
        return for_model(request, facts, self._templates)

    def _facts_of(self, artifact_id: str | None) -> ModelFacts | None:
        """Return what is known of a sealed checkpoint: read once, because a sealed artifact never changes."""
        if artifact_id and artifact_id not in self._facts:
            artifact = self._artifacts.find(artifact_id)
            if artifact is None or artifact.facts is None:
                return None
            self._facts[artifact_id] = artifact.facts
        return self._facts.get(artifact_id or "")

    def call(self, deployment: Deployment, ask: Ask, *, within: float, correlation_id: str) -> Answered:
        """Return the backend's answer, with how long it took.

        Where little of the paid time or of the ceiling is left, the call may take no longer than that. A call that was
        cut off generated for nobody: the ledger hears of it, so that the next one like it is queued; as of the moment
        at which it had to be over, and not of a later one at which we noticed, which may be in a window of its own.
        Raises: LeaseEnded, SpendCeilingReached, KillSwitchOn before anything is called; ModelNotReady and its like.
        """
        within = self._spending.seconds_for_call(deployment, within)
        began = self._clock.now()
        over_by = self._spending.over_by(began, within)
        try:
            answer = self._called(deployment, ask, within, correlation_id)
        except InvocationTimedOut:
            ended = min(self._clock.now(), over_by)
            took = (ended - began).total_seconds()
            if ask.form is Form.TEXT:
                with suppress(Retryable):  # the caller is to hear of the timeout, not of the ledger
                    self._accounting.timed_out(deployment, ended, tokens=ask.parameters.token_limit, seconds=took)
            self._note_latency(deployment, ask, within)
            raise
        except NothingAnswered:
            with suppress(Retryable):
                ended = min(self._clock.now(), over_by)
                self._accounting.unanswered(deployment, ended, WindowOpener.INVOCATION)
            raise
        except ModelNotReady:  # nothing is warm that this call would keep so
            self._spending.let_go(deployment)
            raise
        now = self._clock.now()
        took = (now - began).total_seconds()
        self._note_latency(deployment, ask, took)
        answered = read(answer, thinking_opened=ask.thinking_opened)
        return answered.changed(latency_ms=round(took * 1000), answered_at=now)

    def is_slow(self, deployment: Deployment, *, within: float) -> bool:
        """Say whether a body is to take longer than that: as the last one did, or the most of the last few."""
        took = self._in_flight.latencies(deployment.name, deployment.generation)
        return bool(took) and max(took[-1], median(took)) >= within

    def _note_latency(self, deployment: Deployment, ask: Ask, seconds: float) -> None:
        """Keep how long a body took, whose length tells nothing of that; how long text takes, its tokens tell."""
        if ask.form is Form.BODY:
            with suppress(PilotlightError):  # it is a measure: no answer is lost for it
                self._in_flight.note_latency(deployment.name, deployment.generation, seconds)

    def _called(
        self, deployment: Deployment, ask: Ask, within: float, correlation_id: str
    ) -> BackendAnswer | ContainerAnswer:
        backend = self._backends[deployment.backend]
        if ask.prompt:
            return backend.complete(
                deployment, ask.prompt.text, ask.parameters, timeout_seconds=within, correlation_id=correlation_id
            )
        told = backend.pass_on(
            deployment,
            self._with_bytes(ask.content or Content()),
            timeout_seconds=within,
            correlation_id=correlation_id,
        )
        return lmi.require_generation(told.data, deployment.name) if ask.form is Form.TEXT else told

    def _with_bytes(self, content: Content) -> Content:
        """Return a body with its bytes: those of one that had to wait lie in our bucket. Raises: NotFound."""
        if content.location is None:
            return content
        data = self._bodies.read(content.location, LARGEST_REALTIME_BYTES + 1)
        if data is None:
            raise NotFound("The body of this invocation is no longer kept; send it again.")
        return content.changed(data=data)

    def keep(self, invocation_id: str, answered: Answered) -> Answered:
        """Keep an answer for whoever asks for it; return it with the place where a container's own lies."""
        if answered.result and answered.body is not None:
            location = self._bodies.put_result(invocation_id, answered.body, answered.result.content_type)
            answered = answered.changed(result=answered.result.changed(location=location))
        self._bodies.put_output(invocation_id, answered.dump())
        return answered

    def settle(
        self, deployment: Deployment, invocation: Invocation, answered: Answered, *, is_measure: bool = True
    ) -> Invocation:
        """Return the invocation as answered, with its cost entered in the ledger; a repeat enters the same.

        `is_measure` says that how long it took tells the model's speed.
        """
        over = self.answered(invocation, answered)
        cost = self._accounting.answered(
            deployment,
            answered.answered_at,
            WindowOpener.INVOCATION,
            invocation=over,
            tokens_per_second=answered.tokens_per_second if is_measure else None,
        )
        over = over.changed(cost=cost)
        if cost.usd:
            try:
                self._spending.note(deployment)
            except PilotlightError as exc:  # the owner hears of it at the next window
                self._ending.surprise("an answer could not be entered", over, exc)
        return over

    def answered(self, invocation: Invocation, answered: Answered) -> Invocation:
        """Return the invocation as answered."""
        return invocation.changed(
            status=InvocationStatus.SUCCEEDED,
            ended_at=answered.answered_at,
            claimed_until=None,
            latency_ms=answered.latency_ms,
            usage=answered.usage if answered.usage.dump() else None,
            output_length=answered.completion_length,
            result=answered.result,
        )


def read(answer: BackendAnswer | ContainerAnswer, *, thinking_opened: bool = False) -> Answered:
    """Return what was answered; when, and after how long, is for the caller to say."""
    if isinstance(answer, ContainerAnswer):
        size = len(answer.data)
        return Answered(
            latency_ms=0,
            answered_at=UNTIMED,
            is_text=False,
            completion_length=size,
            result=Result(content_type=answer.content_type, size_bytes=size),
            body=answer.data,
        )
    output = split_reasoning(answer.completion, opened_by_prompt=thinking_opened)
    return Answered(
        latency_ms=0,
        answered_at=UNTIMED,
        text=output.text,
        reasoning=output.reasoning,
        stop_reason=answer.stop_reason,
        usage=answer.usage,
        completion_length=len(answer.completion),
    )
