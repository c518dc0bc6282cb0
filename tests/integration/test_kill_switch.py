"""The kill switch's parameter: read seldom, written at once, and never an error where it cannot be read."""

from datetime import datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from pilotlight.adapters.kill_switch import ParameterSwitch
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
def switch(ssm, time):
    return ParameterSwitch(lambda: ssm, NAME, time.now)


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


def test_a_parameter_that_is_gone_cannot_be_read(switch):
    found = switch.read()

    assert found.position is Position.UNREADABLE
    assert NAME in found.reason


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetParameter"),
        EndpointConnectionError(endpoint_url="https://ssm"),
    ],
    ids=["denied", "away"],
)
def test_a_service_that_refuses_is_a_switch_that_cannot_be_read(time, fault):
    class Refusing:
        def get_parameter(self, **_):
            raise fault

        def put_parameter(self, **_):
            raise fault

    switch = ParameterSwitch(Refusing, NAME, time.now)

    assert switch.read().position is Position.UNREADABLE
    if isinstance(fault, ClientError):
        with pytest.raises(AccessDenied):
            switch.write(KillSwitch(position=Position.ON))
