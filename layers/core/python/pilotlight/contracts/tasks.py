"""What tasks are given and what they return: payloads of state machines, events and queue messages.

They come from ourselves, from another version of ourselves, or from a service: an unknown field is passed over.
"""

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pilotlight.domain.deployment import Deployment
from pilotlight.domain.endpoint import Awaited
from pilotlight.domain.source import Source
from pilotlight.domain.spans import Span
from pilotlight.domain.values import Backend, DeploymentName, Model, Moment
from pilotlight.domain.warmth import ProbeDecision


class DeploymentTask(Model):
    """A step of `deploy` or `teardown`: which deployment, of which generation, in which attempt."""

    deployment: DeploymentName
    generation: int = Field(ge=1)
    attempt: int = Field(default=1, ge=1)
    backend: Backend = Backend.BEDROCK
    correlation_id: str


class AwaitTask(Model):
    """A step that waits for an endpoint: the token with which it is ended, and what it waits for."""

    deployment: DeploymentName
    generation: int = Field(ge=1)
    correlation_id: str
    token: str = Field(repr=False)
    awaited: Awaited


class UpdateTask(Model):
    """A step of `update`: which update of which deployment."""

    deployment: DeploymentName
    generation: int = Field(ge=1)
    update: int = Field(ge=1)
    correlation_id: str


class UpdateStarted(Model):
    """What came of asking for an update: it runs, there is nothing to wait for, or how long to wait to ask again."""

    done: bool = False
    skipped: bool = False
    wait_seconds: int = 0


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


class UpdateFailureTask(UpdateTask):
    """The step that ends an update that failed."""

    error: TaskError


class StagingTask(Model):
    """A step of `stage_artifact`."""

    artifact_id: str
    attempt: int = Field(ge=1)
    correlation_id: str


class PlanSummary(Model):
    """What `stage_artifact` needs of a plan: where its spans are, how many, and how many copiers work at once."""

    bucket: str
    spans_key: str
    spans: int
    copiers: int


class Sealed(Model):
    """What `stage_artifact` needs of sealed weights: how many files are to be verified, and how many at once."""

    unverified: int
    copiers: int


class SpanTask(StagingTask):
    """One item of the staging Map: a span, and the pinned source to read it from."""

    source: Source
    span: Span


class VerifyTask(StagingTask):
    """One item of the Map that verifies a sealed artifact: a file of its manifest."""

    path: str
    size_bytes: int = Field(ge=0)
    sha256: str


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
    """The wake that `deploy` waits for; `held` where none may begin yet, and how long to wait until the next look.

    `skipped` says that there is nothing to wake: it begins without an instance.
    """

    wake_id: str = ""
    held: bool = False
    skipped: bool = False
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


class EndpointChanged(Model):
    """Detail of "SageMaker Endpoint State Change"; its status is not believed: it is a reason to look."""

    name: str = Field(alias="EndpointName")
    tags: dict[str, str] = Field(default={}, alias="Tags")


class EndpointEvent(Model):
    """EventBridge's event that an endpoint is in another state."""

    id: str
    detail: EndpointChanged


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


class AsyncResult(Model):
    """What an asynchronous endpoint tells its topics of one call. Nothing in it is certain to be there.

    Source: as it has been seen; `failureLocation` at either level.
    """

    inference_id: str = Field(default="", alias="inferenceId")
    status: str = Field(default="", alias="invocationStatus")
    content_type: str | None = None
    output_location: str | None = None
    failure_location: str | None = None
    failure_reason: str | None = Field(default=None, alias="failureReason")
    at: Moment | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_both_levels(cls, told: Any) -> Any:
        if not isinstance(told, dict):
            return {}
        inner = told.get("responseParameters")
        response = inner if isinstance(inner, dict) else {}
        wanted = {
            **{name: told.get(name) for name in ("inferenceId", "invocationStatus", "failureReason")},
            "content_type": response.get("contentType"),
            "output_location": response.get("outputLocation"),
            "failure_location": told.get("failureLocation") or response.get("failureLocation"),
        }
        said = {name: value for name, value in wanted.items() if isinstance(value, str)}
        return {**said, "at": _moment(told.get("eventTime"))}


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


class ResultNotice(Model):
    """One message of a topic of results; one that is no JSON tells of nothing."""

    result: AsyncResult = Field(alias="Message")

    @field_validator("result", mode="before")
    @classmethod
    def _message_is_json(cls, message: Any) -> Any:
        return _object(message) if isinstance(message, str) else message


class ResultRecord(Model):
    """One record of SNS's event, as Lambda is handed it."""

    notice: ResultNotice = Field(alias="Sns")


class ResultBatch(Model):
    """SNS's event."""

    records: tuple[ResultRecord, ...] = Field(alias="Records")

    @property
    def results(self) -> tuple[AsyncResult, ...]:
        """What it tells."""
        return tuple(record.notice.result for record in self.records)


class Wait(Model):
    """What a poll learned: done, or how long to wait until the next look. Seconds are Step Functions' to wait.

    `held` says that the step before has to be made again: it was not allowed to spend money. `skipped` says that what
    was to be made is made later, when somebody calls.
    """

    done: bool
    held: bool = False
    skipped: bool = False
    wait_seconds: int = 0


def input_of(deployment: Deployment) -> dict[str, Any]:
    """Return the input of an execution that works on a deployment."""
    return DeploymentTask(
        deployment=deployment.name,
        generation=deployment.generation,
        attempt=deployment.attempt,
        backend=deployment.backend,
        correlation_id=deployment.correlation_id,
    ).dump()
