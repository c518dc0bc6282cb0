"""What tasks are given and what they return: payloads of state machines, events and queue messages.

They come from ourselves, from another version of ourselves, or from a service: an unknown field is passed over.
"""

import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pilotlight.domain.artifact import Span
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.source import Source, SourceFile
from pilotlight.domain.values import DeploymentName, Model
from pilotlight.domain.warmth import ProbeDecision


class DeploymentTask(Model):
    """A step of `deploy` or `teardown`: which deployment, of which generation, in which attempt."""

    deployment: DeploymentName
    generation: int = Field(ge=1)
    attempt: int = Field(default=1, ge=1)
    correlation_id: str


class TaskError(Model):
    """What Step Functions puts at `$.error`: the error's name, and its cause as JSON text."""

    error: str = Field(alias="Error")
    cause: str = Field(default="", alias="Cause")

    @property
    def code(self) -> str:
        """The code of our own error, or the name that Step Functions gave it."""
        return str(self._told.get("code", self.error))

    @property
    def readable(self) -> str:
        """The sentence for a person: our own error's message, or what the service said, without its stack."""
        return str(self._told.get("message") or self._outer.get("errorMessage") or self.cause or self.error)

    @property
    def _told(self) -> dict[str, Any]:
        """The JSON that `PilotlightError.to_message` wrote, inside the JSON that Lambda wraps around an error."""
        return _object(self._outer.get("errorMessage", ""))

    @property
    def _outer(self) -> dict[str, Any]:
        """The JSON that Lambda wraps around an error: errorType, errorMessage, stackTrace."""
        return _object(self.cause)


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


class FailureTask(DeploymentTask):
    """A step that marks a failure, with what went wrong."""

    error: TaskError


class StagingTask(Model):
    """A step of `stage_artifact`."""

    artifact_id: str
    attempt: int = Field(ge=1)
    correlation_id: str


class SpanTask(StagingTask):
    """One item of the staging Map: a span, the file it is of, and the pinned source to read it from."""

    source: Source
    file: SourceFile
    span: Span


class StagingFailureTask(StagingTask):
    """The step that marks an artifact failed."""

    error: TaskError


class ProbeTask(Model):
    """A step of `warm`."""

    deployment: DeploymentName
    generation: int = Field(ge=1)
    wake_id: str
    correlation_id: str


class WakeStarted(Model):
    """The wake that `deploy` waits for; `held` where none may begin yet, and how long to wait until the next look."""

    wake_id: str = ""
    held: bool = False
    wait_seconds: int = 0


class WakeFailureTask(ProbeTask):
    """The step that ends a wake without an answer; `error` is absent where the wake gave up by itself."""

    error: TaskError | None = None
    probe: ProbeDecision | None = None


class WarmUpTask(DeploymentTask):
    """The step of `deploy` that waits for its wake."""

    warm_up: WakeStarted


class ScheduledTick(Model):
    """EventBridge's "Scheduled Event"; its id is the correlation id of what the sweep starts."""

    id: str


class ExecutionEnded(Model):
    """Detail of "Step Functions Execution Status Change"; `input` is JSON text."""

    name: str
    status: Literal["FAILED", "TIMED_OUT", "ABORTED"]
    input: str

    @property
    def task(self) -> DeploymentTask:
        """What the execution was started with."""
        return DeploymentTask.model_validate_json(self.input)


class ExecutionEvent(Model):
    """EventBridge's event that an execution of `deploy` ended badly."""

    id: str
    detail: ExecutionEnded


class UploadedObject(Model):
    """Detail of EventBridge's "Object Created"."""

    bucket: str
    key: str

    @model_validator(mode="before")
    @classmethod
    def _from_detail(cls, detail: Any) -> Any:
        if isinstance(detail, dict) and isinstance(detail.get("object"), dict):
            return {"bucket": detail["bucket"]["name"], "key": detail["object"]["key"]}
        return detail


class UploadEvent(Model):
    """EventBridge's event of an object in the upload bucket."""

    id: str
    detail: UploadedObject


class QueuedInvocation(Model):
    """Body of a message of the invocation queue."""

    invocation_id: str
    correlation_id: str


class QueueMessage(Model):
    """One message of a batch, as Lambda hands it over."""

    id: str = Field(alias="messageId")
    receipt: str = Field(alias="receiptHandle")
    body: QueuedInvocation
    attributes: dict[str, str] = {}

    @property
    def receives(self) -> int:
        """How often it was received, this time included."""
        return int(self.attributes.get("ApproximateReceiveCount", "1"))

    @field_validator("body", mode="before")
    @classmethod
    def _body_is_json(cls, body: Any) -> Any:
        return json.loads(body) if isinstance(body, str) else body


class QueueBatch(Model):
    """A batch of the invocation queue or of its dead letters."""

    messages: tuple[QueueMessage, ...] = Field(alias="Records")

    @property
    def correlation_id(self) -> str:
        """The correlation id of the batch's first message; the batch size is one."""
        return self.messages[0].body.correlation_id


class Wait(Model):
    """What a poll learned: done, or how long to wait until the next look. Seconds are Step Functions' to wait.

    `held` says that the step before has to be made again: it was not allowed to spend money.
    """

    done: bool
    held: bool = False
    wait_seconds: int = 0


def input_of(deployment: Deployment) -> dict[str, Any]:
    """Return the input of an execution that works on a deployment."""
    return DeploymentTask(
        deployment=deployment.name,
        generation=deployment.generation,
        attempt=deployment.attempt,
        correlation_id=deployment.correlation_id,
    ).dump()
