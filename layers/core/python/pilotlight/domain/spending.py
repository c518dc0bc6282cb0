"""May money be spent on a deployment now? Decided where it is spent, from what was read just before.

Four things bound it, each by itself: the lease's end, the kill switch, the spend ceiling, and (domain/capacity.py) how
much may be warm at once. Whatever is permitted is permitted until a moment, by which it must be over: a call that is
answered later would begin another billing window. So callers who ask at the same time, each told the same moment,
share the windows up to it and together open none beyond it. What is particular to instances is in instance_spending.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.capacity import Unit
from pilotlight.domain.kill_switch import KillSwitch, Position
from pilotlight.domain.pricing import HOUR, WINDOW, BillingWindow, Tariff
from pilotlight.domain.values import Model, Moment, Request, iso

LEAST_TIME = timedelta(seconds=10)  # of a call: with less it would be cut off, and paid for all the same
LONGEST_UPDATE = timedelta(hours=2)  # of an endpoint; one that takes longer is rolled back
SMALLEST_CEILING_USD = 0.01  # a smaller amount is none, and the smallest floats are no number of DynamoDB's
LARGEST_CEILING_USD = 1_000_000
MICRO = 1e-6  # what sums of rounded prices may be off by
FIRST_NOTICE, LAST_NOTICE = 80, 100  # percent


class Per(StrEnum):
    """What a ceiling is counted over: a calendar month (UTC) of the name, or one generation from its first cent."""

    MONTH = "month"
    DEPLOYMENT = "deployment"


class SpendCeiling(Request):
    """How much a deployment may spend."""

    usd: float = Field(ge=SMALLEST_CEILING_USD, le=LARGEST_CEILING_USD, strict=True)
    per: Per = Per.MONTH

    def __str__(self) -> str:
        """Return it in words."""
        return f"${self.usd:,.2f} per {self.per}"


class SpendNotice(Model):
    """What the owner was told last of the money spent: in which period, and what percent of the ceiling."""

    period: str
    percent: int
    at: Moment


class SpendingRules(Model):
    """What holds where a deployment says nothing; our clock runs `clock_speed` times as fast as a caller's."""

    default_ceiling_usd: float = 500.0
    idle: timedelta = timedelta(minutes=5)
    clock_speed: float = 1.0


class Purpose(StrEnum):
    """What the money is for."""

    CREATE = "create"  # something that is stored from then on: staging, an import
    START = "start"  # an endpoint, whose instances run from then on
    UPDATE = "update"  # instances of another revision, beside those that run
    KEEP_WARM = "keep-warm"  # a probe that nobody asked for
    WAKE = "wake"  # a probe for whoever waits
    CALL = "call"  # an answer


class Refusal(StrEnum):
    """Why not, as the code of an error."""

    LEASE_ENDED = "lease-ended"
    KILL_SWITCH_ON = "kill-switch-on"
    CAPACITY_REACHED = "capacity-reached"
    SPEND_CEILING_REACHED = "spend-ceiling-reached"


class Permission(Model):
    """Whether money may be spent, and why not; `until` is the moment by which what is permitted must be over.

    `passes` is false for a refusal that waiting does not help; `advice` is what helps, where that differs.
    """

    allowed: bool
    refusal: Refusal | None = None
    reason: str | None = None
    until: Moment | None = None
    passes: bool = True
    advice: str | None = None


class Standing(Model, ABC):
    """All that a decision about one deployment's money depends on, whatever the money is for: windows, or instances."""

    lease_ends_at: Moment | None
    ceiling: SpendCeiling
    spent_usd: float
    switch: KillSwitch

    @property
    def percent(self) -> float:
        """How much of the ceiling is spent."""
        return round(100 * self.spent_usd / self.ceiling.usd, 1)

    @abstractmethod
    def paid_until(self, now: datetime) -> datetime | None:
        """Return until when calls are paid for already, or None."""

    @abstractmethod
    def affordable_until(self, now: datetime) -> datetime | None:
        """Return until when calls may be answered without passing the ceiling; None where not even now."""

    @abstractmethod
    def is_enough(self, purpose: Purpose, until: datetime, now: datetime) -> bool:
        """Say whether what may be spent until a moment is worth beginning with."""

    @property
    @abstractmethod
    def units(self) -> Mapping[Unit, int]:
        """What it claims of what all deployments together may have."""

    @abstractmethod
    def room_until(self, purpose: Purpose, ends: datetime, now: datetime) -> datetime | None:
        """Return until when there must be room for it, where it is over by `ends`; None where it has its room."""

    @property
    @abstractmethod
    def next_price(self) -> str:
        """What more would cost, in words."""

    @abstractmethod
    def closing(self, until: datetime) -> str:
        """Return in words what ends then."""

    @abstractmethod
    def notice(self, percent: int) -> str:
        """Return in words what happens, or will, to a deployment of which so much of the ceiling is spent."""


class WindowStanding(Standing):
    """The standing of a model that is billed by windows. `latest` is the newest one of the generation.

    `idle` is how long it stays warm after an answer.
    """

    tariff: Tariff
    latest: BillingWindow | None
    idle: timedelta = timedelta(minutes=5)

    def paid_until(self, now: datetime) -> datetime | None:
        """Return the end of the window that covers this moment, or None."""
        return self.latest.ends_at if self.latest and self.latest.covers(now) else None

    def affordable_until(self, now: datetime) -> datetime | None:
        """Return until when calls may be answered without passing the ceiling; None where not even now.

        A window that adjoins the latest one costs its own price; one that begins a chain costs the idle window after
        it, too, where that is billed, and so does the first of a month, into which it pushes that window on. What is
        stored grows by itself: so little of it beyond the ceiling closes no window that is paid.
        """
        left = self.ceiling.usd - self.spent_usd + MICRO
        is_reached = left < -self.tariff.storage(2 * WINDOW).usd
        if self.latest and now < self.latest.ends_at + WINDOW:
            base = self.latest.ends_at
            takes_idle = self.ceiling.per is Per.MONTH and month_of(self.latest.starts_at) != month_of(base)
        else:
            base = now
            takes_idle = True
        if takes_idle:
            left -= self.tariff.idle_window.usd
        windows = max(int(left // self.tariff.window.usd), 0)
        until = base + windows * WINDOW
        return until if until > now and not is_reached else None

    def is_enough(self, purpose: Purpose, until: datetime, now: datetime) -> bool:
        """Say whether a window more can be paid, where a model that is warm shall be kept so; a paid one is enough."""
        return not (purpose is Purpose.KEEP_WARM and until == self.paid_until(now))

    @property
    def units(self) -> Mapping[Unit, int]:
        """The model's custom model units."""
        return {Unit.MODEL_UNITS: self.tariff.units}

    def room_until(self, purpose: Purpose, ends: datetime, now: datetime) -> datetime | None:
        """Return for how long an answer by `ends` keeps the model warm; None for a call in a window that is paid."""
        paid_until = self.paid_until(now)
        if purpose is Purpose.CALL and paid_until and ends <= paid_until:
            return None
        return ends + WINDOW + self.idle

    @property
    def next_price(self) -> str:
        """What a window costs."""
        return f"the next window costs ${self.tariff.window.usd:.2f}"

    def closing(self, until: datetime) -> str:
        """Return until when the window lasts that is paid."""
        return f"the paid window ends at {iso(until)}"

    def notice(self, percent: int) -> str:
        """Return what is no longer done at the ceiling."""
        if percent < LAST_NOTICE:
            return f"({percent} %): at 100 % nothing is woken for it"
        part = "100 %" if self.percent >= percent else f"{self.percent:g} %, and the rest pays for no window"
        return f"({part}): nothing is woken or kept warm for it any more"


def may_spend(purpose: Purpose, standing: Standing, now: datetime) -> Permission:
    """Decide whether money may be spent now, and until when."""
    if standing.lease_ends_at and now >= standing.lease_ends_at:
        return _no(Refusal.LEASE_ENDED, f"the lease ended at {iso(standing.lease_ends_at)}")
    if refused := _refused_by_switch(purpose, standing, now):
        return refused
    until = standing.affordable_until(now)
    if purpose is Purpose.CALL and standing.switch.position is Position.ON:
        until = min(filter(None, (until, standing.paid_until(now))), default=None)
    return _within_ceiling(purpose, standing, until, now)


def _refused_by_switch(purpose: Purpose, standing: Standing, now: datetime) -> Permission | None:
    """Return the refusal of a switch that is on; of one that cannot be read for what nobody waits for."""
    match standing.switch.position, purpose:
        case (Position.OFF, _) | (Position.UNREADABLE, Purpose.WAKE | Purpose.CALL):
            return None
        case Position.ON, Purpose.CALL if standing.paid_until(now):
            return None
    return _no(Refusal.KILL_SWITCH_ON, str(standing.switch))


def _within_ceiling(purpose: Purpose, standing: Standing, until: datetime | None, now: datetime) -> Permission:
    reached = f"${standing.spent_usd:,.2f} of {standing.ceiling} are spent, and {standing.next_price}"
    if purpose is Purpose.CREATE:
        if standing.spent_usd >= standing.ceiling.usd:
            return _no(Refusal.SPEND_CEILING_REACHED, reached)
        return Permission(allowed=True)
    if purpose is Purpose.UPDATE:
        reached += f", of which an update may take twice as many for {LONGEST_UPDATE / HOUR:g} hours"
    if until is None or not standing.is_enough(purpose, until, now):
        return _no(Refusal.SPEND_CEILING_REACHED, reached)
    if purpose is Purpose.CALL and until - now < LEAST_TIME:
        return _no(_closing(standing), f"{standing.closing(until)}; {_why_no_more(standing, reached)}")
    ends = standing.lease_ends_at
    if purpose is Purpose.CALL and ends and ends - now < LEAST_TIME:
        return _no(Refusal.LEASE_ENDED, f"the lease ends at {iso(ends)}, before an answer could be given")
    return Permission(allowed=True, until=min(until, ends) if ends else until)


def least_to_serve(tariff: Tariff) -> float:
    """Return what a model costs that is warm once: a window, and the idle one that follows where that is billed."""
    return round(tariff.window.usd + tariff.idle_window.usd, 6)


def _closing(standing: Standing) -> Refusal:
    on = standing.switch.position is Position.ON
    return Refusal.KILL_SWITCH_ON if on else Refusal.SPEND_CEILING_REACHED


def _why_no_more(standing: Standing, reached: str) -> str:
    return str(standing.switch) if standing.switch.position is Position.ON else reached


def _no(refusal: Refusal, reason: str) -> Permission:
    return Permission(allowed=False, refusal=refusal, reason=reason)


def month_of(moment: datetime) -> str:
    """Return the calendar month (UTC) of a moment, as in 2026-11."""
    return f"{moment:%Y-%m}"


def charges(window: BillingWindow, before: BillingWindow | None, tariff: Tariff) -> dict[str, float]:
    """Return what a new window adds to which months.

    A window counts in the month in which it starts, and so does the idle window that follows it. A window that
    adjoins its predecessor pushes the idle window on: from the one month into the other, at their border.
    """
    own, idle = tariff.window.usd, tariff.idle_window.usd
    month = month_of(window.starts_at)
    if before is None or before.chains != window.chains or before.generation != window.generation:
        return {month: round(own + idle, 6)}
    former = month_of(before.starts_at)
    if former == month or not idle:
        return {month: own}
    return {former: -idle, month: round(own + idle, 6)}


def notice_due(percent: float, told: int) -> int | None:
    """Return the share of the ceiling that the owner is to be told of now (80 or 100), or None; `told` is the last."""
    reached = next((share for share in (LAST_NOTICE, FIRST_NOTICE) if percent >= share), 0)
    return reached if reached > told else None
