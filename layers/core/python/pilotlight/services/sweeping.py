"""What is due, every minute: leases, keep-warm windows, wakes and executions that died, uploads that rest.

A look is level-triggered: it compares what is with what should be, so a look that comes late, twice or not at
all changes nothing for the worse. A look starts work and does none: no model is called here. Each record is looked
at alone: one that cannot be handled is noted, and looked at again later, and later each time, so that it does not
keep the others from their turn.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from pilotlight.domain import names
from pilotlight.domain.deployment import (
    SWEEP_INTERVAL,
    UNDER_WAY,
    Change,
    Deployment,
    EventKind,
    Failure,
    Status,
    change,
)
from pilotlight.domain.errors import NotFound, PilotlightError
from pilotlight.domain.values import Model, backoff, iso
from pilotlight.ports import Clock, Deployments, Executions, Journal, Uploads
from pilotlight.services.holding import go_on
from pilotlight.services.notifying import Notifying
from pilotlight.services.records import amend
from pilotlight.services.requesting import Requesting
from pilotlight.services.tearing_down import TearingDown
from pilotlight.services.tending import Tending
from pilotlight.services.uploading import Uploading
from pilotlight.services.warming import Warming
from pilotlight.services.watching_switch import WatchingSwitch

MOST_LOOKS = 100  # of one sweep: the rest is still due a minute later
LONGEST_REST = timedelta(hours=1)  # of a record whose looks keep failing
LONGEST_REST_OF_INSTANCES = timedelta(minutes=2)  # where each minute costs
WAKES_REVIVED = 3  # of a first warm-up, whose bounds are its own
# What a record from another version of ourselves may lead to, beside the errors that are ours.
SURPRISES = (PilotlightError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


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
        tending: Tending,
        uploading: Uploading,
        executions: Executions,
        watching_switch: WatchingSwitch,
        notifying: Notifying,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._uploads = uploads
        self._requesting = requesting
        self._warming = warming
        self._tearing_down = tearing_down
        self._tending = tending
        self._uploading = uploading
        self._executions = executions
        self._watching_switch = watching_switch
        self._notifying = notifying
        self._journal = journal
        self._clock = clock

    def sweep(self, *, correlation_id: str) -> SweepReport:
        """Look at what is due and say how much there was: leases that ended first, then folders, then the rest."""
        with suppress(*SURPRISES):  # whether it could be told or not: what is due is due
            self._watching_switch.look(correlation_id=correlation_id)
        now = self._clock.now()
        names = self._deployments.due(now, MOST_LOOKS)
        folders = self._uploads.due(now, MOST_LOOKS)
        over: list[str] = []
        rest: list[str] = []
        failed = 0
        for name in names:
            failed += not self._guarded(name, partial(self._sort, name, over, rest), self._put_off)
        for name in over:
            failed += not self._guarded(name, partial(self.look, name, correlation_id), self._put_off)
        for folder in folders:
            look = partial(self._uploading.look, folder, correlation_id=correlation_id)
            failed += not self._guarded(folder, look, self._uploading.put_off, kind="upload")
        for name in rest:
            failed += not self._looked_and_tidied(name, correlation_id)
        return SweepReport(deployments=len(names), uploads=len(folders), failed=failed)

    def _looked_and_tidied(self, name: str, correlation_id: str) -> bool:
        """Look at a deployment and, where that succeeds, tidy up after its endpoint; say whether both succeeded."""
        looked = self._guarded(name, partial(self.look, name, correlation_id), self._put_off)
        return looked and self._guarded(name, partial(self._tidy, name), self._put_off_tidying)

    def _sort(self, name: str, over: list[str], rest: list[str]) -> None:
        """Put a deployment among those whose lease is over, which cost money by the minute, or among the rest."""
        (over if self._lease_is_over(self._deployments.get(name)) else rest).append(name)

    def _lease_is_over(self, deployment: Deployment) -> bool:
        ended = deployment.lease.has_ended(self._clock.now())
        return ended and deployment.status not in (Status.TEARING_DOWN, Status.GONE)

    def look(self, name: str, correlation_id: str) -> None:
        """Do what is due for one deployment, and set its next look."""
        deployment = self._deployments.get(name)
        if self._lease_is_over(deployment):
            reason = f"lease of {deployment.lease} ended"
            self._tearing_down.begin(name, reason=reason, correlation_id=correlation_id, still=self._lease_is_over)
            return
        deployment = self._tending.look(deployment)
        if deployment.status in UNDER_WAY:
            self._look_at_execution(deployment)
            self._look_at_warm_up(name, correlation_id)
        elif deployment.status is Status.TEARING_DOWN:
            self._tearing_down.revive(deployment)
        elif deployment.status is Status.SERVING:
            self._look_at_serving(deployment, correlation_id)
        self._set_next_look(name)

    def _tidy(self, name: str) -> None:
        """Remove what is left of an endpoint that is gone, unless that failed just now."""
        deployment = self._deployments.get(name)
        rests_until = deployment.endpoint.tidy_rests_until if deployment.endpoint else None
        if deployment.status is Status.SERVING and not (rests_until and self._clock.now() < rests_until):
            self._tending.tidy(deployment)

    def _look_at_serving(self, deployment: Deployment, correlation_id: str) -> None:
        now = self._clock.now()
        if deployment.lease.warn_at and now >= deployment.lease.warn_at and not deployment.lease.warned:
            self._warn(deployment)
        if deployment.keep_warm_warn_at and now >= deployment.keep_warm_warn_at:
            self._warn_of_keep_warm(deployment)
        if deployment.wake and (deployment.endpoint or not deployment.wake.is_live(now)):
            deployment = self._warming.end_dead_wake(deployment.name)
        if deployment.wants_warm(now):  # who waits for an answer wakes it by himself: see the queue's worker
            self._warming.keep_warm(deployment, correlation_id=correlation_id)
        else:
            go_on(self._deployments, deployment, self._clock, "waits no more: nobody wants it warm")

    def _look_at_warm_up(self, name: str, correlation_id: str) -> None:
        """Replace the wake of a first warm-up where its execution died, a few times."""
        deployment = self._deployments.get(name)
        now = self._clock.now()
        live = deployment.status is Status.WARMING and deployment.wake and deployment.wake.is_live(now)
        if live and deployment.failed_wakes < WAKES_REVIVED:
            self._warming.wake(name, reason="first warm-up", correlation_id=correlation_id)

    def _look_at_execution(self, deployment: Deployment) -> None:
        """Start a request whose execution never began; fail a deployment whose execution died without a word."""
        run = names.run_name(deployment.name, deployment.generation, deployment.attempt, deployment.created_at)
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

    def _warn_of_keep_warm(self, deployment: Deployment) -> None:
        now = self._clock.now()
        ends_at = deployment.keep_warm_ends_at
        reason = (
            f"kept warm until {iso(ends_at) if ends_at else 'never'} and not after it: confirm it with PUT "
            f"/deployments/{deployment.name}/keep-warm; the model stays and answers all the same"
        )

        def warned(before: Deployment) -> Change | None:
            if before.keep_warm_warned or before.keep_warm_ends_at != ends_at:
                return None
            return change(before, before.changed(keep_warm_warned=True), EventKind.KEEP_WARM, reason, now)

        amend(self._deployments, deployment.name, warned)
        self._notifying.tell("keep-warm-ending", deployment, reason)

    def _set_next_look(self, name: str) -> None:
        deployment = self._deployments.get(name)
        now = self._clock.now()
        if deployment.failed_looks:
            deployment = amend(self._deployments, name, lambda before: _well_again(before, now))
        self._deployments.reschedule(deployment, deployment.next_look(now))

    def _put_off(self, name: str, reason: str) -> None:
        """Look at a deployment again later, and later each time; at one that cannot be read, after the longest rest.

        One whose instances may bill rests for minutes only, and none beyond the end of its lease.
        """
        now = self._clock.now()

        def later(before: Deployment) -> Change:
            after = before.changed(failed_looks=before.failed_looks + 1)
            made = change(before, after, EventKind.NOTE, f"a look did not succeed: {reason}", now)
            bills = before.endpoint and before.endpoint.exists
            at = now + backoff(after.failed_looks, SWEEP_INTERVAL, LONGEST_REST_OF_INSTANCES if bills else LONGEST_REST)
            if before.lease.ends_at and now < before.lease.ends_at:
                at = min(at, before.lease.ends_at)
            again = made.after.changed(next_look_at=at, next_step="look again: the last look did not succeed")
            return made.changed(after=again)

        try:
            amend(self._deployments, name, later)
        except NotFound:
            self._deployments.put_off(name, now + LONGEST_REST)

    def _put_off_tidying(self, name: str, reason: str) -> None:
        """Tidy up again later, and later each time, while all else is due as ever; that it failed is told once."""
        now = self._clock.now()

        def later(before: Deployment) -> Change | None:
            if before.endpoint is None:
                return None
            times = before.endpoint.failed_tidies + 1
            rests_until = now + backoff(times, SWEEP_INTERVAL, LONGEST_REST)
            endpoint = before.endpoint.changed(failed_tidies=times, tidy_rests_until=rests_until)
            told = f"what scaled its endpoint could not be removed, which is tried again: {reason}"
            made = change(before, before.changed(endpoint=endpoint), EventKind.NOTE, told, now)
            return made if times == 1 else made.changed(event=None)

        amend(self._deployments, name, later)

    def _guarded(
        self, record: str, look: Callable[[], object], put_off: Callable[[str, str], None], kind: str = "deployment"
    ) -> bool:
        try:
            look()
        except SURPRISES as exc:
            code, reason = (exc.code, exc.message) if isinstance(exc, PilotlightError) else ("surprise", repr(exc))
            self._journal.surprise("a look did not succeed", kind=kind, record=record, code=code, reason=reason)
            with suppress(*SURPRISES):  # it stays due, and is looked at a minute later
                put_off(record, reason)
            return False
        return True


def _well_again(before: Deployment, now: datetime) -> Change | None:
    if not before.failed_looks:
        return None
    return change(before, before.changed(failed_looks=0), EventKind.NOTE, "a look succeeded again", now)
