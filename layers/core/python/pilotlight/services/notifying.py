"""Telling people: serving, failed, lease ending, gone, money spent, the kill switch.

What is told is written in a record first. So a topic that fails is noted and undoes nothing.
"""

from pilotlight.contracts import NewsKind, Notification
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import PilotlightError
from pilotlight.ports import Clock, Journal, Topic


class Notifying:
    """Publishes what owners want to know without asking."""

    def __init__(self, topic: Topic, journal: Journal, clock: Clock) -> None:
        self._topic = topic
        self._journal = journal
        self._clock = clock

    def tell(self, event: NewsKind, deployment: Deployment, reason: str) -> None:
        """Tell everyone who subscribed to the topic, if it can be told; a repeat of the step may tell it twice."""
        self._publish(
            Notification(
                event=event,
                deployment=deployment.name,
                generation=deployment.generation,
                reason=reason,
                at=self._clock.now(),
                correlation_id=deployment.correlation_id,
            )
        )

    def tell_of_stack(self, event: NewsKind, reason: str, *, correlation_id: str) -> bool:
        """Tell what concerns every deployment; False where it could not be told."""
        now = self._clock.now()
        return self._publish(Notification(event=event, reason=reason, at=now, correlation_id=correlation_id))

    def _publish(self, message: Notification) -> bool:
        try:
            self._topic.publish(message.dump(), event=message.event)
        except PilotlightError as exc:
            told = {"event": message.event, "deployment": message.deployment, "code": exc.code, "reason": exc.message}
            self._journal.surprise("the topic could not be told", **told)
            return False
        return True
