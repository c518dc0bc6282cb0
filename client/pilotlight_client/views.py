"""The shapes of what the API gives, as typed dicts: a document passes through the client unchanged.

Fields that are not set are absent. A newer API may give more than is named here; nothing of it is lost.
Moments are text (ISO 8601, UTC).
"""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from pilotlight_client.endpoint_views import EndpointView, Estimate, ProposalView, WebhookView

Item = TypeVar("Item")

Status = Literal[
    "REQUESTED", "STAGING", "IMPORTING", "CREATING", "WARMING", "SERVING", "FAILED", "TEARING_DOWN", "GONE"
]


class Page(TypedDict, Generic[Item]):
    """One page of a list; `next` is the cursor of the page after it."""

    items: list[Item]
    next: NotRequired[str | None]


class Money(TypedDict):
    """US dollars, and how sure they are: measured, estimated or billed."""

    usd: float
    basis: str


class Window(TypedDict):
    """One weekly window in which a model is kept warm."""

    days: str
    start: str
    end: str
    timezone: NotRequired[str]


class KeepWarm(TypedDict):
    """Who decides when a model is warm: `none`, `always`, or `window` with its windows."""

    policy: str
    windows: NotRequired[list[Window]]


class FileProgress(TypedDict):
    """How far one large file is."""

    path: str
    staged_bytes: int
    total_bytes: int
    seconds_left: NotRequired[float | None]


class Progress(TypedDict):
    """How far staging is."""

    staged_bytes: int
    total_bytes: int
    percent: float
    bytes_per_second: NotRequired[float | None]
    seconds_left: NotRequired[float | None]
    files: NotRequired[list[FileProgress]]


class WarmthView(TypedDict):
    """What is believed of a model's memory, and since when."""

    state: str
    as_of: str
    warm_until: NotRequired[str | None]
    cold_start_seconds: float


class NextStep(TypedDict):
    """What happens next by itself, and when."""

    what: str
    at: str


class FailureView(TypedDict):
    """Why a deployment failed, and what it was doing."""

    code: str
    reason: str
    during: NotRequired[str]
    at: NotRequired[str]


class SpendCeiling(TypedDict):
    """How much a deployment may spend, per `month` or per `deployment`."""

    usd: float
    per: NotRequired[str]


class SpendView(TypedDict):
    """What is spent of the ceiling, and what happens at it."""

    spent: Money
    ceiling: SpendCeiling
    period: str
    percent: float
    at_ceiling: str


class KillSwitchView(TypedDict):
    """Whether the kill switch is on, why, since when, and who turned it."""

    on: bool
    readable: bool
    reason: NotRequired[str | None]
    since: NotRequired[str | None]
    by: NotRequired[str | None]


class NextWindow(TypedDict):
    """When the next keep-warm window opens, and when the open or the next one closes."""

    opens_at: NotRequired[str | None]
    closes_at: NotRequired[str | None]


class DeploymentView(TypedDict):
    """One deployment."""

    name: str
    generation: int
    attempt: int
    status: Status
    source: str
    revision: NotRequired[str | None]
    backend: str
    region: str
    lease: str
    lease_ends_at: NotRequired[str | None]
    keep_warm: KeepWarm
    keep_warm_until: NotRequired[str | None]
    next_window: NotRequired[NextWindow | None]
    tags: dict[str, str]
    artifact: str
    artifact_id: NotRequired[str | None]
    model_arn: NotRequired[str | None]
    import_job_arn: NotRequired[str | None]
    units: NotRequired[int | None]
    endpoint: NotRequired[EndpointView | None]
    proposal: NotRequired[ProposalView | None]
    warmth: NotRequired[WarmthView | None]
    progress: NotRequired[Progress | None]
    cost_so_far: Money
    cost_per_hour: NotRequired[Money | None]
    spending: NotRequired[SpendView]
    next: NotRequired[NextStep | None]
    waiting_for: NotRequired[str | None]
    failure: NotRequired[FailureView | None]
    correlation_id: str
    created_at: str
    updated_at: str


class EventView(TypedDict):
    """One line of a deployment's timeline."""

    at: str
    kind: str
    reason: str
    generation: int
    before: NotRequired[str | None]
    after: NotRequired[str | None]
    detail: NotRequired[dict[str, Any]]


class Output(TypedDict):
    """What a model said: its reasoning apart from its answer."""

    text: str
    reasoning: NotRequired[str | None]
    stop_reason: NotRequired[str | None]


class Usage(TypedDict):
    """Tokens of one invocation, where the backend counted them."""

    input_tokens: NotRequired[int | None]
    output_tokens: NotRequired[int | None]


Phase = Literal["queued", "instance-starting", "loading", "running", "done", "failed", "expired"]


class InvocationView(TypedDict):
    """One invocation: its answer, or where it is on its way to one.

    A text model's answer is `output`. What another container gave is `body` (JSON, or text) of that `content_type`, or
    is fetched from `output_url`, which needs no signature and expires, where it is large or neither.
    """

    id: str
    deployment: str
    status: Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED"]
    phase: NotRequired[Phase]
    estimate: NotRequired[Estimate | None]
    output: NotRequired[Output | None]
    content_type: NotRequired[str | None]
    body: NotRequired[Any]
    output_url: NotRequired[str | None]
    output_location: NotRequired[str | None]
    usage: NotRequired[Usage | None]
    latency_ms: NotRequired[int | None]
    was_cold: bool
    cost: NotRequired[Money | None]
    waiting_for: NotRequired[str | None]
    error: NotRequired[dict[str, Any] | None]
    correlation_id: str
    created_at: str
    ended_at: NotRequired[str | None]
    expires_at: NotRequired[str]
    retry_after_seconds: NotRequired[int | None]
    webhook: NotRequired[WebhookView | None]


class Message(TypedDict):
    """One turn of a conversation: role is system, user, assistant or tool."""

    role: str
    content: str


class Parameters(TypedDict, total=False):
    """How to sample; what is left out is the model's own default."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    stop: list[str]
    seed: int
    repetition_penalty: float


class UploadView(TypedDict):
    """One uploaded folder, and what became of it."""

    folder: str
    status: Literal["RESTING", "INCOMPLETE", "STARTED", "HELD", "REFUSED"]
    reason: NotRequired[str | None]
    missing: NotRequired[list[str]]
    deployment: NotRequired[str | None]
    held_by: NotRequired[str | None]
    look_at: NotRequired[str | None]
    size_bytes: int
    version: NotRequired[str | None]
    updated_at: str


class ArtifactView(TypedDict):
    """Weights in the stack's bucket."""

    id: str
    source: str
    revision: str
    status: str
    total_bytes: int
    reused_bytes: int
    unverified: int
    verified_at: NotRequired[str | None]
    users: list[str]
    cost_per_month: Money
    created_at: str
    updated_at: str
    failure_reason: NotRequired[str | None]
    keep: str
    last_used_at: str
    kept_until: NotRequired[str | None]


class ArtifactPage(TypedDict):
    """One page of artifacts."""

    items: list[ArtifactView]
    next: NotRequired[str | None]


class UploadPage(TypedDict):
    """One page of uploaded folders, and where to upload to."""

    items: list[UploadView]
    next: NotRequired[str | None]
    bucket: str
    prefix: str


class OrphanView(TypedDict):
    """One finding of a reconciliation: what it is, what is decided and why, and whether it is done."""

    kind: str
    resource: str
    belongs_to: NotRequired[str | None]
    decision: Literal["adopt", "remove", "collect", "release", "resume", "fail", "look", "leave"]
    reason: str
    orphan: bool
    since: NotRequired[str | None]
    usd_per_month: NotRequired[Money | None]
    usd_per_hour: NotRequired[Money | None]
    first_seen_at: NotRequired[str | None]
    passes: int
    done: bool
    trouble: NotRequired[str | None]


class OrphanPage(TypedDict):
    """What the newest reconciliation found."""

    items: list[OrphanView]
    next: NotRequired[str | None]
    as_of: NotRequired[str | None]
    dry_run: bool
    complete: bool
    incomplete: dict[str, str]
    passes: int
    found: int
    removed: int
    left: int


class Check(TypedDict):
    """One check of a preflight: passed, warned or refused."""

    name: str
    outcome: str
    found: str
    supported: str
    advice: NotRequired[str | None]


class SkippedFile(TypedDict):
    """A file of the source that is not staged, and why."""

    path: str
    size_bytes: int
    reason: str


class Verdict(TypedDict):
    """What a preflight found."""

    accepted: bool
    checks: list[Check]
    facts: dict[str, Any]
    staged: NotRequired[list[str]]
    skipped: NotRequired[list[SkippedFile]]
    total_bytes: NotRequired[int]
    proposal: NotRequired[ProposalView | None]


class PreflightView(TypedDict):
    """The answer of a preflight."""

    source: str
    revision: str
    backend: str
    region: str
    verdict: Verdict


class HealthView(TypedDict):
    """Who answers, and where uploads go."""

    status: str
    version: str
    stack: str
    region: str
    upload_bucket: str
    s3_endpoint: NotRequired[str | None]
    simulated: NotRequired[bool]
    kill_switch: NotRequired[KillSwitchView]
