"""An invocation as the API shows it: its answer while that is kept, how far it is, and when to ask again."""

from datetime import datetime
from typing import Any

from pilotlight.contracts import InvocationView
from pilotlight.domain.backlog import BacklogSizes
from pilotlight.domain.container_answers import LARGEST_SHOWN_BYTES, is_shown, shown
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import DeadlinePassed, PilotlightError
from pilotlight.domain.invocation import (
    LONGEST_REDELIVERY_SECONDS,
    Answered,
    Invocation,
    InvocationStatus,
    Output,
    Result,
)
from pilotlight.domain.invocation_phase import Progress, Scene, progress_of
from pilotlight.domain.values import Backend
from pilotlight.ports import Backlog, Clock, Deployments, InFlight, InvocationBodies
from pilotlight.services.accounting import Accounting

RETRY_AFTER_SECONDS = 10
MOST_WAITING = 200  # that are counted: a longer queue is told as this long


class InvocationViews:
    """Shows invocations."""

    def __init__(
        self,
        deployments: Deployments,
        bodies: InvocationBodies,
        in_flight: InFlight,
        backlog: Backlog,
        accounting: Accounting,
        clock: Clock,
        *,
        retry_after_seconds: int = RETRY_AFTER_SECONDS,
        clock_speed: float = 1.0,
    ) -> None:
        """Callers wait `retry_after_seconds` of our clock, which runs `clock_speed` times as fast as theirs."""
        self._deployments = deployments
        self._bodies = bodies
        self._in_flight = in_flight
        self._backlog = backlog
        self._accounting = accounting
        self._clock = clock
        self._retry_after_seconds = retry_after_seconds
        self._clock_speed = clock_speed

    def of(self, invocation: Invocation, answered: Answered | None = None) -> InvocationView:
        """Return the view of an invocation; `answered` is an answer that is at hand."""
        now = self._clock.now()
        if invocation.is_lost(now):  # its message was lost, or never sent: nobody else would say so
            invocation = invocation.changed(
                status=InvocationStatus.FAILED,
                ended_at=invocation.expires_at,
                error_code=DeadlinePassed.code,
                error_message=invocation.expired_message,
            )
        scene = self._scene(invocation, now)
        progress = progress_of(invocation, scene)
        return InvocationView(
            id=invocation.id,
            deployment=invocation.deployment,
            status=invocation.status,
            phase=progress.phase,
            estimate=progress.estimate,
            **self._answer(invocation, answered),
            usage=invocation.usage,
            latency_ms=invocation.latency_ms,
            was_cold=invocation.was_cold,
            cost=invocation.cost,
            waiting_for=None if invocation.is_over else invocation.waiting_for,
            error=self._error(invocation),
            correlation_id=invocation.correlation_id,
            created_at=invocation.created_at,
            ended_at=invocation.ended_at,
            expires_at=invocation.expires_at,
            retry_after_seconds=self._retry_after(invocation, scene, progress),
            webhook=invocation.webhook,
        )

    def _answer(self, invocation: Invocation, answered: Answered | None) -> dict[str, Any]:
        """Return the fields that hold an answer: text as `output`, and a container's own as it can be shown."""
        kept = invocation.status is InvocationStatus.SUCCEEDED and invocation.body_kept and answered is None
        stored = (self._bodies.get_output(invocation.id) if kept else None) or {}
        output = answered.output if answered and answered.is_text else None
        if stored.get("is_text", True) and "text" in stored:
            output = Output.model_validate(stored)
        result = invocation.result or (answered.result if answered else None)
        if result is None:
            return {"output": output}
        told = {"output": output, "content_type": result.content_type, "output_location": result.location}
        return told if output else told | self._body(result, answered)

    def _body(self, result: Result, answered: Answered | None) -> dict[str, Any]:
        """Return a container's answer itself where it is short and readable, else where it can be fetched."""
        if is_shown(result.content_type, result.size_bytes):
            data = answered.body if answered and answered.body is not None else None
            if data is None and result.location:
                data = self._bodies.read(result.location, LARGEST_SHOWN_BYTES)
            if data is not None and (body := shown(data, result.content_type)) is not None:
                return {"body": body}
        return {"output_url": self._bodies.address_of(result.location) if result.location else None}

    def _error(self, invocation: Invocation) -> dict[str, Any] | None:
        """Return why an invocation failed, with the words of whoever refused it: they lie where bodies do."""
        if not invocation.error_code:
            return None
        error = {"code": invocation.error_code, "message": invocation.error_message}
        told = self._bodies.get_failure(invocation.id) if invocation.error_told else None
        return error | {"told": told} if told else error

    def _scene(self, invocation: Invocation, now: datetime) -> Scene:
        """Return what is known around an invocation that is not over; where it cannot be read, that is nothing."""
        if invocation.is_over:
            return Scene(now=now)
        name, generation = invocation.deployment, invocation.generation
        on_instances = invocation.backend.is_endpoint
        try:
            deployment = self._deployments.find(name)
            if deployment is None:
                return Scene(now=now)
            return Scene(
                now=now,
                deployment=deployment,
                waiting=tuple(self._in_flight.oldest(name, generation, MOST_WAITING)) if on_instances else (),
                latencies=self._in_flight.latencies(name, generation) if on_instances else (),
                tokens_per_second=self._accounting.speed(deployment),
                backlog=self._measured_backlog(invocation, deployment),
            )
        except PilotlightError:
            return Scene(now=now)  # where it is in the queue is told beside the record, and never instead of it

    def _measured_backlog(self, invocation: Invocation, deployment: Deployment) -> BacklogSizes | None:
        if invocation.backend is not Backend.SAGEMAKER_ASYNC or deployment.endpoint is None:
            return None
        return self._backlog.sizes(deployment.endpoint.name)

    def _retry_after(self, invocation: Invocation, scene: Scene, progress: Progress) -> int | None:
        """Return the wall's seconds until it is worth asking again: what is left of a cold start, or of its turn."""
        if invocation.is_over:
            return None
        waits = float(self._retry_after_seconds)
        deployment = scene.deployment
        if invocation.backend.is_endpoint:
            left = progress.estimate.seconds_left if progress.estimate else waits
            waits = min(max(left, waits), LONGEST_REDELIVERY_SECONDS)
        elif deployment and invocation.was_cold:
            began = deployment.wake.started_at if deployment.wake else invocation.created_at
            left = deployment.cold_start_seconds - (scene.now - began).total_seconds()
            waits = min(max(left, waits), LONGEST_REDELIVERY_SECONDS)
        return max(1, round(waits / self._clock_speed))
