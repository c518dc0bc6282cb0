"""Telling people: serving, failed, lease ending, gone.

What is told is written in a record first. So a topic that fails is noted and undoes nothing.
"""

from typing import Literal

from pilotlight.contracts import Notification
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import PilotlightError
from pilotlight.ports import Clock, Journal, Topic


class Notifying:
    """Publishes what owners want to know without asking."""

    def __init__(self, topic: Topic, journal: Journal, clock: Clock) -> None:
        self._topic = topic
        self._journal = journal
        self._clock = clock

    def tell(
        self, event: Literal["serving", "failed", "lease-ending", "gone"], deployment: Deployment, reason: str
    ) -> None:
        """Tell everyone who subscribed to the topic, if it can be told; a repeat of the step may tell it twice."""
        message = Notification(
            event=event,
            deployment=deployment.name,
            generation=deployment.generation,
            reason=reason,
            at=self._clock.now(),
            correlation_id=deployment.correlation_id,
        )
        try:
            self._topic.publish(message.dump(), event=event)
        except PilotlightError as exc:
            told = {"event": event, "deployment": deployment.name, "code": exc.code, "reason": exc.message}
            self._journal.surprise("the topic could not be told", **told)
