"""Telling everyone that the kill switch was turned, whoever turned it and by whatever way."""

from pilotlight.domain.kill_switch import KillSwitch, Position
from pilotlight.domain.notice import Notice
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

        A switch that cannot be read is told of by the second look that finds it so. A stack that was never told
        anything is taken to have been told that it is off.
        """
        switch = self._kill_switch.refresh()
        self._journal.measure("kill_switch", 0 if switch.is_off else 1)
        before = self._notices.latest(SUBJECT)
        after = self._told(switch, before, correlation_id)
        if after != before:
            self._notices.note(SUBJECT, after)

    def _told(self, switch: KillSwitch, before: Notice, correlation_id: str) -> Notice:
        """Tell what is new, and return what was told then: a topic that fails is told again by the next look."""
        word = switch.position.value
        if word == (before.told or Position.OFF):
            return before.changed(seen_once=None)
        if switch.position is Position.UNREADABLE and before.seen_once != word:
            return before.changed(seen_once=word)
        self._journal.surprise("the kill switch was turned", position=word, reason=switch.reason)
        told = self._notifying.tell_of_stack("kill-switch", str(switch), correlation_id=correlation_id)
        return Notice(told=word) if told else before
