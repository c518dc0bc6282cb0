"""An answer in pieces, as InvokeModelWithResponseStream sends it. moto sends all pieces at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from local.bedrock.runtime import Answer
from local.bedrock.text import tokens


def events(answer: Answer) -> Iterator[dict[str, Any]]:
    """Give an event for each token, in the answer's form; the last one carries reason and counts."""
    pieces = tokens(answer.generation.text)
    for number, piece in enumerate(pieces, start=1):
        yield _event(_piece(answer, piece, number, last=number == len(pieces)))


def _piece(answer: Answer, piece: str, number: int, *, last: bool) -> dict[str, Any]:
    generation = answer.generation
    content = dict(answer.body)
    if "generation" in content:
        reason = content["stop_reason"] if last else None
        content |= {"generation": piece, "generation_token_count": number, "stop_reason": reason}
    elif "choices" in content:
        content["choices"] = [_delta(content["choices"][0], piece, last=last)]
        content["object"] = content["object"].replace("chat.completion", "chat.completion.chunk")
    if last:
        content["amazon-bedrock-invocationMetrics"] = {
            "inputTokenCount": generation.prompt_tokens,
            "outputTokenCount": generation.tokens,
            "invocationLatency": answer.latency_ms,
        }
    else:
        content.pop("usage", None)
    return content


def _delta(choice: dict[str, Any], piece: str, *, last: bool) -> dict[str, Any]:
    reason = choice["finish_reason"] if last else None
    if "message" in choice:
        return {"index": 0, "finish_reason": reason, "delta": {"role": "assistant", "content": piece}}
    return {"index": 0, "finish_reason": reason, "text": piece}


def _event(content: dict[str, Any]) -> dict[str, Any]:
    return {"chunk": {"bytes": json.dumps(content, ensure_ascii=False).encode()}}
