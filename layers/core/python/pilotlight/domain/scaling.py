"""How many instances a deployment shall have now: decided from what is, with the reason.

Autoscaling adds and removes instances between two bounds; who moves the bounds, and who does not wait for it, is
decided here. An instance is paid for by the second, so that the tail after the last answer is what costs; and an
alarm takes minutes to see the first caller, so that a wake does not wait for it.
"""

from datetime import datetime, timedelta

from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.hosting import ScaleIn
from pilotlight.domain.keep_warm import Policy
from pilotlight.domain.values import Backend, Model
from pilotlight.domain.warmth import WakeOutcome

UNMARKED_CALLS = timedelta(minutes=2)  # two looks: so long a quiet says that nobody calls directly
LONGEST_UNMARKED_CALL = timedelta(minutes=1)  # one that the API makes itself: it is over after half of that


class Wish(Model):
    """What shall be: autoscaling's bounds, and a count to set at once where it shall not wait.

    `parked` is no endpoint at all, for one that cannot have no instance; `suspended` forbids to scale out by itself.
    """

    floor: int
    most: int
    now: int | None = None
    parked: bool = False
    suspended: bool = False
    reason: str = ""


def reaches_zero(backend: Backend, endpoint: Endpoint) -> bool:
    """Say whether an endpoint can stay in service without an instance."""
    return backend is Backend.SAGEMAKER_ASYNC or endpoint.scaling.components


def leaving_since(deployment: Deployment, endpoint: Endpoint, now: datetime) -> datetime | None:
    """Return when it was asked that what runs shall go, where nobody has woken it since; else None.

    What is called from then on is queued, which leaves a mark, so that a while later no call is under way unseen.
    """
    asked_at = deployment.quiet_since
    if asked_at is None or deployment.quiet_until is None or now >= deployment.quiet_until:
        return None
    woken = _last_warm_wake(deployment)
    began = (woken.began_at or woken.at) if woken else endpoint.created_at
    return asked_at if began is None or began <= asked_at else None


def wish(
    deployment: Deployment,
    endpoint: Endpoint,
    *,
    must_stop: str | None,
    in_flight: int,
    last_answer_at: datetime | None,
    now: datetime,
) -> Wish:
    """Decide how many instances a deployment shall have; `in_flight` is how many calls wait for it or are at it.

    What must stop (the lease is over, the ceiling reached, the switch on) stops at once, whoever waits.
    """
    scaling = endpoint.scaling
    at_zero = reaches_zero(deployment.backend, endpoint)
    if must_stop:
        return Wish(floor=0, most=scaling.max, now=0, parked=not at_zero, suspended=True, reason=must_stop)
    floor = _floor(deployment, endpoint, at_zero=at_zero, now=now)
    if floor == 0 and _may_leave(deployment, endpoint, in_flight=in_flight, last_answer_at=last_answer_at, now=now):
        why = _why_leave(deployment, now)
        return Wish(floor=0, most=scaling.max, now=0, parked=not at_zero, reason=why)
    floor = floor if at_zero else max(1, floor)
    have = endpoint.asked_for
    if endpoint.is_in_service and have > scaling.max:
        return Wish(floor=floor, most=scaling.max, now=scaling.max, reason=f"no more than {scaling.max} are allowed")
    if floor == 0 and have and at_zero and (used := _use_just_now(deployment, endpoint, last_answer_at, now)):
        return Wish(floor=1, most=scaling.max, reason=used)
    rises = endpoint.is_in_service and floor > have
    why = "its keep-warm window is open" if deployment.wants_warm(now) else "by its load"
    return Wish(floor=floor, most=scaling.max, now=floor if rises else None, reason=why)


def _floor(deployment: Deployment, endpoint: Endpoint, *, at_zero: bool, now: datetime) -> int:
    """Return how many instances there are to be whoever calls."""
    scaling = endpoint.scaling
    if deployment.status is not Status.SERVING or deployment.wants_warm(now):
        return max(1, scaling.min)
    if deployment.quiet_until and now < deployment.quiet_until:
        return 0
    if not at_zero and deployment.keep_warm.policy is Policy.WINDOW:
        return 0  # paid for in its windows, and while somebody calls
    return scaling.min


def _use_just_now(
    deployment: Deployment, endpoint: Endpoint, last_answer_at: datetime | None, now: datetime
) -> str | None:
    """Return how what runs was used within a cooldown, or None: the alarm that let go of it before may ring still.

    An alarm acts every minute for as long as it rings, and it rings on for a while where its metric has no value, as
    without an instance; and for as long as few calls come, whose backlog is below the target in every minute.
    Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data".
    """
    patience = timedelta(seconds=endpoint.scaling.scale_in_cooldown_seconds)
    woken = _last_warm_wake(deployment)
    if (deployment.wake and deployment.wake.is_live(now)) or (woken and now - woken.at < patience):
        return "it was woken just now"
    return "it was called just now" if last_answer_at and now - last_answer_at < patience else None


def _last_warm_wake(deployment: Deployment) -> WakeOutcome | None:
    return deployment.last_wake if deployment.last_wake and deployment.last_wake.warm else None


def _may_leave(
    deployment: Deployment, endpoint: Endpoint, *, in_flight: int, last_answer_at: datetime | None, now: datetime
) -> bool:
    """Say whether what runs shall go at once and not by autoscaling: nobody waits, and nobody did just now."""
    if in_flight or deployment.wake or not (endpoint.instances or endpoint.desired):
        return False
    asked = bool(deployment.quiet_until and now < deployment.quiet_until)
    at_zero = reaches_zero(deployment.backend, endpoint)
    if at_zero and not asked and endpoint.scaling.scale_in is not ScaleIn.IMMEDIATE:
        return False
    if leaving := leaving_since(deployment, endpoint, now):
        return deployment.backend is Backend.SAGEMAKER_ASYNC or now - leaving >= LONGEST_UNMARKED_CALL
    woken = _last_warm_wake(deployment)
    woken_at = woken.at if woken else endpoint.in_service_at
    since = woken.began_at or woken.at if woken else woken_at  # a call is often answered before its wake is noted
    answered_since = bool(last_answer_at and (since is None or last_answer_at >= since))
    if answered_since and last_answer_at and endpoint.scaling.scale_in is ScaleIn.IMMEDIATE:
        # a direct call leaves no mark while it runs: only its answer tells of it
        return deployment.backend is Backend.SAGEMAKER_ASYNC or now - last_answer_at >= UNMARKED_CALLS
    latest = max(filter(None, (woken_at, last_answer_at)), default=None)
    patience = timedelta(seconds=endpoint.scaling.scale_in_cooldown_seconds)
    return latest is None or now - latest >= patience


def _why_leave(deployment: Deployment, now: datetime) -> str:
    if deployment.quiet_until and now < deployment.quiet_until:
        return "scaled down on request, and nobody calls"
    return "the last answer is given, and nobody waits"
