"""The three forms of request that the runtime knows, and their answers.

Source: Bedrock user guide, "Invoke your imported model": they are told apart by their fields.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from local.bedrock.errors import BedrockError, invalid
from local.bedrock.text import Generation, Order, Reasoning, reasoning_after

LARGEST_BODY_BYTES = 25_000_000
USUAL_LIMIT = 512


class Form(Enum):
    """A form of request and answer."""

    GENERATION = auto()
    COMPLETION = auto()
    CHAT = auto()


@dataclass(frozen=True)
class Asked:
    """A request that was understood. Unknown fields are ignored, as the service does."""

    form: Form
    prompt: str
    most_tokens: int
    stop: tuple[str, ...]
    seed: int

    def order(self, *, model_reasons: bool, usual_tokens: int) -> Order:
        """Give what is to be written: a chat's template opens the reasoning, a prompt may have opened it."""
        if self.form is Form.CHAT:
            reasoning = Reasoning.OPENED if model_reasons else Reasoning.NONE
        else:
            reasoning = reasoning_after(self.prompt)
        return Order(self.prompt, self.most_tokens, self.stop, self.seed, reasoning, usual_tokens)


def read(body: bytes) -> Asked:
    """Understand a request's body. Raises: ValidationException."""
    if len(body) > LARGEST_BODY_BYTES:
        raise invalid(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {LARGEST_BODY_BYTES}"
        )
    try:
        fields = json.loads(body)
    except ValueError as exc:
        raise _malformed("the body is not JSON") from exc
    if not isinstance(fields, dict):
        raise _malformed("the body is not an object")

    form, prompt = _form(fields)
    limit = fields.get("max_gen_len" if form is Form.GENERATION else "max_tokens", USUAL_LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise _malformed("the limit of tokens must be a whole number of at least 1")
    stop, seed = fields.get("stop") or [], fields.get("seed") or 0
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(mark, str) for mark in stop):
        raise _malformed("stop must be a string or a list of strings")
    if not isinstance(seed, int):
        raise _malformed("seed must be a whole number")
    return Asked(form, prompt, limit, tuple(stop), seed)


def answer(asked: Asked, generation: Generation, *, model_arn: str, request_id: str, now: float) -> dict[str, Any]:
    """Give the body of the answer, in the form of the request."""
    reason = "stop" if generation.complete else "length"
    if asked.form is Form.GENERATION:
        return {
            "generation": generation.text,
            "prompt_token_count": generation.prompt_tokens,
            "generation_token_count": generation.tokens,
            "stop_reason": reason,
        }
    usage = {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.tokens,
        "total_tokens": generation.prompt_tokens + generation.tokens,
    }
    common = {"created": int(now), "model": model_arn, "usage": usage}
    choice = {"index": 0, "finish_reason": reason, "logprobs": None}
    if asked.form is Form.COMPLETION:
        choices = [{**choice, "text": generation.text}]
        return {"id": f"cmpl-{request_id}", "object": "text_completion", **common, "choices": choices}
    message = {"role": "assistant", "content": generation.text}
    choices = [{**choice, "message": message}]
    return {"id": f"chatcmpl-{request_id}", "object": "chat.completion", **common, "choices": choices}


def hollow(body: dict[str, Any]) -> dict[str, Any]:
    """Give an answer without its text, as a model just loaded has been seen to send."""
    return {name: value for name, value in body.items() if name not in ("generation", "choices")}


def _form(fields: dict[str, Any]) -> tuple[Form, str]:
    if "messages" in fields:
        return Form.CHAT, _said(fields["messages"])
    prompt = fields.get("prompt")
    if not isinstance(prompt, str):
        raise _malformed("it needs a prompt or messages")
    return (Form.COMPLETION if "max_tokens" in fields else Form.GENERATION), prompt


def _said(messages: Any) -> str:
    try:
        return "\n".join(_content(message["content"]) for message in messages)
    except (TypeError, KeyError) as exc:
        raise _malformed("each message needs a role and a content") from exc


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def _malformed(why: str) -> BedrockError:
    return invalid(f"Malformed input request: {why}. Please reformat your input and try again.")
