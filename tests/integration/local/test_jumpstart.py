"""The simulated catalogue is one that the product reads, with no more than the permissions that it needs on AWS."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from pilotlight.adapters.jumpstart import S3JumpStartCatalogue
from pilotlight.domain.errors import AccessDenied, SourceGated
from pilotlight.domain.jumpstart import Compression, plan
from pilotlight.domain.source import Source

from local import authorization
from local.authorization import Service, sessions
from local.identity import ACCOUNT_ID, HARNESS, REGION, Credentials
from local.jumpstart import ARCHIVED, GATED, OPEN, Stock, is_gated, stock
from local.sagemaker.model_data import under
from local.sagemaker.places import Place

CACHE = f"arn:aws:s3:::jumpstart-cache-prod-{REGION}"
# What the function that resolves needs. Weights are not among it.
RESOLVING = {
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": [f"{CACHE}/models_manifest.json", f"{CACHE}/community_models/*", f"{CACHE}/fmhMetadata/eula/*"],
}
# What the role of an endpoint needs for weights that are not gated.
HOSTING = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [CACHE, f"{CACHE}/*"]}
TRUST = {"Version": "2012-10-17", "Statement": []}


def client(service: str, keys: Credentials) -> Any:
    make: Any = boto3.client
    return make(
        service,
        region_name=REGION,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
        config=Config(retries={"total_max_attempts": 1}),
    )


@dataclass
class Ground:
    """The catalogue in S3, where policies hold."""

    stock: Stock

    def s3_of_role(self, *statements: dict[str, Any]) -> Any:
        """Give S3 as a role that may do only that sees it."""
        iam = client("iam", HARNESS)
        role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=policy)
        return client("s3", sessions.of_role(role, "test").credentials)

    def s3_of_sagemaker(self) -> Any:
        """Give S3 as SageMaker sees it that acts for an endpoint."""
        endpoint = "arn:aws:sagemaker:us-east-1:123456789012:model/m"
        return client("s3", sessions.of_service("sagemaker.amazonaws.com", endpoint).credentials)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with ExitStack() as closing, mock_aws():
        authorization.install(closing)
        yield Ground(stock(client("s3", HARNESS), tmp_path))


def source(text: str) -> Source:
    return Source.parse(f"jumpstart://{text}")


def keys_below(s3: Any, uri: str) -> set[str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {each["Key"].removeprefix(prefix) for each in found}


def test_a_role_that_may_read_the_catalogue_alone_resolves_every_model(ground: Ground) -> None:
    catalogue = S3JumpStartCatalogue(ground.s3_of_role(RESOLVING), REGION)

    found = [catalogue.resolve(source(name)) for name in (OPEN, GATED, ARCHIVED)]

    assert [each.version for each in found] == ["1.10.0", "1.0.0", "2.0.1"]
    assert [each.gated for each in found] == [False, True, False]
    assert "stands where a publisher's terms would stand" in (catalogue.eula(source(GATED)) or "")
    assert catalogue.eula(source(OPEN)) is None


def test_a_role_without_that_permission_is_refused(ground: Ground) -> None:
    elsewhere = {**RESOLVING, "Resource": "arn:aws:s3:::other/*"}

    with pytest.raises(AccessDenied, match="s3:GetObject on JumpStart's bucket"):
        S3JumpStartCatalogue(ground.s3_of_role(elsewhere), REGION).resolve(source(OPEN))


def test_the_weights_of_an_open_model_lie_where_the_plan_says_and_the_role_of_an_endpoint_reads_them(
    ground: Ground,
) -> None:
    s3 = ground.s3_of_role(HOSTING)

    made = plan(S3JumpStartCatalogue(s3, REGION).resolve(source(OPEN)), region=REGION, instance_type="ml.g5.12xlarge")

    assert made.model_data.compression is Compression.NONE
    assert made.environment["OPTION_TENSOR_PARALLEL_DEGREE"] == "4"
    assert "/djl-inference:" in made.image
    assert keys_below(s3, made.model_data.uri) == set(ground.stock.checkpoint.files)


def test_an_archive_holds_the_same_files_at_its_root(ground: Ground) -> None:
    s3 = ground.s3_of_role(HOSTING)

    made = plan(S3JumpStartCatalogue(s3, REGION).resolve(source(ARCHIVED)), region=REGION)

    assert (made.instance_type, made.model_data.compression) == ("ml.m5.xlarge", Compression.GZIP)
    bucket, _, key = made.model_data.uri.removeprefix("s3://").partition("/")
    packed = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        assert set(archive.getnames()) == set(ground.stock.checkpoint.files)


def test_gated_weights_are_planned_only_for_who_accepts_the_terms(ground: Ground) -> None:
    found = S3JumpStartCatalogue(ground.s3_of_role(RESOLVING), REGION).resolve(source(GATED))

    with pytest.raises(SourceGated, match=r"fmhMetadata/eula/smallLlamaEula\.txt"):
        plan(found, region=REGION)

    data = plan(found, region=REGION, accept_eula=True).model_data
    assert data.gated
    assert is_gated(data.uri.removeprefix("s3://").partition("/")[0])


def test_gated_weights_are_read_by_sagemaker_and_by_no_role_whatever_its_policies_say(ground: Ground) -> None:
    everything = ground.s3_of_role({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    found = S3JumpStartCatalogue(everything, REGION).resolve(source(GATED))
    uri = plan(found, region=REGION, accept_eula=True).model_data.uri

    with pytest.raises(ClientError, match="AccessDenied"):
        keys_below(everything, uri)

    assert keys_below(ground.s3_of_sagemaker(), uri) == set(ground.stock.checkpoint.files)
    by_itself = Service("sagemaker.amazonaws.com", "arn:aws:sagemaker:us-east-1:123456789012:model/m")
    assert authorization.may(by_itself, "s3:ListBucket", f"arn:aws:s3:::{ground.stock.gated}")


def test_a_container_finds_gated_weights_though_its_role_may_read_none(ground: Ground) -> None:
    found = S3JumpStartCatalogue(ground.s3_of_role(RESOLVING), REGION).resolve(source(GATED))
    uri = plan(found, region=REGION, accept_eula=True).model_data.uri

    weights = under(uri, f"arn:aws:iam::{ACCOUNT_ID}:role/reader", Place(ACCOUNT_ID, REGION))

    assert set(weights.sizes) == set(ground.stock.checkpoint.files)


def test_stocking_twice_leaves_one_catalogue(ground: Ground, tmp_path: Path) -> None:
    again = stock(client("s3", HARNESS), tmp_path)

    assert again == ground.stock
    assert S3JumpStartCatalogue(client("s3", HARNESS), REGION).resolve(source(OPEN)).version == "1.10.0"


def test_another_region_has_a_catalogue_of_its_own(ground: Ground, tmp_path: Path) -> None:
    west = "us-west-2"
    stock(client("s3", HARNESS), tmp_path, region=west)

    found = S3JumpStartCatalogue(client("s3", HARNESS), west).resolve(source(OPEN))

    assert plan(found, region=west).model_data.uri.startswith("s3://jumpstart-cache-prod-us-west-2/")
    assert ".us-west-2." in plan(found, region=west).image
