"""What lies in S3 is copied by S3 into our bucket, as it was listed or not at all, and with its checksum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from pilotlight.adapters.artifact_bucket import S3ArtifactBucket
from pilotlight.adapters.crc64nvme import encoded
from pilotlight.domain.errors import (
    BodyCutShort,
    NotFound,
    PilotlightError,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Throttled,
    Unavailable,
)
from pilotlight.domain.source import StoredObject
from pilotlight.domain.spans import MIB, Part
from pilotlight.wiring import ONCE

from local import object_store
from local.clock import ScaledClock
from tests.integration.local.moto_cloud import MotoCloud, running_moto

BUCKET, KEY = "artifacts", "artifacts/a1/weights/model.safetensors"
THEIRS, PLACE = "somebodys", "models/a model+1.safetensors"  # S3 wants such names encoded
BYTES = bytes(range(251)) * (12 * MIB // 251)
PARTS = [
    Part(number=number + 1, offset=start, size_bytes=min(5 * MIB, len(BYTES) - start))
    for number, start in enumerate(range(0, len(BYTES), 5 * MIB))
]


@pytest.fixture(scope="module")
def cloud() -> Iterator[MotoCloud]:
    object_store.install(ScaledClock())
    with running_moto() as moto:
        s3 = moto.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=THEIRS, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield moto


@pytest.fixture
def s3(cloud: MotoCloud) -> Any:
    return cloud.client("s3", config=ONCE)


@pytest.fixture
def bucket(s3: Any) -> Iterator[S3ArtifactBucket]:
    made = S3ArtifactBucket(s3, s3, BUCKET)
    yield made
    made.abort_uploads("")


@pytest.fixture
def stored(s3: Any) -> StoredObject:
    made = s3.put_object(Bucket=THEIRS, Key=PLACE, Body=BYTES, Metadata={"of": "theirs"}, Tagging="of=theirs")
    return StoredObject(bucket=THEIRS, key=PLACE, size_bytes=len(BYTES), etag=made["ETag"].strip('"'))


def crc(body: bytes) -> str:
    return encoded(checksums.crc64nvme(body))


def test_parts_are_copied_from_another_bucket_in_another_region_and_their_checksums_make_that_of_the_whole(
    bucket: S3ArtifactBucket, s3: Any, stored: StoredObject
) -> None:
    upload = bucket.start_upload(KEY)

    for part in PARTS:
        bucket.copy_part(KEY, upload, part, stored)
    held = bucket.parts(KEY, upload)
    checksum = bucket.complete(KEY, upload, list(held.values()))

    head = s3.head_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")
    assert checksum == head["ChecksumCRC64NVME"] == crc(BYTES)
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == BYTES


def test_a_small_object_is_copied_whole_without_its_tags_and_metadata(
    bucket: S3ArtifactBucket, s3: Any, stored: StoredObject
) -> None:
    bucket.copy(KEY, stored)

    head = s3.head_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumCRC64NVME"], head["Metadata"]) == (len(BYTES), crc(BYTES), {})
    assert s3.get_object_tagging(Bucket=BUCKET, Key=KEY)["TagSet"] == []


def test_what_s3_tells_of_an_object_is_what_can_be_copied(bucket: S3ArtifactBucket, stored: StoredObject) -> None:
    bucket.copy(KEY, stored)

    found = bucket.stored(KEY)

    assert found is not None
    assert (found.bucket, found.key, found.size_bytes, found.checksum_crc64nvme) == (
        BUCKET,
        KEY,
        len(BYTES),
        crc(BYTES),
    )
    bucket.copy(KEY + "2", found)
    assert bucket.stored("artifacts/nothing") is None


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"etag": "another"}, SourceChanged, "replaced since it was listed"),
        ({"key": "models/nothing"}, SourceNotFound, "no s3://somebodys/models/nothing"),
        ({"bucket": "not-there"}, SourceNotFound, "no s3://not-there/"),
    ],
)
def test_what_is_no_longer_there_as_it_was_listed_is_not_copied(
    bucket: S3ArtifactBucket,
    stored: StoredObject,
    whole: bool,
    changed: dict[str, str],
    error: type[PilotlightError],
    words: str,
) -> None:
    key = "artifacts/a2/weights/x"
    upload = bucket.start_upload(key)
    other = stored.changed(**changed)

    with pytest.raises(error, match=words):
        bucket.copy(key, other) if whole else bucket.copy_part(key, upload, PARTS[0], other)

    assert (bucket.sizes(key), bucket.parts(key, upload)) == ({}, {})


def test_a_part_for_an_upload_that_is_gone_is_told_as_that(bucket: S3ArtifactBucket, stored: StoredObject) -> None:
    upload = bucket.start_upload(KEY)
    bucket.abort_upload(KEY, upload)
    bucket.abort_upload(KEY, upload)

    with pytest.raises(NotFound, match="over or was aborted"):
        bucket.copy_part(KEY, upload, PARTS[0], stored)


@pytest.mark.parametrize(
    ("code", "status", "message", "error", "words"),
    [
        ("AccessDenied", 403, "", SourceGated, r"s3:GetObject, kms:Decrypt"),
        ("KMS.DisabledException", 400, "it is disabled", SourceGated, r"key .* cannot be used .*it is disabled"),
        ("ObjectNotInActiveTierError", 403, "", SourceRefused, "Restore it from Glacier"),
        (
            "InvalidRequest",
            400,
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided.",
            SourceRefused,
            "SSE-C",
        ),
        ("PermanentRedirect", 301, "use another endpoint", SourceRefused, "PermanentRedirect .* use another endpoint"),
        ("SlowDown", 503, "", Throttled, "slow down"),
        ("InternalError", 500, "", Unavailable, "InternalError"),
        ("OperationAborted", 409, "", Unavailable, "OperationAborted"),
    ],
)
def test_every_refusal_to_copy_says_what_to_do(
    s3: Any, stored: StoredObject, code: str, status: int, message: str, error: type[PilotlightError], words: str
) -> None:
    with Stubber(s3) as stub:
        for operation in ("upload_part_copy", "copy_object"):
            stub.add_client_error(operation, code, message, http_status_code=status)
        bucket = S3ArtifactBucket(s3, s3, BUCKET)

        for ask in (
            lambda: bucket.copy_part(KEY, "an-upload", PARTS[0], stored),
            lambda: bucket.copy(KEY, stored),
        ):
            with pytest.raises(error, match=words) as caught:
                ask()
            assert isinstance(caught.value.__cause__, ClientError)


# ---- uploads that others began ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [{}, {"ChecksumAlgorithm": "CRC32"}, {"ChecksumAlgorithm": "SHA256"}])
def test_an_upload_of_another_checksum_is_aborted_and_begun_anew(
    bucket: S3ArtifactBucket, s3: Any, begun: dict[str, str]
) -> None:
    old = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY, **begun)["UploadId"]

    fresh = bucket.start_upload(KEY)

    listed = s3.list_multipart_uploads(Bucket=BUCKET, Prefix=KEY)["Uploads"]
    assert [each["UploadId"] for each in listed] == [fresh]
    assert fresh != old
    assert bucket.start_upload(KEY) == fresh


def test_an_upload_of_a_longer_name_is_somebody_elses(bucket: S3ArtifactBucket, s3: Any) -> None:
    theirs = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY + ".index")["UploadId"]

    bucket.start_upload(KEY)

    assert bucket.parts(KEY + ".index", theirs) == {}


def test_everything_below_a_prefix_is_aborted_whatever_it_was_begun_with_and_nothing_beside(
    bucket: S3ArtifactBucket, s3: Any
) -> None:
    bucket.start_upload("artifacts/a1/weights/x")
    s3.create_multipart_upload(Bucket=BUCKET, Key="artifacts/a1/weights/x", ChecksumAlgorithm="SHA256")
    bucket.start_upload("artifacts/a10/weights/x")

    assert bucket.abort_uploads("artifacts/a1/") == 2

    left = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [each["Key"] for each in left] == ["artifacts/a10/weights/x"]


def test_parts_that_were_replaced_since_they_were_listed_are_listed_again(
    bucket: S3ArtifactBucket, stored: StoredObject
) -> None:
    upload = bucket.start_upload(KEY)
    bucket.copy_part(KEY, upload, PARTS[-1].changed(number=1), stored)
    listed = list(bucket.parts(KEY, upload).values())
    bucket.copy_part(KEY, upload, PARTS[0], stored)  # as a copy that lost its race does, with an ETag of its own

    with pytest.raises(BodyCutShort, match="replaced since it was listed"):
        bucket.complete(KEY, upload, listed)
