"""The backlog is an optional look: newest measures, kept a while, and none where we may not know."""

from datetime import timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from pilotlight.adapters.backlog import KEPT, CloudWatchBacklog

from tests.factories import NOON
from tests.fakes import ManualClock


@pytest.fixture
def cloudwatch():
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = boto3.client(
        "cloudwatch", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}), **keys
    )
    with Stubber(client) as stub:
        yield client, stub


def results(*told):
    return {"MetricDataResults": [{"Id": name, "Timestamps": times, "Values": values} for name, times, values in told]}


def test_the_newest_measures_are_told(cloudwatch):
    client, stub = cloudwatch
    newest = NOON - timedelta(minutes=1)
    stub.add_response(
        "get_metric_data",
        results(("size", [newest, NOON - timedelta(minutes=2)], [7.0, 3.0]), ("oldest", [newest], [90.5])),
    )

    told = CloudWatchBacklog(lambda: client, ManualClock().now).sizes("pilotlight-llama-g1")

    assert (told.size, told.oldest_age_seconds, told.measured_at) == (7, 90.5, newest)


def test_nothing_measured_is_nothing_known(cloudwatch):
    client, stub = cloudwatch
    stub.add_response("get_metric_data", results(("size", [], []), ("oldest", [], [])))

    assert CloudWatchBacklog(lambda: client, ManualClock().now).sizes("pilotlight-llama-g1") is None


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("Throttling", 400), ("InternalFailure", 500)])
def test_a_look_that_is_refused_is_no_error(cloudwatch, code, status):
    client, stub = cloudwatch
    stub.add_client_error("get_metric_data", code, http_status_code=status)

    assert CloudWatchBacklog(lambda: client, ManualClock().now).sizes("pilotlight-llama-g1") is None


def test_a_look_is_kept_a_while_for_each_endpoint(cloudwatch):
    client, stub = cloudwatch
    clock = ManualClock()
    backlog = CloudWatchBacklog(lambda: client, clock.now)
    for size in (1.0, 2.0, 3.0):
        stub.add_response("get_metric_data", results(("size", [NOON], [size])))

    first = [backlog.sizes("one").size, backlog.sizes("one").size, backlog.sizes("other").size]
    clock.advance(seconds=KEPT.total_seconds())

    assert first == [1, 1, 2]
    assert backlog.sizes("one").size == 3
