"""The API: each view parses, calls one service, and returns what it gave.

Deployed twice from this one folder: `api`, and `api_invoke` for invocations, so that those who wait for an answer
cannot starve those who want to delete something.
"""

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

from chalice.app import Response
from pilotlight.contracts import (
    AddressesView,
    ArtifactList,
    ArtifactView,
    DeploymentList,
    DeploymentRequest,
    DeploymentView,
    EventList,
    HealthView,
    InputView,
    InvocationView,
    KeepWarmRequest,
    KillSwitchRequest,
    KillSwitchView,
    LeaseRequest,
    OrphanList,
    PreflightRequest,
    PreflightView,
    RevisionList,
    RollbackRequest,
    SpendCeilingRequest,
    StoredFileView,
    UpdateRequest,
    UploadList,
    UploadPlanView,
)
from pilotlight.domain.errors import (
    ArtifactInUse,
    Conflict,
    IdempotencyKeyReused,
    IllegalTransition,
    InvocationFailed,
    InvocationTimedOut,
    KillSwitchOn,
    LeaseEnded,
    NameTaken,
    NotFound,
    NotServing,
    QueueFull,
    SpendCeilingReached,
    Superseded,
    UnsupportedParameter,
)
from pilotlight.domain.folder_upload import AddressesRequest, JoinRequest, UploadRequest
from pilotlight.domain.invocation import InvocationRequest, RawInvocation
from pilotlight.domain.invocation_request import InputRequest
from pilotlight.domain.source import Source
from pilotlight.http import Api, RawBody, answer
from pilotlight.routes import (
    FROM_AWS,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NOT_MADE,
    NOT_READ,
    NOT_SPENT,
    NOT_TAKEN,
    OF_RAW_BODIES,
    PAGES,
    PREFER,
    OpenApiDocument,
)
from pilotlight.runtime import VERSION, runtime
from pilotlight.services.invoking import parse_prefer
from pilotlight.services.spending import switch_view
from pilotlight.services.viewing import page_limit

app = Api("pilotlight", logger=lambda: runtime().logger, now=lambda: runtime().clock.now())  # noqa: PLW0108 (the runtime is made on first use)


def accepted(deployment: DeploymentView) -> Response:
    """Say that something was begun, and where to follow it."""
    return answer(deployment, HTTPStatus.ACCEPTED, Location=app.located(f"/deployments/{deployment.name}"))


@app.view(
    "POST",
    "/deployments",
    takes=DeploymentRequest,
    gives={HTTPStatus.ACCEPTED: DeploymentView},
    asks=(IDEMPOTENCY_KEY,),
    refuses=(*FROM_AWS, NameTaken, IdempotencyKeyReused, Conflict, KillSwitchOn, SpendCeilingReached, *NOT_TAKEN),
)
def create_deployment(wanted: DeploymentRequest) -> Response:
    """Reserve a name and start a deployment."""
    view = runtime().requesting.request(
        wanted,
        correlation_id=app.correlation_id,
        idempotency_key=app.idempotency_key,
    )
    return accepted(view)


@app.view("GET", "/deployments", gives={HTTPStatus.OK: DeploymentList}, asks=PAGES, refuses=FROM_AWS)
def list_deployments() -> Response:
    """List deployments by name, those that are gone included."""
    query = app.current_request.query_params or {}
    return answer(runtime().viewing.deployments(query.get("cursor"), page_limit(query.get("limit"))))


@app.view("GET", "/deployments/{name}", gives={HTTPStatus.OK: DeploymentView}, refuses=(*FROM_AWS, NotFound))
def get_deployment(name: str) -> Response:
    """Show one deployment: status, warmth, progress, cost, what happens next and when."""
    return answer(runtime().viewing.deployment(unquote(name)))


@app.view("DELETE", "/deployments/{name}", gives={HTTPStatus.ACCEPTED: DeploymentView}, refuses=(*FROM_AWS, NotFound))
def delete_deployment(name: str) -> Response:
    """Begin to remove every trace of a deployment."""
    deployment = runtime().tearing_down.begin(
        unquote(name), reason="deleted on request", correlation_id=app.correlation_id
    )
    return accepted(runtime().viewing.of(deployment))


@app.view(
    "GET", "/deployments/{name}/events", gives={HTTPStatus.OK: EventList}, asks=PAGES, refuses=(*FROM_AWS, NotFound)
)
def list_events(name: str) -> Response:
    """List what happened to a deployment and why, oldest first."""
    query = app.current_request.query_params or {}
    limit = page_limit(query.get("limit"))
    return answer(runtime().viewing.events(unquote(name), query.get("cursor"), limit))


@app.view(
    "POST",
    "/deployments/{name}/retry",
    gives={HTTPStatus.ACCEPTED: DeploymentView},
    refuses=(*FROM_AWS, NotFound, IllegalTransition, KillSwitchOn, SpendCeilingReached),
)
def retry_deployment(name: str) -> Response:
    """Go on with a failed deployment from what it has."""
    deployment = runtime().requesting.retry(unquote(name), correlation_id=app.correlation_id)
    return accepted(runtime().viewing.of(deployment))


@app.view(
    "PATCH",
    "/deployments/{name}",
    takes=UpdateRequest,
    gives={HTTPStatus.ACCEPTED: DeploymentView},
    refuses=(
        *FROM_AWS,
        NotFound,
        NotServing,
        Conflict,
        *NOT_TAKEN,
        *NOT_MADE,
    ),
)
def update_deployment(name: str, wanted: UpdateRequest) -> Response:
    """Change how instances host a model, while they serve."""
    deployment = runtime().updating.update(unquote(name), wanted)
    return accepted(runtime().viewing.of(deployment))


@app.view(
    "POST",
    "/deployments/{name}/rollback",
    takes=RollbackRequest,
    gives={HTTPStatus.ACCEPTED: DeploymentView},
    refuses=(*FROM_AWS, NotFound, NotServing, Conflict, KillSwitchOn),
)
def roll_back_deployment(name: str, wanted: RollbackRequest) -> Response:
    """Go back to a revision that is kept: by default to the one that served before."""
    deployment = runtime().updating.roll_back(unquote(name), wanted.revision, wanted.strategy)
    return accepted(runtime().viewing.of(deployment))


@app.view(
    "GET",
    "/deployments/{name}/revisions",
    gives={HTTPStatus.OK: RevisionList},
    refuses=(*FROM_AWS, NotFound),
)
def list_revisions(name: str) -> Response:
    """List the revisions that are kept, the newest first."""
    return answer(runtime().viewing.revisions(unquote(name)))


@app.view(
    "POST",
    "/deployments/{name}/warm-up",
    gives={HTTPStatus.ACCEPTED: DeploymentView},
    refuses=(*FROM_AWS, NotFound, NotServing, Superseded, *NOT_SPENT),
)
def warm_up_deployment(name: str) -> Response:
    """Wake a model now."""
    deployment = runtime().deployments.get(unquote(name)).require_serving()
    deployment = runtime().warming.wake(
        deployment.name, reason="asked for", correlation_id=app.correlation_id, end_quiet=True
    )
    return accepted(runtime().viewing.of(deployment))


@app.view(
    "POST",
    "/deployments/{name}/scale-down",
    gives={HTTPStatus.ACCEPTED: DeploymentView},
    refuses=(*FROM_AWS, NotFound, NotServing),
)
def scale_down_deployment(name: str) -> Response:
    """Stop keeping a model warm until its next window; it goes cold by itself."""
    deployment = runtime().warming.scale_down(unquote(name))
    return accepted(runtime().viewing.of(deployment))


@app.view(
    "PUT",
    "/deployments/{name}/keep-warm",
    takes=KeepWarmRequest,
    gives={HTTPStatus.OK: DeploymentView},
    refuses=(*FROM_AWS, NotFound, IllegalTransition),
)
def put_keep_warm(name: str, wanted: KeepWarmRequest) -> Response:
    """Change when the model shall be warm though nobody calls it."""
    return answer(runtime().viewing.of(runtime().requesting.keep_warm(unquote(name), wanted.keep_warm)))


@app.view(
    "PUT",
    "/deployments/{name}/lease",
    takes=LeaseRequest,
    gives={HTTPStatus.OK: DeploymentView},
    refuses=(*FROM_AWS, NotFound, IllegalTransition),
)
def put_lease(name: str, wanted: LeaseRequest) -> Response:
    """Give a deployment a lease that begins now."""
    return answer(runtime().viewing.of(runtime().requesting.renew_lease(unquote(name), wanted.lease)))


@app.view(
    "PUT",
    "/deployments/{name}/spend-ceiling",
    takes=SpendCeilingRequest,
    gives={HTTPStatus.OK: DeploymentView},
    refuses=(*FROM_AWS, NotFound, IllegalTransition),
)
def put_spend_ceiling(name: str, wanted: SpendCeilingRequest) -> Response:
    """Change how much a deployment may spend."""
    return answer(runtime().viewing.of(runtime().requesting.limit_spending(unquote(name), wanted.spend_ceiling)))


@app.view(
    "POST",
    "/deployments/{name}/invocations",
    takes=InvocationRequest,
    passes=True,
    gives={HTTPStatus.OK: InvocationView, HTTPStatus.ACCEPTED: InvocationView},
    asks=(PREFER, *OF_RAW_BODIES),
    refuses=(
        *FROM_AWS,
        NotFound,
        NotServing,
        LeaseEnded,
        SpendCeilingReached,
        UnsupportedParameter,
        QueueFull,
        InvocationFailed,
        InvocationTimedOut,
    ),
)
def invoke_deployment(name: str, wanted: InvocationRequest | RawBody) -> Response:
    """Answer now if the model is warm; otherwise give the record of an answer to come."""
    query = app.current_request.query_params or {}
    said = {each.name: query[each.name] for each in OF_RAW_BODIES if each.name in query}
    view = runtime().invoking.invoke(
        unquote(name),
        RawInvocation(**dict(wanted), **said) if isinstance(wanted, RawBody) else wanted,
        wait_seconds=parse_prefer(app.current_request.headers.get("prefer")),
        correlation_id=app.correlation_id,
    )
    if view.retry_after_seconds is None:
        return answer(view)
    return answer(
        view,
        HTTPStatus.ACCEPTED,
        Location=app.located(f"/invocations/{view.id}"),
        Retry_After=str(view.retry_after_seconds),
    )


@app.view(
    "POST",
    "/deployments/{name}/inputs",
    takes=InputRequest,
    gives={HTTPStatus.CREATED: InputView},
    refuses=(*FROM_AWS, NotFound, NotServing),
)
def place_input(name: str, wanted: InputRequest) -> Response:
    """Give an address to which an input may be uploaded, to be named by an invocation."""
    return answer(runtime().inputs.place(unquote(name), wanted), HTTPStatus.CREATED)


@app.view("GET", "/invocations/{invocation_id}", gives={HTTPStatus.OK: InvocationView}, refuses=(*FROM_AWS, NotFound))
def get_invocation(invocation_id: str) -> Response:
    """Show an invocation: its answer, or where it is on its way to one."""
    view = runtime().invoking.view(unquote(invocation_id))
    if view.retry_after_seconds is None:
        return answer(view)
    return answer(view, Retry_After=str(view.retry_after_seconds))


@app.view("GET", "/uploads", gives={HTTPStatus.OK: UploadList}, asks=PAGES, refuses=FROM_AWS)
def list_uploads() -> Response:
    """List uploaded folders and what became of each."""
    query = app.current_request.query_params or {}
    return answer(runtime().viewing.uploads(query.get("cursor"), page_limit(query.get("limit"))))


@app.view("POST", "/uploads", takes=UploadRequest, gives={HTTPStatus.OK: UploadPlanView}, refuses=(*FROM_AWS, NotFound))
def plan_upload(wanted: UploadRequest) -> Response:
    """Say what of a folder's files is there already, and begin an upload in parts where one is needed."""
    return answer(runtime().placing.plan(wanted))


@app.view(
    "POST", "/uploads/{name}/addresses", takes=AddressesRequest, gives={HTTPStatus.OK: AddressesView}, refuses=FROM_AWS
)
def sign_addresses(name: str, wanted: AddressesRequest) -> Response:
    """Give addresses at which parts of a file may be put within an hour: those bytes, and no others."""
    return answer(runtime().placing.addresses(unquote(name), wanted))


@app.view(
    "POST",
    "/uploads/{name}/files",
    takes=JoinRequest,
    gives={HTTPStatus.OK: StoredFileView},
    refuses=(*FROM_AWS, NotFound),
)
def join_file(name: str, wanted: JoinRequest) -> Response:
    """Join the parts of a file that have come; a repeat gives the same answer."""
    return answer(runtime().placing.join(unquote(name), wanted))


@app.view("GET", "/artifacts", gives={HTTPStatus.OK: ArtifactList}, asks=PAGES, refuses=FROM_AWS)
def list_artifacts() -> Response:
    """List the weights in our bucket: how large they are, who uses them, and what they cost."""
    query = app.current_request.query_params or {}
    return answer(runtime().viewing.artifacts(query.get("cursor"), page_limit(query.get("limit"))))


@app.view(
    "DELETE",
    "/artifacts/{artifact_id}",
    gives={HTTPStatus.ACCEPTED: ArtifactView},
    refuses=(*FROM_AWS, NotFound, ArtifactInUse),
)
def delete_artifact(artifact_id: str) -> Response:
    """Have weights collected that nobody uses, however long they were to be kept."""
    artifact = runtime().discarding.discard(unquote(artifact_id))
    return answer(runtime().viewing.artifact(artifact), HTTPStatus.ACCEPTED)


@app.view("GET", "/orphans", gives={HTTPStatus.OK: OrphanList}, refuses=FROM_AWS)
def list_orphans() -> Response:
    """List what the newest reconciliation found: what nobody owns, why it thinks so, and what it did."""
    return answer(runtime().viewing.orphans())


@app.view(
    "POST",
    "/preflight",
    takes=PreflightRequest,
    gives={HTTPStatus.OK: PreflightView},
    refuses=(*FROM_AWS, *NOT_READ),
)
def preflight(wanted: PreflightRequest) -> Response:
    """Judge a model before any byte of its weights moves."""
    source, verdict = runtime().judging.judge(Source.parse(wanted.source), wanted.backend, wanted.hosting)
    settings = runtime().settings
    return answer(
        PreflightView(
            source=str(source),
            revision=source.revision or "",
            backend=wanted.backend,
            region=settings.region,
            verdict=verdict,
        )
    )


@app.view("GET", "/kill-switch", gives={HTTPStatus.OK: KillSwitchView})
def get_kill_switch() -> Response:
    """Say whether the kill switch is on, why, since when, and who turned it."""
    return answer(switch_view(runtime().spending.switch()))


@app.view("POST", "/kill-switch", takes=KillSwitchRequest, gives={HTTPStatus.OK: KillSwitchView}, refuses=FROM_AWS)
def turn_kill_switch(wanted: KillSwitchRequest) -> Response:
    """Turn the kill switch on or off: while it is on, nothing is created, woken or kept warm."""
    switch = runtime().spending.turn(on=wanted.on, reason=wanted.reason, by=app.caller)
    return answer(switch_view(switch))


@app.view("GET", "/health", gives={HTTPStatus.OK: HealthView})
def health() -> Response:
    """Say who answers, and where a client finds the stack's buckets."""
    settings = runtime().settings
    return answer(
        HealthView(
            version=VERSION,
            stack=settings.stack,
            region=settings.region,
            upload_bucket=settings.upload_bucket,
            s3_endpoint=settings.aws_endpoint,
            simulated=settings.aws_endpoint is not None,
            kill_switch=switch_view(runtime().spending.switch()),
        )
    )


@app.view(
    "GET", "/openapi.json", asks=(IF_NONE_MATCH,), gives={HTTPStatus.OK: OpenApiDocument, HTTPStatus.NOT_MODIFIED: None}
)
def get_openapi() -> Response:
    """Describe this API: every route, what it takes and gives, and how it says no."""
    document, etag = described()
    headers = {"ETag": etag, "Cache-Control": "private, max-age=300"}
    if etag in app.current_request.headers.get("if-none-match", ""):
        return Response("", headers, HTTPStatus.NOT_MODIFIED)
    return Response(document, {"Content-Type": "application/json", **headers})


@cache
def described() -> tuple[str, str]:
    """Return the document that `make openapi` wrote beside this module, and its ETag: read when first asked for."""
    document = Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
    return document, f'"{hashlib.sha256(document.encode()).hexdigest()[:20]}"'
