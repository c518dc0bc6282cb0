"""One call to a model and what it leaves behind: the answer, the ledger's entry, the record and its metrics."""

from contextlib import suppress

from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    InvocationTimedOut,
    ModelNotReady,
    NothingAnswered,
    PilotlightError,
    Retryable,
    UnsupportedParameter,
)
from pilotlight.domain.invocation import Answered, Invocation, InvocationRequest, InvocationStatus, split_reasoning
from pilotlight.domain.pricing import WindowOpener
from pilotlight.ports import Artifacts, Clock, InferenceBackend, Invocations, Journal, PromptRenderer
from pilotlight.services.accounting import Accounting
from pilotlight.services.prompting import Prompt, render
from pilotlight.services.spending import Spending


class Answering:
    """Makes the call, for the API and for the queue's worker alike."""

    def __init__(
        self,
        artifacts: Artifacts,
        invocations: Invocations,
        backend: InferenceBackend,
        templates: PromptRenderer,
        accounting: Accounting,
        spending: Spending,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._artifacts = artifacts
        self._invocations = invocations
        self._backend = backend
        self._templates = templates
        self._accounting = accounting
        self._spending = spending
        self._journal = journal
        self._clock = clock
        self._facts: dict[str, ModelFacts] = {}

    def require_supported(self, request: InvocationRequest) -> None:
        """Refuse what the backend would ignore. Raises: UnsupportedParameter, naming what it supports."""
        asked = {name for name, value in dict(request.parameters).items() if value is not None}
        if unknown := sorted(asked - self._backend.supported_parameters):
            raise UnsupportedParameter(
                f"The backend has no parameter {', '.join(unknown)}; it would ignore it silently. "
                f"It supports {', '.join(sorted(self._backend.supported_parameters))}.",
                field=f"parameters.{unknown[0]}",
                rule="supported by the backend",
                supported=sorted(self._backend.supported_parameters),
            )

    def render(self, deployment: Deployment, request: InvocationRequest) -> Prompt:
        """Return the prompt of a request, through the model's own chat template. Raises: InvalidInput."""
        return render(request, self._facts_of(deployment.artifact_id), self._templates)

    def _facts_of(self, artifact_id: str | None) -> ModelFacts | None:
        """Return what is known of a sealed checkpoint: read once, because a sealed artifact never changes."""
        if artifact_id and artifact_id not in self._facts:
            artifact = self._artifacts.find(artifact_id)
            if artifact is None or artifact.facts is None:
                return None
            self._facts[artifact_id] = artifact.facts
        return self._facts.get(artifact_id or "")

    def call(
        self, deployment: Deployment, prompt: Prompt, request: InvocationRequest, *, within: float, correlation_id: str
    ) -> Answered:
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
            answer = self._backend.complete(
                deployment, prompt.text, request.parameters, timeout_seconds=within, correlation_id=correlation_id
            )
        except InvocationTimedOut:
            ended = min(self._clock.now(), over_by)
            took = (ended - began).total_seconds()
            with suppress(Retryable):  # the caller is to hear of the timeout, not of the ledger
                self._accounting.timed_out(deployment, ended, tokens=request.parameters.token_limit, seconds=took)
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
        output = split_reasoning(answer.completion, opened_by_prompt=prompt.thinking_opened)
        return Answered(
            text=output.text,
            reasoning=output.reasoning,
            stop_reason=answer.stop_reason,
            usage=answer.usage,
            latency_ms=round((now - began).total_seconds() * 1000),
            completion_length=len(answer.completion),
            answered_at=now,
        )

    def settle(self, deployment: Deployment, invocation: Invocation, answered: Answered) -> Invocation:
        """Return the invocation as answered, with its cost entered in the ledger; a repeat enters the same."""
        cost = self._accounting.answered(
            deployment,
            answered.answered_at,
            WindowOpener.INVOCATION,
            invocation=invocation,
            tokens_per_second=answered.tokens_per_second,
        )
        over = self.answered(invocation, answered).changed(cost=cost)
        if cost.usd:
            try:
                self._spending.note(deployment)
            except PilotlightError as exc:  # the owner hears of it at the next window
                self.surprise("an answer could not be entered", over, exc)
        return over

    def answered(self, invocation: Invocation, answered: Answered) -> Invocation:
        """Return the invocation as answered."""
        return invocation.changed(
            status=InvocationStatus.SUCCEEDED,
            ended_at=answered.answered_at,
            claimed_until=None,
            latency_ms=answered.latency_ms,
            usage=answered.usage,
            output_length=answered.completion_length,
        )

    def surprise(self, message: str, invocation: Invocation, error: PilotlightError) -> None:
        """Say what went wrong beside a call that was answered, or accepted, all the same."""
        self._journal.surprise(message, invocation=invocation.id, code=error.code, reason=error.message)

    def fail(self, invocation: Invocation, error: PilotlightError) -> None:
        """Keep the failure for whoever asks."""
        self.record(self._invocations.save(invocation, self.failed(invocation, error)))

    def failed(self, invocation: Invocation, error: PilotlightError) -> Invocation:
        """Return the invocation as failed."""
        return invocation.changed(
            status=InvocationStatus.FAILED,
            ended_at=self._clock.now(),
            claimed_until=None,
            error_code=error.code,
            error_message=error.message,
        )

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
