"""Invoking an imported model: cold, loading or ready, at the speed and the price that the settings say."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from local.bedrock import answers, imported_models, metrics
from local.bedrock.errors import service_error
from local.bedrock.simulation import Model, Place, Simulation
from local.bedrock.text import Generation, generate
from local.bedrock.warmth import Admission


@dataclass(frozen=True)
class Answer:
    """An answered invocation: the body as the service sends it, and what stands in the headers beside it."""

    body: dict[str, Any]
    generation: Generation
    latency_ms: int


def invoke(simulation: Simulation, place: Place, model_id: str, body: bytes, correlation_id: str | None) -> Answer:
    """Answer one invocation, after the time that the text takes.

    Raises: ModelNotReadyException, ThrottlingException, ResourceNotFoundException, ValidationException.
    """
    with simulation.lock:
        if correlation_id is not None:
            simulation.correlation_ids.append(correlation_id)
        model = imported_models.find(simulation, place, model_id)
        asked = answers.read(body)
        admission = _admit(simulation, model, asked.prompt)
        settings = simulation.settings
        order = asked.order(model_reasons=model.inspection.reasons, usual_tokens=settings.answer_tokens)
    generation = generate(order)

    seconds = settings.first_token_seconds + generation.tokens / settings.tokens_per_second
    simulation.clock.sleep(seconds)

    now = simulation.clock.timestamp()
    with simulation.lock:
        model.warmth.answered(now)
    metrics.record_answer(place, model.arn, now, generation, seconds)
    content = answers.answer(asked, generation, model_arn=model.arn, request_id=uuid.uuid4().hex, now=now)
    if admission is Admission.FIRST and simulation.knobs.hollow_first_answer:
        content = answers.hollow(content)
    return Answer(content, generation, round(seconds * 1000))


def _admit(simulation: Simulation, model: Model, prompt: str) -> Admission:
    """Let a call through to a loaded model, or refuse it. Each refused call keeps the loading going."""
    now, knobs = simulation.clock.timestamp(), simulation.knobs
    if knobs.throttle_calls > 0:
        knobs.throttle_calls -= 1
        metrics.record_refusal(model.place, model.arn, now, "InvocationThrottles")
        raise service_error("ThrottlingException", "Too many requests, please wait before trying again.")
    if knobs.fail_calls:
        metrics.record_refusal(model.place, model.arn, now, "InvocationServerErrors")
        quoted = f" It was: {prompt}" if knobs.quote_prompts else ""
        raise service_error(knobs.fail_calls.pop(0), f"The request could not be processed. Try again.{quoted}")
    admission = model.warmth.admit(now, simulation.settings, never_ready=knobs.never_ready)
    if admission is Admission.NOT_READY:
        metrics.record_refusal(model.place, model.arn, now, "InvocationClientErrors")
        message = "Model is not ready for inference. Wait and try your request again."
        raise service_error("ModelNotReadyException", message)
    return admission
