"""Metering instances: each look at an endpoint charges the time since the last one, once, whoever looks."""

from datetime import datetime

from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import ConcurrentChange
from pilotlight.domain.uptime import Uptime, metered, none_before
from pilotlight.domain.values import Money
from pilotlight.ports import Deployments

TRIES = 8


class Metering:
    """Writes the ledger of uptime."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def observe(
        self, deployment: Deployment, instances: int, now: datetime, *, usd_per_hour: float | None = None
    ) -> Money:
        """Enter that a generation has so many instances now, and return what the time since the last look costs.

        Of two who look at once, each is charged what the other has not been. A look that is entered again charges
        nothing. `usd_per_hour` is the price of one instance where it is not that of the record's endpoint.
        Raises: ConcurrentChange when others kept writing.
        """
        for _ in range(TRIES):
            before = self._deployments.latest_uptime(deployment.name, deployment.generation)
            price = _price(deployment, before) if usd_per_hour is None else usd_per_hour
            look = metered(
                before,
                generation=deployment.generation,
                instances=instances,
                usd_per_hour=price,
                at=now,
                none_before=none_before(deployment.endpoint),
            )
            if look is None:
                return Money(usd=0.0)
            if self._deployments.meter(deployment.name, look):
                return Money(usd=look.usd)
        raise ConcurrentChange(
            f"Others keep writing the ledger of {deployment.name}; try again.", deployment=deployment.name
        )


def _price(deployment: Deployment, before: Uptime | None) -> float:
    """Return the price of one instance: of the endpoint that there is, or of the one that there was."""
    if deployment.endpoint:
        return deployment.endpoint.usd_per_hour
    return before.usd_per_hour if before else 0.0
