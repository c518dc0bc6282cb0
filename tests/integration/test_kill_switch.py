"""The kill switch's parameter: read seldom, written at once, and never an error where it cannot be read."""

from datetime import datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from pilotlight.adapters.kill_switch import ParameterSwitch, SwitchMirror
from pilotlight.adapters.table import Table
from pilotlight.domain.errors import AccessDenied
from pilotlight.domain.kill_switch import KillSwitch, Position

from tests.factories import NOON

NAME = "/pilotlight/kill-switch"


class Time:
    """A moment that tests move."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def ssm():
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def mirror(ssm):
    client = boto3.client("dynamodb", region_name="us-east-1")
    keys = {"pk": "HASH", "sk": "RANGE"}
    client.create_table(
        TableName="records",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return SwitchMirror(Table(client, "records"))


@pytest.fixture
def a_process(ssm, mirror, time):
    """Return what makes a process of its own that reads the switch."""
    return lambda: ParameterSwitch(lambda: ssm, NAME, lambda: mirror, time.now)


@pytest.fixture
def switch(a_process):
    return a_process()


@pytest.fixture
def throttle(ssm, monkeypatch):
    """Return what makes Systems Manager refuse every read."""

    def refuse(**_):
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "GetParameter")

    return lambda: monkeypatch.setattr(ssm, "get_parameter", refuse)


def by_hand(ssm, value):
    ssm.put_parameter(Name=NAME, Value=value, Type="String", Overwrite=True)


def test_what_an_operator_puts_there_holds_within_five_seconds(ssm, switch, time):
    by_hand(ssm, "off")
    assert switch.read().is_off
    by_hand(ssm, "on")

    time.moment += timedelta(seconds=4)
    assert switch.read().is_off
    time.moment += timedelta(seconds=1)

    assert switch.read().position is Position.ON


def test_what_the_api_puts_there_is_read_back_at_once(ssm, switch):
    by_hand(ssm, "off")
    switch.read()

    switch.write(KillSwitch(position=Position.ON, reason="audit", since=NOON, by="ada"))

    assert switch.read() == KillSwitch(position=Position.ON, reason="audit", since=NOON, by="ada")


def test_a_switch_that_nobody_ever_turned_is_off(switch):
    assert switch.read().is_off


def test_a_switch_that_was_seen_on_stays_on_while_it_cannot_be_read(ssm, switch, time, throttle):
    by_hand(ssm, "on")
    switch.read()
    throttle()

    time.moment += timedelta(minutes=10)

    assert switch.read().position is Position.ON


def test_a_process_that_read_nothing_yet_takes_the_switch_to_be_as_the_sweep_found_it(ssm, a_process, throttle):
    by_hand(ssm, "on")
    a_process().refresh()
    throttle()

    assert a_process().read().position is Position.ON


def test_a_process_that_read_off_hears_through_the_table_that_it_is_on(a_process, time, throttle):
    early = a_process()
    assert early.read().is_off
    a_process().write(KillSwitch(position=Position.ON, reason="audit"))
    throttle()

    time.moment += timedelta(seconds=5)

    assert (early.read().position, early.read().reason) == (Position.ON, "audit")


def test_a_switch_that_was_off_and_cannot_be_read_says_so(ssm, a_process, throttle):
    by_hand(ssm, "off")
    a_process().refresh()
    throttle()

    found = a_process().read()

    assert found.position is Position.UNREADABLE
    assert NAME in found.reason


def test_the_sweep_reads_past_what_is_remembered(ssm, switch):
    by_hand(ssm, "off")
    switch.read()
    by_hand(ssm, "on")

    assert switch.refresh().position is Position.ON
    assert switch.read().position is Position.ON


def test_a_table_that_is_away_keeps_nobody_from_reading_or_turning_the_switch(ssm, mirror, switch, throttle):
    mirror._table.client.delete_table(TableName="records")

    switch.write(KillSwitch(position=Position.OFF))
    assert switch.refresh().is_off
    throttle()

    assert switch.refresh().position is Position.UNREADABLE


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetParameter"),
        EndpointConnectionError(endpoint_url="https://ssm"),
    ],
    ids=["denied", "away"],
)
def test_a_service_that_refuses_is_a_switch_that_cannot_be_read(mirror, time, fault):
    class Refusing:
        def get_parameter(self, **_):
            raise fault

        def put_parameter(self, **_):
            raise fault

    switch = ParameterSwitch(Refusing, NAME, lambda: mirror, time.now)

    assert switch.read().position is Position.UNREADABLE
    if isinstance(fault, ClientError):
        with pytest.raises(AccessDenied):
            switch.write(KillSwitch(position=Position.ON))
