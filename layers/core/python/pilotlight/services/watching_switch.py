"""Telling everyone that the kill switch was turned, whoever turned it and by whatever way."""

from pilotlight.domain.kill_switch import Position
from pilotlight.ports import Journal, KillSwitchPort, Notices
from pilotlight.services.notifying import Notifying

SUBJECT = "kill-switch"


class WatchingSwitch:
    """Looks at the kill switch once a minute."""

    def __init__(self, kill_switch: KillSwitchPort, notices: Notices, notifying: Notifying, journal: Journal) -> None:
        self._kill_switch = kill_switch
        self._notices = notices
        self._notifying = notifying
        self._journal = journal

    def look(self, *, correlation_id: str) -> None:
        """Count the switch's position, and tell of it where it is another one than was told last.

        A stack that was never told anything is taken to have been told that it is off.
        """
        switch = self._kill_switch.read()
        self._journal.measure("kill_switch", 0 if switch.is_off else 1)
        if not self._notices.is_news(SUBJECT, switch.position.value, usually=Position.OFF.value):
            return
        self._journal.surprise("the kill switch was turned", position=switch.position.value, reason=switch.reason)
        self._notifying.tell_of_stack("kill-switch", str(switch), correlation_id=correlation_id)
