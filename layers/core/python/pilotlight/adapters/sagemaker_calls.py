"""What calls of SageMaker's endpoints have in common: how they are made once, and what their errors mean.

What a container says may quote what it was asked. It is in `told`, for the caller; never in a message.
"""

import re
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, message_of, translate
from pilotlight.domain import names
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    AccessDenied,
    InvocationFailed,
    InvocationTimedOut,
    ModelNotReady,
    PilotlightError,
)
from pilotlight.domain.invocation_request import LONGEST_TIMEOUT_SECONDS

LONGEST_TOLD = 2000
LONGEST_CALL_SECONDS = 60.0  # Source: Amazon SageMaker Runtime API reference, InvokeEndpoint
NOT_READY = frozenset({"ModelNotReadyException"})
MODEL_ERROR = "ModelError"
REFUSED = frozenset({"ValidationError", "ValidationException"})
# Source: as SageMaker has been seen to say it: an endpoint that is not in service is "not found", a component without
# a copy has "no capacity"; a container that was too slow is "Received server error (0)", with these words.
_NOT_IN_SERVICE = re.compile(r"endpoint\b.*\bnot found|not in ?service|no capacity|could not find", re.IGNORECASE)
_TOO_SLOW = re.compile(r"invocation timed out while waiting for a response", re.IGNORECASE)


@cache
def call_config(read_timeout_seconds: float) -> Config:
    """Return how to make a call: once, and for that long; the same object for the same time."""
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=5,
        read_timeout=read_timeout_seconds,
    )


def target(deployment: Deployment) -> dict[str, str]:
    """Return which endpoint, and which component of it, a deployment's calls go to. Raises: ModelNotReady."""
    endpoint = deployment.endpoint
    if endpoint is None or not endpoint.exists:
        raise ModelNotReady(f"Deployment {deployment.name} has no endpoint just now.", deployment=deployment.name)
    if not endpoint.scaling.components:
        return {"EndpointName": endpoint.name}
    component = names.component_name(deployment.name, deployment.generation, endpoint.revision)
    return {"EndpointName": endpoint.name, "InferenceComponentName": component}


def judged(error: ClientError, deployment: Deployment) -> PilotlightError:
    """Return the domain's error for what an endpoint said to a call."""
    name, code, text = deployment.name, code_of(error), message_of(error)
    if code in NOT_READY or (code in REFUSED and _NOT_IN_SERVICE.search(text)):
        return ModelNotReady(f"The endpoint of {name} takes no calls yet.", deployment=name)
    if code == MODEL_ERROR:
        return _of_the_container(error, name, text)
    if code in REFUSED:
        return InvocationFailed(
            f"SageMaker refused the call to {name} ({code}).", deployment=name, aws_code=code, told=text[:LONGEST_TOLD]
        )
    known = translate(error, f"calling {name}")
    if isinstance(known, AccessDenied):
        return known  # IAM's own sentence: it names the permission, and never saw the call's body
    return type(known)(f"Calling {name}: SageMaker answered {code}.", aws_code=code)


def _of_the_container(error: ClientError, name: str, text: str) -> InvocationFailed:
    status = original_status(error)
    if status == 0 or _TOO_SLOW.search(text):
        return too_slow(name, LONGEST_CALL_SECONDS)
    said = str(error.response.get("OriginalMessage") or text)[:LONGEST_TOLD]
    return InvocationFailed(
        f"The container of {name} answered with status {status}; its own words are in `told`.",
        deployment=name,
        container_status=status,
        told=said,
    )


def original_status(error: ClientError) -> int | None:
    """Return the status of the container's own answer; 0 where it gave none in time, None where nobody says."""
    told: Any = error.response.get("OriginalStatusCode")
    return told if isinstance(told, int) else None


def too_slow(name: str, seconds: float) -> InvocationTimedOut:
    """Return the error of a call that took longer than it may: the service's own limit, or a shorter one of ours."""
    if seconds >= LONGEST_CALL_SECONDS:
        advice = (
            f"That is the limit of a real-time endpoint, {LONGEST_CALL_SECONDS:.0f} s. Ask for fewer tokens, or deploy "
            f"with the backend sagemaker-async, which has {LONGEST_TIMEOUT_SECONDS} s."
        )
    else:
        advice = (
            f"Send it again with timeout_seconds {LONGEST_CALL_SECONDS:.0f}: it is then queued, and may take as long; "
            f"with the backend sagemaker-async it may take {LONGEST_TIMEOUT_SECONDS} s."
        )
    return InvocationTimedOut(
        f"The container of {name} did not answer within {seconds:.0f} s, and is not called again by itself. {advice}",
        deployment=name,
        limit_seconds=LONGEST_CALL_SECONDS,
    )
