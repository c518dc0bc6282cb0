"""Contracts of schedules: moto stores them and fires none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.clock import ScaledClock
from local.cron import InvalidScheduleError, parse_schedule
from local.events import EventBus
from local.schedules import Scheduler
from tests.integration.local.moto_cloud import ROLE, MotoCloud, eventually, running_moto

SPEED = 300.0


class ScheduledCloud:
    def __init__(self, moto: MotoCloud, clock: ScaledClock) -> None:
        self.moto = moto
        self.clock = clock

    def listener(self, name: str) -> tuple[str, list[tuple[datetime, dict[str, Any]]]]:
        """Give a Lambda's ARN and what it heard, with the simulated times."""
        heard: list[tuple[datetime, dict[str, Any]]] = []
        return self.moto.function(name, lambda event: heard.append((self.clock.now(), event))), heard

    def schedule(self, name: str, expression: str, arn: str, **more: Any) -> None:
        target = {"Arn": arn, "RoleArn": ROLE, **more.pop("Target", {})}
        self.moto.client("scheduler").create_schedule(
            Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **more
        )

    def exists(self, name: str) -> bool:
        try:
            self.moto.client("scheduler").get_schedule(Name=name)
        except ClientError:
            return False
        return True


@pytest.fixture(scope="module")
def cloud() -> Iterator[ScheduledCloud]:
    clock = ScaledClock(speed=SPEED)
    with running_moto() as moto:
        bus = EventBus(moto.url, clock)
        scheduler = Scheduler(moto.url, clock, bus)
        bus.start()
        scheduler.start()
        yield ScheduledCloud(moto, clock)
        scheduler.stop()
        bus.stop()


def test_a_rule_fires_about_each_simulated_minute(cloud: ScheduledCloud) -> None:
    arn, heard = cloud.listener("minutely")
    events = cloud.moto.client("events")
    events.put_rule(Name="minutely", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="minutely", Targets=[{"Id": "1", "Arn": arn}])

    eventually(lambda: len(heard) >= 4)
    events.disable_rule(Name="minutely")

    times = [at for at, _ in heard]
    minutes = (times[-1] - times[0]).total_seconds() / 60
    assert len(times) <= minutes + 2  # a late one is not made up for in a burst
    event = heard[0][1]
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
    assert event["resources"] == ["arn:aws:events:us-east-1:123456789012:rule/minutely"]


def test_a_late_schedule_fires_once_and_not_in_a_burst() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    late = began + timedelta(minutes=10, seconds=30)

    assert parse_schedule("rate(1 minute)").after(late, began=began) == began + timedelta(minutes=11)


def test_a_disabled_rule_or_schedule_does_not_fire(cloud: ScheduledCloud) -> None:
    arn, heard = cloud.listener("asleep")
    events = cloud.moto.client("events")
    events.put_rule(Name="asleep", ScheduleExpression="rate(1 minute)", State="DISABLED")
    events.put_targets(Rule="asleep", Targets=[{"Id": "1", "Arn": arn}])
    cloud.schedule("asleep", "rate(1 minute)", arn, State="DISABLED")

    time.sleep(0.6)

    assert not heard


def test_a_one_time_schedule_fires_once_and_goes_if_asked(cloud: ScheduledCloud) -> None:
    arn, heard = cloud.listener("once")
    at = (cloud.clock.now() + timedelta(minutes=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")

    cloud.schedule("once", at, arn, ActionAfterCompletion="DELETE", Target={"Input": '{"n": 1}'})
    cloud.schedule("once-kept", at, arn, Target={"Input": '{"n": 2}'})

    eventually(lambda: len(heard) == 2)
    time.sleep(0.3)
    assert sorted(event["n"] for _, event in heard) == [1, 2]
    assert (cloud.exists("once"), cloud.exists("once-kept")) == (False, True)


def test_a_cron_schedule_fires_at_its_minutes_in_its_zone(cloud: ScheduledCloud) -> None:
    arn, heard = cloud.listener("cron")
    told = '{"at": "<aws.scheduler.scheduled-time>"}'

    cloud.schedule(
        "cron", "cron(0/2 * * * ? *)", arn, ScheduleExpressionTimezone="Asia/Shanghai", Target={"Input": told}
    )

    eventually(lambda: len(heard) >= 2)
    minutes = [int(event["at"][14:16]) for _, event in heard]
    assert all(minute % 2 == 0 for minute in minutes)


def test_a_schedule_past_its_end_fires_no_more(cloud: ScheduledCloud) -> None:
    arn, heard = cloud.listener("ended")
    end = cloud.clock.now() - timedelta(minutes=1)

    cloud.schedule("ended", "rate(1 minute)", arn, EndDate=end, ActionAfterCompletion="DELETE")

    eventually(lambda: not cloud.exists("ended"))
    assert not heard


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "due"),
    [
        ("cron(0 9 ? * MON-FRI *)", "UTC", "2026-11-20T09:00", "2026-11-23T09:00"),
        ("cron(15 10 ? * 6L *)", "UTC", "2026-11-01T00:00", "2026-11-27T10:15"),
        ("cron(0 8 ? * 2#1 *)", "UTC", "2026-11-20T00:00", "2026-12-07T08:00"),
        ("cron(0 0 L * ? *)", "UTC", "2027-02-01T00:00", "2027-02-28T00:00"),
        ("cron(0 0 15W * ? *)", "UTC", "2026-11-01T00:00", "2026-11-16T00:00"),
        ("cron(0/15 8-9 1,2 JAN ? 2027)", "UTC", "2026-11-20T00:00", "2027-01-01T08:00"),
        ("cron(0 9 * * ? *)", "Asia/Shanghai", "2026-11-20T00:00", "2026-11-20T01:00"),
        ("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T00:30"),
        ("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-03T12:00", "2026-10-04T15:15"),
        ("rate(12 hours)", "UTC", "2026-11-20T00:00", "2026-11-20T12:00"),
    ],
    ids=[
        "weekdays",
        "last friday",
        "first monday",
        "last day",
        "nearest weekday",
        "lists",
        "zone",
        "gap",
        "fold",
        "gap of half an hour",
        "rate",
    ],
)
def test_when_expressions_are_due(expression: str, zone: str, after: str, due: str) -> None:
    assert parse_schedule(expression, zone).after(utc(after), began=utc(after)) == utc(due)


@pytest.mark.parametrize(
    "expression", ["every minute", "rate(1 fortnight)", "cron(0 9 * * * *)", "cron(61 9 * * ? *)", "cron(0 9 * * ?)"]
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(InvalidScheduleError):
        parse_schedule(expression)


def test_after_its_stop_a_scheduler_has_no_thread(cloud: ScheduledCloud) -> None:
    clock = ScaledClock()
    scheduler = Scheduler(cloud.moto.url, clock, EventBus(cloud.moto.url, clock))
    scheduler.start()
    before = [thread for thread in threading.enumerate() if thread.name == "scheduler"]

    scheduler.stop()

    assert len([thread for thread in threading.enumerate() if thread.name == "scheduler"]) == len(before) - 1
