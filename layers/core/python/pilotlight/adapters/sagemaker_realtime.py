"""Calling a model on a real-time endpoint of SageMaker's: one call, one answer, within 60 seconds.

Text is asked for in LMI's form of text generation. The SDK's own retries are off: a read timeout would make the
model generate twice.
Source: Amazon SageMaker Runtime API reference, InvokeEndpoint; botocore's service model for the sizes.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from pilotlight.adapters.sagemaker_calls import LONGEST_CALL_SECONDS, judged, target, too_slow
from pilotlight.domain import lmi
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    InvocationFailed,
    InvocationTimedOut,
    NothingAnswered,
    Retryable,
    Terminal,
    Unavailable,
)
from pilotlight.domain.invocation import BackendAnswer, ContainerAnswer, Parameters
from pilotlight.domain.invocation_request import JSON, Content, payload_bytes
from pilotlight.domain.invocation_rules import require_inline
from pilotlight.domain.lmi import generates_text
from pilotlight.domain.source import Source, SourceKind

MARGIN_SECONDS = 5.0  # beyond the service's own limit, so that it is the service who says that it was reached
PROBE_TIMEOUT_SECONDS = 60.0
FIRST_SERVER_ERROR = 500
TEXT_PROBE = {"inputs": "Hi", "parameters": {"max_new_tokens": 1}}
BODY_PROBE = {"inputs": "."}


class RealtimeInference:
    """Implements `ports.InferenceBackend`."""

    supported_parameters = lmi.SUPPORTED

    def __init__(self, client_for: Callable[[float], Any]) -> None:
        """Take a factory of sagemaker-runtime clients by their read timeout in seconds."""
        self._client_for = client_for

    def probe(self, deployment: Deployment, *, correlation_id: str) -> bool:
        """Make the smallest call there is; say whether the container answered.

        A container that refuses it answers, too: what it takes, its user knows. Where nobody can say what it takes, so
        does one that breaks by it: SageMaker has found it healthy.
        Raises: NothingAnswered where the call was taken; AccessDenied and Terminal for a call that nobody will answer.
        """
        asked = TEXT_PROBE if generates_text(deployment.hosting) else BODY_PROBE
        content = Content(data=payload_bytes(asked))
        try:
            self.pass_on(deployment, content, timeout_seconds=PROBE_TIMEOUT_SECONDS, correlation_id=correlation_id)
        except InvocationTimedOut as exc:
            raise NothingAnswered(exc.message, deployment=deployment.name) from exc
        except Retryable:
            return False
        except InvocationFailed as exc:
            status = exc.detail.get("container_status")
            if status is None and "aws_code" in exc.detail:
                raise
            return status is not None and (status < FIRST_SERVER_ERROR or not _takes_text(deployment))
        return True

    def complete(
        self,
        deployment: Deployment,
        prompt: str,
        parameters: Parameters,
        *,
        timeout_seconds: float,
        correlation_id: str,
    ) -> BackendAnswer:
        """Return the completion of a rendered prompt. Raises: as `pass_on`."""
        content = Content(data=payload_bytes(lmi.generation_body(prompt, parameters)))
        answer = self.pass_on(deployment, content, timeout_seconds=timeout_seconds, correlation_id=correlation_id)
        return lmi.require_generation(answer.data, deployment.name)

    def pass_on(
        self, deployment: Deployment, content: Content, *, timeout_seconds: float, correlation_id: str
    ) -> ContainerAnswer:
        """Return what the container makes of a body.

        Raises: ModelNotReady; InvocationTimedOut at the limit of 60 s, and at a shorter one that was asked for;
        InvocationFailed, also for an answer that was lost on its way; InvalidInput for a body that is too large;
        Throttled; Unavailable.
        """
        data = require_inline(content, deployment.name)
        within = min(timeout_seconds, LONGEST_CALL_SECONDS)
        waits = within + MARGIN_SECONDS if within == LONGEST_CALL_SECONDS else within
        request: dict[str, Any] = {"Body": data, "ContentType": content.content_type, **target(deployment)}
        request |= {"Accept": content.accept} if content.accept else {}
        request |= {"InferenceId": correlation_id} if correlation_id else {}
        try:
            answer = self._client_for(waits).invoke_endpoint(**request)
            return ContainerAnswer(
                data=_read(answer["Body"], deployment), content_type=answer.get("ContentType") or JSON
            )
        except ClientError as exc:
            raise judged(exc, deployment) from exc
        except ReadTimeoutError as exc:
            raise too_slow(deployment.name, within) from exc
        except ParamValidationError as exc:  # its text holds the body
            raise Terminal(f"Calling {deployment.name}: the request is not one that AWS takes.") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"Calling {deployment.name} failed: {type(exc).__name__}") from exc


def _read(body: Any, deployment: Deployment) -> bytes:
    """Return the bytes of an answer that has begun. Raises: InvocationFailed, where the connection breaks."""
    try:
        data: bytes = body.read()
    except (IncompleteReadError, ResponseStreamingError) as exc:  # to call again is to let the model work twice
        raise InvocationFailed(
            f"The container of {deployment.name} answered, and the answer was lost on its way "
            f"({type(exc).__name__}); it is not called again by itself. Send it again.",
            deployment=deployment.name,
        ) from exc
    return data


def _takes_text(deployment: Deployment) -> bool:
    """Say whether a container is LMI's own and generates text: then a prompt breaks it only if it is broken."""
    hosting = deployment.hosting
    brought = hosting and (hosting.container.image or hosting.serving.handler)
    from_jumpstart = Source.parse(deployment.source).kind is SourceKind.JUMPSTART
    return not brought and not from_jumpstart and generates_text(hosting)
