"""An invocation: what was asked, with which parameters, what came of it, and what it cost."""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from pilotlight.domain.values import Model, Moment, Money, Request

DEFAULT_MAX_TOKENS = 512
KEPT = timedelta(days=7)
UNMEASURED_TOKENS_PER_SECOND = 5.0
"""Taken until measured on this deployment: a large model behind a long prompt. Taken too high, calls are cut off and
billed; taken too low, the first one waits in the queue, whose answer measures the speed."""


class InvocationStatus(StrEnum):
    """Where an invocation is on its way."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Parameters(Request):
    """How to sample. What is not set is the model's own default; what a backend lacks is refused, never dropped."""

    max_tokens: int | None = Field(default=None, ge=1, le=131_072)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=1000)
    stop: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...] | None = Field(
        default=None, min_length=1, max_length=16
    )
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)

    @property
    def token_limit(self) -> int:
        """How many tokens the answer may have."""
        return self.max_tokens or DEFAULT_MAX_TOKENS


class ChatMessage(Request):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[str, StringConstraints(max_length=4_000_000)]


class InvocationRequest(Request):
    """What a caller asks: a prompt or messages. `raw` sends the prompt as it is, without the chat template."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["prompt"], "properties": {"prompt": {"type": "string"}, "messages": {"type": "null"}}},
                {
                    "required": ["messages"],
                    "properties": {"messages": {"type": "array"}, "prompt": {"type": "null"}, "raw": {"const": False}},
                },
            ]
        }
    )

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=4_000_000)] | None = None
    messages: tuple[ChatMessage, ...] | None = Field(default=None, min_length=1, max_length=1000)
    parameters: Parameters = Parameters()
    raw: bool = False

    @model_validator(mode="after")
    def _prompt_or_messages(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        if self.raw and self.prompt is None:
            raise ValueError("raw goes with prompt: messages are always rendered through the chat template")
        return self

    @property
    def conversation(self) -> tuple[ChatMessage, ...]:
        """The messages, or the prompt as the user's only one."""
        return self.messages or (ChatMessage(role="user", content=self.prompt or ""),)

    @property
    def input_length(self) -> int:
        """How many characters were sent: counted, never logged."""
        return sum(len(message.content) for message in self.conversation)


class Usage(Model):
    """Tokens of one call, as the backend counted them."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class Output(Model):
    """What the model said: its reasoning apart from its answer."""

    text: str
    reasoning: str | None = None
    stop_reason: str | None = None


class Answered(Output):
    """What the model said, with all that its record and the ledger are to be told: kept whole before either is."""

    usage: Usage = Usage()
    latency_ms: int
    completion_length: int
    answered_at: Moment

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


class Invocation(Model):
    """The record of one invocation. The bodies are in S3, encrypted, and expire with it; never in the table."""

    id: str
    deployment: str
    generation: int
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
    ended_at: Moment | None = None
    claimed_until: Moment | None = None
    attempts: int = 0
    waiting_for: str | None = None
    body_kept: bool = True
    answer_lost: bool = False  # one was generated and could not be kept: before the next, it is found out if that can
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
        at_it = self.claimed_until is not None and now < self.claimed_until
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
