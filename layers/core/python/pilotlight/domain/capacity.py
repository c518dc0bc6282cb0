"""How much may be warm at once over all deployments: a ledger of claims, each of which ends by itself.

A claim is taken before a model is woken, prolonged by whatever opens a billing window or sees an endpoint, and
forgotten when its time is over: nobody has to give it back, so none can leak. Whoever finds the model not to be there
gives his own back before its time, and nobody else's. Kinds of units are told apart, because each has a cap of its own.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from pilotlight.domain.values import Model, Moment

INSTANCES_CLAIMED_FOR = timedelta(minutes=15)  # three looks at an endpoint that is at rest


class Unit(StrEnum):
    """What is counted."""

    MODEL_UNITS = "custom-model-units"
    INSTANCES = "instances"


class Claim(Model):
    """What one generation of a deployment has warm, or is waking, until when; `wake` is whose it is, None a call's."""

    units: Mapping[Unit, int]
    until: Moment
    wake: str | None = None


class Capacity(Model):
    """All claims, by generation of a deployment (`llama-g1`). `version` is the fence."""

    claims: Mapping[str, Claim] = {}
    version: int = 0

    def live(self, now: datetime) -> dict[str, Claim]:
        """Return the claims whose time is not over."""
        return {holder: claim for holder, claim in self.claims.items() if now < claim.until}

    def used(self, unit: Unit, now: datetime) -> int:
        """Return how many units of a kind are claimed."""
        return sum(claim.units.get(unit, 0) for claim in self.live(now).values())


class Caps(Model):
    """How many units of each kind all deployments together may have."""

    model_units: int = 32
    instances: int = 4

    def of(self, unit: Unit) -> int:
        """Return the cap of a kind."""
        return {Unit.MODEL_UNITS: self.model_units, Unit.INSTANCES: self.instances}[unit]


class Shortage(Model):
    """What there is too little of; `never` where one deployment alone wants more than all may have."""

    unit: Unit
    wanted: int
    cap: int
    holders: dict[str, int]

    @property
    def never(self) -> bool:
        """Whether waiting cannot help."""
        return self.wanted > self.cap

    @property
    def advice(self) -> str:
        """What helps: an endpoint that is scaled down keeps its room, because autoscaling may add to it again."""
        if self.unit is Unit.MODEL_UNITS:
            raised = "raise the stack's MaxCustomModelUnits"
            return raised if self.never else f"wait, scale one of them down, or {raised}"
        left = self.cap - sum(self.holders.values())
        own = f"give it a `max` of {left}, for which there is room, " if left > 0 else ""
        others = "" if self.never else "lower another's (`pilotlight update NAME --max N`), tear one down, "
        return f"{own}{others}or raise the stack's MaxInstances"

    def __str__(self) -> str:
        """Return it in words."""
        if self.never:
            return f"it needs {self.wanted} {self.unit}, and all deployments together may have {self.cap}"
        held = ", ".join(f"{holder} {count}" for holder, count in sorted(self.holders.items()))
        return f"it needs {self.wanted} {self.unit}; of {self.cap} are held: {held}"


def claimed(
    capacity: Capacity,
    holder: str,
    units: Mapping[Unit, int],
    until: datetime,
    *,
    caps: Caps,
    now: datetime,
    wake: str | None = None,
) -> Capacity | Shortage:
    """Return the ledger with a holder's claim until then, without claims that are over; or what is short.

    Whoever holds as much already keeps it, and for longer, also where the cap was lowered meanwhile. A wake takes over
    the claim that there is; a call prolongs it and leaves it to its wake.
    """
    live = capacity.live(now)
    own = live.get(holder)
    for unit, wanted in units.items():
        others = {name: count for name, each in live.items() if name != holder and (count := each.units.get(unit, 0))}
        has_it = own is not None and own.units.get(unit, 0) >= wanted
        if not has_it and sum(others.values()) + wanted > caps.of(unit):
            return Shortage(unit=unit, wanted=wanted, cap=caps.of(unit), holders=others)
    prolonged = max(until, own.until) if own else until
    whose = wake or (own.wake if own else None)
    return capacity.changed(claims={**live, holder: Claim(units=dict(units), until=prolonged, wake=whose)})


def kept(capacity: Capacity, holder: str, units: Mapping[Unit, int], until: datetime, *, now: datetime) -> Capacity:
    """Return the ledger with the claim of what is there already, whatever the cap says: others are to count with it."""
    live = capacity.live(now)
    own = live.get(holder)
    claim = Claim(units=dict(units), until=max(until, own.until) if own else until, wake=own.wake if own else None)
    return capacity.changed(claims={**live, holder: claim})


def released(capacity: Capacity, holder: str, now: datetime) -> Capacity:
    """Return the ledger without a holder's claim, and without those that are over."""
    return capacity.changed(claims={name: claim for name, claim in capacity.live(now).items() if name != holder})
