"""Taking from what all deployments together may have warm: one ledger, compared and swapped."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from pilotlight.domain.capacity import Caps, Shortage, Unit, claimed, kept, released
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import ConcurrentChange, Retryable
from pilotlight.domain.values import seconds
from pilotlight.ports import CapacityLedger, Clock

TRIES = 12
SLACK = seconds(60)  # a claim that ends later than this before the wanted moment is long enough
PROLONGED_EVERY = seconds(300)  # of what is there already: a look each minute does not write each minute


class Claiming:
    """Claims units for deployments that are woken, and lets them go."""

    def __init__(self, ledger: CapacityLedger, clock: Clock, caps: Caps) -> None:
        self._ledger = ledger
        self._clock = clock
        self._caps = caps

    def shortage(self, deployment: Deployment, needs: Mapping[Unit, int], until: datetime) -> Shortage | None:
        """Return what a claim would be short of, without taking it."""
        now = self._clock.now()
        found = claimed(self._ledger.read(), deployment.as_user, needs, until, caps=self._caps, now=now)
        return found if isinstance(found, Shortage) else None

    def claim(
        self, deployment: Deployment, needs: Mapping[Unit, int], until: datetime, *, wake: str | None = None
    ) -> Shortage | None:
        """Claim units for a deployment until a moment; return what is short where that cannot be.

        `wake` is the wake that claims, None where a call does. A claim that lasts about as long already is left alone.
        Raises: CapacityReached where the ledger cannot be read; ConcurrentChange when others kept writing.
        """
        for tries_left in reversed(range(TRIES)):
            before, now = self._ledger.read(), self._clock.now()
            own = before.live(now).get(deployment.as_user)
            ours = own is not None and wake in (None, own.wake)
            if ours and own and own.units == needs and own.until >= until - SLACK:
                return None
            after = claimed(before, deployment.as_user, needs, until, caps=self._caps, now=now, wake=wake)
            if isinstance(after, Shortage):
                return after
            try:
                self._ledger.save(before, after)
            except ConcurrentChange:
                if not tries_left:
                    raise
            else:
                return None
        raise AssertionError("unreachable: the last try returns or raises")

    def prolong(self, deployment: Deployment, needs: Mapping[Unit, int], until: datetime) -> None:
        """Keep the claim of what is there already until a moment, also where there is no room for it any more.

        Where that cannot be written just now, the next look does it.
        """
        with suppress(Retryable):
            before, now = self._ledger.read(), self._clock.now()
            own = before.live(now).get(deployment.as_user)
            if not (own and own.units == needs and own.until >= until - PROLONGED_EVERY):
                self._ledger.save(before, kept(before, deployment.as_user, needs, until, now=now))

    def release(self, deployment: Deployment, *, wake: str | None = None, whoever: bool = False) -> None:
        """Let go of the claim of a wake (None: of a call) before its time, if that can be done at once.

        Else it ends by itself. A claim that another wake has taken over is left alone, unless it is `whoever`'s.
        """
        with suppress(Retryable):
            before, now = self._ledger.read(), self._clock.now()
            own = before.live(now).get(deployment.as_user)
            if own and (whoever or own.wake == wake):
                self._ledger.save(before, released(before, deployment.as_user, now))
