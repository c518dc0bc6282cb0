"""Handing calls to an asynchronous endpoint of SageMaker's, which answers into a bucket and tells a topic.

The call is made once: a lost answer may hand it over twice, and its results then lie at two places, of which one is
taken. Source: Amazon SageMaker Runtime API reference, InvokeEndpointAsync; botocore's service model for the bounds.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from pilotlight.adapters.sagemaker_calls import judged, target
from pilotlight.domain import lmi
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import Terminal, Unavailable
from pilotlight.domain.invocation_request import LONGEST_TIMEOUT_SECONDS, Content
from pilotlight.ports import Submitted

SHORTEST_WAIT_SECONDS = 60
LONGEST_WAIT_SECONDS = 21_600
SUBMIT_TIMEOUT_SECONDS = 20.0


class AsyncInference:
    """Implements `ports.AsyncInferenceBackend`."""

    supported_parameters = lmi.SUPPORTED
    largest_inline_bytes = 128_000

    def __init__(self, client_for: Callable[[float], Any]) -> None:
        """Take a factory of sagemaker-runtime clients by their read timeout in seconds."""
        self._client_for = client_for

    def submit(
        self,
        deployment: Deployment,
        content: Content,
        *,
        invocation_id: str,
        waits_seconds: int,
        runs_seconds: int,
        correlation_id: str,
    ) -> Submitted:
        """Hand a call over: it may wait there so long, and then run so long.

        Raises: ModelNotReady where the endpoint takes no calls; InvocationFailed, AccessDenied, Throttled, Unavailable.
        """
        request: dict[str, Any] = {
            "EndpointName": target(deployment)["EndpointName"],
            "ContentType": content.content_type,
            "InferenceId": invocation_id,
            "CustomAttributes": correlation_id,
            "RequestTTLSeconds": min(max(waits_seconds, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS),
            "InvocationTimeoutSeconds": min(max(runs_seconds, 1), LONGEST_TIMEOUT_SECONDS),
        }
        request |= {"Accept": content.accept} if content.accept else {}
        request |= {"Body": content.data} if content.location is None else {"InputLocation": content.location}
        try:
            told = self._client_for(SUBMIT_TIMEOUT_SECONDS).invoke_endpoint_async(**request)
        except ClientError as exc:
            raise judged(exc, deployment) from exc
        except ParamValidationError as exc:  # its text holds the body
            raise Terminal(f"Calling {deployment.name}: the request is not one that AWS takes.") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"Calling {deployment.name} failed: {type(exc).__name__}") from exc
        return Submitted(output_location=told["OutputLocation"], failure_location=told.get("FailureLocation"))
