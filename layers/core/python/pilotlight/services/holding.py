"""A step that may not spend money now: the record says what it waits for."""

import re
from datetime import datetime

from pilotlight.domain.deployment import Change, Deployment, EventKind, change
from pilotlight.domain.errors import PilotlightError
from pilotlight.ports import Clock, Deployments
from pilotlight.services.records import amend

_AMOUNTS = re.compile(r"\$[\d.,]+")
HELD_SECONDS = 60  # between two looks: a switch that is turned off soon is noticed within a minute …
LONGEST_HELD_SECONDS = 900  # … and after hours within a quarter: an execution has room for 25,000 lines of history


def held_seconds(deployment: Deployment, now: datetime) -> int:
    """Return how long a held step waits before it asks again: a tenth of the time that nothing changed."""
    elapsed = (now - deployment.updated_at).total_seconds()
    return round(min(max(elapsed / 10, HELD_SECONDS), LONGEST_HELD_SECONDS))


def hold(
    deployments: Deployments,
    deployment: Deployment,
    why: PilotlightError,
    clock: Clock,
    kind: EventKind = EventKind.SPEND,
) -> None:
    """Say once on the record what a deployment waits for: not again where only the amounts in it are others."""
    now = clock.now()

    def held(before: Deployment) -> Change | None:
        gone_on = (before.generation, before.status) != (deployment.generation, deployment.status)
        if gone_on or _alike(before.waiting_for, why.message):
            return None
        return change(before, before.changed(waiting_for=why.message), kind, f"waits: {why.message}", now)

    amend(deployments, deployment.name, held)


def _alike(told: str | None, now: str) -> bool:
    return told is not None and _AMOUNTS.sub("", told) == _AMOUNTS.sub("", now)


def go_on(deployments: Deployments, deployment: Deployment, clock: Clock, said: str = "goes on") -> Deployment:
    """Take from the record what a deployment waited for; return it."""
    if deployment.waiting_for is None:
        return deployment
    now = clock.now()

    def going_on(before: Deployment) -> Change | None:
        if before.generation != deployment.generation or before.waiting_for is None:
            return None
        return change(before, before.changed(waiting_for=None), EventKind.SPEND, said, now)

    return amend(deployments, deployment.name, going_on)
