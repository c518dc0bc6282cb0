"""May money be spent on instances, and must those that run be stopped?

Nothing is paid ahead: the time goes on costing whether anybody calls or not. So what is left of a ceiling is time, and
it is asked two things: whether it is enough to begin with, and whether it still is for stopping in time.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pilotlight.domain.capacity import INSTANCES_CLAIMED_FOR, Unit
from pilotlight.domain.kill_switch import Position
from pilotlight.domain.pricing import HOUR, InstanceTariff
from pilotlight.domain.spending import LAST_NOTICE, LONGEST_UPDATE, Permission, Purpose, Refusal, Standing
from pilotlight.domain.values import iso

LEAST_UPTIME = timedelta(minutes=10)  # worth beginning with: a start, and the tail of a scale-in
STOPPING = timedelta(minutes=2)  # until the next look, and until what it stops has stopped
LONGEST = timedelta(days=366)  # for which any ceiling is looked ahead


class InstanceStanding(Standing):
    """The standing of a model on instances."""

    tariff: InstanceTariff

    @property
    def hourly_usd(self) -> float:
        """What an hour of what runs costs, or of one instance where none does."""
        return self.tariff.usd_per_hour * max(self.tariff.instances, 1)

    def paid_until(self, now: datetime) -> datetime | None:  # noqa: ARG002 - at no moment
        """Return None: nothing is paid ahead."""
        return None

    def affordable_until(self, now: datetime) -> datetime | None:
        """Return for how long what is left pays for what runs, or for one instance."""
        left = self.ceiling.usd - self.spent_usd
        if left <= 0:
            return None
        hours = left / self.hourly_usd if self.hourly_usd else LONGEST / HOUR
        return now + min(hours, LONGEST / HOUR) * HOUR

    def is_enough(self, purpose: Purpose, until: datetime, now: datetime) -> bool:
        """Say whether it pays for a start and a stop; where instances run, a call is worth each moment.

        Nothing can stop an update before it is over, and until then there are instances of two revisions.
        """
        if purpose is Purpose.UPDATE:
            return until - now >= 2 * LONGEST_UPDATE
        if not self.tariff.instances or purpose is Purpose.KEEP_WARM:
            return until - now >= LEAST_UPTIME
        return purpose is Purpose.CALL or until - now >= STOPPING

    @property
    def units(self) -> Mapping[Unit, int]:
        """As many instances as autoscaling may add without asking, or as run for now."""
        return {Unit.INSTANCES: max(self.tariff.most, self.tariff.instances)}

    def room_until(self, purpose: Purpose, ends: datetime, now: datetime) -> datetime | None:
        """Return until when instances are claimed, unless a look prolongs it; None for a call that finds some."""
        found = purpose is Purpose.CALL and self.tariff.instances > 0
        return None if found else max(ends, now + INSTANCES_CLAIMED_FOR)

    @property
    def next_price(self) -> str:
        """What an hour costs."""
        count = max(self.tariff.instances, 1)
        return f"an hour of {'one instance' if count == 1 else f'{count} instances'} costs ${self.hourly_usd:,.2f}"

    def closing(self, until: datetime) -> str:
        """Return until when what is left pays for what runs."""
        return f"what is left pays for its instances until {iso(until)}"

    def notice(self, percent: int) -> str:
        """Return what becomes of its instances at the ceiling."""
        if percent < LAST_NOTICE:
            return f"({percent} %): at 100 % its instances are stopped, and nothing is woken for it"
        part = "100 %" if self.percent >= percent else f"{self.percent:g} %, and the rest pays for no start"
        return f"({part}): its instances are stopped, and nothing is woken or kept warm for it any more"


def may_go_on(standing: InstanceStanding, now: datetime) -> Permission:
    """Decide whether instances may go on running, and until when; where none runs, whether one may begin by itself."""
    if standing.lease_ends_at and now >= standing.lease_ends_at:
        reason = f"the lease ended at {iso(standing.lease_ends_at)}"
        return Permission(allowed=False, refusal=Refusal.LEASE_ENDED, reason=reason)
    if standing.switch.position is Position.ON:
        return Permission(allowed=False, refusal=Refusal.KILL_SWITCH_ON, reason=str(standing.switch))
    until = standing.affordable_until(now)
    if until is None or until - now < (STOPPING if standing.tariff.instances else LEAST_UPTIME):
        reason = f"${standing.spent_usd:,.2f} of {standing.ceiling} are spent, and {standing.next_price}"
        return Permission(allowed=False, refusal=Refusal.SPEND_CEILING_REACHED, reason=reason)
    return Permission(allowed=True, until=until)
