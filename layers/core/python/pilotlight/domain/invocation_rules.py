"""What each backend takes of a request: what it does not is refused with what would work, and never dropped."""

from collections.abc import Mapping

from pilotlight.domain.errors import InvalidInput, UnsupportedParameter
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation_request import Content, Form, InvocationRequest, RawInvocation
from pilotlight.domain.lmi import generates_text
from pilotlight.domain.values import Backend

LARGEST_REALTIME_BYTES = 6_291_456  # Source: botocore's service model, InvokeEndpoint's Body
DEFAULT_RUN_SECONDS = 900  # Source: botocore's service model, InvokeEndpointAsync's InvocationTimeoutSeconds
LONGEST_RUN_SECONDS: Mapping[Backend, int] = {
    Backend.BEDROCK: 840,  # our worker's: it runs 900 s
    Backend.SAGEMAKER_REALTIME: 60,  # Source: Amazon SageMaker Runtime API reference, InvokeEndpoint
    Backend.SAGEMAKER_ASYNC: 3600,
}


def require_taken(
    request: InvocationRequest | RawInvocation,
    backend: Backend,
    hosting: Hosting | None,
    supported_parameters: frozenset[str],
) -> None:
    """Refuse what a backend does not take. Raises: InvalidInput, UnsupportedParameter."""
    if request.form is Form.BODY and not backend.is_endpoint:
        raise _refused(
            _asked_by(request),
            "a deployment on sagemaker-async or sagemaker-realtime",
            f"{backend} takes `prompt` or `messages`, and no other body. Write one of these, or deploy the model with "
            f"the backend {Backend.SAGEMAKER_ASYNC} or {Backend.SAGEMAKER_REALTIME}.",
        )
    if request.accept and not backend.is_endpoint:
        raise _refused("accept", "a container", f"{backend} always answers with text: leave accept out.")
    if request.form is Form.TEXT and backend.is_endpoint and not generates_text(hosting):
        task = hosting.serving.task if hosting else None
        raise _refused(
            _asked_by(request), f"a task that generates text, not {task}",
            f"The task of this deployment is {task}, which takes no prompt: send `payload`, as in "
            '{"payload": {"inputs": "…"}}.',
        )  # fmt: skip
    if isinstance(request, InvocationRequest):
        _require_conversation(request, backend, supported_parameters)
    longest = LONGEST_RUN_SECONDS[backend]
    if request.timeout_seconds and request.timeout_seconds > longest:
        rather = f"; {Backend.SAGEMAKER_ASYNC} has {LONGEST_RUN_SECONDS[Backend.SAGEMAKER_ASYNC]}"
        raise _refused(
            "timeout_seconds",
            f"at most {longest} with {backend}",
            f"{backend} has {longest} s for a call{rather}. Ask for less time, or deploy with that.",
        )


def _require_conversation(request: InvocationRequest, backend: Backend, supported: frozenset[str]) -> None:
    if request.input and backend is not Backend.SAGEMAKER_ASYNC:
        raise _refused(
            "input",
            f"with backend {Backend.SAGEMAKER_ASYNC}",
            f"{backend} takes a body in the call alone, of at most {LARGEST_REALTIME_BYTES:,} bytes: send it as "
            f"`payload` or as the body itself, or deploy with the backend {Backend.SAGEMAKER_ASYNC}.",
        )
    asked = {name for name, value in dict(request.parameters).items() if value is not None}
    if unknown := sorted(asked - supported):
        raise UnsupportedParameter(
            f"The backend has no parameter {', '.join(unknown)}; it would ignore it silently. "
            f"It supports {', '.join(sorted(supported))}.",
            field=f"parameters.{unknown[0]}",
            rule="supported by the backend",
            supported=sorted(supported),
        )


def require_inline(content: Content, name: str) -> bytes:
    """Return the bytes of a call that carries them itself. Raises: InvalidInput for too many, and for none."""
    data = content.data or b""
    if len(data) > LARGEST_REALTIME_BYTES:
        raise _refused(
            "body",
            f"at most {LARGEST_REALTIME_BYTES} bytes",
            f"What {name} would be sent has {len(data):,} bytes; a real-time endpoint takes "
            f"{LARGEST_REALTIME_BYTES:,}. Deploy with the backend {Backend.SAGEMAKER_ASYNC}, which takes up to 1 GB.",
        )
    if content.data is None:
        raise _refused("input", "in the call itself", f"{name} takes its body in the call itself.")
    return data


def _asked_by(request: InvocationRequest | RawInvocation) -> str:
    if isinstance(request, RawInvocation):
        return "body"
    return next(name for name in ("prompt", "messages", "payload", "input") if getattr(request, name) is not None)


def _refused(field: str, rule: str, message: str) -> InvalidInput:
    return InvalidInput(message, field=field, rule=rule)
