"""Telling people: serving, failed, lease ending, gone."""

from typing import Literal

from pilotlight.contracts import Notification
from pilotlight.domain.deployment import Deployment
from pilotlight.ports import Clock, Topic


class Notifying:
    """Publishes what owners want to know without asking."""

    def __init__(self, topic: Topic, clock: Clock) -> None:
        self._topic = topic
        self._clock = clock

    def tell(
        self, event: Literal["serving", "failed", "lease-ending", "gone"], deployment: Deployment, reason: str
    ) -> None:
        """Tell everyone who subscribed to the topic; a repeat of the step may tell it twice."""
        message = Notification(
            event=event,
            deployment=deployment.name,
            generation=deployment.generation,
            reason=reason,
            at=self._clock.now(),
            correlation_id=deployment.correlation_id,
        )
        self._topic.publish(message.dump(), event=event)
