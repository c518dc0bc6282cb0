"""An invocation: what was asked, with which parameters, what came of it, and what it cost."""

import re
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.invocation_request import (
    DEFAULT_MAX_TOKENS,
    ChatMessage,
    Form,
    InvocationRequest,
    Parameters,
    RawInvocation,
)
from pilotlight.domain.values import Backend, Model, Moment, Money
from pilotlight.domain.webhook import Webhook

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "Answered",
    "BackendAnswer",
    "ChatMessage",
    "ContainerAnswer",
    "Form",
    "Invocation",
    "InvocationRequest",
    "InvocationStatus",
    "Output",
    "Parameters",
    "RawInvocation",
    "Result",
    "Submission",
    "Usage",
    "fits",
    "redelivery_seconds",
    "split_reasoning",
]

KEPT = timedelta(days=7)
UNMEASURED_TOKENS_PER_SECOND = 5.0
"""Taken until measured on this deployment: a large model behind a long prompt. Taken too high, calls are cut off and
billed; taken too low, the first one waits in the queue, whose answer measures the speed."""


class InvocationStatus(StrEnum):
    """Where an invocation is on its way.

    RUNNING is also one that an asynchronous endpoint has taken, where it may wait before it runs. What has expired is
    FAILED, too: `domain/invocation_phase.py` tells more than these four.
    """

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Usage(Model):
    """Tokens of one call, as the backend counted them."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class Output(Model):
    """What the model said: its reasoning apart from its answer."""

    text: str
    reasoning: str | None = None
    stop_reason: str | None = None


class Result(Model):
    """What a container answered that is no text of a model: its type and size, and where it lies if it is kept."""

    content_type: str = "application/octet-stream"
    size_bytes: int = Field(ge=0)
    location: str | None = None


class Answered(Output):
    """What the model said, with all that its record and the ledger are to be told: kept whole before either is.

    A container's own answer is `result`, and its bytes are `body` until they are kept; it is none of a model's text
    unless `is_text` says so.
    """

    text: str = ""
    is_text: bool = True
    usage: Usage = Usage()
    latency_ms: int
    completion_length: int
    answered_at: Moment
    result: Result | None = None
    body: bytes | None = Field(default=None, exclude=True, repr=False)

    @property
    def output(self) -> Output:
        """The part that is for the caller."""
        return Output(text=self.text, reasoning=self.reasoning, stop_reason=self.stop_reason)

    @property
    def tokens_per_second(self) -> float | None:
        """The speed that was measured, where the backend counted tokens."""
        tokens = self.usage.output_tokens
        return tokens / (self.latency_ms / 1000) if tokens and self.latency_ms else None


class BackendAnswer(Model):
    """One answer of a backend: the raw completion, its stop reason, its tokens."""

    completion: str
    stop_reason: str | None = None
    usage: Usage = Usage()


class ContainerAnswer(Model):
    """One answer of a container, as it came."""

    data: bytes = Field(repr=False)
    content_type: str = "application/octet-stream"


class Submission(Model):
    """What an asynchronous endpoint has taken: when, where its answer or its failure will lie, and by when at last.

    `by` is the end of the time that it may wait there, and then run. `thinking_opened` says that its prompt opened
    `<think>`.
    """

    at: Moment
    by: Moment
    output_location: str
    failure_location: str | None = None
    thinking_opened: bool = False


class Invocation(Model):
    """The record of one invocation. The bodies are in S3, encrypted, and expire with it; never in the table."""

    id: str
    deployment: str
    generation: int
    backend: Backend = Backend.BEDROCK
    form: Form = Form.TEXT
    status: InvocationStatus
    created_at: Moment
    expires_at: Moment
    kept_until: Moment
    correlation_id: str
    input_length: int
    usage: Usage | None = None
    output_length: int | None = None
    latency_ms: int | None = None
    was_cold: bool = False
    cost: Money | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_told: bool = False  # a service's own words for it are kept with the bodies
    ended_at: Moment | None = None
    claimed_until: Moment | None = None
    attempts: int = 0
    waiting_for: str | None = None
    body_kept: bool = True
    answer_lost: bool = False  # one was generated and could not be kept: before the next, it is found out if that can
    timeout_seconds: int | None = None
    submission: Submission | None = None
    result: Result | None = None
    webhook: Webhook | None = None
    told_by: str | None = None  # the message that tells its webhook; others of the same end are dropped
    version: int = 0
    schema_version: int = 1

    @property
    def is_over(self) -> bool:
        """Whether it has its answer or its failure."""
        return self.status in (InvocationStatus.SUCCEEDED, InvocationStatus.FAILED)

    @property
    def expired_message(self) -> str:
        """Why it has no answer, where it has expired: what it waited for last, if that is known."""
        waited = f" It waited: {self.waiting_for}" if self.waiting_for else ""
        return f"Nobody answered it before it expired; send it again.{waited}"

    def has_expired(self, now: datetime) -> bool:
        """Say whether nobody should answer it any more."""
        return now >= self.expires_at

    def is_lost(self, now: datetime) -> bool:
        """Say whether it has expired and nobody is at it: nobody will write its end, either."""
        until = self.submission.by if self.submission else self.claimed_until
        at_it = until is not None and now < until
        return not self.is_over and self.has_expired(now) and not at_it


FIRST_REDELIVERY_SECONDS = 5
LONGEST_REDELIVERY_SECONDS = 120
REDELIVERY_GROWTH = 1.2


def redelivery_seconds(receives: int) -> int:
    """Return how long a message stays away that was received so often: soon at first, seldom in the end.

    The queue lets it be received 200 times, which must last for the six hours that an invocation waits.
    """
    steps = min(max(receives, 1) - 1, 100)  # far beyond the longest wait
    return min(round(FIRST_REDELIVERY_SECONDS * REDELIVERY_GROWTH**steps), LONGEST_REDELIVERY_SECONDS)


_THINKING = re.compile(r"^\s*(?:<think>)?(?P<reasoning>.*?)</think>\s*(?P<text>.*)$", re.DOTALL)


def split_reasoning(completion: str, *, opened_by_prompt: bool) -> Output:
    """Return the answer and, apart from it, what the model thought in `<think>…</think>`.

    DeepSeek-R1's template may itself open `<think>`: then the completion holds only its end, or, where the token
    limit cut it short, thinking alone.
    """
    match = _THINKING.match(completion)
    if match and (opened_by_prompt or completion.lstrip().startswith("<think>")):
        return Output(text=match["text"], reasoning=match["reasoning"].strip() or None)
    unfinished = completion.lstrip().removeprefix("<think>")
    if opened_by_prompt or unfinished != completion.lstrip():
        return Output(text="", reasoning=unfinished.strip() or None)
    return Output(text=completion)


def fits(parameters: Parameters, tokens_per_second: float | None, *, within_seconds: float) -> bool:
    """Say whether an answer of that length comes in time at the measured speed; before there is one, a short one."""
    return parameters.token_limit / (tokens_per_second or UNMEASURED_TOKENS_PER_SECOND) <= within_seconds
