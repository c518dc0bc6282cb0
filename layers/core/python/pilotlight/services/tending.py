"""What is due at a deployment's instances: the part of the sweep that looks at endpoints."""

from pilotlight.domain.deployment import UNDER_WAY, Deployment, Status
from pilotlight.services.moving import Moving
from pilotlight.services.observing import Observing
from pilotlight.services.removing import Removing


class Tending:
    """Looks at endpoints by themselves, where no event of SageMaker's did."""

    def __init__(self, observing: Observing, removing: Removing, moving: Moving) -> None:
        self._observing = observing
        self._removing = removing
        self._moving = moving

    def look(self, deployment: Deployment) -> Deployment:
        """Look at the instances of a deployment that has some, and return the record as it is then.

        What failed must not go on to bill; an update whose execution died must end.
        """
        endpoint = deployment.endpoint
        if endpoint is None or not endpoint.is_watched:
            return deployment
        if deployment.status is Status.FAILED:
            return self._removing.stop_billing(deployment.name, deployment.generation, deployment.attempt)
        if deployment.status in UNDER_WAY | {Status.SERVING}:
            return self._moving.revive(self._observing.look_and_scale(deployment.name))
        return deployment

    def tidy(self, deployment: Deployment) -> None:
        """Remove what is left of an endpoint that is gone: cents a month, so that nothing else waits for it."""
        if deployment.endpoint and deployment.endpoint.has_bounds_left:
            self._observing.look_and_scale(deployment.name)
