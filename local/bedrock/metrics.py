"""The metrics that the service publishes of each invocation, put into moto's CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime

from moto.cloudwatch.models import cloudwatch_backends

from local.bedrock.simulation import Place
from local.bedrock.text import Generation

NAMESPACE = "AWS/Bedrock"


def record_answer(place: Place, model_arn: str, now: float, generation: Generation, seconds: float) -> None:
    """Publish an answered invocation."""
    values = {
        "Invocations": (1.0, "Count"),
        "InputTokenCount": (float(generation.prompt_tokens), "Count"),
        "OutputTokenCount": (float(generation.tokens), "Count"),
        "InvocationLatency": (seconds * 1000, "Milliseconds"),
    }
    _put(place, model_arn, now, values)


def record_refusal(place: Place, model_arn: str, now: float, name: str) -> None:
    """Publish an invocation that was turned away."""
    _put(place, model_arn, now, {name: (1.0, "Count")})


def _put(place: Place, model_arn: str, now: float, values: dict[str, tuple[float, str]]) -> None:
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)  # moto compares naive times, in UTC
    dimensions = [{"Name": "ModelId", "Value": model_arn}]
    data = [
        {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions, "Timestamp": moment}
        for name, (value, unit) in values.items()
    ]
    cloudwatch_backends[place.account][place.region].put_metric_data(NAMESPACE, data)
