"""Results of asynchronous requests: an object in S3 and a message to a topic, both in the execution role's name."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends

from local.object_events import PUT, telling_only
from local.sagemaker.answers import Reply
from local.sagemaker.model_data import split
from local.sagemaker.resources import AsyncRequest, Endpoint
from local.sagemaker.roles import may_publish, may_write
from local.sagemaker.simulation import Simulation

_LOG = logging.getLogger(__name__)
_UNWRITABLE = "ClientError: the output could not be written to {} with the role {}."
_TOPICS = {False: ("SuccessTopic", "SUCCESS_NOTIFICATION_TOPIC"), True: ("ErrorTopic", "ERROR_NOTIFICATION_TOPIC")}


@dataclass(frozen=True)
class Result:
    """A reply, or why there is none."""

    reply: Reply | None = None
    failure: str | None = None
    has_expired: bool = False

    @classmethod
    def of(cls, outcome: Reply | str) -> Result:
        """Give the result that an outcome is."""
        return cls(failure=outcome) if isinstance(outcome, str) else cls(reply=outcome)


def deliver(simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, result: Result) -> None:
    """Write a result and tell of it; what cannot be written becomes a failure."""
    _measure(simulation, endpoint, request, result)
    knobs = simulation.knobs
    if knobs.lose_results > 0:
        knobs.lose_results -= 1
        return
    reply = result.reply
    if reply is not None and not _write(simulation, endpoint, request.output, reply.body, reply.content_type):
        result = Result(failure=_UNWRITABLE.format(request.output, endpoint.role_arn))
    if result.failure and not result.has_expired and request.failure:
        _write(simulation, endpoint, request.failure, result.failure.encode(), "text/plain")
    _tell(simulation, endpoint, request, result)


def _measure(simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, result: Result) -> None:
    """Publish what became of a request. Source: SageMaker developer guide, "Monitor an asynchronous endpoint"."""
    values = {
        "InvocationsProcessed": 0.0 if result.has_expired else 1.0,
        "InvocationFailures": 1.0 if result.failure else 0.0,
        "ExpiredRequests": 1.0 if result.has_expired else 0.0,
        "TotalProcessingTime": (simulation.moment - request.received) * 1000,
    }
    keep = simulation.settings.metrics_kept_seconds
    dimensions = (("EndpointName", endpoint.name),)
    simulation.state.series.put(endpoint.place, simulation.moment, values, dimensions, keep=keep)


def _write(simulation: Simulation, endpoint: Endpoint, uri: str, body: bytes, content_type: str) -> bool:
    """Write an object if the role may; give whether it is there."""
    bucket, key = split(uri)
    own_key = (endpoint.config.asynchronous or {})["OutputConfig"].get("KmsKeyId")
    if not may_write(endpoint.role_arn, bucket, key):
        return False
    try:
        with telling_only(*PUT):
            made = s3_backends[endpoint.place.account]["aws"].put_object(
                bucket, key, body, encryption="aws:kms" if own_key else None, kms_key_id=own_key
            )
    except MissingBucket:
        return False
    made.set_metadata({"Content-Type": content_type})
    made.last_modified = datetime.fromtimestamp(simulation.moment, UTC).replace(tzinfo=None)
    return True


def _tell(simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, result: Result) -> None:
    """Tell the topic of a result, once; never, or twice, where a knob says so."""
    kind, included_in = _TOPICS[result.failure is not None]
    notification = (endpoint.config.asynchronous or {})["OutputConfig"].get("NotificationConfig") or {}
    topic = notification.get(kind)
    if topic is None:
        return
    if not may_publish(endpoint.role_arn, topic):
        _LOG.warning("A result is not told: %s may not publish to %s", endpoint.role_arn, topic)
        return
    knobs, times = simulation.knobs, 1
    if knobs.lose_sns > 0:
        knobs.lose_sns -= 1
        times = 0
    elif knobs.duplicate_sns > 0:
        knobs.duplicate_sns -= 1
        times = 2
    includes = included_in in (notification.get("IncludeInferenceResponseIn") or ())
    message = json.dumps(_message(simulation, endpoint, request, result, includes=includes))
    for _ in range(times):
        try:
            sns_backends[endpoint.place.account][topic.split(":")[3]].publish(message, topic)
        except ServiceException as exc:
            _LOG.warning("A result is not told: %s: %s", topic, exc)


def _message(
    simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, result: Result, *, includes: bool
) -> dict[str, Any]:
    """Give what a topic is told. Source: SageMaker developer guide, "Check prediction results"."""
    asked = {"contentType": request.content_type, "endpointName": endpoint.name}
    if request.input_location:
        asked["inputLocation"] = request.input_location
    told: dict[str, Any] = {
        "awsRegion": endpoint.place.region,
        "eventTime": _iso(simulation.moment),
        "receivedTime": _iso(request.received),
        "invocationStatus": "Completed",
        "requestParameters": asked,
        "inferenceId": request.id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    if result.reply is not None:
        told["responseParameters"] = {"contentType": result.reply.content_type, "outputLocation": request.output}
        if includes:
            content = base64.b64encode(result.reply.body).decode()
            told["responseParameters"]["responseBody"] = {"content": content, "encoding": "BASE64"}
        return told
    told["invocationStatus"] = simulation.settings.expired_status if result.has_expired else "Failed"
    told["failureReason"] = result.failure
    if request.failure and not result.has_expired:
        where = told if simulation.settings.failure_location_on_top else told.setdefault("responseParameters", {})
        where["failureLocation"] = request.failure
    return told


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
