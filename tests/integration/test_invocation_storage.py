"""Bodies, marks and addresses against S3 and DynamoDB as moto keeps them; the fakes keep the same contract."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from pilotlight.adapters.in_flight_table import LATENCIES_KEPT, InFlightTable
from pilotlight.adapters.invocation_bodies import SIGNING, S3InvocationBodies
from pilotlight.adapters.table import Table
from pilotlight.domain.invocation_request import InputRequest
from pilotlight.domain.values import Backend

from tests import fakes
from tests.factories import NOON, a_question, an_invocation
from tools import cloudformation

BUCKET = "artifacts-bucket"
TEMPLATE = cloudformation.parse((Path(__file__).parents[2] / "template.yaml").read_text())
DECLARED = cloudformation.of_type(TEMPLATE, "AWS::DynamoDB::Table")["Table"]
OF_INTEREST = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


@pytest.fixture(scope="module")
def aws() -> Iterator[Config]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        yield Config(retries={"total_max_attempts": 1})


@pytest.fixture(params=["in memory", "in S3"])
def bodies(request):
    if request.param == "in memory":
        return fakes.FakeBodies()
    config = request.getfixturevalue("aws")
    client = boto3.client("s3", region_name="us-east-1", config=config)
    client.create_bucket(Bucket=BUCKET)
    signer = boto3.client("s3", region_name="us-east-1", config=SIGNING)
    return S3InvocationBodies(client, BUCKET, lambda: signer, lambda: NOON)


@pytest.fixture(params=["in memory", "in DynamoDB"])
def in_flight(request):
    if request.param == "in memory":
        yield fakes.FakeInFlight()
        return
    client = boto3.client("dynamodb", region_name="us-east-1", config=request.getfixturevalue("aws"))
    client.create_table(TableName="records", **{name: DECLARED[name] for name in OF_INTEREST})
    yield InFlightTable(Table(client, "records"))
    client.delete_table(TableName="records")


# ---- bodies ----------------------------------------------------------------------------------------------------


def test_what_was_asked_answered_and_said_is_kept_by_invocation(bodies):
    bodies.put_request("i-1", a_question("Why?"))
    bodies.put_output("i-1", {"text": "é"})
    bodies.put_failure("i-1", "CUDA out of memory")

    assert bodies.get_request("i-1") == a_question("Why?")
    assert bodies.get_output("i-1") == {"text": "é"}
    assert bodies.get_failure("i-1") == "CUDA out of memory"
    assert bodies.get_failure("i-2") is None


@pytest.mark.parametrize("put", ["put_content", "put_result"])
def test_bytes_are_kept_as_they_are_with_their_type(bodies, put):
    location = getattr(bodies, put)("i-1", b"\xff\x00", "image/png")

    stored = bodies.stored(location)
    assert location.startswith(f"s3://{BUCKET}/invocations/i-1/")
    assert (stored.size_bytes, stored.content_type) == (2, "image/png")
    assert bodies.read(location, 1) == b"\xff"
    assert bodies.stored(f"{location}-of-nobody") is None
    assert bodies.read(f"{location}-of-nobody", 1) is None


def test_an_input_has_a_place_of_its_own_that_may_be_named(bodies):
    place = bodies.upload_address("01m7x", InputRequest(content_type="image/png"))

    assert place.location == f"s3://{BUCKET}/invocations/inputs/01m7x"
    assert bodies.is_input(place.location)
    assert place.headers["Content-Type"] == "image/png"
    assert place.expires_at == NOON + timedelta(hours=1)


def test_an_address_can_be_made_of_what_is_ours_alone(bodies):
    assert bodies.address_of(f"s3://{BUCKET}/results/llama-g1/done/1.out")
    assert bodies.address_of("s3://somebody-elses/results/1.out") is None


def test_an_address_is_signed_as_kms_asks_and_for_one_type_and_size(aws):
    signer = boto3.client("s3", region_name="us-east-1", config=SIGNING)
    bodies = S3InvocationBodies(signer, BUCKET, lambda: signer, lambda: NOON)

    place = bodies.upload_address("01m7x", InputRequest(content_type="image/png", size_bytes=5))

    signed = parse_qs(urlsplit(place.url).query)
    assert signed["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert signed["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert signed["X-Amz-Expires"] == ["3600"]
    assert place.headers == {"Content-Type": "image/png", "Content-Length": "5"}


# ---- marks -----------------------------------------------------------------------------------------------------


def a_call(invocation_id, **fields):
    return an_invocation(invocation_id, backend=Backend.SAGEMAKER_ASYNC, **fields)


def test_marks_are_told_in_the_order_in_which_calls_came(in_flight):
    for invocation_id in ("i-2", "i-1", "i-3", "i-2"):
        in_flight.put(a_call(invocation_id))

    assert in_flight.oldest("llama", 1, 10) == ["i-1", "i-2", "i-3"]
    assert in_flight.oldest("llama", 1, 2) == ["i-1", "i-2"]


def test_marks_of_others_and_of_other_generations_are_apart(in_flight):
    in_flight.put(a_call("i-1"))
    in_flight.put(a_call("i-2", generation=10))
    in_flight.put(a_call("i-3", deployment="other"))

    assert in_flight.oldest("llama", 1, 10) == ["i-1"]
    assert in_flight.oldest("llama", 10, 10) == ["i-2"]


def test_a_mark_is_removed_once_and_twice(in_flight):
    in_flight.put(a_call("i-1"))
    in_flight.put(a_call("i-2"))

    for _ in range(2):
        in_flight.forget(a_call("i-1"))
        in_flight.forget_id("llama", 1, "i-2")

    assert in_flight.oldest("llama", 1, 10) == []


def test_the_last_latencies_are_kept(in_flight):
    assert in_flight.latencies("llama", 1) == ()

    for seconds in range(LATENCIES_KEPT + 2):
        in_flight.note_latency("llama", 1, seconds + 0.5)

    assert in_flight.latencies("llama", 1) == tuple(number + 0.5 for number in range(2, LATENCIES_KEPT + 2))
    assert in_flight.latencies("llama", 2) == ()


def test_a_mark_goes_with_its_invocation_at_the_latest(aws):
    client = boto3.client("dynamodb", region_name="us-east-1", config=aws)
    client.create_table(TableName="marks", **{name: DECLARED[name] for name in OF_INTEREST})
    InFlightTable(Table(client, "marks")).put(a_call("i-1"))

    (item,) = client.scan(TableName="marks")["Items"]

    assert int(item["ttl"]["N"]) == int(a_call("i-1").kept_until.timestamp())
    client.delete_table(TableName="marks")
