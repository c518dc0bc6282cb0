"""Schedules that fire: EventBridge's scheduled rules and EventBridge Scheduler, by the simulated clock."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.events.models import Rule, events_backends
from moto.scheduler.models import Schedule as StoredSchedule
from moto.scheduler.models import scheduler_backends

from local.clock import ScaledClock
from local.cron import InvalidScheduleError, Once, Rate, Schedule, parse_schedule
from local.events import EventBus, iso_time
from local.identity import ACCOUNT_ID, REGION

_LOG = logging.getLogger(__name__)
_SHORTEST_LOOK_SECONDS = 0.01
_LONGEST_LOOK_SECONDS = 0.2


@dataclass
class _Entry:
    """One rule or schedule, as it was last seen, and when it is due next."""

    source: Rule | StoredSchedule
    schedule: Schedule
    began: datetime
    due: datetime | None


@dataclass
class Scheduler:
    """Fires what is due. What it finds late it fires once: a schedule never catches up in a burst.

    The gap: moto stores schedules and never fires them.
    """

    endpoint_url: str
    clock: ScaledClock
    bus: EventBus
    _entries: dict[tuple[str, str, str], _Entry] = field(default_factory=dict, init=False, repr=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Begin to watch the clock."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._tick, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fire nothing more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _tick(self) -> None:
        while not self._stopping.is_set():
            now = self.clock.now()
            self._notice(now)
            for entry in list(self._entries.values()):
                if entry.due is not None and entry.due <= now:
                    self._fire(entry, entry.due)
                    entry.due = entry.schedule.after(now, began=entry.began)
            self._stopping.wait(self._until_next(now))

    def _until_next(self, now: datetime) -> float:
        """Give the real seconds to the next look: at what is due next, and often enough to see new schedules."""
        dues = [(entry.due - now).total_seconds() for entry in self._entries.values() if entry.due is not None]
        wall = self.clock.wall_seconds(min(dues)) if dues else _LONGEST_LOOK_SECONDS
        return max(_SHORTEST_LOOK_SECONDS, min(wall, _LONGEST_LOOK_SECONDS))

    def _notice(self, now: datetime) -> None:
        """Take up what is new or changed; forget what is gone, disabled or past its end."""
        present: dict[tuple[str, str, str], Rule | StoredSchedule] = {}
        for source, expression, zone in _stored():
            if _ended(source, now):
                _remove_if_asked(source)
            else:
                present[source.arn, expression, zone] = source
        for key in self._entries.keys() - present.keys():
            del self._entries[key]
        for key, source in present.items():
            if key in self._entries:
                self._entries[key].source = source
            else:
                self._entries[key] = _entry(source, key[1], key[2], now)

    def _fire(self, entry: _Entry, due: datetime) -> None:
        source = entry.source
        if isinstance(source, Rule):
            event = self.bus.event(
                source="aws.events",
                detail_type="Scheduled Event",
                detail={},
                resources=[source.arn],
                region=source.region_name,
            )
            self.bus.send(source, {**event, "time": iso_time(due)})
            return
        self.bus.deliver(source.target, _told(source, due), sender_arn=source.arn)
        if isinstance(entry.schedule, Once):
            _remove_if_asked(source)


def _stored() -> Iterator[tuple[Rule | StoredSchedule, str, str]]:
    """Give every enabled rule and schedule with its expression and time zone."""
    for rule in list(events_backends[ACCOUNT_ID][REGION].event_buses["default"].rules.values()):
        if rule.scheduled_expression and rule.state == "ENABLED":
            yield rule, rule.scheduled_expression, "UTC"
    for group in list(scheduler_backends[ACCOUNT_ID][REGION].schedule_groups.values()):
        for schedule in list(group.schedules.values()):
            if schedule.state == "ENABLED":
                yield schedule, schedule.schedule_expression, schedule.schedule_expression_timezone


def _entry(source: Rule | StoredSchedule, expression: str, zone: str, now: datetime) -> _Entry:
    """Give a schedule with its first due time.

    A rule's rate begins with its first period; Scheduler's rate is due at once, or at its StartDate.
    """
    try:
        schedule = parse_schedule(expression, zone)
    except InvalidScheduleError as exc:
        _LOG.warning("%s never fires: %s", source.arn, exc)
        return _Entry(source, Once(now), now, None)
    start = None if isinstance(source, Rule) else _moment(source.start_date)
    began = max(now, start) if start is not None else now
    if isinstance(schedule, Rate) and not isinstance(source, Rule):
        return _Entry(source, schedule, began, began)
    if isinstance(schedule, Once):
        return _Entry(source, schedule, began, schedule.at)
    return _Entry(source, schedule, began, schedule.after(began, began=began))


def _moment(stored: Any) -> datetime | None:
    """Give the StartDate or EndDate that moto keeps as it came."""
    if stored is None or isinstance(stored, datetime):
        return stored
    if isinstance(stored, str) and not stored.replace(".", "", 1).isdigit():
        return datetime.fromisoformat(stored).astimezone(UTC)
    return datetime.fromtimestamp(float(stored), UTC)


def _ended(source: Rule | StoredSchedule, now: datetime) -> bool:
    end = None if isinstance(source, Rule) else _moment(source.end_date)
    return end is not None and end <= now


def _remove_if_asked(source: StoredSchedule) -> None:
    """Delete a completed schedule whose ActionAfterCompletion says so."""
    if source.action_after_completion == "DELETE":
        group = scheduler_backends[ACCOUNT_ID][REGION].schedule_groups.get(source.group_name)
        if group is not None:
            group.schedules.pop(source.name, None)


def _told(schedule: StoredSchedule, due: datetime) -> str:
    """Give what Scheduler tells a target: the Input with its context attributes filled, or its own small event."""
    attributes = {
        "<aws.scheduler.schedule-arn>": schedule.arn,
        "<aws.scheduler.scheduled-time>": iso_time(due),
        "<aws.scheduler.execution-id>": str(uuid4()),
        "<aws.scheduler.attempt-number>": "1",
    }
    target: Mapping[str, Any] = schedule.target
    if target.get("Input") is None:
        return json.dumps(
            {
                "version": "0",
                "id": str(uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": ACCOUNT_ID,
                "time": iso_time(due),
                "region": REGION,
                "resources": [schedule.arn],
                "detail": "{}",
            }
        )
    told = str(target["Input"])
    for placeholder, value in attributes.items():
        told = told.replace(placeholder, value)
    return told
