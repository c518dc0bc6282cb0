"""Contracts of S3's seams: each would fail with moto as it comes."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from local import object_store
from local.checksums import Checksum, checksum_of, full_object
from local.clock import ScaledClock
from tests.integration.local.moto_cloud import MotoCloud, running_moto

FIVE_MIB = 5 * 1024 * 1024
WRONG = {"CRC32": "AAAAAA==", "CRC32C": "AAAAAA==", "CRC64NVME": "AAAAAAAAAAA=", "SHA256": "A" * 43 + "="}


@pytest.fixture(scope="module")
def cloud() -> Iterator[MotoCloud]:
    object_store.install(ScaledClock())
    with running_moto() as moto:
        moto.client("s3").create_bucket(Bucket="store")
        yield moto


@pytest.fixture(scope="module")
def s3(cloud: MotoCloud) -> Any:
    return cloud.client("s3")


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class Upload:
    """One multipart upload, by short names."""

    def __init__(self, s3: Any, key: str, **created: Any) -> None:
        self._s3 = s3
        self.key = key
        self.id = s3.create_multipart_upload(Bucket="store", Key=key, **created)["UploadId"]
        self._where = {"Bucket": "store", "Key": key, "UploadId": self.id}

    def put(self, number: int, body: bytes, **more: Any) -> dict[str, Any]:
        made = self._s3.upload_part(**self._where, PartNumber=number, Body=body, **more)
        checksums = {name: value for name, value in made.items() if name.startswith("Checksum")}
        return {"PartNumber": number, "ETag": made["ETag"], **checksums}

    def parts(self, **more: Any) -> dict[str, Any]:
        return dict(self._s3.list_parts(**self._where, **more))

    def complete(self, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
        made = self._s3.complete_multipart_upload(**self._where, MultipartUpload={"Parts": list(parts)}, **more)
        return dict(made)

    def abort(self) -> None:
        self._s3.abort_multipart_upload(**self._where)


# Checksums of a whole object


@pytest.mark.parametrize("algorithm", sorted(WRONG))
def test_a_wrong_checksum_is_refused_and_leaves_nothing(s3: Any, algorithm: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="store", Key="wrong", Body=b"data", **{f"Checksum{algorithm}": WRONG[algorithm]})

    assert code_of(refused) == ("BadDigest", 400)
    assert "Contents" not in s3.list_objects_v2(Bucket="store", Prefix="wrong")


@pytest.mark.parametrize("algorithm", sorted(WRONG))
def test_a_right_checksum_is_kept_and_told(s3: Any, algorithm: str) -> None:
    right = checksum_of(algorithm, b"data")
    assert right is not None

    made = s3.put_object(Bucket="store", Key="right", Body=b"data", **{right.field: right.value})

    head = s3.head_object(Bucket="store", Key="right", ChecksumMode="ENABLED")
    assert made[right.field] == head[right.field] == right.value
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_the_crcs_are_those_of_the_catalogue() -> None:
    check = b"123456789"

    found = {name: int.from_bytes(sum_.digest) for name in WRONG if (sum_ := checksum_of(name, check)) is not None}

    assert (found["CRC32"], found["CRC32C"], found["CRC64NVME"]) == (0xCBF43926, 0xE3069283, 0xAE8B14860A799888)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_parts_crcs_join_to_the_crc_of_the_whole(algorithm: str) -> None:
    pieces = [b"a" * 1000, b"bc" * 333, b"", b"d"]
    parts = [(part, len(piece)) for piece in pieces if (part := checksum_of(algorithm, piece)) is not None]

    assert full_object(parts) == checksum_of(algorithm, b"".join(pieces))


@pytest.mark.parametrize(("checksum", "status"), [(crc32(b"data"), 200), ("AAAAAA==", 400)])
def test_a_checksum_behind_a_chunked_body_is_verified(cloud: MotoCloud, checksum: str, status: int) -> None:
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261120/us-east-1/s3/aws4_request",
        "Content-Encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "4",
        "x-amz-sdk-checksum-algorithm": "CRC32",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    body = f"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n"

    answer = httpx.put(f"{cloud.url}/store/chunked", headers=headers, content=body.encode())

    assert answer.status_code == status
    assert ("BadDigest" in answer.text) == (status == 400)


# Checksums of parts


@pytest.mark.parametrize("algorithm", sorted(WRONG))
def test_parts_keep_their_checksums(s3: Any, algorithm: str) -> None:
    upload = Upload(s3, "kept", ChecksumAlgorithm=algorithm)
    right = checksum_of(algorithm, b"data")
    assert right is not None

    upload.put(1, b"data", **{right.field: right.value})

    listed = upload.parts()
    assert listed["Parts"][0][right.field] == right.value
    assert listed["ChecksumAlgorithm"] == algorithm
    with pytest.raises(ClientError) as refused:
        upload.put(2, b"data", **{right.field: WRONG[algorithm]})
    assert code_of(refused) == ("BadDigest", 400)
    assert [part["PartNumber"] for part in upload.parts()["Parts"]] == [1]


def test_a_part_of_another_algorithm_than_its_upload_is_refused(s3: Any) -> None:
    upload = Upload(s3, "mixed", ChecksumAlgorithm="SHA256")

    with pytest.raises(ClientError) as refused:
        upload.put(1, b"data", ChecksumAlgorithm="CRC32")

    assert code_of(refused) == ("InvalidRequest", 400)


def test_a_composite_checksum_is_of_the_parts_checksums(s3: Any) -> None:
    first, second = b"a" * FIVE_MIB, b"b"
    upload = Upload(s3, "composite", ChecksumAlgorithm="SHA256")
    parts = [upload.put(number, body, ChecksumAlgorithm="SHA256") for number, body in ((1, first), (2, second))]

    made = upload.complete(*parts)

    digests = hashlib.sha256(first).digest() + hashlib.sha256(second).digest()
    assert made["ChecksumSHA256"] == f"{sha256(digests)}-2"
    head = s3.head_object(Bucket="store", Key="composite", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (made["ChecksumSHA256"], "COMPOSITE")


def test_a_full_object_checksum_is_of_the_whole(s3: Any) -> None:
    first, second = b"a" * FIVE_MIB, b"b"
    upload = Upload(s3, "whole", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [upload.put(number, body, ChecksumAlgorithm="CRC32") for number, body in ((1, first), (2, second))]

    with pytest.raises(ClientError) as refused:
        upload.complete(*parts, ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT")
    made = upload.complete(*parts, ChecksumCRC32=crc32(first + second), ChecksumType="FULL_OBJECT")

    assert code_of(refused) == ("BadDigest", 400)
    assert (made["ChecksumCRC32"], made["ChecksumType"]) == (crc32(first + second), "FULL_OBJECT")


def test_completing_with_a_wrong_or_missing_part_checksum_is_refused(s3: Any) -> None:
    upload = Upload(s3, "claims", ChecksumAlgorithm="SHA256")
    part = upload.put(1, b"data", ChecksumAlgorithm="SHA256")

    with pytest.raises(ClientError) as wrong:
        upload.complete({**part, "ChecksumSHA256": WRONG["SHA256"]})
    with pytest.raises(ClientError) as missing:
        upload.complete({"PartNumber": 1, "ETag": part["ETag"]})

    assert code_of(wrong) == ("InvalidPart", 400)
    assert code_of(missing) == ("InvalidRequest", 400)


# The life of an upload


def test_an_upload_that_is_gone_is_not_found(s3: Any) -> None:
    upload = Upload(s3, "gone")
    part = upload.put(1, b"data")
    upload.abort()

    for call in (lambda: upload.put(2, b"x"), lambda: upload.complete(part), upload.parts, upload.abort):
        with pytest.raises(ClientError) as refused:
            call()
        assert code_of(refused) == ("NoSuchUpload", 404)


def test_completing_twice_gives_the_same_object(s3: Any) -> None:
    upload = Upload(s3, "twice")
    part = upload.put(1, b"data")

    assert upload.complete(part)["ETag"] == upload.complete(part)["ETag"]
    with pytest.raises(ClientError) as refused:
        upload.put(2, b"more")
    assert code_of(refused) == ("NoSuchUpload", 404)


def test_only_the_last_part_may_be_small(s3: Any) -> None:
    upload = Upload(s3, "small")
    parts = [upload.put(1, b"small"), upload.put(2, b"last")]

    with pytest.raises(ClientError) as refused:
        upload.complete(*parts)

    assert code_of(refused) == ("EntityTooSmall", 400)


def test_parts_out_of_order_are_refused(s3: Any) -> None:
    upload = Upload(s3, "order")
    parts = [upload.put(1, b"a" * FIVE_MIB), upload.put(2, b"b")]

    with pytest.raises(ClientError) as refused:
        upload.complete(*reversed(parts))

    assert code_of(refused) == ("InvalidPartOrder", 400)


def test_parts_are_listed_by_number_and_by_pages(s3: Any) -> None:
    upload = Upload(s3, "pages")
    for number in (2, 5, 9):
        upload.put(number, b"x")

    first = upload.parts(MaxParts=2)
    rest = upload.parts(MaxParts=2, PartNumberMarker=first["NextPartNumberMarker"])

    assert [part["PartNumber"] for part in first["Parts"]] == [2, 5]
    assert (first["IsTruncated"], rest["IsTruncated"]) == (True, False)
    assert [part["PartNumber"] for part in rest["Parts"]] == [9]


def test_uploads_are_listed_by_prefix_with_their_time(s3: Any) -> None:
    kept = Upload(s3, "listed/a")
    Upload(s3, "elsewhere/a")
    aborted = Upload(s3, "listed/b")
    aborted.abort()

    (found,) = s3.list_multipart_uploads(Bucket="store", Prefix="listed/")["Uploads"]

    assert found["UploadId"] == kept.id
    assert datetime.now(UTC) - found["Initiated"] < timedelta(minutes=1)


# Conditional writes


def test_what_exists_is_not_overwritten_conditionally(s3: Any) -> None:
    s3.put_object(Bucket="store", Key="once", Body=b"first", IfNoneMatch="*")
    upload = Upload(s3, "once")
    part = upload.put(1, b"second")

    with pytest.raises(ClientError) as put:
        s3.put_object(Bucket="store", Key="once", Body=b"second", IfNoneMatch="*")
    with pytest.raises(ClientError) as completed:
        upload.complete(part, IfNoneMatch="*")

    assert code_of(put) == code_of(completed) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket="store", Key="once")["Body"].read() == b"first"


def test_of_many_conditional_writers_one_wins(s3: Any) -> None:
    def write(number: int) -> bool:
        try:
            s3.put_object(Bucket="store", Key="race", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as writers:
        won = list(writers.map(write, range(24)))

    assert sum(won) == 1


def test_objects_are_as_old_as_the_clock_says(cloud: MotoCloud) -> None:
    tomorrow = ScaledClock(speed=1.0, epoch=ScaledClock().epoch)
    object_store.install(ScaledClock(speed=86_400.0, epoch=tomorrow.epoch - 1))
    try:
        cloud.client("s3").put_object(Bucket="store", Key="aged", Body=b"")
    finally:
        object_store.install(ScaledClock())

    modified = cloud.client("s3").head_object(Bucket="store", Key="aged")["LastModified"]
    assert modified - datetime.now(UTC) > timedelta(hours=20)


def test_a_checksum_is_what_headers_and_documents_call_it() -> None:
    checksum = Checksum("CRC64NVME", "AAAAAAAAAAA=")

    assert (checksum.header, checksum.field) == ("x-amz-checksum-crc64nvme", "ChecksumCRC64NVME")


# Copies that S3 makes itself


def copied(s3: Any, upload: Upload, number: int, **more: Any) -> dict[str, Any]:
    where = {"Bucket": "store", "Key": upload.key, "UploadId": upload.id, "CopySource": "store/copied"}
    return dict(s3.upload_part_copy(**where, PartNumber=number, **more)["CopyPartResult"])


@pytest.fixture(scope="module")
def original(s3: Any) -> dict[str, Any]:
    """Put an object of two parts; give its head."""
    upload = Upload(s3, "copied")
    upload.complete(upload.put(1, b"a" * FIVE_MIB), upload.put(2, b"b"))
    return dict(s3.head_object(Bucket="store", Key="copied"))


def test_a_copied_part_has_the_checksum_of_its_uploads_algorithm_and_is_told_it(s3: Any, original: Any) -> None:
    """moto tells none."""
    upload = Upload(s3, "copy", ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT")

    made = copied(s3, upload, 1, CopySourceRange=f"bytes={FIVE_MIB - 1}-{FIVE_MIB}", CopySourceIfMatch=original["ETag"])

    right = checksum_of("CRC64NVME", b"ab")
    (part,) = upload.parts()["Parts"]
    assert right is not None
    assert made["ChecksumCRC64NVME"] == part["ChecksumCRC64NVME"] == right.value
    assert (made["ETag"], part["Size"]) == (part["ETag"], 2)
    upload.abort()


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_not_what_was_asked_for_is_not_copied(s3: Any, original: Any, whole: bool) -> None:
    """moto copies it."""
    upload = Upload(s3, "copy")
    other = {"CopySourceIfMatch": '"another"'}

    def copy() -> None:
        if whole:
            s3.copy_object(Bucket="store", Key="copy", CopySource="store/copied", **other)
        else:
            copied(s3, upload, 1, **other)

    with pytest.raises(ClientError) as refused:
        copy()

    assert code_of(refused) == ("PreconditionFailed", 412)
    assert "Parts" not in upload.parts()
    assert "Contents" not in s3.list_objects_v2(Bucket="store", Prefix="copy")
    upload.abort()


def test_a_part_of_an_object_that_is_not_there_is_told_as_that(s3: Any) -> None:
    """moto answers 404 without a code."""
    upload = Upload(s3, "copy")

    with pytest.raises(ClientError) as refused:
        s3.upload_part_copy(Bucket="store", Key="copy", UploadId=upload.id, PartNumber=1, CopySource="store/nothing")

    assert code_of(refused) == ("NoSuchKey", 404)
    upload.abort()


def test_a_range_beyond_the_object_is_refused(s3: Any, original: Any) -> None:
    """moto gives what there is."""
    upload = Upload(s3, "copy")

    with pytest.raises(ClientError) as refused:
        copied(s3, upload, 1, CopySourceRange=f"bytes=0-{original['ContentLength']}")

    assert code_of(refused) == ("InvalidArgument", 400)
    upload.abort()


def test_a_whole_copy_is_an_object_of_one_part_with_the_checksum_that_is_asked_for(s3: Any, original: Any) -> None:
    """moto's is made of its source's parts, and has the wrong CRC64NVME."""
    made = s3.copy_object(Bucket="store", Key="whole", CopySource="store/copied", ChecksumAlgorithm="CRC64NVME")

    right = checksum_of("CRC64NVME", b"a" * FIVE_MIB + b"b")
    head = s3.head_object(Bucket="store", Key="whole", ChecksumMode="ENABLED")
    assert right is None or made["CopyObjectResult"]["ChecksumCRC64NVME"] == head["ChecksumCRC64NVME"] == right.value
    assert made["CopyObjectResult"]["ETag"] == head["ETag"] != original["ETag"]
    assert "-" not in head["ETag"]
