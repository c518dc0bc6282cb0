"""JumpStart's catalogue is read from its bucket; what is missing, forbidden or broken there is said."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws
from pilotlight.adapters import jumpstart
from pilotlight.adapters.jumpstart import S3JumpStartCatalogue
from pilotlight.domain.errors import AccessDenied, SourceNotFound, SourceRefused, Terminal, Throttled, Unavailable
from pilotlight.domain.jumpstart import plan
from pilotlight.domain.source import Source

REGION = "us-east-1"
BUCKET = "jumpstart-cache-prod-us-east-1"
SOURCE = Source.parse("jumpstart://text-small")
SPEC = {
    "default_inference_instance_type": "ml.g5.xlarge",
    "hosting_ecr_uri": "111122223333.dkr.ecr.us-east-1.amazonaws.com/image:1",
    "hosting_prepacked_artifact_key": "text/prepack/v1/",
    "hosting_eula_key": "terms/eula.txt",
}


def entry(version, **fields):
    return {
        "model_id": "text-small",
        "version": version,
        "min_version": "2.0",
        "spec_key": f"specs/{version}",
        **fields,
    }


def refusing(code, status):
    """Return a client for one call, which S3 answers with an error."""
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.add_client_error("get_object", code, "no", http_status_code=status)
    stubber.activate()
    return client


def put(s3, key, content, bucket=BUCKET):
    s3.put_object(Bucket=bucket, Key=key, Body=content if isinstance(content, bytes) else json.dumps(content))


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION, config=Config(retries={"total_max_attempts": 1}))
        client.create_bucket(Bucket=BUCKET)
        put(client, "models_manifest.json", [entry("1.9.0"), entry("1.10.0")])
        put(client, "specs/1.10.0", SPEC)
        put(client, "specs/1.9.0", SPEC | {"hosting_eula_key": None})
        put(client, "terms/eula.txt", "Do no härm.\n".encode())
        yield client


@pytest.fixture
def catalogue(s3):
    return S3JumpStartCatalogue(s3, REGION)


def test_the_newest_version_is_found_and_pinned(catalogue):
    found = catalogue.resolve(SOURCE)

    assert str(found.source) == "jumpstart://text-small@1.10.0"
    assert catalogue.resolve(found.source) == found
    assert plan(found, region=REGION, accept_eula=True).model_data.uri == f"s3://{BUCKET}/text/prepack/v1/"


def test_a_version_that_appears_is_seen_by_the_next_who_asks(s3, catalogue):
    before = catalogue.resolve(SOURCE)
    put(s3, "models_manifest.json", [entry("1.10.0"), entry("2.0.0")])
    put(s3, "specs/2.0.0", SPEC)

    assert catalogue.resolve(SOURCE).version == "2.0.0"
    assert catalogue.resolve(before.source).version == "1.10.0"


def test_terms_are_read_where_there_are_some(catalogue):
    assert catalogue.eula(SOURCE) == "Do no härm.\n"
    assert catalogue.eula(Source.parse("jumpstart://text-small@1.9.0")) is None


def test_another_bucket_may_stand_for_the_one_of_aws(s3):
    s3.create_bucket(Bucket="mine")
    put(s3, "models_manifest.json", [entry("3.0.0")], bucket="mine")
    put(s3, "specs/3.0.0", SPEC | {"gated_bucket": True}, bucket="mine")

    found = S3JumpStartCatalogue(s3, "us-moon-1", bucket="mine", gated_bucket="mine-gated").resolve(SOURCE)

    assert found.eula_uri == "s3://mine/terms/eula.txt"
    assert plan(found, region="us-moon-1", accept_eula=True).model_data.uri == "s3://mine-gated/text/prepack/v1/"


def test_a_region_without_jumpstart_is_refused_before_anything_is_read():
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")

    with Stubber(client), pytest.raises(SourceRefused, match="no models in us-moon-1"):
        S3JumpStartCatalogue(client, "us-moon-1").resolve(SOURCE)


def test_a_catalogue_or_a_spec_that_is_not_there_is_said(s3, catalogue):
    s3.delete_object(Bucket=BUCKET, Key="specs/1.10.0")

    with pytest.raises(SourceNotFound, match=r"no s3://jumpstart-cache-prod-us-east-1/specs/1\.10\.0"):
        catalogue.resolve(SOURCE)
    with pytest.raises(SourceNotFound, match=r"jumpstart-cache-prod-eu-west-1/models_manifest\.json"):
        S3JumpStartCatalogue(s3, "eu-west-1").resolve(SOURCE)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[1, 2", b'{"models": []}', b"[NaN]"])
def test_a_manifest_that_is_none_is_refused(s3, catalogue, content):
    put(s3, "models_manifest.json", content)

    with pytest.raises(SourceRefused, match=r"models_manifest\.json"):
        catalogue.resolve(SOURCE)


@pytest.mark.parametrize("content", [b"not json", b"[]", b'{"hosting_prepacked_artifact_key": 5}'])
def test_a_spec_that_is_none_is_refused(s3, catalogue, content):
    put(s3, "specs/1.10.0", content)

    with pytest.raises(SourceRefused, match="spec"):
        catalogue.resolve(SOURCE)


@pytest.mark.parametrize(("limit", "what"), [("MOST_MANIFEST_BYTES", "models_manifest"), ("MOST_SPEC_BYTES", "specs/")])
def test_what_is_larger_than_it_may_be_is_refused(monkeypatch, catalogue, limit, what):
    monkeypatch.setattr(jumpstart, limit, 10)

    with pytest.raises(SourceRefused, match=f"{what}.*larger than the 10 bytes"):
        catalogue.resolve(SOURCE)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, AccessDenied),
        ("SlowDown", 503, Throttled),
        ("InternalError", 500, Unavailable),
        ("InvalidRequest", 400, Terminal),
    ],
)
def test_what_s3_says_is_told_in_our_words(code, status, error):
    catalogue = S3JumpStartCatalogue(refusing(code, status), REGION)

    with pytest.raises(error, match=r"models_manifest\.json") as caught:
        catalogue.resolve(SOURCE)

    assert type(caught.value) is error


def test_who_may_not_read_is_told_what_to_allow():
    catalogue = S3JumpStartCatalogue(refusing("AccessDenied", 403), REGION)

    with pytest.raises(AccessDenied, match="s3:GetObject on JumpStart's bucket"):
        catalogue.resolve(SOURCE)


def test_an_s3_that_does_not_answer_is_unavailable():
    class Silent:
        def get_object(self, **_):
            raise EndpointConnectionError(endpoint_url="https://s3")

    with pytest.raises(Unavailable):
        S3JumpStartCatalogue(Silent(), REGION).resolve(SOURCE)
