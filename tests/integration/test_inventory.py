"""The two buckets, the machines and the record of a pass as the reconciliation reads them, on moto."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pilotlight.adapters import inventory as adapter
from pilotlight.adapters.executions import StepFunctionsExecutions
from pilotlight.adapters.inventory import S3Inventory
from pilotlight.adapters.pass_table import PassTable
from pilotlight.adapters.table import Table
from pilotlight.domain.reconciliation import Decision, Finding, Kind, Pass

from tests.factories import NOON

REGION = "us-east-1"
ID = "a00000000000000000ff"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        for bucket in ("artifacts", "uploads"):
            client.create_bucket(Bucket=bucket)
        yield client


@pytest.fixture
def inventory(s3: Any) -> S3Inventory:
    return S3Inventory(s3, "artifacts", "uploads")


def put(s3: Any, bucket: str, *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")


def test_folders_of_artifacts_and_unfinished_uploads_are_listed(s3: Any, inventory: S3Inventory) -> None:
    put(s3, "artifacts", f"artifacts/{ID}/weights/x", f"artifacts/{ID}/manifest.json", "artifacts/notes/x", "other/y")
    s3.create_multipart_upload(Bucket="artifacts", Key=f"artifacts/{ID}/weights/z")
    s3.create_multipart_upload(Bucket="artifacts", Key="other/z")

    (upload,) = inventory.unfinished_uploads()
    assert inventory.artifact_ids() == [ID, "notes"]
    assert upload.key == f"artifacts/{ID}/weights/z"
    assert inventory.newest_write("artifacts/none/") is None
    assert inventory.newest_write(f"artifacts/{ID}/")

    inventory.abort(upload)
    inventory.abort(upload)
    assert inventory.unfinished_uploads() == []


def test_invocations_are_listed_in_parts_and_forgotten_one_by_one(
    s3: Any, inventory: S3Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "MOST_INVOCATIONS", 2)
    put(s3, "artifacts", *(f"invocations/{each}/request.json" for each in ("i-1", "i-10", "i-2")))

    first, following = inventory.invocation_ids(None)
    rest, end = inventory.invocation_ids(following)
    inventory.forget_invocation("i-1")
    inventory.forget_invocation("i-1")

    assert (first, rest, end) == (["i-1", "i-10"], ["i-2"], None)
    assert inventory.invocation_ids(None)[0] == ["i-10", "i-2"]


def test_uploaded_folders_are_given_whole_however_the_list_is_cut(
    s3: Any, inventory: S3Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("one", "one-more", "one.two", "two")  # of which "one/" sorts between the others
    put(s3, "uploads", *(f"uploads/{name}/{file}" for name in names for file in ("a", "b")))
    put(s3, "uploads", "uploads/loose", "elsewhere/x/y")
    monkeypatch.setattr(adapter, "MOST_UPLOADED_FILES", 5)

    found, cursor = inventory.uploaded_folders(None)
    while cursor:
        more, cursor = inventory.uploaded_folders(cursor)
        found += more

    assert sorted(each.folder for each in found) == sorted(names)
    assert all([file.path for file in each.files] == ["a", "b"] for each in found)


def test_running_executions_are_listed_by_machine(s3: Any) -> None:
    client = boto3.client("stepfunctions", region_name=REGION)
    definition = {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 1, "End": True}}}
    arn = client.create_state_machine(
        name="pilotlight-stage-artifact", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/r"
    )["stateMachineArn"]
    client.start_execution(stateMachineArn=arn, name=f"{ID}-tlofos-a1")
    executions = StepFunctionsExecutions(client, arn.removesuffix("stage-artifact"))

    (found,) = executions.running("stage_artifact")

    assert (found.machine, found.name) == ("stage_artifact", f"{ID}-tlofos-a1")
    assert found.started_at


def test_a_pass_is_kept_by_whoever_has_the_turn(s3: Any) -> None:
    client = boto3.client("dynamodb", region_name=REGION)
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    passes, until = PassTable(Table(client, "t")), NOON + timedelta(minutes=5)
    finding = Finding(kind=Kind.MODEL, resource="arn", decision=Decision.LOOK, reason="whose?", since=NOON)
    done = Pass(number=1, as_of=NOON, findings=(finding,), found=1, cursors={Kind.UPLOAD: "one"})

    assert passes.latest() == Pass()
    assert passes.begin("a", NOON, until) == 0
    assert passes.begin("a", NOON, until) == 1  # its own repeat
    assert passes.begin("b", NOON, until) is None
    passes.end("b", Pass(number=9))
    assert passes.latest() == Pass()
    assert passes.begin("b", until + timedelta(seconds=1), until + timedelta(minutes=5)) == 2
    passes.end("a", Pass(number=9))  # a zombie
    passes.end("b", done)

    assert passes.latest() == done
    assert passes.begin("c", NOON, until) == 3

    told = {"M": {"findings": {"S": "of a later version"}}}
    client.put_item(TableName="t", Item={"pk": {"S": "RECONCILIATION#newest"}, "sk": {"S": "META"}, "told": told})
    assert passes.latest() == Pass()
    assert passes.begin("d", NOON, until) == 0
