"""Where models are imported and answer, and how a prompt is rendered for them."""

from collections.abc import Sequence
from typing import Protocol

from pilotlight.domain.backlog import BacklogSizes
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.invocation import BackendAnswer, ChatMessage, ContainerAnswer, Parameters
from pilotlight.domain.invocation_request import Content
from pilotlight.domain.preflight import Holder
from pilotlight.domain.values import Model


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
        """Make the smallest call there is; say whether the model answered. Raises: NothingAnswered."""
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
        """Return the completion of a rendered prompt.

        Raises: ModelNotReady, NothingAnswered, InvocationFailed, Throttled.
        """
        ...

    def pass_on(
        self, deployment: Deployment, content: Content, *, timeout_seconds: float, correlation_id: str
    ) -> ContainerAnswer:
        """Return what the container makes of a body.

        Raises: InvalidInput where there is no container of ours, or it takes no body of that size; as `complete`.
        """
        ...


class Submitted(Model):
    """Where the answer, or the failure, of a call will lie that was taken."""

    output_location: str
    failure_location: str | None = None


class AsyncInferenceBackend(Protocol):
    """Where a deployed model takes calls and answers them later."""

    largest_inline_bytes: int

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

        Raises: ModelNotReady where there is no endpoint yet; InvocationFailed, AccessDenied, Throttled, Unavailable.
        """
        ...


class Backlog(Protocol):
    """What an asynchronous endpoint has been handed and not answered."""

    def sizes(self, endpoint_name: str) -> BacklogSizes | None:
        """Return what was measured lately; None where nothing was, or we may not know."""
        ...


class PromptRenderer(Protocol):
    """The model's own chat template."""

    def render(self, template: str, messages: Sequence[ChatMessage], *, bos_token: str, eos_token: str) -> str:
        """Return the prompt. Raises: InvalidInput when the template refuses the messages or breaks."""
        ...


class TemplateVetter(Protocol):
    """Whoever judges chat templates before they are staged."""

    def objections(self, templates: Sequence[str], *, bos_token: str, eos_token: str) -> Sequence[str | None]:
        """Return for each template why it may not be staged, as in "uses …", or None; in bounded time for all."""
        ...
