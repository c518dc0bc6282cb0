"""What asynchronous endpoints answer: told by a topic, found in the bucket where a notice was lost, given up at last.

A notice comes in any order, twice, before the record says that its call was handed over, or never. So nothing of it is
believed but whose call it is: the answer is what lies in the bucket, and the record is written once.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from pilotlight.contracts import AsyncResult
from pilotlight.domain import lmi
from pilotlight.domain.async_failures import Cause, cause_of
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    ConcurrentChange,
    DeadlinePassed,
    InvocationFailed,
    InvocationTimedOut,
    NotServing,
    PilotlightError,
    Retryable,
    Unavailable,
)
from pilotlight.domain.invocation import Answered, ContainerAnswer, Form, Invocation, Result
from pilotlight.domain.invocation_rules import DEFAULT_RUN_SECONDS
from pilotlight.ports import Clock, Deployments, InFlight, InvocationBodies, Invocations, Journal, StoredBody
from pilotlight.services.answering import Answering, read
from pilotlight.services.ending import Ending

COMPLETED = "Completed"
EXPIRED = "Expired"
MOST_READ_BYTES = 1024 * 1024  # of what a model said: its tokens are counted in it
MOST_TOLD_BYTES = 2000
MOST_LOOKED_AT = 25  # in one look
MOST_COUNTED = 200
MOST_ABANDONED = 400  # in one call: it is repeated
TOLD_BY = timedelta(minutes=2)  # younger calls are left to the topic
A_SECOND = timedelta(seconds=1)  # as exactly as S3 tells when something was written
ATTEMPTS = 3
UNANSWERED, AGAIN = "It is not answered any more", "Send it again."


class AsyncResults:
    """Ends the invocations that asynchronous endpoints have taken."""

    def __init__(
        self,
        deployments: Deployments,
        invocations: Invocations,
        bodies: InvocationBodies,
        in_flight: InFlight,
        answering: Answering,
        ending: Ending,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._invocations = invocations
        self._bodies = bodies
        self._in_flight = in_flight
        self._answering = answering
        self._ending = ending
        self._journal = journal
        self._clock = clock

    def note(self, told: AsyncResult) -> None:
        """Take what a topic tells: a repeat, and what is over, changes nothing; a call that nobody knows is told of.

        Raises: Retryable, where the notice is to come again.
        """
        invocation = self._invocations.find(told.inference_id) if told.inference_id else None
        if invocation is None:
            self._journal.surprise("a result of an unknown invocation", invocation=told.inference_id)
            return
        for _ in range(ATTEMPTS):
            if invocation.is_over:
                return
            try:
                self._end(invocation, told)
            except ConcurrentChange:  # its worker marks just now that it was handed over
                invocation = self._invocations.get(invocation.id)
            else:
                return
        raise ConcurrentChange(f"Others keep writing invocation {invocation.id}; the notice comes again.")

    def look(self, deployment: Deployment) -> int:
        """Look after the oldest calls that nobody has told of; return how many came to their end by it.

        It is the net below the topics: what lies in the bucket is taken, and what is past its time is given up. What an
        endpoint had taken that is gone went with it: nobody else would tell.
        """
        ended = 0
        there = deployment.endpoint is not None and deployment.endpoint.exists
        at_zero = there and deployment.endpoint is not None and not deployment.endpoint.instances
        most = MOST_LOOKED_AT if there else MOST_COUNTED
        for invocation_id in self._in_flight.oldest(deployment.name, deployment.generation, most):
            invocation = self._still_open(deployment, invocation_id)
            if invocation is not None and at_zero:
                invocation = self._noted_cold(invocation)
            if invocation is not None and self._look_at(invocation, is_orphan=_is_orphan(invocation, deployment)):
                ended += 1
        return ended

    def in_flight(self, deployment: Deployment) -> int:
        """Return how many calls wait or run, as far as they are counted."""
        return len(self._in_flight.oldest(deployment.name, deployment.generation, MOST_COUNTED))

    def abandon(self, deployment: Deployment, reason: str) -> bool:
        """End the calls whose endpoint is gone: what lies in the bucket is taken, the others fail with the reason.

        False says that there were more of them than one call ends: it is to be repeated.
        """
        marked = self._in_flight.oldest(deployment.name, deployment.generation, MOST_ABANDONED + 1)
        for invocation_id in marked[:MOST_ABANDONED]:
            invocation = self._still_open(deployment, invocation_id)
            if invocation is None:
                continue
            try:
                if not self._taken_from_the_bucket(invocation):
                    self._ending.fail(invocation, NotServing(f"{UNANSWERED}: {reason}."))
            except ConcurrentChange:
                continue  # somebody else ends it
        return len(marked) <= MOST_ABANDONED

    def _still_open(self, deployment: Deployment, invocation_id: str) -> Invocation | None:
        """Return a marked call that is not over; the mark of any other is removed."""
        invocation = self._invocations.find(invocation_id)
        if invocation is not None and not invocation.is_over:
            return invocation
        self._in_flight.forget_id(deployment.name, deployment.generation, invocation_id)
        return None

    def _noted_cold(self, invocation: Invocation) -> Invocation:
        """Return a call as one that met no instance: it was handed over in the belief that there was one yet."""
        if invocation.submission is None or invocation.was_cold:
            return invocation
        with suppress(Retryable):  # the next look sees to it
            return self._invocations.save(invocation, invocation.changed(was_cold=True))
        return invocation

    def _look_at(self, invocation: Invocation, *, is_orphan: bool) -> bool:
        now = self._clock.now()
        submission = invocation.submission
        if submission and now < submission.at + TOLD_BY and not is_orphan:
            return False
        try:
            if submission and self._taken_from_the_bucket(invocation):
                return True
            if is_orphan:
                self._ending.fail(invocation, NotServing(f"{UNANSWERED}: the endpoint that had it is gone. {AGAIN}"))
                return True
            if invocation.is_lost(now):
                self._ending.fail(invocation, DeadlinePassed(invocation.expired_message))
                return True
        except Retryable:
            return False  # the next look sees to it
        return False

    def _taken_from_the_bucket(self, invocation: Invocation) -> bool:
        """End a call by what lies in the bucket; False where there is nothing."""
        submission = invocation.submission
        if submission is None:
            return False
        if stored := self._bodies.stored(submission.output_location):
            self._succeed(invocation, submission.output_location, stored)
            return True
        if submission.failure_location and self._bodies.stored(submission.failure_location):
            self._fail(invocation, submission.failure_location, None)
            return True
        return False

    def _end(self, invocation: Invocation, told: AsyncResult) -> None:
        submission = invocation.submission
        known = submission.failure_location if submission else None
        failure_location = _ours(invocation, told.failure_location) or known
        if told.status == EXPIRED:
            self._ending.fail(invocation, self._expired(told.failure_reason))
        elif told.status == COMPLETED:
            location = _ours(invocation, told.output_location) or (submission.output_location if submission else "")
            stored = self._bodies.stored(location)
            if stored is None:
                raise Unavailable(f"The answer of invocation {invocation.id} is told, and is not there yet.")
            self._succeed(invocation, location, stored, told)
        else:
            self._fail(invocation, failure_location, told.failure_reason)

    def _succeed(
        self, invocation: Invocation, location: str, stored: StoredBody, told: AsyncResult | None = None
    ) -> None:
        deployment = self._deployments.get(invocation.deployment)
        try:
            answered = self._answered(invocation, location, stored, told.content_type if told else None)
        except InvocationFailed as exc:
            self._ending.fail(invocation, exc)
            return
        ended = self._ended(invocation, stored, told.at if told else None)
        began, is_known = self._began(invocation, deployment, ended)
        if _was_waited_for(invocation, deployment, ended):
            invocation = invocation.changed(was_cold=True)
        took = max((ended - began).total_seconds(), 0.0)
        answered = answered.changed(latency_ms=round(took * 1000), answered_at=ended)
        if answered.is_text:
            self._bodies.put_output(invocation.id, answered.dump())
        alone = self.in_flight(deployment) <= max(deployment.endpoint.instances if deployment.endpoint else 1, 1)
        of_its_generation = deployment.changed(generation=invocation.generation)
        over = self._answering.settle(of_its_generation, invocation, answered, is_measure=alone and is_known)
        self._ending.end(invocation, over)
        if is_known:
            self._note_latency(invocation, took)

    def _answered(
        self, invocation: Invocation, location: str, stored: StoredBody, content_type: str | None
    ) -> Answered:
        """Return what was answered, with where it lies. Raises: InvocationFailed for an error told as an answer."""
        kind = content_type or stored.content_type
        result = Result(content_type=kind, size_bytes=stored.size_bytes, location=location)
        if invocation.form is Form.TEXT and stored.size_bytes <= MOST_READ_BYTES:
            data = self._bodies.read(location, MOST_READ_BYTES) or b""
            generated = lmi.read_generation(data, invocation.deployment)
            if generated:
                opened = invocation.submission is not None and invocation.submission.thinking_opened
                return read(generated, thinking_opened=opened).changed(result=result)
        untold = read(ContainerAnswer(data=b"", content_type=kind))
        return untold.changed(result=result, body=None, completion_length=stored.size_bytes)

    @staticmethod
    def _began(invocation: Invocation, deployment: Deployment, ended: datetime) -> tuple[datetime, bool]:
        """Return when the call can have begun to run, and whether that is known: nobody tells.

        One that found no instance began when one was up, which its wake tells; where that is told too late, it is taken
        to have run since it was handed over, and measures nothing.
        """
        submitted = invocation.submission.at if invocation.submission else invocation.created_at
        woken = deployment.last_wake
        if woken and _was_waited_for(invocation, deployment, ended):
            return woken.at, True
        return submitted, not invocation.was_cold

    def _ended(self, invocation: Invocation, stored: StoredBody, told: datetime | None) -> datetime:
        """Return when its answer was there: as it was told, else within the second in which the bucket says so.

        Now, where neither can be compared with our own time.
        """
        now = self._clock.now()
        submitted = invocation.submission.at if invocation.submission else invocation.created_at
        if told and submitted <= told <= now:
            return told
        return min(stored.written_at + A_SECOND, now) if submitted <= stored.written_at + A_SECOND else now

    def _note_latency(self, invocation: Invocation, took: float) -> None:
        try:
            self._in_flight.note_latency(invocation.deployment, invocation.generation, took)
        except PilotlightError as exc:
            self._ending.surprise("a latency could not be noted", invocation, exc)

    def _fail(self, invocation: Invocation, failure_location: str | None, reason: str | None) -> None:
        """Fail a call; what the container or the service said is for its caller alone."""
        kept = self._bodies.read(failure_location, MOST_TOLD_BYTES) if failure_location else None
        told = (kept or b"").decode(errors="replace").strip() or reason or ""
        cause = cause_of(reason or told)
        if cause is Cause.EXPIRED and kept is None:
            self._ending.fail(invocation, self._expired(told))
            return
        name = invocation.deployment
        if cause is Cause.TIMED_OUT:
            limit = invocation.timeout_seconds or DEFAULT_RUN_SECONDS
            error: PilotlightError = InvocationTimedOut(
                f"The container of {name} did not answer within the {limit} s that the call may run. Send it again "
                "with a larger timeout_seconds (at most 3600), or ask for less.",
                deployment=name,
                told=told,
            )
        elif cause is Cause.INPUT:
            error = InvocationFailed(
                f"The input of this call could not be read, and the container of {name} was not asked; SageMaker's "
                "words are in `told`. Look whether it is there, and whether the stack's HostingRole may read it.",
                deployment=name,
                told=told,
            )
        else:
            error = InvocationFailed(
                f"The container of {name} broke this call; its own words are in `told`.", deployment=name, told=told
            )
        self._ending.fail(invocation, error)

    @staticmethod
    def _expired(told: str | None) -> DeadlinePassed:
        return DeadlinePassed(
            "It waited at its endpoint for as long as it may, and no instance took it; send it again.", told=told or ""
        )


def _was_waited_for(invocation: Invocation, deployment: Deployment, ended: datetime) -> bool:
    """Say whether an instance came up between a call and its answer: it met none, whatever was believed then."""
    submitted = invocation.submission.at if invocation.submission else invocation.created_at
    woken = deployment.last_wake
    return woken is not None and woken.warm and submitted < woken.at <= ended


def _is_orphan(invocation: Invocation, deployment: Deployment) -> bool:
    """Say whether the endpoint that took a call is gone; another one of its name does not know it."""
    endpoint, submission = deployment.endpoint, invocation.submission
    if endpoint is None or submission is None:
        return False
    return not endpoint.exists or bool(endpoint.created_at and submission.at < endpoint.created_at)


def _ours(invocation: Invocation, location: str | None) -> str:
    """Return a place that a notice tells, if it is one where the call's own endpoint writes; else nothing."""
    folder = f"results/{invocation.deployment}-g{invocation.generation}/"
    _, _, key = (location or "").removeprefix("s3://").partition("/")
    return location if location and key.startswith(folder) else ""
