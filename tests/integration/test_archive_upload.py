"""An archive of objects as S3 gets it, on moto: in parts, whole or not at all, and the same bytes each time."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from pilotlight.adapters.archive_upload import PART_BYTES
from pilotlight.adapters.artifact_bucket import S3ArtifactBucket
from pilotlight.domain.archive import Entry, packed_bytes
from pilotlight.domain.errors import BodyCutShort, NotFound, Unavailable

BUCKET, KEY = "artifacts", "bundles/llama-g1/v1/model.tar.gz"
SHARDS = {
    "model-00001-of-00002.safetensors": bytes(range(256)) * (PART_BYTES // 256 + 5),  # a range, and a few bytes
    "model-00002-of-00002.safetensors": b"\x07" * PART_BYTES,  # a range that is whole
    "onnx/config.json": b"{}",
}


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
        client.create_bucket(Bucket=BUCKET)
        for path, body in SHARDS.items():
            client.put_object(Bucket=BUCKET, Key=f"artifacts/a1/weights/{path}", Body=body)
        yield client


@pytest.fixture
def bucket(s3: Any) -> S3ArtifactBucket:
    return S3ArtifactBucket(s3, s3, BUCKET)


def entries(**changed: int) -> list[Entry]:
    sizes = {path: changed.get(path, len(body)) for path, body in SHARDS.items()}
    kept = [Entry(path=path, size_bytes=size, key=f"artifacts/a1/weights/{path}") for path, size in sizes.items()]
    return [Entry(path="serving.properties", size_bytes=3, content=b"a=b"), *kept]


def written(s3: Any) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())


def left(s3: Any) -> list[str]:
    """Give the uploads that nobody completed or aborted, and the object where there is one."""
    uploads = [each["Key"] for each in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
    held = s3.list_objects_v2(Bucket=BUCKET, Prefix="bundles/").get("Contents", [])
    return [*uploads, *(each["Key"] for each in held)]


def failing(client: Any, operation: str, how: Callable[..., None]) -> None:
    """Let something happen before each call of an operation."""
    client.meta.events.register(f"before-send.s3.{operation}", how)


def test_tarfile_reads_what_was_uploaded_in_parts(s3: Any, bucket: S3ArtifactBucket) -> None:
    bucket.put_archive(KEY, entries())

    with tarfile.open(fileobj=io.BytesIO(written(s3)), mode="r:gz") as tar:
        held = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    assert held == {**SHARDS, "serving.properties": b"a=b"}
    head = s3.head_object(Bucket=BUCKET, Key=KEY, PartNumber=1)
    assert head["ContentLength"] == PART_BYTES
    assert len(written(s3)) == packed_bytes(entries())
    assert left(s3) == [KEY]


def test_a_repeat_of_what_is_there_whole_writes_nothing(s3: Any, bucket: S3ArtifactBucket) -> None:
    bucket.put_archive(KEY, entries())

    def no_more(**_told: Any) -> None:
        raise AssertionError("nothing is begun again")

    failing(s3, "CreateMultipartUpload", no_more)
    bucket.put_archive(KEY, entries())


def test_what_is_there_and_is_no_such_archive_is_written_anew_with_the_same_bytes(
    s3: Any, bucket: S3ArtifactBucket
) -> None:
    bucket.put_archive(KEY, entries())
    first = hashlib.sha256(written(s3)).hexdigest()
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"something else")

    bucket.put_archive(KEY, entries())

    assert hashlib.sha256(written(s3)).hexdigest() == first


@pytest.mark.parametrize("operation", ["UploadPart", "GetObject", "CompleteMultipartUpload"])
def test_an_upload_that_breaks_is_aborted_and_leaves_nothing(s3: Any, bucket: S3ArtifactBucket, operation: str) -> None:
    calls: list[str] = []

    def breaks(request: Any, **_told: Any) -> None:
        calls.append(request.url)
        if len(calls) == 2 or operation == "CompleteMultipartUpload":
            raise EndpointConnectionError(endpoint_url="https://s3.test")

    failing(s3, operation, breaks)
    with pytest.raises(Unavailable):
        bucket.put_archive(KEY, entries())

    assert left(s3) == []


def test_weights_that_are_not_as_long_as_the_manifest_says_are_not_packed(s3: Any, bucket: S3ArtifactBucket) -> None:
    with pytest.raises(BodyCutShort, match=r"onnx/config\.json: 2 of 3 bytes"):
        bucket.put_archive(KEY, entries(**{"onnx/config.json": 3}))

    assert left(s3) == []


def test_weights_that_are_gone_are_named(s3: Any, bucket: S3ArtifactBucket) -> None:
    s3.delete_object(Bucket=BUCKET, Key="artifacts/a1/weights/onnx/config.json")

    with pytest.raises(NotFound, match=r"no artifacts/a1/weights/onnx/config\.json"):
        bucket.put_archive(KEY, entries())

    assert left(s3) == []
