"""The API: each view parses, calls one service, and returns what it gave.

Deployed twice from this one folder: `api`, and `api_invoke` for invocations, so that those who wait for an answer
cannot starve those who want to delete something.
"""

from http import HTTPStatus
from urllib.parse import unquote

from chalice.app import Response
from pilotlight.contracts import (
    DeploymentRequest,
    HealthView,
    KeepWarmRequest,
    LeaseRequest,
    PreflightRequest,
    PreflightView,
)
from pilotlight.domain.invocation import InvocationRequest
from pilotlight.domain.source import Source
from pilotlight.http import Api, answer, parse
from pilotlight.runtime import VERSION, runtime
from pilotlight.services.invoking import parse_prefer
from pilotlight.services.viewing import page_limit

app = Api("pilotlight", logger=lambda: runtime().logger, now=lambda: runtime().clock.now())  # noqa: PLW0108 (the runtime is made on first use)


@app.view("POST", "/deployments")
def create_deployment() -> Response:
    """Reserve a name and start a deployment."""
    request = app.current_request
    view = runtime().requesting.request(
        parse(DeploymentRequest, request.raw_body),
        correlation_id=app.correlation_id,
        idempotency_key=app.idempotency_key,
    )
    return answer(view, HTTPStatus.ACCEPTED, Location=app.located(f"/deployments/{view.name}"))


@app.view("GET", "/deployments")
def list_deployments() -> Response:
    """List deployments by name, those that are gone included."""
    query = app.current_request.query_params or {}
    return answer(runtime().viewing.deployments(query.get("cursor"), page_limit(query.get("limit"))))


@app.view("GET", "/deployments/{name}")
def get_deployment(name: str) -> Response:
    """Show one deployment: status, warmth, progress, cost, what happens next and when."""
    return answer(runtime().viewing.deployment(unquote(name)))


@app.view("DELETE", "/deployments/{name}")
def delete_deployment(name: str) -> Response:
    """Begin to remove every trace of a deployment."""
    deployment = runtime().tearing_down.begin(
        unquote(name), reason="deleted on request", correlation_id=app.correlation_id
    )
    return answer(
        runtime().viewing.of(deployment), HTTPStatus.ACCEPTED, Location=app.located(f"/deployments/{deployment.name}")
    )


@app.view("GET", "/deployments/{name}/events")
def list_events(name: str) -> Response:
    """List what happened to a deployment and why, oldest first."""
    query = app.current_request.query_params or {}
    limit = page_limit(query.get("limit"))
    return answer(runtime().viewing.events(unquote(name), query.get("cursor"), limit))


@app.view("POST", "/deployments/{name}/retry")
def retry_deployment(name: str) -> Response:
    """Go on with a failed deployment from what it has."""
    deployment = runtime().requesting.retry(unquote(name), correlation_id=app.correlation_id)
    return answer(
        runtime().viewing.of(deployment), HTTPStatus.ACCEPTED, Location=app.located(f"/deployments/{deployment.name}")
    )


@app.view("POST", "/deployments/{name}/warm-up")
def warm_up_deployment(name: str) -> Response:
    """Wake a model now."""
    deployment = runtime().deployments.get(unquote(name)).require_serving()
    deployment = runtime().warming.wake(
        deployment.name, reason="asked for", correlation_id=app.correlation_id, end_quiet=True
    )
    return answer(
        runtime().viewing.of(deployment), HTTPStatus.ACCEPTED, Location=app.located(f"/deployments/{deployment.name}")
    )


@app.view("POST", "/deployments/{name}/scale-down")
def scale_down_deployment(name: str) -> Response:
    """Stop keeping a model warm until its next window; it goes cold by itself."""
    deployment = runtime().warming.scale_down(unquote(name))
    return answer(
        runtime().viewing.of(deployment), HTTPStatus.ACCEPTED, Location=app.located(f"/deployments/{deployment.name}")
    )


@app.view("PUT", "/deployments/{name}/keep-warm")
def put_keep_warm(name: str) -> Response:
    """Change when the model shall be warm though nobody calls it."""
    wanted = parse(KeepWarmRequest, app.current_request.raw_body)
    return answer(runtime().viewing.of(runtime().requesting.keep_warm(unquote(name), wanted.keep_warm)))


@app.view("PUT", "/deployments/{name}/lease")
def put_lease(name: str) -> Response:
    """Give a deployment a lease that begins now."""
    wanted = parse(LeaseRequest, app.current_request.raw_body)
    return answer(runtime().viewing.of(runtime().requesting.renew_lease(unquote(name), wanted.lease)))


@app.view("POST", "/deployments/{name}/invocations")
def invoke_deployment(name: str) -> Response:
    """Answer now if the model is warm; otherwise give the record of an answer to come."""
    request = app.current_request
    view = runtime().invoking.invoke(
        unquote(name),
        parse(InvocationRequest, request.raw_body),
        wait_seconds=parse_prefer(request.headers.get("prefer")),
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


@app.view("GET", "/invocations/{invocation_id}")
def get_invocation(invocation_id: str) -> Response:
    """Show an invocation: its answer, or where it is on its way to one."""
    view = runtime().invoking.view(unquote(invocation_id))
    if view.retry_after_seconds is None:
        return answer(view)
    return answer(view, Retry_After=str(view.retry_after_seconds))


@app.view("GET", "/uploads")
def list_uploads() -> Response:
    """List uploaded folders and what became of each."""
    query = app.current_request.query_params or {}
    return answer(runtime().viewing.uploads(query.get("cursor"), page_limit(query.get("limit"))))


@app.view("POST", "/preflight")
def preflight() -> Response:
    """Judge a model before any byte of its weights moves."""
    wanted = parse(PreflightRequest, app.current_request.raw_body)
    listing, verdict = runtime().preflight.judge(Source.parse(wanted.source), wanted.backend)
    settings = runtime().settings
    return answer(
        PreflightView(
            source=str(listing.source),
            revision=listing.revision,
            backend=wanted.backend,
            region=settings.region,
            verdict=verdict,
        )
    )


@app.view("GET", "/health")
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
        )
    )
