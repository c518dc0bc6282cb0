"""Looking at an endpoint: what is seen is recorded, paid for, and told to whoever waits for it.

A look is made for an event of SageMaker's, by the sweep as the net, and by whoever begins to wait. It is
level-triggered: an event that is lost, late or doubled changes nothing but when the next look comes.
"""

from collections.abc import Mapping
from datetime import datetime

from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import (
    Awaited,
    Endpoint,
    EndpointFailure,
    Seen,
    Waiting,
    last_lines,
)
from pilotlight.domain.errors import EndpointFailed, PilotlightError, Terminal
from pilotlight.domain.uptime import paid_instances, paid_usd_per_hour
from pilotlight.domain.values import Model
from pilotlight.ports import Clock, Deployments
from pilotlight.ports.endpoints import ContainerLogs, TaskTokens
from pilotlight.services.async_results import AsyncResults
from pilotlight.services.creating import ALIVE, JUST_ASKED, Creating, asked_lately
from pilotlight.services.metering import Metering
from pilotlight.services.records import amend
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.spending import Spending


class Sight(Model):
    """What a look found: the endpoint, or None where there is none, and why it failed where it did."""

    seen: Seen | None
    failure: EndpointFailure | None = None


class Observing:
    """Looks at endpoints."""

    def __init__(
        self,
        deployments: Deployments,
        creating: Creating,
        logs: ContainerLogs,
        tokens: TaskTokens,
        metering: Metering,
        scaling: InstanceScaling,
        spending: Spending,
        results: AsyncResults,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._creating = creating
        self._logs = logs
        self._tokens = tokens
        self._metering = metering
        self._scaling = scaling
        self._spending = spending
        self._results = results
        self._clock = clock

    def look(self, name: str, *, making: bool = True) -> Deployment:
        """Look at a deployment's endpoint and do what follows; return the record as it is then.

        `making` says that what it lacks is to be made. Raises: NotFound where there is no such deployment.
        """
        deployment = self._deployments.get(name)
        endpoint = deployment.endpoint
        if endpoint is None or not (endpoint.exists or endpoint.waiting):
            return deployment
        now = self._clock.now()
        sight = self._see(deployment, endpoint, now, making=making)
        if sight is None:
            return deployment
        instances, price = paid_instances(sight.seen, endpoint), paid_usd_per_hour(sight.seen, endpoint)
        self._metering.observe(deployment, instances, now, usd_per_hour=price)
        deployment = self._record(deployment, sight, now)
        if not _is_same_life(endpoint, deployment.endpoint):
            return deployment
        deployment = self._tell(deployment, sight)
        if deployment.endpoint is None or not deployment.endpoint.exists:
            self._spending.vacate(deployment)
            return deployment
        self._spending.prolong(deployment)
        return deployment

    def look_and_scale(self, name: str) -> Deployment:
        """Look at a deployment's endpoint, at what it has answered, and bring its instances to where they shall be."""
        try:
            deployment = self.look(name)
            if deployment.endpoint:
                self._results.look(deployment)
        finally:  # what stops the money does not wait for what may fail
            deployment = self._scale(self._deployments.get(name))
        return deployment

    def _scale(self, deployment: Deployment) -> Deployment:
        if deployment.endpoint is None or deployment.status not in ALIVE:
            return deployment
        there = deployment.endpoint.exists
        return self._scaling.apply(deployment) if there else self._scaling.tidy(deployment)

    def look_for(self, endpoint_name: str, tags: Mapping[str, str]) -> None:
        """Look at the endpoint that an event is of, if it is one of this stack's deployments."""
        name = tags.get(names.TAG_DEPLOYMENT) or names.deployment_of_endpoint(endpoint_name)
        deployment = self._deployments.find(name) if name else None
        if deployment and deployment.endpoint and deployment.endpoint.name == endpoint_name:
            self.look_and_scale(deployment.name)

    def await_endpoint(self, name: str, generation: int, token: str, awaited: Awaited) -> Deployment:
        """Keep the token of a task that waits, and look at once: what it waits for may be there already.

        Raises: Superseded for an older generation, or one that is being taken down.
        """
        waiting = Waiting(token=token, awaited=awaited, since=self._clock.now())

        def waits(before: Deployment) -> Change | None:
            before.require(generation, Status.CREATING, Status.WARMING, Status.SERVING)
            if before.endpoint is None:
                raise EndpointFailed(f"Deployment {name} has no endpoint to wait for.", deployment=name)
            after = before.changed(endpoint=before.endpoint.with_waiting(waiting))
            reason = f"waits until its endpoint is {_wanted(waiting.awaited)}"
            return change(before, after, EventKind.ENDPOINT, reason, waiting.since)

        amend(self._deployments, name, waits)
        return self.look(name)

    def _see(self, deployment: Deployment, endpoint: Endpoint, now: datetime, *, making: bool) -> Sight | None:
        """Return what is there; None where that says nothing yet.

        One that failed while it served is parked, which may take several looks: nothing is made for it meanwhile.
        """
        is_to_go = bool(deployment.status is Status.SERVING and endpoint.failure and not endpoint.update)
        seen = self._creating.see(deployment, endpoint, making=making and not is_to_go)
        if seen and is_to_go and seen.status == "Creating":
            seen = seen.changed(status="Failed")
        if seen is None:
            return None if asked_lately(endpoint, now) else Sight(seen=None)
        if seen.status != "Failed" or endpoint.failure:
            return Sight(seen=seen, failure=endpoint.failure)
        reason = seen.failure_reason or "SageMaker gave no reason"
        lines = self._last_lines(deployment, endpoint)  # before anything is deleted
        return Sight(seen=seen, failure=EndpointFailure(reason=reason, log_lines=lines, at=now))

    def _last_lines(self, deployment: Deployment, endpoint: Endpoint) -> tuple[str, ...]:
        """Return what its containers wrote last; nothing where that may not be read: the rest is told all the same.

        Raises: Retryable, where the next look may read it.
        """
        component = None
        if endpoint.scaling.components:
            component = names.component_name(deployment.name, deployment.generation, endpoint.revision)
        try:
            return last_lines(self._logs.last_lines(endpoint.name, component))
        except Terminal:
            return ()

    def _record(self, deployment: Deployment, sight: Sight, now: datetime) -> Deployment:
        generation, known = deployment.generation, deployment.endpoint

        def noted(before: Deployment) -> Change | None:
            if before.generation != generation or before.endpoint is None or not _is_same_life(known, before.endpoint):
                return None
            endpoint = _after(before.endpoint, sight, now)
            if _alike(before.endpoint, endpoint):
                return None
            reason = _told(before.endpoint, endpoint)
            detail = (
                {"log": list(endpoint.failure.log_lines)} if endpoint.failure and not endpoint.in_service_at else {}
            )
            return change(before, before.changed(endpoint=endpoint), EventKind.ENDPOINT, reason, now, **detail)

        return amend(self._deployments, deployment.name, noted)

    def _tell(self, deployment: Deployment, sight: Sight) -> Deployment:
        """End each task that waits, if what it waits for is there, or cannot come any more."""
        endpoint = deployment.endpoint
        if endpoint is None:
            return deployment
        now = self._clock.now()
        for waiting in endpoint.waiting:
            verdict = outcome(endpoint, sight.seen, waiting, now)
            if verdict is None:
                continue
            if isinstance(verdict, PilotlightError):
                self._tokens.fail(waiting.token, verdict)
            else:
                self._tokens.succeed(waiting.token, verdict)
            said = verdict.message if isinstance(verdict, PilotlightError) else _wanted(waiting.awaited)
            deployment = self._note_told(deployment, waiting, f"waits no more: {said}", now)
        return deployment

    def _note_told(self, deployment: Deployment, waiting: Waiting, reason: str, now: datetime) -> Deployment:
        def told(before: Deployment) -> Change | None:
            if before.endpoint is None or waiting not in before.endpoint.waiting:
                return None
            after = before.changed(endpoint=before.endpoint.without_waiting(waiting.token))
            return change(before, after, EventKind.ENDPOINT, reason, now)

        return amend(self._deployments, deployment.name, told)


def outcome(
    endpoint: Endpoint, seen: Seen | None, waiting: Waiting, now: datetime
) -> dict[str, object] | PilotlightError | None:
    """Return what to tell whoever waits: what there is, or why it will not be; None while it may yet come.

    An update that was asked for just now may not be seen yet: the endpoint is then in service as it was. One that was
    parked is made again by whoever waits for an instance, and of the revision that it was updated to; where it came to
    rest with no instance on its way, as one does that was just scaled in, he is to ask for one again.
    """
    if seen is None and waiting.awaited is Awaited.CREATED:
        return EndpointFailed(f"Endpoint {endpoint.name} does not exist any more: it was deleted.")
    if seen is None:
        return {"in_service": False}
    match seen.status, waiting.awaited:
        case "InService", Awaited.CREATED:
            return {"in_service": True}
        case "InService", Awaited.CAPACITY:
            return {"in_service": seen.has_capacity} if seen.has_capacity or not seen.asked_for else None
        case "InService", Awaited.UPDATED:
            is_over = now - waiting.since >= JUST_ASKED or _moved(endpoint, seen)
            return {"config_name": seen.config_name} if is_over else None
        case ("UpdateRollbackFailed", _) | ("OutOfService", _) | ("Failed", _):
            return _failed(endpoint, seen)
        case _:
            return None


def _moved(endpoint: Endpoint, seen: Seen) -> bool:
    """Say whether an endpoint has another config than the one that the record takes to be in service."""
    return not seen.runs(endpoint.revision)


def _failed(endpoint: Endpoint, seen: Seen) -> EndpointFailed:
    has_served = endpoint.in_service_at is not None  # its container may have written down what it was asked
    lines = endpoint.failure.log_lines if endpoint.failure and not has_served else ()
    reason = seen.failure_reason or "SageMaker gave no reason"
    told = f" Its container's last word: {lines[-1]}" if lines else ""
    return EndpointFailed(f"Endpoint {endpoint.name} is {seen.status}: {reason}{told}", log=list(lines))


def _is_same_life(looked_at: Endpoint | None, recorded: Endpoint | None) -> bool:
    """Say whether an endpoint has not been asked for anew since the look at it began: what was seen is old then."""
    if looked_at is None or recorded is None:
        return False
    return (looked_at.starting_at, looked_at.created_at) == (recorded.starting_at, recorded.created_at)


def _after(before: Endpoint, sight: Sight, now: datetime) -> Endpoint:
    seen = sight.seen
    if seen is None:
        return before.changed(exists=False, parked=True, status=None, instances=0, desired=0, seen_at=now, floor=None)
    in_service = seen.status == "InService"
    return before.changed(
        arn=seen.arn,
        status=seen.status,
        instances=seen.instances,
        desired=seen.desired,
        copies=seen.copies,
        seen_at=now,
        in_service_at=(before.in_service_at or now) if in_service else before.in_service_at,
        failure=sight.failure,
    )


def _alike(before: Endpoint, after: Endpoint) -> bool:
    return before == after.changed(seen_at=before.seen_at)


def _told(before: Endpoint, after: Endpoint) -> str:
    if not after.exists:
        return f"endpoint {after.name} is gone: nothing of it bills"
    running = f"{after.instances} of {after.desired} instances" if after.desired else "no instance"
    if after.failure and not before.failure:
        return f"endpoint {after.name} failed: {after.failure.reason}"
    return f"endpoint {after.name} is {after.status}, with {running}"


def _wanted(awaited: Awaited) -> str:
    return {
        Awaited.CREATED: "in service",
        Awaited.CAPACITY: "in service with an instance",
        Awaited.UPDATED: "in service again",
    }[awaited]
