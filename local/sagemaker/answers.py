"""What a container makes of a request: made-up text that says so, numbers that only depend on the text, or an echo."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from typing import Any

from local.bedrock.answers import Asked, Form, answer
from local.bedrock.text import Generation, Order, Reasoning, generate, reasoning_after
from local.sagemaker.instances import instance_type
from local.sagemaker.resources import Container, Serves
from local.sagemaker.settings import Settings

JSON = "application/json"
FEATURES = 16
_USUAL_NEW_TOKENS = 30  # LMI's, where a request names no limit
_USUAL_TOKENS = 512
_BAD_REQUEST = 424  # with which LMI answers what its handler raises


class ModelFaultError(Exception):
    """The container answers with an error."""

    def __init__(self, message: str, status: int = _BAD_REQUEST) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Reply:
    """What a container answers, and how long that takes."""

    body: bytes
    content_type: str
    seconds: float


@dataclass(frozen=True)
class Call:
    """What a container is asked."""

    body: bytes
    content_type: str
    container: Container
    instance_type: str
    now: float


def reply_to(call: Call, settings: Settings) -> Reply:
    """Give what the container answers. Raises: ModelFaultError."""
    serves = call.container.serves
    if serves is Serves.ECHO or call.content_type.partition(";")[0].strip() != JSON:
        return Reply(call.body, call.content_type, settings.other_answer_seconds)
    try:
        fields = json.loads(call.body)
    except ValueError as exc:
        raise ModelFaultError(_error("the body is not JSON")) from exc
    if not isinstance(fields, dict):
        raise ModelFaultError(_error("the body is not an object"))
    if serves is Serves.FEATURES:
        return Reply(_dumped(_features(fields)), JSON, settings.other_answer_seconds)
    written, tokens = _written(fields, call, settings)
    speed = settings.tokens_per_second * instance_type(call.instance_type).speed
    return Reply(_dumped(written), JSON, settings.first_token_seconds + tokens / speed)


def _written(fields: dict[str, Any], call: Call, settings: Settings) -> tuple[Any, int]:
    """Give the answer in the form of the request, and the tokens of its longest text."""
    if "inputs" in fields:
        return _of_inputs(fields, settings)
    if "messages" in fields:
        prompt, form = _said(fields["messages"]), Form.CHAT
        reasoning = Reasoning.OPENED if call.container.reasons else Reasoning.NONE
    elif isinstance(fields.get("prompt"), str):
        prompt, form = fields["prompt"], Form.COMPLETION
        reasoning = reasoning_after(prompt)
    else:
        raise ModelFaultError(_error("it needs inputs, messages or a prompt"))
    most = _limit(fields.get("max_tokens", fields.get("max_completion_tokens", _USUAL_TOKENS)))
    asked = Asked(form, prompt, most, _stops(fields.get("stop")), _seed(fields.get("seed")))
    generation = generate(Order(prompt, most, asked.stop, asked.seed, reasoning, settings.answer_tokens))
    told = answer(asked, generation, model_arn=call.container.model_id, request_id=uuid.uuid4().hex, now=call.now)
    return told, generation.tokens


def _of_inputs(fields: dict[str, Any], settings: Settings) -> tuple[Any, int]:
    parameters = fields.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ModelFaultError(_error("parameters must be an object"))
    texts = _texts(fields["inputs"])
    most = _limit(parameters.get("max_new_tokens", _USUAL_NEW_TOKENS))
    stop = _stops(parameters.get("stop") or parameters.get("stop_sequences"))
    seed = _seed(parameters.get("seed"))
    made = [generate(Order(text, most, stop, seed, reasoning_after(text), settings.answer_tokens)) for text in texts]
    told = [_generated(each, details=bool(parameters.get("details"))) for each in made]
    return (told if isinstance(fields["inputs"], list) else told[0]), max(each.tokens for each in made)


def _generated(generation: Generation, *, details: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"generated_text": generation.text}
    if details:
        reason = "eos_token" if generation.complete else "length"
        told["details"] = {
            "finish_reason": reason,
            "generated_tokens": generation.tokens,
            "input_tokens": generation.prompt_tokens,
        }
    return told


def _features(fields: dict[str, Any]) -> Any:
    if "inputs" not in fields:
        raise ModelFaultError(_error("it needs inputs"))
    rows = [_row(text) for text in _texts(fields["inputs"])]
    return rows if isinstance(fields["inputs"], list) else rows[0]


def _row(text: str) -> list[float]:
    chance = random.Random(text)  # the same numbers each time # nosec B311
    return [round(chance.uniform(-1, 1), 6) for _ in range(FEATURES)]


def _texts(inputs: Any) -> list[str]:
    texts = inputs if isinstance(inputs, list) else [inputs]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ModelFaultError(_error("inputs must be a text or a list of texts"))
    return texts


def _said(messages: Any) -> str:
    try:
        return "\n".join(_content(message["content"]) for message in messages)
    except (TypeError, KeyError) as exc:
        raise ModelFaultError(_error("each message needs a role and a content")) from exc


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def _limit(asked: Any) -> int:
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
        raise ModelFaultError(_error("the limit of tokens must be a whole number of at least 1"))
    return asked


def _stops(asked: Any) -> tuple[str, ...]:
    listed = [asked] if isinstance(asked, str) else asked or []
    if not isinstance(listed, list) or not all(isinstance(mark, str) for mark in listed):
        raise ModelFaultError(_error("stop must be a text or a list of texts"))
    return tuple(listed)


def _seed(asked: Any) -> int:
    if asked is not None and not isinstance(asked, int):
        raise ModelFaultError(_error("seed must be a whole number"))
    return asked or 0


def _error(why: str) -> str:
    return json.dumps({"error": f"[simulated] {why}", "code": _BAD_REQUEST})


def _dumped(told: Any) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode()
