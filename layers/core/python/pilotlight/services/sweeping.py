"""What is due, every minute: leases, keep-warm windows, wakes and executions that died, uploads that rest.

A look is level-triggered: it compares what is with what should be, so a look that comes late, twice or not at
all changes nothing for the worse. Each record is looked at alone: one that cannot be handled is noted and does
not keep the others from their turn.
"""

from collections.abc import Callable
from functools import partial

from pilotlight.domain import names
from pilotlight.domain.deployment import UNDER_WAY, Change, Deployment, EventKind, Failure, Status, change
from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.values import Model, iso
from pilotlight.ports import Clock, Deployments, Executions, Journal, Uploads
from pilotlight.services.notifying import Notifying
from pilotlight.services.records import amend
from pilotlight.services.requesting import Requesting
from pilotlight.services.tearing_down import TearingDown
from pilotlight.services.uploading import Uploading
from pilotlight.services.warming import Warming

MOST_LOOKS = 100  # of one sweep: the rest is still due a minute later


class SweepReport(Model):
    """How many records one sweep looked at, and how many looks did not succeed."""

    deployments: int = 0
    uploads: int = 0
    failed: int = 0


class Sweeping:
    """Looks at everything that is due."""

    def __init__(
        self,
        deployments: Deployments,
        uploads: Uploads,
        requesting: Requesting,
        warming: Warming,
        tearing_down: TearingDown,
        uploading: Uploading,
        executions: Executions,
        notifying: Notifying,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._uploads = uploads
        self._requesting = requesting
        self._warming = warming
        self._tearing_down = tearing_down
        self._uploading = uploading
        self._executions = executions
        self._notifying = notifying
        self._journal = journal
        self._clock = clock

    def sweep(self, *, correlation_id: str) -> SweepReport:
        """Look at every deployment and every uploaded folder that is due, and say how many there were."""
        now = self._clock.now()
        deployments = self._deployments.due(now, MOST_LOOKS)
        uploads = self._uploads.due(now, MOST_LOOKS)
        failed = 0
        for name in deployments:
            failed += not self._guarded("deployment", name, partial(self.look, name, correlation_id))
        for folder in uploads:
            look = partial(self._uploading.look, folder, correlation_id=correlation_id)
            failed += not self._guarded("upload", folder, look)
        return SweepReport(deployments=len(deployments), uploads=len(uploads), failed=failed)

    def look(self, name: str, correlation_id: str) -> None:
        """Do what is due for one deployment, and set its next look."""
        deployment = self._deployments.get(name)
        now = self._clock.now()
        if deployment.lease.has_ended(now) and deployment.status not in (Status.TEARING_DOWN, Status.GONE):
            reason = f"lease of {deployment.lease} ended"
            self._tearing_down.begin(name, reason=reason, correlation_id=correlation_id)
            return
        if deployment.status in UNDER_WAY:
            self._look_at_execution(deployment)
        elif deployment.status is Status.TEARING_DOWN:
            self._tearing_down.revive(deployment)
        elif deployment.status is Status.SERVING:
            self._look_at_serving(deployment, correlation_id)
        self._set_next_look(name)

    def _look_at_serving(self, deployment: Deployment, correlation_id: str) -> None:
        now = self._clock.now()
        if deployment.lease.warn_at and now >= deployment.lease.warn_at and not deployment.lease.warned:
            self._warn(deployment)
        if deployment.wake and not deployment.wake.is_live(now):
            self._warming.wake(deployment.name, reason="its wake died", correlation_id=correlation_id)
        elif deployment.wants_warm(now):
            self._warming.keep_warm(deployment, correlation_id=correlation_id)

    def _look_at_execution(self, deployment: Deployment) -> None:
        """Start a request whose execution never began; fail a deployment whose execution died without a word."""
        run = names.run_name(deployment.name, deployment.generation, deployment.attempt)
        if self._executions.is_running("deploy", run):
            return
        began = deployment.status is Status.REQUESTED and self._requesting.resume(deployment)
        if began or self._executions.is_running("deploy", run):
            return
        reason = f"execution {run} ended without a word"
        self.fail_execution(deployment.name, deployment.generation, deployment.attempt, reason)

    def fail_execution(self, name: str, generation: int, attempt: int, reason: str) -> None:
        """Fail a deployment whose execution ended in a way that it could not catch itself.

        Word of an earlier attempt's end may come after a retry, which it must not fail.
        """
        now = self._clock.now()

        def failed(before: Deployment) -> Change | None:
            if (before.generation, before.attempt) != (generation, attempt) or before.status not in UNDER_WAY:
                return None
            failure = Failure(code="execution-ended", reason=reason, during=before.status, at=now)
            after = before.moved_to(Status.FAILED, now, failure=failure, wake=None, waiting_for=None)
            return change(before, after, EventKind.STATUS, reason, now)

        deployment = amend(self._deployments, name, failed)
        if deployment.failure and deployment.failure.reason == reason:
            self._notifying.tell("failed", deployment, reason)

    def _warn(self, deployment: Deployment) -> None:
        now = self._clock.now()
        ends_at = deployment.lease.ends_at
        reason = (
            f"lease of {deployment.lease} ends at {iso(ends_at) if ends_at else 'never'}: renew it to keep the model"
        )

        def warned(before: Deployment) -> Change | None:
            if before.lease != deployment.lease:
                return None
            after = before.changed(lease=before.lease.changed(warned=True))
            return change(before, after, EventKind.LEASE, reason, now)

        amend(self._deployments, deployment.name, warned)
        self._notifying.tell("lease-ending", deployment, reason)

    def _set_next_look(self, name: str) -> None:
        deployment = self._deployments.get(name)
        self._deployments.reschedule(deployment, deployment.next_look(self._clock.now()))

    def _guarded(self, kind: str, name: str, look: Callable[[], object]) -> bool:
        try:
            look()
        except PilotlightError as exc:
            self._journal.surprise("a look did not succeed", kind=kind, record=name, code=exc.code, reason=exc.message)
            return False
        return True
