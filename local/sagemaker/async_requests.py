"""Asynchronous requests: accepted at once, worked on when there is an instance, and their results written and told."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from local.sagemaker import results
from local.sagemaker.answers import Call, ModelFaultError, Reply, reply_to
from local.sagemaker.errors import uninvokable
from local.sagemaker.model_data import NoDataError, object_at
from local.sagemaker.resources import AsyncRequest, Endpoint, Fleet, Instance
from local.sagemaker.results import Result
from local.sagemaker.simulation import Simulation

LARGEST_INPUT_BYTES = 10**9
_EXPIRED = "RequestExpired: the request was not processed within its RequestTTLSeconds."
_TIMED_OUT = (
    "ModelError: the invocation timed out while waiting for a response from container primary. "
    "Increase InvocationTimeoutSeconds, or review the latency of the container."
)


@dataclass(frozen=True)
class Submission:
    """What a caller asks for."""

    inference_id: str | None
    input_location: str | None
    body: bytes
    content_type: str | None
    accept: str | None
    ttl_seconds: int | None
    timeout_seconds: int | None
    extension: str | None
    filename: str | None


def submit(simulation: Simulation, endpoint: Endpoint, asked: Submission) -> AsyncRequest:
    """Accept a request. Raises: ValidationError."""
    if endpoint.config.asynchronous is None:
        raise uninvokable(f"Endpoint {endpoint.name} does not support this inference type.")
    if bool(asked.input_location) == bool(asked.body):
        raise uninvokable("Exactly one of InputLocation and Body must be given.")
    if len(asked.body) > simulation.settings.largest_inline_bytes:
        raise uninvokable(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {simulation.settings.largest_inline_bytes}"
        )
    request = _accepted(simulation, endpoint, asked)
    endpoint.requests.append(request)
    simulation.later(request.expires_at - request.received, _expire, endpoint, request)
    dispatch(simulation, endpoint)
    return request


def dispatch(simulation: Simulation, endpoint: Endpoint) -> None:
    """Give what waits to instances that have room, the oldest first."""
    asynchronous = endpoint.config.asynchronous
    if asynchronous is None or not endpoint.is_serving:
        return
    most = (asynchronous.get("ClientConfig") or {}).get("MaxConcurrentInvocationsPerInstance")
    for request in [each for each in endpoint.requests if each.instance is None]:
        free = [each for each in _serving(endpoint) if each.busy < (most or simulation.settings.concurrency)]
        if not free:
            return
        _begin(simulation, endpoint, request, min(free, key=lambda each: each.busy))


def give_back(endpoint: Endpoint, instance: Instance) -> None:
    """Let what an instance worked on wait again: the instance is gone."""
    for request in endpoint.requests:
        if request.instance is instance:
            request.instance = None
            request.attempt += 1


def waiting(endpoint: Endpoint) -> list[AsyncRequest]:
    """Give what nobody works on yet."""
    return [each for each in endpoint.requests if each.instance is None]


def _accepted(simulation: Simulation, endpoint: Endpoint, asked: Submission) -> AsyncRequest:
    settings, now = simulation.settings, simulation.moment
    output = (endpoint.config.asynchronous or {})["OutputConfig"]
    own = f"s3://sagemaker-{endpoint.place.region}-{endpoint.place.account}/async-endpoint-outputs"
    made = str(uuid.uuid4())
    folder = f"/{asked.extension.strip('/')}" if asked.extension else ""
    failures = output.get("S3FailurePath")
    return AsyncRequest(
        id=asked.inference_id or str(uuid.uuid4()),
        received=now,
        expires_at=now + (asked.ttl_seconds or settings.request_ttl_seconds),
        timeout_seconds=asked.timeout_seconds or settings.invocation_timeout_seconds,
        input_location=asked.input_location,
        body=asked.body if not asked.input_location else None,
        content_type=asked.content_type or "application/octet-stream",
        accept=asked.accept,
        output=f"{output.get('S3OutputPath', own).rstrip('/')}{folder}/{asked.filename or f'{made}.out'}",
        failure=f"{failures.rstrip('/')}{folder}/{made}-error.out" if failures else None,
    )


def _serving(endpoint: Endpoint) -> list[Instance]:
    """Give the instances that take requests: those of an update do once it has turned the traffic."""
    deployment = endpoint.deployment
    fleets: list[Fleet] = list(endpoint.fleets)
    if deployment is not None and deployment.traffic > 0:
        fleets = deployment.fleets if deployment.traffic >= 1 else fleets + deployment.fleets
    return [instance for fleet in fleets for instance in fleet.ready]


def _begin(simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, instance: Instance) -> None:
    """Let an instance work on a request; what comes of it is known now, and told when its time is over."""
    request.instance = instance
    request.attempt += 1
    instance.busy += 1
    knobs = simulation.knobs
    outcome: Reply | str
    if knobs.stall_calls > 0:
        knobs.stall_calls -= 1
        outcome, seconds = _TIMED_OUT, request.timeout_seconds
    else:
        outcome, seconds = _outcome(simulation, endpoint, request, instance)
        if seconds > request.timeout_seconds:
            outcome, seconds = _TIMED_OUT, request.timeout_seconds
    simulation.later(seconds, _finish, endpoint, request, request.attempt, outcome)


def _outcome(
    simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, instance: Instance
) -> tuple[Reply | str, float]:
    """Give a reply, or why there is none, and the seconds until it is there."""
    usual = simulation.settings.other_answer_seconds
    if simulation.knobs.fail_calls:
        return _server_error(500, simulation.knobs.fail_calls.pop(0)), usual
    body = request.body
    if body is None:
        try:
            body = _input(endpoint, str(request.input_location))
        except NoDataError as exc:
            return f"ClientError: the input {exc} could not be read with the role {endpoint.role_arn}.", usual
    assert instance.container is not None, "an instance that serves has a container"
    call = Call(body, request.content_type, instance.container, instance.type, simulation.moment)
    try:
        reply = reply_to(call, simulation.settings)
    except ModelFaultError as exc:
        return _server_error(exc.status, exc.message), usual
    return reply, reply.seconds


def _input(endpoint: Endpoint, location: str) -> bytes:
    key: Any = object_at(location, endpoint.role_arn, endpoint.place)
    if key.size > LARGEST_INPUT_BYTES:
        raise NoDataError(location)
    return bytes(key.value)


def _server_error(status: int, message: str) -> str:
    return f'ModelError: Received server error ({status}) from primary with message "{message}".'


def _finish(
    simulation: Simulation, endpoint: Endpoint, request: AsyncRequest, attempt: int, outcome: Reply | str
) -> None:
    """A request's time is over: its result is written and told, and the next one begins."""
    if request.is_over or endpoint.is_gone or request.attempt != attempt or request.instance is None:
        return
    request.instance.busy -= 1
    _end(endpoint, request)
    results.deliver(simulation, endpoint, request, Result.of(outcome))
    dispatch(simulation, endpoint)


def _expire(simulation: Simulation, endpoint: Endpoint, request: AsyncRequest) -> None:
    """A request that still waits has waited too long."""
    if request.is_over or endpoint.is_gone or request.instance is not None:
        return
    _end(endpoint, request)
    results.deliver(simulation, endpoint, request, Result(failure=_EXPIRED, has_expired=True))


def _end(endpoint: Endpoint, request: AsyncRequest) -> None:
    request.is_over = True
    if request in endpoint.requests:
        endpoint.requests.remove(request)
