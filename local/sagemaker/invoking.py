"""The runtime: calls that are answered while the caller waits, and those that are only accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.sagemaker import async_requests, metrics
from local.sagemaker.answers import JSON, Call, ModelFaultError, Reply, reply_to
from local.sagemaker.async_requests import Submission
from local.sagemaker.errors import SageMakerError, throttled, uninvokable
from local.sagemaker.fleets import group_of
from local.sagemaker.places import Place
from local.sagemaker.resources import Component, Container, Endpoint, Fleet, Instance
from local.sagemaker.simulation import Simulation

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
NO_CAPACITY = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
    "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)


@dataclass(frozen=True)
class Answer:
    """An answered call."""

    body: bytes
    content_type: str
    variant: str


@dataclass(frozen=True)
class _Server:
    """Who answers a call, and what is counted of it."""

    variant: str
    instance: Instance
    container: Container
    sharers: int  # instances or copies that share the calls
    holder: Endpoint | Component  # that counts the calls under way
    dimensions: metrics.Dimensions


@dataclass(frozen=True)
class _Turn:
    """A call that is worked on."""

    endpoint: Endpoint
    server: _Server
    outcome: Reply | ModelFaultError
    seconds: float


def invoke(simulation: Simulation, place: Place, request: dict[str, Any], body: bytes) -> Answer:
    """Answer one call, after the time that it takes. Raises: SageMakerError."""
    with simulation.lock:
        turn = _admitted(simulation, place, request, body)
        turn.server.holder.in_flight += 1
    limit = simulation.settings.answer_limit_seconds
    try:
        simulation.clock.sleep(min(turn.seconds, limit))
    finally:
        with simulation.lock:
            turn.server.holder.in_flight -= 1
    with simulation.lock:
        simulation.settle()
        _measure(simulation, turn)
    if turn.seconds > limit:
        raise _model_error(turn, 0, TIMED_OUT)
    if isinstance(turn.outcome, ModelFaultError):
        raise _model_error(turn, turn.outcome.status, turn.outcome.message)
    return Answer(turn.outcome.body, turn.outcome.content_type, turn.server.variant)


def invoke_async(simulation: Simulation, place: Place, request: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Accept one call. Raises: SageMakerError."""
    with simulation.lock:
        endpoint = _endpoint(simulation, place, request["EndpointName"])
        accepted = async_requests.submit(
            simulation,
            endpoint,
            Submission(
                request.get("InferenceId"),
                request.get("InputLocation"),
                body,
                request.get("ContentType"),
                request.get("Accept"),
                request.get("RequestTTLSeconds"),
                request.get("InvocationTimeoutSeconds"),
                request.get("S3OutputPathExtension"),
                request.get("Filename"),
            ),
        )
        told = {"InferenceId": accepted.id, "OutputLocation": accepted.output}
        return told | ({"FailureLocation": accepted.failure} if accepted.failure else {})


def _endpoint(simulation: Simulation, place: Place, name: str) -> Endpoint:
    """Give an endpoint that takes calls. Raises: SageMakerError."""
    simulation.settle()
    if simulation.knobs.throttle_calls > 0:
        simulation.knobs.throttle_calls -= 1
        raise throttled()
    endpoint = simulation.state.endpoints.get(place.arn("endpoint", name))
    if endpoint is None or not endpoint.is_serving:
        raise uninvokable(f"Endpoint {name} of account {place.account} not found.")
    return endpoint


def _admitted(simulation: Simulation, place: Place, request: dict[str, Any], body: bytes) -> _Turn:
    """Find who answers a call, and what; the time that it takes is still to pass."""
    settings, knobs = simulation.settings, simulation.knobs
    endpoint = _endpoint(simulation, place, request["EndpointName"])
    if endpoint.config.asynchronous is not None:
        raise uninvokable(f"Endpoint {endpoint.name} does not support this inference type.")
    if len(body) > settings.largest_body_bytes:
        raise uninvokable(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {settings.largest_body_bytes}"
        )
    server = _server(simulation, endpoint, request)
    outcome: Reply | ModelFaultError
    if knobs.fail_calls:
        outcome, seconds = ModelFaultError(knobs.fail_calls.pop(0), 500), settings.other_answer_seconds
    else:
        call = Call(body, request.get("ContentType") or JSON, server.container, server.instance.type, simulation.moment)
        try:
            outcome = reply_to(call, settings)
            seconds = outcome.seconds
        except ModelFaultError as exc:
            outcome, seconds = exc, settings.other_answer_seconds
    if knobs.stall_calls > 0:
        knobs.stall_calls -= 1
        seconds = settings.answer_limit_seconds + 1
    return _Turn(endpoint, server, outcome, seconds)


def _server(simulation: Simulation, endpoint: Endpoint, request: dict[str, Any]) -> _Server:
    """Give who answers next: by weights, and by turns."""
    endpoint.calls += 1
    if any(fleet.model is None for fleet in endpoint.fleets):
        return _copy(simulation, endpoint, request.get("InferenceComponentName"))
    wanted = request.get("TargetVariant")
    fleets = [each for each in _taking(endpoint) if wanted in (None, each.name)]
    if not fleets:
        raise uninvokable(f"Variant {wanted} of endpoint {endpoint.name} not found.")
    ready = [each for each in fleets if each.ready]
    if not ready:
        raise SageMakerError("ServiceUnavailable", "The endpoint has no instance that is healthy.", status=503)
    fleet = _by_weight(ready, endpoint.calls)
    instance = fleet.ready[endpoint.calls % len(fleet.ready)]
    assert instance.container is not None, "an instance that serves has a container"
    dimensions = (("EndpointName", endpoint.name), ("VariantName", fleet.name))
    return _Server(fleet.name, instance, instance.container, len(fleet.ready), endpoint, dimensions)


def _copy(simulation: Simulation, endpoint: Endpoint, name: str | None) -> _Server:
    """Give the copy of a component that answers next; a component without any fails the call, and counts it."""
    if not name:
        raise uninvokable("Inference Component Name header is required for endpoints with inference components.")
    component = simulation.state.components.get(endpoint.place.arn("inference-component", name))
    if component is None or component.endpoint_arn != endpoint.arn:
        raise uninvokable(f"Inference component {name} of endpoint {endpoint.name} not found.")
    dimensions = (("InferenceComponentName", component.name),)
    if not component.ready:
        values, keep = {"NoCapacityInvocationFailures": 1.0}, simulation.settings.metrics_kept_seconds
        simulation.state.series.put(endpoint.place, simulation.moment, values, dimensions, keep=keep)
        raise uninvokable(NO_CAPACITY)
    copy = component.ready[endpoint.calls % len(component.ready)]
    assert copy.container is not None, "a copy that serves has a container"
    return _Server(component.variant, copy.instance, copy.container, len(component.ready), component, dimensions)


def _taking(endpoint: Endpoint) -> list[Fleet]:
    """Give the fleets that a call may reach: an update turns a share of the traffic to its own."""
    deployment = endpoint.deployment
    if deployment is None:
        return endpoint.fleets
    turned = int(endpoint.calls * deployment.traffic) > int((endpoint.calls - 1) * deployment.traffic)
    return deployment.fleets if turned else endpoint.fleets


def _by_weight(fleets: list[Fleet], calls: int) -> Fleet:
    total = sum(fleet.weight for fleet in fleets)
    place = (calls * 0.618034 % 1) * total  # spreads evenly, and is the same in each run
    for fleet in fleets:
        place -= fleet.weight
        if place < 0:
            return fleet
    return fleets[-1]


def _measure(simulation: Simulation, turn: _Turn) -> None:
    """Publish what a call was."""
    is_late = turn.seconds > simulation.settings.answer_limit_seconds
    status = turn.outcome.status if isinstance(turn.outcome, ModelFaultError) else 200
    failed = is_late or status != 200
    is_copy = isinstance(turn.server.holder, Component)
    values = {
        "Invocations": 1.0,
        "InvocationsPerCopy" if is_copy else "InvocationsPerInstance": 1.0 / turn.server.sharers,
        "ConcurrentRequestsPerCopy" if is_copy else "ConcurrentRequestsPerModel": turn.server.holder.in_flight + 1.0,
        "ModelLatency": turn.seconds * 1e6,
        "InvocationModelErrors": 1.0 if failed else 0.0,
        "Invocation4XXErrors": 1.0 if 400 <= status < 500 else 0.0,
        "Invocation5XXErrors": 1.0 if is_late or status >= 500 else 0.0,
    }
    keep = simulation.settings.metrics_kept_seconds
    simulation.state.series.put(turn.endpoint.place, simulation.moment, values, turn.server.dimensions, keep=keep)


def _model_error(turn: _Turn, status: int, message: str) -> SageMakerError:
    place, group = turn.endpoint.place, group_of(turn.endpoint)
    kind = "client" if 400 <= status < 500 else "server"
    stream = f"{turn.server.variant}/{turn.server.instance.id}"
    return SageMakerError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See '
        f"https://{place.region}.console.aws.amazon.com/cloudwatch/home?region={place.region}#logEventViewer:"
        f"group={group} in account {place.account} for more information.",
        status=424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{place.region}:{place.account}:log-group:{group}:log-stream:{stream}",
    )
