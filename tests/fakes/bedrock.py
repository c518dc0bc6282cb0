"""Bedrock in memory: one slot, a quota, tokens that answer with the old job, names that are never given back."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    Conflict,
    InvalidInput,
    InvocationFailed,
    ModelNotReady,
    NothingAnswered,
    PilotlightError,
    QuotaExceeded,
    Unavailable,
)
from pilotlight.domain.invocation import BackendAnswer, ChatMessage, ContainerAnswer, Parameters, Usage
from pilotlight.domain.invocation_request import Content
from pilotlight.domain.preflight import Holder
from pilotlight.domain.values import Backend
from pilotlight.ports import ImportedModelState, ImportJobState

from tests.fakes.machinery import ManualClock

ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012"


@dataclass
class _Job:
    state: ImportJobState
    token: str
    s3_uri: str
    role_arn: str
    tags: dict[str, str]
    ends_at: datetime


@dataclass
class FakeImports:
    """Implements `ports.ModelImports`. A job takes `takes` and then makes its model, or fails with `failure`."""

    clock: ManualClock
    quota: int = 3
    slots: int = 1
    units: int = 2
    takes: timedelta = timedelta(minutes=10)
    failure: str | None = None
    loses_answers: int = 0
    """How many of the next starts take effect, and then break before they answer."""
    before_start: deque[Callable[[], object]] = field(default_factory=deque)
    """What others do just before our next starts, each once."""

    _jobs: dict[str, _Job] = field(default_factory=dict)
    _models: dict[str, ImportedModelState] = field(default_factory=dict)
    _made_at: dict[str, datetime] = field(default_factory=dict)

    def start(
        self, *, job_name: str, model_name: str, role_arn: str, s3_uri: str, token: str, tags: dict[str, str]
    ) -> str:
        if self.before_start:
            self.before_start.popleft()()
        self._pass_time()
        if known := next((job for job in self._jobs.values() if job.token == token), None):
            return known.state.arn
        if job_name in self._jobs:
            raise Conflict(f"A job named {job_name} exists already.")
        if len(self.running_jobs()) >= self.slots:
            raise QuotaExceeded("The region's slots for import jobs are taken.")
        if len(self._models) >= self.quota:
            raise QuotaExceeded("The account has as many imported models as it may.")
        arn = f"{ACCOUNT}:model-import-job/{len(self._jobs):012d}"
        state = ImportJobState(arn=arn, name=job_name, status="InProgress", model_name=model_name)
        self._jobs[job_name] = _Job(state, token, s3_uri, role_arn, tags, self.clock.now() + self.takes)
        if self.loses_answers:
            self.loses_answers -= 1
            raise Unavailable("The connection broke before the answer came.")
        return arn

    def job(self, identifier: str) -> ImportJobState | None:
        self._pass_time()
        return next((job.state for job in self._jobs.values() if identifier in (job.state.name, job.state.arn)), None)

    def running_jobs(self) -> list[ImportJobState]:
        self._pass_time()
        return [job.state for job in self._jobs.values() if job.state.status == "InProgress"]

    def model(self, identifier: str) -> ImportedModelState | None:
        self._pass_time()
        return next((model for model in self._models.values() if identifier in (model.name, model.arn)), None)

    def holders(self) -> list[Holder]:
        self._pass_time()
        return [
            Holder(name=model.name, arn=model.arn, created_at=self._made_at.get(model.arn))
            for model in self._models.values()
        ]

    def delete_model(self, arn: str) -> None:
        self._models = {name: model for name, model in self._models.items() if model.arn != arn}

    def model_quota(self) -> int:
        return self.quota

    def add_model(self, name: str, **tags: str) -> str:
        """Put a model there that somebody else imported; return its ARN."""
        arn = f"{ACCOUNT}:imported-model/{name}"
        self._made_at[arn] = self.clock.now()
        self._models[name] = ImportedModelState(arn=arn, name=name, units=self.units, tags=tags)
        return arn

    def retag(self, name: str, **tags: str) -> None:
        """Give a model other tags than it has."""
        self._models[name] = self._models[name].changed(tags=tags)

    def occupy(self, name: str = "somebody-elses-job") -> None:
        """Let somebody else's job take a slot."""
        self.start(job_name=name, model_name=name, role_arn="-", s3_uri="-", token=name, tags={})

    @property
    def jobs(self) -> list[str]:
        return list(self._jobs)

    @property
    def models(self) -> list[str]:
        self._pass_time()
        return sorted(self._models)

    def asked(self, job_name: str) -> tuple[str, str]:
        """Return which weights a job was asked to read, and as whom."""
        return self._jobs[job_name].s3_uri, self._jobs[job_name].role_arn

    def _pass_time(self) -> None:
        for job in self._jobs.values():
            if job.state.status == "InProgress" and self.clock.now() >= job.ends_at:
                self._finish(job)

    def _finish(self, job: _Job) -> None:
        name = job.state.model_name or ""
        why = self.failure or (f"A model named {name} exists already." if name in self._models else None)
        if why:
            job.state = job.state.changed(status="Failed", failure=why)
            return
        arn = f"{ACCOUNT}:imported-model/{job.state.arn[-12:]}"
        self._made_at[arn] = job.ends_at
        self._models[name] = ImportedModelState(arn=arn, name=name, units=self.units, tags=job.tags)
        job.state = job.state.changed(status="Completed", model_arn=arn)


@dataclass
class FakeBackend:
    """Implements `ports.InferenceBackend`: cold for the next `cold_for` calls, then it `says` something."""

    clock: ManualClock
    cold_for: int = 0
    says: str = "Because of Rayleigh scattering."
    output_tokens: int = 40
    takes: timedelta = timedelta(seconds=1)
    refusals: deque[PilotlightError] = field(default_factory=deque)
    prompts: list[str] = field(default_factory=list)
    asked: list[Parameters] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    bodies: list[Content] = field(default_factory=list)
    gives: ContainerAnswer | None = None
    """What the container makes of a body; without it, the body itself."""
    correlation_ids: list[str] = field(default_factory=list)
    probes: int = 0
    supported_parameters: frozenset[str] = frozenset({"max_tokens", "temperature", "top_p", "stop", "seed"})

    def probe(self, deployment: Deployment, *, correlation_id: str) -> bool:
        self.probes += 1
        try:
            self._load(deployment, correlation_id)
        except NothingAnswered:
            raise
        except ModelNotReady:
            return False
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
        self._load(deployment, correlation_id)
        self.prompts.append(prompt)
        self.asked.append(parameters)
        self.timeouts.append(timeout_seconds)
        self.clock.advance(seconds=self.takes.total_seconds())
        usage = Usage(input_tokens=len(prompt.split()), output_tokens=self.output_tokens)
        return BackendAnswer(completion=self.says, stop_reason="stop", usage=usage)

    def pass_on(
        self, deployment: Deployment, content: Content, *, timeout_seconds: float, correlation_id: str
    ) -> ContainerAnswer:
        if deployment.backend is Backend.BEDROCK:
            raise InvalidInput("Bedrock takes prompts and messages.")
        assert content.data is not None, "a body comes in the call itself"
        self._load(deployment, correlation_id)
        self.bodies.append(content)
        self.timeouts.append(timeout_seconds)
        self.clock.advance(seconds=self.takes.total_seconds())
        return self.gives or ContainerAnswer(data=content.data, content_type=content.content_type)

    def _load(self, deployment: Deployment, correlation_id: str) -> None:
        self.correlation_ids.append(correlation_id)
        if self.refusals:
            raise self.refusals.popleft()
        is_made = deployment.endpoint and deployment.endpoint.exists
        if not is_made and (deployment.imported is None or deployment.imported.model_arn is None):
            raise InvocationFailed(f"Deployment {deployment.name} has no imported model.")
        if self.cold_for:
            self.cold_for -= 1
            raise ModelNotReady(f"The model of {deployment.name} is loading.")


class FakeRenderer:
    """Implements `ports.PromptRenderer`: roles and contents in order; the template `refuse` refuses everything."""

    def render(self, template: str, messages: Sequence[ChatMessage], *, bos_token: str, eos_token: str) -> str:
        if template == "refuse":
            raise InvalidInput("The model's chat template refuses these messages.", field="messages", rule="its own")
        assert eos_token != bos_token or not bos_token
        turns = "".join(f"<|{message.role}|>{message.content}" for message in messages)
        return f"{bos_token}{turns}<|assistant|>" + ("<think>\n" if "<think>" in template else "")
