"""DynamoDB writes as if there were one at a time, and a cancelled transaction takes back only what it wrote."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local import tables
from local.index_lag import lag

KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
THREADS = 16


@pytest.fixture
def table() -> Iterator[Any]:
    """Give a client of a table `t`, with threads that are switched as often as possible."""
    tables.install()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        types = [{"AttributeName": each["AttributeName"], "AttributeType": "S"} for each in KEYS]
        client.create_table(TableName="t", KeySchema=KEYS, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
        yield client
    sys.setswitchinterval(interval)


def key(pk: str, sk: str = "META") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def succeeds(call: Any, **request: Any) -> bool:
    try:
        call(**request)
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in ("ConditionalCheckFailedException", "TransactionCanceledException"):
            raise
        return False
    return True


def put_if_new(pk: str, sk: str = "META") -> dict[str, Any]:
    return {"TableName": "t", "Item": key(pk, sk), "ConditionExpression": "attribute_not_exists(pk)"}


def test_of_many_who_write_what_must_not_exist_one_wins(table: Any) -> None:
    for turn in range(12):
        with ThreadPoolExecutor(THREADS) as writers:
            wins = sum(writers.map(lambda _, turn=turn: succeeds(table.put_item, **put_if_new(f"k{turn}")), range(24)))

        assert wins == 1


def test_of_many_transactions_one_wins_and_nobody_else_loses_a_write(table: Any) -> None:
    def take(number: int) -> bool:
        note = {"Put": {"TableName": "t", "Item": key("taken", f"EVENT#{number}")}}
        return succeeds(table.transact_write_items, TransactItems=[{"Put": put_if_new("taken")}, note])

    def write(number: int) -> bool:
        return succeeds(table.put_item, TableName="t", Item=key("others", str(number)))

    with ThreadPoolExecutor(THREADS) as writers:
        turns = [writers.submit(each, number) for number in range(40) for each in (take, write)]
        outcomes = [each.result() for each in turns]

    assert sum(outcomes[::2]) == 1
    written = table.query(
        TableName="t", KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "others"}}
    )["Count"]
    events = table.query(
        TableName="t", KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "taken"}}
    )["Count"]
    assert (written, events) == (40, 2)


def test_a_cancelled_transaction_takes_back_its_put_its_update_and_its_delete(table: Any) -> None:
    for pk in ("old", "deleted"):
        table.put_item(TableName="t", Item={**key(pk), "n": {"N": "1"}})
    update = {
        "TableName": "t",
        "Key": key("old"),
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "2"}},
    }
    refused = {
        "TableName": "t",
        "Key": key("nowhere"),
        "ConditionExpression": "attribute_exists(pk)",
    }

    done = succeeds(
        table.transact_write_items,
        TransactItems=[
            {"Put": {"TableName": "t", "Item": key("new")}},
            {"Update": update},
            {"Delete": {"TableName": "t", "Key": key("deleted")}},
            {"ConditionCheck": refused},
        ],
    )

    items = {item["pk"]["S"]: item.get("n") for item in table.scan(TableName="t")["Items"]}
    assert not done
    assert items == {"old": {"N": "1"}, "deleted": {"N": "1"}}


@pytest.fixture
def indexed(table: Any) -> Iterator[Any]:
    """Give a client of a table `i` with an index by `due`, whose indexes are five seconds behind, and their clock."""
    names = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "due")]
    by_due = [{"AttributeName": "due", "KeyType": "HASH"}, KEYS[0] | {"KeyType": "RANGE"}]
    index = {"IndexName": "due", "KeySchema": by_due, "Projection": {"ProjectionType": "ALL"}}
    table.create_table(
        TableName="i",
        KeySchema=KEYS,
        AttributeDefinitions=names,
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[index],
    )
    moment = [100.0]
    lag.set(5.0, lambda: moment[0])
    yield table, moment
    lag.set(0.0, lambda: 0.0)


def due(client: Any) -> list[str]:
    found = client.query(
        TableName="i",
        IndexName="due",
        KeyConditionExpression="due = :due",
        ExpressionAttributeValues={":due": {"S": "now"}},
    )
    return [item["pk"]["S"] for item in found["Items"]]


def test_an_index_hears_of_a_write_some_seconds_later_and_the_table_at_once(indexed: Any) -> None:
    client, moment = indexed
    told = []

    client.put_item(TableName="i", Item={**key("one"), "due": {"S": "now"}})
    told.append(due(client))
    assert client.get_item(TableName="i", Key=key("one"), ConsistentRead=True)["Item"]["due"] == {"S": "now"}
    moment[0] += 6
    told.append(due(client))
    client.update_item(
        TableName="i",
        Key=key("one"),
        UpdateExpression="SET due = :later",
        ExpressionAttributeValues={":later": {"S": "later"}},
    )
    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": "i", "Item": {**key("two"), "due": {"S": "now"}}}}]
    )
    told.append(due(client))
    moment[0] += 6
    told.append(due(client))
    client.delete_item(TableName="i", Key=key("two"))
    told.append(due(client))
    moment[0] += 6
    told.append(due(client))

    assert told == [[], ["one"], ["one"], ["two"], ["two"], []]


def test_an_index_without_a_lag_knows_everything(indexed: Any) -> None:
    client, _ = indexed
    lag.set(0.0, lambda: 0.0)

    client.put_item(TableName="i", Item={**key("one"), "due": {"S": "now"}})

    assert due(client) == ["one"]


VALUES = {
    "text": {"S": "a"},
    "empty": {"S": ""},
    "number": {"N": "1.50"},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "nothing": {"NULL": True},
    "names": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "bytes": {"B": b"\x00\xff"},
    "folder": {"M": {"deep": {"L": [{"S": "a"}, {"M": {}}, {"L": []}]}, "none": {"NULL": True}}},
    "with bytes": {"M": {"deep": {"L": [{"B": b"\x00"}]}}},
}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_each_kind_of_value_comes_back_as_it_was_put(table: Any, name: str) -> None:
    table.put_item(TableName="t", Item={**key("v"), "value": VALUES[name]})
    found = table.get_item(TableName="t", Key=key("v"))["Item"]
    listed = table.scan(TableName="t")["Items"]
    assert found["value"] == VALUES[name]
    assert listed == [found]
