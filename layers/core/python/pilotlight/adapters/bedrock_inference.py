"""Invoking a model imported into Bedrock.

Of the three request shapes (told apart by their fields) we send OpenAI's completion shape, `prompt` with
`max_tokens`: models imported since November 2025 take it, and it names `stop` and `seed`. Bedrock ignores a
parameter it does not know without a word, so only those of the shape are offered.
Source: Amazon Bedrock user guide, "Invoke your imported model"; OpenAI API reference, "Completions".

The SDK's own retries are off: they are too short for a cold start, and a read timeout would generate twice.
"""

import json
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from pilotlight.adapters.aws_errors import code_of, translate
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    AccessDenied,
    InvalidInput,
    InvocationFailed,
    InvocationTimedOut,
    ModelNotReady,
    NothingAnswered,
    PilotlightError,
    Retryable,
    Unavailable,
)
from pilotlight.domain.invocation import BackendAnswer, ContainerAnswer, Parameters, Usage
from pilotlight.domain.invocation_request import Content

NOT_READY = frozenset({"ModelNotReadyException"})
TOO_SLOW = frozenset({"ModelTimeoutException"})
BROKEN = frozenset({"ModelErrorException", "ServiceQuotaExceededException"})
REFUSED = frozenset({"ValidationException"})
SUPPORTED = frozenset({"max_tokens", "temperature", "top_p", "stop", "seed"})
CORRELATION_HEADER = "X-Pilotlight-Correlation-Id"
PROBE = {"prompt": "Hi", "max_tokens": 1, "temperature": 0}
PROBE_TIMEOUT_SECONDS = 60.0


@cache
def client_config(read_timeout_seconds: float) -> Config:
    """Return how to call a model: once, and for that long; the same object for the same time."""
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=5,
        read_timeout=read_timeout_seconds,
    )


class BedrockInference:
    """Implements `ports.InferenceBackend`."""

    supported_parameters = SUPPORTED

    def __init__(self, client_for: Any) -> None:
        """Take a factory of bedrock-runtime clients by their read timeout in seconds."""
        self._client_for = client_for

    def probe(self, deployment: Deployment, *, correlation_id: str) -> bool:
        """Generate one token; say whether the model answered.

        A model that loads is not always told as such: its call may time out, break, or be throttled just as well.
        Raises: NothingAnswered where the call was taken; AccessDenied, Terminal or InvocationFailed for a call that no
        model will ever answer.
        """
        try:
            self._invoke(deployment, PROBE, PROBE_TIMEOUT_SECONDS, correlation_id)
        except NothingAnswered:
            raise
        except InvocationTimedOut as exc:
            raise NothingAnswered(exc.message, deployment=deployment.name) from exc
        except Retryable:
            return False
        except InvocationFailed as exc:
            if exc.detail.get("aws_code") in BROKEN:
                return False
            raise
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
        """Return the completion of a rendered prompt.

        Raises: ModelNotReady while it loads; NothingAnswered; InvocationFailed; InvocationTimedOut; Throttled;
        Unavailable.
        """
        asked = {name: value for name, value in parameters.dump().items() if name in SUPPORTED}
        body = {"prompt": prompt, **asked, "max_tokens": parameters.token_limit}
        return self._invoke(deployment, body, timeout_seconds, correlation_id)

    def pass_on(
        self,
        deployment: Deployment,
        content: Content,  # noqa: ARG002
        *,
        timeout_seconds: float,  # noqa: ARG002
        correlation_id: str,  # noqa: ARG002
    ) -> ContainerAnswer:
        """Refuse a body of a caller's own: an imported model has no container of ours. Raises: InvalidInput."""
        raise InvalidInput(
            f"Deployment {deployment.name} runs on Bedrock, which takes prompts and messages and no other body.",
            field="body",
            rule="prompt or messages",
        )

    def _invoke(
        self, deployment: Deployment, body: dict[str, Any], timeout_seconds: float, correlation_id: str
    ) -> BackendAnswer:
        arn = deployment.imported and deployment.imported.model_arn
        if not arn:
            raise InvocationFailed(f"Deployment {deployment.name} has no imported model.", deployment=deployment.name)
        client = self._client_for(timeout_seconds)
        try:
            with _carrying(client, correlation_id):
                answer = client.invoke_model(
                    modelId=arn, body=json.dumps(body), contentType="application/json", accept="application/json"
                )
                return _read(answer["body"], deployment.name)
        except ClientError as exc:
            raise _translated(exc, deployment.name) from exc
        except ReadTimeoutError as exc:
            raise _timed_out(deployment.name, f"did not answer within {timeout_seconds:.0f} s") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"Calling the model of {deployment.name} failed: {type(exc).__name__}") from exc


def _read(body: Any, name: str) -> BackendAnswer:
    """Return the answer of a call that Bedrock has taken. Raises: NothingAnswered."""
    try:
        told = json.loads(body.read())
    except ReadTimeoutError:
        raise  # it is still generating: calling again would generate twice
    except (BotoCoreError, ValueError) as exc:
        why = f"The answer of the model of {name} could not be read: {type(exc).__name__}"
        raise NothingAnswered(why, deployment=name) from exc
    return read_answer(told if isinstance(told, dict) else {})


def read_answer(told: dict[str, Any]) -> BackendAnswer:
    """Return what an answer says, in any of the shapes that Bedrock gives.

    Raises: NothingAnswered for an answer without a completion: a cold model has been seen to give one.
    """
    choices = told.get("choices") or [{}]
    usage = told.get("usage") or {}
    completion = told.get("generation", choices[0].get("text"))
    if completion is None:
        raise NothingAnswered("The model answered without a completion: it is still loading.")
    return BackendAnswer(
        completion=completion,
        stop_reason=told.get("stop_reason") or choices[0].get("finish_reason"),
        usage=Usage(
            input_tokens=usage.get("prompt_tokens", told.get("prompt_token_count")),
            output_tokens=usage.get("completion_tokens", told.get("generation_token_count")),
        ),
    )


class _carrying:  # noqa: N801 (reads as a clause of `with`)
    """Lets every call of a client within the block carry our correlation id."""

    def __init__(self, client: Any, correlation_id: str) -> None:
        self._events = client.meta.events
        self._correlation_id = correlation_id

    def _add(self, params: dict[str, Any], **_: Any) -> None:
        params["headers"][CORRELATION_HEADER] = self._correlation_id

    def __enter__(self) -> None:
        self._events.register("before-call.bedrock-runtime.InvokeModel", self._add, unique_id="correlation")

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-call.bedrock-runtime.InvokeModel", unique_id="correlation")


def _translated(error: ClientError, name: str) -> PilotlightError:
    code = code_of(error)
    if code in NOT_READY:
        return ModelNotReady(f"The model of {name} is loading.", deployment=name)
    # what Bedrock says beside its code may quote the prompt, or what the model made of it: it is not passed on
    if code in TOO_SLOW:
        return _timed_out(name, "took longer than Bedrock lets it", aws_code=code)
    if code in BROKEN | REFUSED:
        does = "refused" if code in REFUSED else "broke"
        return InvocationFailed(f"Bedrock {does} the call to the model of {name} ({code}).", aws_code=code)
    known = translate(error, f"invoking the model of {name}")
    if isinstance(known, AccessDenied):
        return known  # IAM's own sentence: it names the permission, and never saw the prompt
    return type(known)(f"Invoking the model of {name}: Bedrock answered {code}.", aws_code=code)


def _timed_out(name: str, why: str, **detail: Any) -> InvocationTimedOut:
    return InvocationTimedOut(
        f"The model of {name} {why}; it is not called again by itself, because that would generate twice. "
        "Send it again: it will be queued, where an answer may take longer; or ask for fewer tokens.",
        deployment=name,
        **detail,
    )
