"""What LMI's containers are asked and what they answer: bodies of /invocations, as JSON values.

Source: DJL Serving, "LMI handlers Inference API Schema" and "Chat Completions API Schema" (serving/docs/lmi, read
2026-11-28). A container that answers `messages` does so in OpenAI's form, and one with `tgi_compat` puts its answer
into a list.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.domain.errors import InvocationFailed
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation import BackendAnswer, ChatMessage, Parameters, Usage
from pilotlight.domain.serving import GENERATING, Task

SUPPORTED = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "repetition_penalty"})
CHAT_LACKS = frozenset({"top_k", "repetition_penalty"})
"""What the chat form does not have, and would ignore."""

_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_NAMES = {"max_tokens": "max_new_tokens", "stop": "stop_sequences"}


def generates_text(hosting: Hosting | None) -> bool:
    """Say whether a deployment's container takes prompts: unless its task says otherwise, it does."""
    task = hosting.serving.task if hosting else None
    return task is None or task is Task.TEXT2TEXT_GENERATION or task in GENERATING


def generation_body(prompt: str, parameters: Parameters) -> dict[str, Any]:
    """Return the body that generates from a rendered prompt.

    Without `do_sample`, containers up to LMI 0.31 ignore what says how to sample; temperature 0 is none at all.
    """
    asked = {**parameters.dump(), "max_tokens": parameters.token_limit}
    wanted = {_NAMES.get(name, name): value for name, value in asked.items()}
    samples = bool(_SAMPLING & asked.keys()) and asked.get("temperature") != 0
    return {"inputs": prompt, "parameters": {**wanted, "do_sample": samples, "details": True}}


def chat_body(messages: Sequence[ChatMessage], parameters: Parameters) -> dict[str, Any]:
    """Return the body that lets the container itself render messages, by the template beside its weights."""
    asked = {name: value for name, value in parameters.dump().items() if name not in CHAT_LACKS}
    return {"messages": [message.dump() for message in messages], **asked, "max_tokens": parameters.token_limit}


def read_generation(body: bytes, deployment: str) -> BackendAnswer | None:
    """Return what a container generated, in whichever of its forms; None for an answer of another form.

    Raises: InvocationFailed for an error that is told as an answer.
    """
    told = _object(body)
    choice = _object_of(told.get("choices"))
    details = _within(told, "details")
    reason = details.get("finish_reason") or details.get("finish reason") or choice.get("finish_reason")
    if reason == "error":
        raise InvocationFailed(
            f"The container of {deployment} could not generate from this request.", deployment=deployment
        )
    completion = _completion(told, choice)
    if completion is None:
        return None
    return BackendAnswer(completion=completion, stop_reason=_text(reason), usage=_usage(told, details))


def require_generation(body: bytes, deployment: str) -> BackendAnswer:
    """Return what a container generated. Raises: InvocationFailed, also for an answer of another form."""
    answer = read_generation(body, deployment)
    if answer is None:
        raise InvocationFailed(
            f"The container of {deployment} did not answer in the form of text generation. Send `payload`, and its "
            "answer comes back as it is.",
            deployment=deployment,
        )
    return answer


def _completion(told: Mapping[str, Any], choice: Mapping[str, Any]) -> str | None:
    message = choice.get("message")
    said = message.get("content") if isinstance(message, dict) else choice.get("text")
    return _text(told.get("generated_text", said))


def _usage(told: Mapping[str, Any], details: Mapping[str, Any]) -> Usage:
    usage = _within(told, "usage")
    prefill = details.get("prefill")
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")) or (len(prefill) if isinstance(prefill, list) else None),
        output_tokens=_count(usage.get("completion_tokens", details.get("generated_tokens"))),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return _object_of(told)


def _object_of(told: Any) -> dict[str, Any]:
    """Return an object, or the first one of a list; an empty one where there is none."""
    first = told[0] if isinstance(told, list) and told else told
    return first if isinstance(first, dict) else {}


def _within(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = told.get(name)
    return inner if isinstance(inner, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
