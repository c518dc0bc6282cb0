"""What the API and the topic give."""

from typing import Any, Literal

from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.containers import ContainerSettings
from pilotlight.domain.deployment import Event, Status
from pilotlight.domain.endpoint import EndpointFailure, FailedUpdate, RevisionStatus, Strategy
from pilotlight.domain.hosting import InstanceSettings, Scaling
from pilotlight.domain.invocation import InvocationStatus, Output, Usage
from pilotlight.domain.invocation_phase import Estimate, Phase
from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.preflight import Verdict
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.reconciliation import Finding, Kind
from pilotlight.domain.retention import Retention
from pilotlight.domain.serving import ServingSettings
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.staging_progress import StagingProgress
from pilotlight.domain.upload import UploadStatus
from pilotlight.domain.values import Backend, Model, Moment, Money
from pilotlight.domain.warmth import Warmth
from pilotlight.domain.webhook import Webhook


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


class NextWindow(Model):
    """When the next keep-warm window opens and when the open or the next one closes; windows that adjoin are one."""

    opens_at: Moment | None = None
    closes_at: Moment | None = None


class SpendView(Model):
    """What counts against the ceiling since when, and what happens at it; `period` is a month or a generation."""

    spent: Money
    ceiling: SpendCeiling
    period: str
    percent: float
    at_ceiling: str = "no wake, no keep-warm, no call that would open another billing window"


class KillSwitchView(Model):
    """The kill switch; one that is not `readable` counts as on for what is new, and for keeping models warm."""

    on: bool
    readable: bool = True
    reason: str | None = None
    since: Moment | None = None
    by: str | None = None


class UpdateView(Model):
    """An update under way, and the instances that it brings: as many as there are of the former revision."""

    revision: int
    previous: int
    strategy: Strategy
    started_at: Moment
    instance_type: str | None = None
    instances: int
    usd_per_instance_hour: float


class EndpointView(Model):
    """The instances of a deployment, as they were last seen, and what holds them.

    `min` and `max` are what holds now, `scaling` what was asked for.
    """

    name: str
    arn: str | None = None
    status: str
    instance_type: str
    instances: int
    desired: int
    min: int
    max: int
    scaling: Scaling
    usd_per_instance_hour: float
    revision: int
    seen_at: Moment | None = None
    update: UpdateView | None = None
    failed_update: FailedUpdate | None = None
    failure: EndpointFailure | None = None


class RevisionScaling(Model):
    """What of scaling is in an endpoint config; bounds are the endpoint's, and no revision's."""

    initial: int
    concurrent_invocations: int | None = None
    components: bool = False


class RevisionView(Model):
    """One revision of an endpoint: what it is made of, and what became of it."""

    number: int
    status: RevisionStatus
    instance_type: str
    usd_per_hour: float
    image: str
    scaling: RevisionScaling
    instance: InstanceSettings
    serving: ServingSettings
    container: ContainerSettings
    tensor_parallel_degree: int | None = None
    why: str
    reason: str
    created_at: Moment


class RevisionList(Model):
    """The revisions that are kept, the newest first; `next` is always absent."""

    items: tuple[RevisionView, ...]
    next: str | None = None


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
    keep_warm_until: Moment | None = None
    next_window: NextWindow | None = None
    tags: dict[str, str]
    artifact: Retention
    artifact_id: str | None = None
    model_arn: str | None = None
    import_job_arn: str | None = None
    units: int | None = None
    endpoint: EndpointView | None = None
    proposal: Proposal | None = None
    warmth: WarmthView | None = None
    progress: StagingProgress | None = None
    cost_so_far: Money
    cost_per_hour: Money | None = None
    spending: SpendView
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
    """An invocation: its answer, or where it is on its way to one.

    A text model's answer is `output`. What a container answered is `body` where it is JSON or text that is not long,
    else it is fetched from `output_url`, which needs no signature and expires.
    """

    id: str
    deployment: str
    status: InvocationStatus
    phase: Phase
    estimate: Estimate | None = None
    output: Output | None = None
    content_type: str | None = None
    body: Any = None
    output_url: str | None = None
    output_location: str | None = None
    usage: Usage | None = None
    latency_ms: int | None = None
    was_cold: bool
    cost: Money | None = None
    waiting_for: str | None = None
    error: dict[str, Any] | None = None
    correlation_id: str
    created_at: Moment
    ended_at: Moment | None = None
    expires_at: Moment
    retry_after_seconds: int | None = None
    webhook: Webhook | None = None


class InputUpload(Model):
    """How an input is uploaded: one request, with these headers."""

    url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]


class InputView(Model):
    """Where an input may be uploaded until then, and what to name as `input` afterwards."""

    input: str
    upload: InputUpload
    expires_at: Moment


class PartView(Model):
    """A part that S3 holds of an unfinished upload; `checksum_crc32` in base64."""

    number: int
    size_bytes: int
    checksum_crc32: str | None = None


class FilePlanView(Model):
    """What S3 holds of a file: all of it (`stored_checksum_crc32`), or some parts of the upload `upload_id`.

    A file without an upload is put whole; one that is stored, and has other content, is told again with `replace`.
    """

    path: str
    part_bytes: int
    stored_checksum_crc32: str | None = None
    upload_id: str | None = None
    parts: tuple[PartView, ...] = ()


class UploadPlanView(Model):
    """What is to be done for a folder to be uploaded; `others` are the paths that lie there beside those told."""

    name: str
    location: str
    files: tuple[FilePlanView, ...]
    others: tuple[str, ...]


class PartAddress(Model):
    """Where a part is put: one PUT of those bytes with just these headers, until `expires_at`."""

    number: int
    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: Moment


class AddressesView(Model):
    """Where the parts that were asked for are put."""

    addresses: tuple[PartAddress, ...]


class StoredFileView(Model):
    """A file that is whole in the upload bucket."""

    path: str
    size_bytes: int
    checksum_crc32: str


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


class ArtifactView(Model):
    """Weights in our bucket: where they came from, who uses them, and what they cost.

    `users` are deployments with their generation, as `name-g1`; `total_bytes` is what it shall have until it is sealed,
    and `reused_bytes` of it were copied from other artifacts. `unverified` files are still to be read back and hashed,
    `verified_at` says when all were.
    `keep` is the longest that its users wished it to be kept, counted from `last_used_at`, which is now while it is
    used; `kept_until` is absent while it is used, and where it stays until somebody deletes it.
    """

    id: str
    source: str
    revision: str
    status: ArtifactStatus
    total_bytes: int
    reused_bytes: int = 0
    unverified: int = 0
    verified_at: Moment | None = None
    users: tuple[str, ...]
    cost_per_month: Money
    created_at: Moment
    updated_at: Moment
    failure_reason: str | None = None
    keep: Retention
    last_used_at: Moment
    kept_until: Moment | None = None


class ArtifactList(Model):
    """A page of artifacts by id."""

    items: tuple[ArtifactView, ...]
    next: str | None = None


class OrphanList(Model):
    """What the newest reconciliation found, the orphans that are left first; `next` is always absent.

    `passes` counts the reconciliations there have been, `found` and `removed` the orphans of the newest one.
    `incomplete` tells of each kind that could not be listed whole why, and `complete` is whether there is none.
    """

    items: tuple[Finding, ...]
    next: str | None = None
    as_of: Moment | None = None
    dry_run: bool
    complete: bool
    incomplete: dict[Kind, str] = {}
    passes: int
    found: int
    removed: int
    left: int


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
    kill_switch: KillSwitchView | None = None


NewsKind = Literal["serving", "failed", "lease-ending", "gone", "keep-warm-ending", "spend-ceiling", "kill-switch"]


class Notification(Model):
    """What the topic tells; the kill switch is of no deployment."""

    event: NewsKind
    deployment: str | None = None
    generation: int | None = None
    reason: str
    at: Moment
    correlation_id: str
