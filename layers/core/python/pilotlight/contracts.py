"""What crosses a boundary: the payloads of tasks, and the bodies of the API.

A body that a user sends is a `Request`: an unknown field is an error. What our own state machines send is a
`Model`: an older or newer version of ourselves may add fields. The examples are in events/.
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from pilotlight.domain.artifact import Span
from pilotlight.domain.deployment import Deployment, Event, Status
from pilotlight.domain.invocation import InvocationStatus, Output, Usage
from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.lease import DEFAULT_LEASE, LeaseTerm
from pilotlight.domain.preflight import Verdict
from pilotlight.domain.source import Source, SourceFile
from pilotlight.domain.upload import UploadStatus
from pilotlight.domain.values import Backend, DeploymentName, Model, Moment, Money, Request
from pilotlight.domain.warmth import ProbeDecision, Warmth

TagText = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w .:/=+\-@]*$")]
MOST_TAGS = 20

# ---- what tasks are given ----------------------------------------------------------------------------------


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
    """The wake that `deploy` waits for."""

    wake_id: str


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


# ---- what tasks return -------------------------------------------------------------------------------------


class Wait(Model):
    """What a poll learned: done, or how long to wait until the next look. Seconds are Step Functions' to wait."""

    done: bool
    wait_seconds: int = 0


# ---- what the API takes ------------------------------------------------------------------------------------


class DeploymentRequest(Request):
    """Body of POST /deployments."""

    name: DeploymentName
    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    tags: dict[TagText, TagText] = Field(default={}, max_length=MOST_TAGS)
    import_role_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/.+$")] | None = None


class UploadSettings(Request):
    """What `pilotlight.json` in an uploaded folder may set."""

    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    tags: dict[TagText, TagText] = Field(default={}, max_length=MOST_TAGS)


class PreflightRequest(Request):
    """Body of POST /preflight."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    backend: Backend = Backend.BEDROCK


class LeaseRequest(Request):
    """Body of PUT /deployments/{name}/lease: the new term, counted from now."""

    lease: LeaseTerm


class KeepWarmRequest(Request):
    """Body of PUT /deployments/{name}/keep-warm."""

    keep_warm: KeepWarm


# ---- what the API gives ------------------------------------------------------------------------------------


class Progress(Model):
    """How far staging is."""

    staged_bytes: int
    total_bytes: int
    percent: float = Field(ge=0, le=100)


class WarmthView(Model):
    """What we believe of the model's memory, and when we last knew."""

    state: Warmth
    as_of: Moment
    warm_until: Moment | None = None
    cold_start_seconds: float


class NextStep(Model):
    """What happens next by itself, and when."""

    what: str
    at: Moment


class DeploymentView(Model):
    """A deployment as GET /deployments/{name} shows it."""

    name: str
    generation: int
    attempt: int
    status: Status
    source: str
    revision: str | None = None
    backend: Backend
    region: str
    lease: str
    lease_ends_at: Moment | None = None
    keep_warm: KeepWarm
    tags: dict[str, str]
    artifact_id: str | None = None
    model_arn: str | None = None
    import_job_arn: str | None = None
    units: int | None = None
    warmth: WarmthView | None = None
    progress: Progress | None = None
    cost_so_far: Money
    cost_per_hour: Money | None = None
    next: NextStep | None = None
    waiting_for: str | None = None
    failure: dict[str, Any] | None = None
    correlation_id: str
    created_at: Moment
    updated_at: Moment


class DeploymentList(Model):
    """A page of deployments; `next` is the cursor of the following page."""

    items: tuple[DeploymentView, ...]
    next: str | None = None


class EventList(Model):
    """A page of a timeline, newest last."""

    items: tuple[Event, ...]
    next: str | None = None


class InvocationView(Model):
    """An invocation: its answer, or where it is on its way to one."""

    id: str
    deployment: str
    status: InvocationStatus
    output: Output | None = None
    usage: Usage | None = None
    latency_ms: int | None = None
    was_cold: bool
    cost: Money | None = None
    error: dict[str, Any] | None = None
    correlation_id: str
    created_at: Moment
    ended_at: Moment | None = None
    expires_at: Moment
    retry_after_seconds: int | None = None


class UploadView(Model):
    """An uploaded folder and what became of it."""

    folder: str
    status: UploadStatus
    reason: str | None = None
    missing: tuple[str, ...] = ()
    deployment: str | None = None
    held_by: str | None = None
    look_at: Moment | None = None
    size_bytes: int
    version: str | None = None
    updated_at: Moment


class UploadList(Model):
    """A page of uploaded folders, and where to upload to."""

    items: tuple[UploadView, ...]
    next: str | None = None
    bucket: str
    prefix: str


class PreflightView(Model):
    """The answer of POST /preflight."""

    source: str
    revision: str
    backend: Backend
    region: str
    verdict: Verdict


class HealthView(Model):
    """The answer of GET /health: who answers, and where a client finds the stack's buckets."""

    status: Literal["ok"] = "ok"
    version: str
    stack: str
    region: str
    upload_bucket: str
    s3_endpoint: str | None = None
    simulated: bool = False


class Notification(Model):
    """What the topic tells: `event` is serving, failed, lease-ending or gone."""

    event: Literal["serving", "failed", "lease-ending", "gone"]
    deployment: str
    generation: int
    reason: str
    at: Moment
    correlation_id: str


class Accepted(Model):
    """What an accepted request leads to: a record to ask for, at `location`."""

    location: str
    body: dict[str, Any]

    @model_validator(mode="after")
    def _location_is_a_path(self) -> Self:
        if not self.location.startswith("/"):
            raise ValueError("a location is a path of this API")
        return self


def input_of(deployment: Deployment) -> dict[str, Any]:
    """Return the input of an execution that works on a deployment."""
    return DeploymentTask(
        deployment=deployment.name,
        generation=deployment.generation,
        attempt=deployment.attempt,
        correlation_id=deployment.correlation_id,
    ).dump()
