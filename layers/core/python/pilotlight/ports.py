"""What the services need of the outside world, as Protocols. The adapters implement them; tests have honest fakes.

Every method that changes something is safe to repeat. Errors are the domain's: an adapter translates what its
service says.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from pilotlight.domain.artifact import Artifact, UploadedPart
from pilotlight.domain.deployment import Change, Deployment, Event
from pilotlight.domain.invocation import BackendAnswer, ChatMessage, Invocation, InvocationRequest, Parameters
from pilotlight.domain.preflight import Holder
from pilotlight.domain.pricing import BillingWindow
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.upload import Upload
from pilotlight.domain.values import Model


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the moment it is, aware and in UTC."""
        ...

    def pause(self, wall_seconds: float) -> None:
        """Let that much time of the wall's clock pass."""
        ...


class Deployments(Protocol):
    """The records of deployments, their timelines and billing windows."""

    def get(self, name: str) -> Deployment:
        """Return a record as it is now. Raises: NotFound."""
        ...

    def find(self, name: str) -> Deployment | None:
        """Return a record as it is now, or None."""
        ...

    def reserve(self, fresh: Deployment, event: Event) -> Deployment:
        """Write a fresh record where the name is free or GONE. Raises: NameTaken, naming the holder."""
        ...

    def save(self, before: Deployment, change: Change) -> Deployment:
        """Write a change and its event in one go, if nobody wrote since `before`. Raises: ConcurrentChange."""
        ...

    def reschedule(self, deployment: Deployment, look: tuple[datetime, str] | None) -> None:
        """Set when to look at a record next and what for, unless somebody wrote since."""
        ...

    def page(self, cursor: str | None, limit: int) -> tuple[list[Deployment], str | None]:
        """Return a page of records by name, and the cursor of the next one."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return the names of deployments whose next look is due, the longest overdue first."""
        ...

    def events(self, name: str, cursor: str | None, limit: int) -> tuple[list[Event], str | None]:
        """Return a page of a timeline, oldest first."""
        ...

    def note(self, name: str, event: Event) -> None:
        """Add a line to a timeline without changing the record."""
        ...

    def latest_window(self, name: str, generation: int) -> BillingWindow | None:
        """Return the newest billing window of a generation."""
        ...

    def open_window(self, name: str, window: BillingWindow) -> bool:
        """Write a window if its ordinal is new; False where another call opened it first."""
        ...

    def touch_window(self, name: str, window: BillingWindow) -> None:
        """Move a window's last answer (and measured speed) forward, never back."""
        ...


class Artifacts(Protocol):
    """The records of artifacts and of the spans that are copied."""

    def find(self, artifact_id: str) -> Artifact | None:
        """Return a record as it is now, or None."""
        ...

    def get(self, artifact_id: str) -> Artifact:
        """Return a record as it is now. Raises: NotFound."""
        ...

    def save(self, before: Artifact | None, after: Artifact) -> Artifact:
        """Write a record if nobody wrote since `before` (None: if there is none). Raises: ConcurrentChange."""
        ...

    def mark_span(self, artifact_id: str, attempt: int, number: int, size_bytes: int) -> None:
        """Note that a span is copied whole."""
        ...

    def staged_bytes(self, artifact_id: str, attempt: int) -> int:
        """Return the bytes of all spans copied in this attempt."""
        ...

    def note_trouble(self, artifact_id: str, attempt: int, code: str, reason: str) -> None:
        """Keep why a span could not be copied: the newest reason of an attempt."""
        ...

    def trouble(self, artifact_id: str, attempt: int) -> tuple[str, str] | None:
        """Return code and reason of the newest trouble of an attempt."""
        ...

    def forget_spans(self, artifact_id: str) -> None:
        """Remove the marks of copied spans."""
        ...


class Invocations(Protocol):
    """The records of invocations, their bodies, and the queue they wait in."""

    def put(self, invocation: Invocation) -> None:
        """Write a fresh record."""
        ...

    def get(self, invocation_id: str) -> Invocation:
        """Return a record as it is now. Raises: NotFound."""
        ...

    def save(self, before: Invocation, after: Invocation) -> Invocation:
        """Write a record if nobody wrote since `before`. Raises: ConcurrentChange."""
        ...

    def hold(self, now: datetime, bound: int) -> bool:
        """Take one of `bound` places for a held request; False where all are taken."""
        ...

    def release(self, taken_at: datetime) -> None:
        """Give back a place taken at that moment."""
        ...


class InvocationBodies(Protocol):
    """Requests and outputs of invocations: encrypted, and gone after their time."""

    def put_request(self, invocation_id: str, request: InvocationRequest) -> None:
        """Keep what was asked."""
        ...

    def get_request(self, invocation_id: str) -> InvocationRequest:
        """Return what was asked. Raises: NotFound once it has expired."""
        ...

    def put_output(self, invocation_id: str, output: dict[str, Any]) -> None:
        """Keep what was answered."""
        ...

    def get_output(self, invocation_id: str) -> dict[str, Any] | None:
        """Return what was answered, or None once it has expired."""
        ...


class InvocationQueue(Protocol):
    """The queue of invocation ids."""

    def send(self, invocation_id: str, correlation_id: str) -> None:
        """Queue an id."""
        ...

    def hide(self, receipt: str, wait_seconds: int) -> None:
        """Let a received message come back after that many seconds and not before."""
        ...

    def depth(self) -> int:
        """Return about how many messages wait."""
        ...


class Uploads(Protocol):
    """The records of uploaded folders."""

    def find(self, folder: str) -> Upload | None:
        """Return a record as it is now, or None."""
        ...

    def note_event(self, folder: str, look_at: datetime, now: datetime) -> None:
        """Set when to look at a folder, creating its record: one unconditional write per event."""
        ...

    def save(self, before: Upload, after: Upload) -> Upload:
        """Write a record if nobody wrote since `before`. Raises: ConcurrentChange."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return the folders whose look is due, the longest overdue first."""
        ...

    def page(self, cursor: str | None, limit: int) -> tuple[list[Upload], str | None]:
        """Return a page of folders by name, and the cursor of the next one."""
        ...


class IdempotencyKeys(Protocol):
    """Answers already given, by the key of the request."""

    def claim(self, key: str, body_hash: str, now: datetime) -> dict[str, Any] | None:
        """Return the answer already given, or None when the key is ours to answer.

        Raises: IdempotencyKeyReused for another body; Conflict while the first request is under way.
        """
        ...

    def answer(self, key: str, response: dict[str, Any]) -> None:
        """Keep the answer for repeats."""
        ...

    def forget(self, key: str) -> None:
        """Give a key back: the request was refused, and may come again."""
        ...


class ModelSource(Protocol):
    """A hub or a bucket that holds checkpoints."""

    def resolve(self, source: Source) -> Listing:
        """Return all files at a pinned revision. Raises: SourceNotFound, SourceGated, Throttled, Unavailable."""
        ...

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned source. Raises: SourceRefused when it is larger than the limit."""
        ...

    def stream(self, source: Source, file: SourceFile, *, offset: int, size_bytes: int) -> Iterator[bytes]:
        """Yield exactly that range of a file of a pinned source. Raises: BodyCutShort, SourceChanged."""
        ...


class ArtifactBucket(Protocol):
    """The bucket of weights."""

    def start_upload(self, key: str) -> str:
        """Return the id of a multipart upload of that key: the one under way, or a fresh one."""
        ...

    def parts(self, key: str, upload_id: str) -> dict[int, UploadedPart]:
        """Return the parts that S3 holds, by number. Raises: NotFound when the upload is gone."""
        ...

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes) -> None:
        """Upload one part with its CRC32."""
        ...

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> str | None:
        """Join the parts; return the object's checksum as S3 gives it."""
        ...

    def abort_uploads(self, prefix: str) -> int:
        """Abort every upload below a prefix; return how many there were."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write a small object with its CRC32."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return a small object, or None."""
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return key and size of every object below a prefix."""
        ...

    def delete(self, prefix: str) -> int:
        """Delete every object below a prefix; return how many there were."""
        ...


class ImportJobState(Model):
    """An import job as the backend tells it; `status` is InProgress, Completed or Failed."""

    arn: str
    name: str
    status: str
    model_name: str | None = None
    model_arn: str | None = None
    failure: str | None = None


class ImportedModelState(Model):
    """An imported model as the backend tells it, with its tags."""

    arn: str
    name: str
    units: int | None = None
    tags: dict[str, str] = {}


class ModelImports(Protocol):
    """Bedrock's custom model import."""

    def start(
        self, *, job_name: str, model_name: str, role_arn: str, s3_uri: str, token: str, tags: dict[str, str]
    ) -> str:
        """Start a job and return its ARN. Raises: QuotaExceeded, Conflict, AccessDenied, InvalidInput, Throttled."""
        ...

    def job(self, identifier: str) -> ImportJobState | None:
        """Return a job by name or ARN, or None."""
        ...

    def running_jobs(self) -> list[ImportJobState]:
        """Return the jobs that hold the region's slots."""
        ...

    def model(self, identifier: str) -> ImportedModelState | None:
        """Return an imported model by name or ARN, or None."""
        ...

    def holders(self) -> list[Holder]:
        """Return every imported model of the account and region."""
        ...

    def delete_model(self, arn: str) -> None:
        """Delete an imported model; one already gone is a success."""
        ...

    def model_quota(self) -> int:
        """Return how many imported models the account may have in the region."""
        ...


class InferenceBackend(Protocol):
    """Where a deployed model answers."""

    supported_parameters: frozenset[str]

    def probe(self, deployment: Deployment, *, correlation_id: str) -> bool:
        """Make the smallest call there is; say whether the model answered."""
        ...

    def complete(
        self,
        deployment: Deployment,
        prompt: str,
        parameters: Parameters,
        *,
        timeout_seconds: float,
        correlation_id: str,
    ) -> BackendAnswer:
        """Return the completion of a rendered prompt. Raises: ModelNotReady, InvocationFailed, Throttled."""
        ...


class PromptRenderer(Protocol):
    """The model's own chat template."""

    def render(self, template: str, messages: Sequence[ChatMessage], *, bos_token: str, eos_token: str) -> str:
        """Return the prompt. Raises: InvalidInput when the template refuses the messages or breaks."""
        ...


class Executions(Protocol):
    """Executions of our state machines."""

    def start(self, machine: str, name: str, work: dict[str, Any]) -> bool:
        """Start an execution; False where one of that name is there already, which is a success."""
        ...

    def is_running(self, machine: str, name: str) -> bool:
        """Say whether an execution of that name is under way."""
        ...

    def stop(self, machine: str, name: str, reason: str) -> None:
        """Stop an execution; one already over or unknown is a success."""
        ...


class Topic(Protocol):
    """The topic that tells people."""

    def publish(self, message: dict[str, Any], *, event: str) -> None:
        """Tell everyone who subscribed."""
        ...


class Journal(Protocol):
    """Structured records and metrics; never a prompt, a completion, a token or a credential."""

    def invocation(self, record: dict[str, Any]) -> None:
        """Write the one record of an invocation, and its metrics."""
        ...

    def count(self, metric: str, value: float = 1.0, **dimensions: str) -> None:
        """Add to a metric."""
        ...

    def fact(self, message: str, **values: Any) -> None:
        """Log a fact: a constant message, values as keys."""
        ...

    def surprise(self, message: str, **values: Any) -> None:
        """Log a surprise survived."""
        ...
