"""Every way in which Pilotlight says no.

    PilotlightError
    ├── Retryable                 the same call may succeed later
    │   ├── Throttled             a service or a hub asked us to slow down
    │   ├── Unavailable           a service or a hub did not answer, or answered with a fault of its own
    │   ├── ConcurrentChange      somebody else changed the record between our read and our write
    │   ├── BodyCutShort          fewer bytes arrived than were promised
    │   ├── ModelNotReady         the model is loading: a cold start, not a failure
    │   │   └── NothingAnswered   it took the call, may bill it, and gave no answer
    │   └── Held                  what costs money must wait; it goes on by itself
    │       ├── Unverified        weights that are sealed are still being read back
    │       ├── KillSwitchOn
    │       ├── CapacityReached   all deployments together may not have more warm at once
    │       └── WakesExhausted    this deployment was woken too often within the hour
    └── Terminal                  repeating the same call cannot help
        ├── InvalidInput          a field breaks a rule
        │   └── UnsupportedParameter
        ├── NotFound              no such deployment, invocation or artifact
        ├── Conflict              the request contradicts what is
        │   ├── NameTaken
        │   ├── ArtifactInUse
        │   ├── IllegalTransition
        │   ├── IdempotencyKeyReused
        │   ├── NotServing
        │   ├── LeaseEnded        nothing may be spent on it any more
        │   ├── SpendCeilingReached
        │   └── Superseded        a newer generation, attempt or wake has taken over
        ├── QueueFull
        ├── SourceRefused         the source cannot be read or used
        │   ├── SourceNotFound
        │   ├── SourceGated
        │   └── SourceChanged     the revision changed while it was being copied
        ├── PreflightRefused      the backend would not take this model
        ├── QuotaExceeded
        ├── AccessDenied
        ├── NotOurs               a resource of that name exists without our tags
        ├── ImportFailed
        ├── EndpointFailed        instances or their container did not come into service
        ├── InvocationFailed      the backend refused or broke this one call; its own words are in `told`
        │   └── InvocationTimedOut
        ├── WarmUpExhausted       out of attempts, time or money
        └── DeadlinePassed

Step Functions compares error names exactly and knows no inheritance. So a task's edge raises exactly
`Retryable` or `Terminal`, with the leaf's code, message and detail as JSON (`to_message`), and the state
machines know those two names.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar


class PilotlightError(Exception):
    """The root: an error with a stable code, a sentence for a person, and detail for a program."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: Mapping[str, Any] = detail

    def to_message(self) -> str:
        """Return code, message and detail as JSON: what a state machine carries to `mark_failed`."""
        return json.dumps({"code": self.code, "message": self.message, "detail": self.detail}, default=str)


class Retryable(PilotlightError):  # noqa: N818 (state machines match this exact name)
    """The same call may succeed later."""

    code = "retryable"
    http_status = 503


class Terminal(PilotlightError):  # noqa: N818 (state machines match this exact name)
    """Repeating the same call cannot help. By itself it says that a service refused what we asked of it: our fault."""

    code = "terminal"


class Throttled(Retryable):
    """A service or a hub asked us to slow down; `retry_after_seconds` in the detail where it said for how long."""

    code = "throttled"
    http_status = 503


class Unavailable(Retryable):
    """A service or a hub did not answer, or answered with a fault of its own."""

    code = "unavailable"


class ConcurrentChange(Retryable):
    """Somebody else changed the record between our read and our write."""

    code = "concurrent-change"


class BodyCutShort(Retryable):
    """Fewer bytes arrived than were promised."""

    code = "body-cut-short"


class ModelNotReady(Retryable):
    """The model is loading: a cold start, not a failure."""

    code = "model-not-ready"


class NothingAnswered(ModelNotReady):
    """The model took the call and gave no answer: it is taken to be loading, and the call to be billed."""

    code = "nothing-answered"


class Held(Retryable):
    """What costs money must wait for now; whoever waits goes on by himself."""

    code = "held"


class Unverified(Held):
    """Weights that are sealed are still being read back; `seconds` in the detail: for how long now."""

    code = "unverified"


class KillSwitchOn(Held):
    """The kill switch is on, or cannot be read: nothing is created and nothing woken; `reason` in the detail."""

    code = "kill-switch-on"


class CapacityReached(Held):
    """All deployments together have as many units warm as they may; `holders` in the detail."""

    code = "capacity-reached"


class WakesExhausted(Held):
    """The deployment was woken as often within this hour as it may be."""

    code = "wakes-exhausted"


class InvalidInput(Terminal):
    """A field breaks a rule; `field` and `rule` in the detail."""

    code = "invalid-input"
    http_status = 422


class UnsupportedParameter(InvalidInput):
    """The backend has no such parameter; it is refused, because a backend would ignore it silently."""

    code = "unsupported-parameter"


class NotFound(Terminal):
    """No such deployment, invocation or artifact."""

    code = "not-found"
    http_status = 404


class Conflict(Terminal):
    """The request contradicts what is."""

    code = "conflict"
    http_status = 409


class NameTaken(Conflict):
    """Another live deployment holds the name; `holder` in the detail."""

    code = "name-taken"


class ArtifactInUse(Conflict):
    """Deployments use the artifact; `users` in the detail."""

    code = "artifact-in-use"


class IllegalTransition(Conflict):
    """The deployment's status does not allow this change; `status` in the detail."""

    code = "illegal-transition"


class IdempotencyKeyReused(Conflict):
    """The key came before with another body."""

    code = "idempotency-key-reused"
    http_status = 422


class NotServing(Conflict):
    """The deployment does not take invocations now; `status` in the detail."""

    code = "not-serving"


class LeaseEnded(Conflict):
    """The deployment's lease is over: nothing is called, woken or made for it, whoever asks."""

    code = "lease-ended"


class SpendCeilingReached(Conflict):
    """The call could cost more than the deployment may spend; `spent_usd`, `ceiling_usd` and `per` in the detail."""

    code = "spend-ceiling-reached"


class Superseded(Conflict):
    """A newer generation, attempt or wake has taken over: this one must not act any more."""

    code = "superseded"


class QueueFull(Terminal):
    """More invocations wait than the queue may hold; `retry_after_seconds` in the detail."""

    code = "queue-full"
    http_status = 429


class SourceRefused(Terminal):
    """The source cannot be read or used."""

    code = "source-refused"
    http_status = 422


class SourceNotFound(SourceRefused):
    """No such repository, revision, bucket, prefix or file."""

    code = "source-not-found"


class SourceGated(SourceRefused):
    """The source asks for a token, or for its terms to be accepted first."""

    code = "source-gated"


class SourceChanged(SourceRefused):
    """The revision changed while it was being copied."""

    code = "source-changed"


class PreflightRefused(Terminal):
    """The backend would not take this model; `refusals` in the detail."""

    code = "preflight-refused"
    http_status = 422


class QuotaExceeded(Terminal):
    """A service quota is used up; `quota_code` and `holders` in the detail."""

    code = "quota-exceeded"
    http_status = 409


class AccessDenied(Terminal):
    """A role lacks a permission, or a principal may not use the role."""

    code = "access-denied"


class NotOurs(Terminal):
    """A resource of the wanted name exists without our tags: it is neither adopted nor deleted."""

    code = "not-ours"
    http_status = 409


class ImportFailed(Terminal):
    """The backend gave up the import; its own words are in the message."""

    code = "import-failed"


class EndpointFailed(Terminal):
    """An endpoint did not come into service: SageMaker's words in the message, the log's last lines in the detail."""

    code = "endpoint-failed"


class InvocationFailed(Terminal):
    """The backend refused or broke this one call.

    Its own words may quote the prompt. They are in the detail, as `told`: for the caller, never for a record or a log.
    """

    code = "invocation-failed"
    http_status = 502


class InvocationTimedOut(InvocationFailed):
    """The backend took the call and did not answer in time: what it generated is lost, and billed all the same."""

    code = "invocation-timed-out"
    http_status = 504


class WarmUpExhausted(Terminal):
    """The model did not answer within the attempts, the time or the money of one warm-up."""

    code = "warm-up-exhausted"


class DeadlinePassed(Terminal):
    """What we waited for did not come in time."""

    code = "deadline-passed"
