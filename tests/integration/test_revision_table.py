"""Revisions keep the same contract in memory and in the table: what is written comes back, no number is taken twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from pilotlight import ports
from pilotlight.adapters.deployment_table import DeploymentTable
from pilotlight.adapters.revision_table import RevisionTable
from pilotlight.adapters.table import Table
from pilotlight.domain.endpoint import Mount, Revision, RevisionStatus
from pilotlight.domain.errors import ConcurrentChange, NotFound
from pilotlight.domain.hosting import Hosting
from pilotlight.ports.endpoints import Revisions

from tests.factories import a_deployment, an_event
from tests.fakes.hosting import FakeRevisions
from tests.integration.test_sagemaker_endpoints import a_revision
from tools import cloudformation

TEMPLATE = cloudformation.parse((Path(__file__).parents[2] / "template.yaml").read_text())
DECLARED = cloudformation.of_type(TEMPLATE, "AWS::DynamoDB::Table")["Table"]
OF_INTEREST = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        yield boto3.client("dynamodb", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def table(dynamodb: Any) -> Iterator[Table]:
    dynamodb.create_table(TableName="records", **{name: DECLARED[name] for name in OF_INTEREST})
    yield Table(dynamodb, "records")
    dynamodb.delete_table(TableName="records")


@pytest.fixture(params=["in memory", "in DynamoDB"])
def revisions(request: pytest.FixtureRequest) -> Revisions:
    return FakeRevisions() if request.param == "in memory" else RevisionTable(request.getfixturevalue("table"))


def a_whole_one(number: int = 1, **fields: Any) -> Revision:
    """Return a revision that says something in each of its fields."""
    hosting = {
        "instance": {"type": "ml.g5.2xlarge", "context_tokens": 4096},
        "scaling": {"max": 4, "backlog_per_instance": 2.5},
        "serving": {"files": {"model.py": "def handle(inputs):\n    return 'größe'\n"}},
        "container": {"environment": {"EMPTY": "", "A": "b"}},
    }
    return a_revision(
        number,
        hosting=Hosting.model_validate(hosting),
        mounts=(Mount(uri="s3://a/b.tar.gz", compressed=True), Mount(uri="s3://a/c/", channel="weights", gated=True)),
        environment={"OPTION_DTYPE": "bf16"},
        bundle_key=f"bundles/llama-g1/v{number}/model.tar.gz",
        volume_gib=64,
        usd_per_hour=1.515,
        tensor_parallel_degree=1,
        why="it is the cheapest",
        reason="because",
        **fields,
    )


def test_a_revision_comes_back_as_it_was_written(revisions):
    written = a_whole_one()

    revisions.add(written)

    assert revisions.find("llama", 1, 1) == written
    assert revisions.newest_first("llama", 1) == [written]


def test_what_there_is_not_is_none_and_an_empty_list(revisions):
    assert revisions.find("llama", 1, 1) is None
    assert revisions.newest_first("llama", 1) == []


def test_a_number_that_somebody_has_taken_is_refused_and_what_he_wrote_stays(revisions):
    theirs = a_whole_one(image="theirs")
    revisions.add(theirs)

    with pytest.raises(ConcurrentChange):
        revisions.add(a_whole_one(image="ours"))

    assert revisions.find("llama", 1, 1) == theirs


def test_what_becomes_of_a_revision_that_was_forgotten_meanwhile_is_not_written(revisions):
    revisions.add(a_whole_one())
    revisions.forget(a_whole_one())

    revisions.put(a_whole_one(status=RevisionStatus.RETIRED))

    assert revisions.find("llama", 1, 1) is None


def test_what_became_of_a_revision_is_written_over_it(revisions):
    revisions.add(a_whole_one())

    revisions.put(a_whole_one(status=RevisionStatus.RETIRED))

    assert revisions.find("llama", 1, 1).status is RevisionStatus.RETIRED
    assert len(revisions.newest_first("llama", 1)) == 1


def test_revisions_come_the_newest_first_by_number_and_not_by_text(revisions):
    for number in (2, 10, 1, 9, 100):
        revisions.add(a_revision(number))

    assert [each.number for each in revisions.newest_first("llama", 1)] == [100, 10, 9, 2, 1]


def test_another_generation_and_another_deployment_are_not_mixed_in(revisions):
    for fields in ({}, {"generation": 2}, {"generation": 11}, {"deployment": "llama-2"}):
        revisions.add(a_revision(**fields))

    assert [(each.deployment, each.generation) for each in revisions.newest_first("llama", 1)] == [("llama", 1)]
    assert [each.generation for each in revisions.newest_first("llama", 11)] == [11]


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(revisions):
    for number in (1, 2):
        revisions.add(a_revision(number))

    revisions.forget(a_revision(1))
    revisions.forget(a_revision(1))

    assert [each.number for each in revisions.newest_first("llama", 1)] == [2]
    revisions.add(a_revision(1))


def test_more_than_a_page_of_them_come_whole(table):
    revisions = RevisionTable(table)
    for number in range(1, 131):
        revisions.add(a_revision(number))

    assert [each.number for each in revisions.newest_first("llama", 1)] == list(range(130, 0, -1))


def test_one_that_cannot_be_read_hides_none_of_the_others(table):
    revisions = RevisionTable(table)
    revisions.add(a_revision(1))
    table.put({"pk": "DEPLOYMENT#llama", "sk": "REVISION#000001#000002", "from": "another version of ourselves"})

    assert [each.number for each in revisions.newest_first("llama", 1)] == [1]
    with pytest.raises(NotFound, match="cannot be read"):
        revisions.find("llama", 1, 2)


def test_revisions_lie_beside_their_deployment_and_neither_its_record_nor_its_timeline_sees_them(table):
    deployments: ports.Deployments = DeploymentTable(table)
    reserved = deployments.reserve(a_deployment("llama"), an_event("asked for"))

    RevisionTable(table).add(a_whole_one())

    assert deployments.get("llama") == reserved
    assert len(deployments.events("llama", None, 50)[0]) == 1
    assert [each.name for each in deployments.page(None, 50)[0]] == ["llama"]
