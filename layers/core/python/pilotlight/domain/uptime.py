"""What instances cost: a ledger of stretches in which an endpoint had so many of them, each metered by looks at it.

An instance is billed by the second from its start to its stop, whether it is called or not. Nobody tells us of either
moment, so the time between two looks is charged at the dearer of what the two saw: never too little. Amounts are whole
millionths of a dollar, and what a look charges is the difference of two totals, so that charges add up to the total.
Source: Amazon SageMaker pricing page, "On-demand pricing": hosting instances.
"""

from datetime import datetime, timedelta

from pydantic import Field

from pilotlight.domain.endpoint import IN_SERVICE, Endpoint, Seen
from pilotlight.domain.pricing import HOUR
from pilotlight.domain.values import Model, Moment

MOVED = frozenset({"Updating", "RollingBack"})  # what DescribeEndpoint says while an update goes on, or back


class Uptime(Model):
    """A stretch in which one generation had so many instances; `ends_at` is how far it is metered.

    `ordinal` counts the stretches of the generation from 1. `seconds_before` (of instances: two of them for a minute
    are 120) and `usd_before` are the totals of all stretches before, so that the newest record tells the whole.
    `usd_per_hour` is the price of one instance. `last_answer_at` is kept to about half a minute.
    """

    generation: int
    ordinal: int = Field(ge=1)
    instances: int = Field(ge=0)
    usd_per_hour: float = Field(ge=0)
    starts_at: Moment
    ends_at: Moment
    seconds_before: float = Field(default=0.0, ge=0)
    usd_before: float = Field(default=0.0, ge=0)
    tokens_per_second: float | None = None
    last_answer_at: Moment | None = None

    @property
    def hourly_usd(self) -> float:
        """What an hour of all its instances costs."""
        return self.instances * self.usd_per_hour

    @property
    def seconds(self) -> float:
        """The seconds of instances of the generation, as far as it is metered."""
        return round(self.seconds_before + self.instances * (self.ends_at - self.starts_at).total_seconds(), 3)

    @property
    def usd(self) -> float:
        """What the generation has cost, as far as it is metered."""
        return self._usd_at(self.ends_at)

    def _usd_at(self, moment: datetime) -> float:
        return round(self.usd_before + self.hourly_usd * ((moment - self.starts_at) / HOUR), 6)

    def charges(self, since: datetime) -> dict[str, float]:
        """Return what it cost from a moment until its end, by calendar month (UTC)."""
        charged: dict[str, float] = {}
        begins = max(since, self.starts_at)
        while begins < self.ends_at:
            ends = min(_next_month(begins), self.ends_at)
            if usd := round(self._usd_at(ends) - self._usd_at(begins), 6):
                charged[f"{begins:%Y-%m}"] = usd
            begins = ends
        return charged


class Metered(Model):
    """What one look adds to a ledger: `latest` is its newest record then, `before` what it was when it was read.

    `ended_at` is where `before` ends now, which `latest` goes on with or follows. `charges` are dollars by month.
    """

    before: Uptime | None
    ended_at: Moment | None
    latest: Uptime
    charges: dict[str, float]

    @property
    def usd(self) -> float:
        """What is charged, over all months."""
        return round(sum(self.charges.values()), 6)

    @property
    def is_new(self) -> bool:
        """Whether a stretch begins."""
        return self.before is None or self.latest.ordinal != self.before.ordinal


def metered(
    before: Uptime | None,
    *,
    generation: int,
    instances: int,
    usd_per_hour: float,
    at: datetime,
    none_before: datetime | None = None,
) -> Metered | None:
    """Return what a look at that moment adds to the ledger, or None where it adds nothing.

    The same count goes on with the newest stretch; another one ends it and begins the next. `none_before` is a moment
    before which there was no endpoint: what follows a time without instances begins no earlier. A look that is older
    than the newest one, or comes by a clock that went backwards, charges nothing, and is only heeded where it saw more.
    """
    if before is None:
        starts_at = min(none_before or at, at) if instances else at
        return _begun(None, generation, instances, usd_per_hour, starts_at, at)
    hourly = instances * usd_per_hour
    is_same = instances == before.instances and (usd_per_hour == before.usd_per_hour or not instances)
    is_old = at <= before.ends_at
    if is_old and (is_same or hourly <= before.hourly_usd):
        return None
    if is_same:
        return _extended(before, at)
    if hourly >= before.hourly_usd:
        starts_at = before.ends_at if before.hourly_usd else max(before.ends_at, none_before or before.ends_at)
        return _begun(before, generation, instances, usd_per_hour, min(starts_at, max(at, before.ends_at)), at)
    ended = _extended(before, at)
    begun = _begun(ended.latest, generation, instances, usd_per_hour, at, at)
    return begun.changed(before=before, charges=ended.charges)


def paid_instances(seen: Seen | None, endpoint: Endpoint) -> int:
    """Return how many instances of an endpoint are to be paid for, by what SageMaker tells of it; None: it is gone.

    One that starts is paid for before it counts, and one that stops until it is gone. While an endpoint is made or
    changed, not all of its new instances are told: a new one has as many as its config asks for, and an update brings
    as many as there are, beside the old ones. It brings none where there is none.
    """
    if seen is None:
        return 0
    if endpoint.update and _is_moving(seen):
        return _old_instances(seen) + _new_instances(seen)
    told = max(seen.instances + seen.pending, seen.desired)
    return max(told, endpoint.scaling.initial, 1) if seen.status == "Creating" else told


def paid_usd_per_hour(seen: Seen | None, endpoint: Endpoint) -> float:
    """Return the price of one of the instances that are to be paid for: while an update moves them, on the average.

    Before it moves they are all old, and when it is over all new; where SageMaker tells neither, the dearest.
    """
    update = endpoint.update
    if seen is None or update is None:
        return endpoint.usd_per_hour
    if _is_moving(seen):
        old, new = _old_instances(seen), _new_instances(seen)
        return _average(old, endpoint.usd_per_hour, new, update.usd_per_hour)
    if seen.status in (IN_SERVICE, "Creating") and seen.runs(update.previous):
        return endpoint.usd_per_hour
    if seen.status == IN_SERVICE and seen.runs(update.revision):
        return update.usd_per_hour
    return endpoint.dearest_usd_per_hour


def _is_moving(seen: Seen) -> bool:
    """Say whether there may be instances of both revisions, where there is an update."""
    return seen.status != "Creating" and not seen.is_settled


def _old_instances(seen: Seen) -> int:
    return max(seen.instances, seen.desired)


def _new_instances(seen: Seen) -> int:
    """Return how many instances an update may have brought: it keeps the count, and not all of them are told."""
    return max(_old_instances(seen), seen.pending)


def _average(old: int, old_usd: float, new: int, new_usd: float) -> float:
    return (old * old_usd + new * new_usd) / (old + new) if old + new else max(old_usd, new_usd)


def believed_instances(endpoint: Endpoint) -> int:
    """Return how many instances are to be paid for by what was last seen: while an update moves them, of both kinds."""
    if not endpoint.exists:
        return 0
    told = max(endpoint.instances, endpoint.desired)
    return 2 * told if endpoint.update and endpoint.status in MOVED else told


def believed_usd_per_hour(endpoint: Endpoint) -> float:
    """Return the price of one of the instances that are believed to run.

    The record does not tell whether an update that does not move them is yet to move them, or has. So it is the lower
    price: the ledger knows what the last look saw, and charges that where it was more.
    """
    update = endpoint.update
    if update is None:
        return endpoint.usd_per_hour
    if endpoint.status in MOVED:
        return _average(1, endpoint.usd_per_hour, 1, update.usd_per_hour)
    return min(endpoint.usd_per_hour, update.usd_per_hour)


def none_before(endpoint: Endpoint | None) -> datetime | None:
    """Return a moment before which an endpoint had no instance: just before it was asked for."""
    return (endpoint.starting_at or endpoint.created_at) if endpoint else None


def _extended(before: Uptime, at: datetime) -> Metered:
    latest = before.changed(ends_at=at)
    return Metered(before=before, ended_at=at, latest=latest, charges=latest.charges(before.ends_at))


def _begun(
    before: Uptime | None, generation: int, instances: int, usd_per_hour: float, starts_at: datetime, at: datetime
) -> Metered:
    latest = Uptime(
        generation=generation,
        ordinal=before.ordinal + 1 if before else 1,
        instances=instances,
        usd_per_hour=usd_per_hour,
        starts_at=starts_at,
        ends_at=max(starts_at, at),
        seconds_before=before.seconds if before else 0.0,
        usd_before=before.usd if before else 0.0,
        tokens_per_second=before.tokens_per_second if before else None,
        last_answer_at=before.last_answer_at if before else None,
    )
    ended_at = before.ends_at if before else None
    return Metered(before=before, ended_at=ended_at, latest=latest, charges=latest.charges(starts_at))


def _next_month(moment: datetime) -> datetime:
    return (moment.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
