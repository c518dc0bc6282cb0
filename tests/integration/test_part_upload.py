"""A part goes to S3 while its bytes are still coming: signed, checked against its CRC64NVME, never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from awscrt import checksums
from pilotlight.adapters.artifact_bucket import S3ArtifactBucket
from pilotlight.adapters.crc64nvme import encoded
from pilotlight.adapters.part_upload import FRAME_BYTES, FramedBody
from pilotlight.domain.errors import BodyCutShort, NotFound, Terminal
from pilotlight.domain.spans import MIB, SMALLEST_PART_BYTES
from pilotlight.wiring import ONCE

from local import object_store
from local.clock import ScaledClock
from tests.integration.local.moto_cloud import MotoCloud, running_moto

BUCKET, KEY = "artifacts", "artifacts/a1/weights/model.safetensors"
BYTES = bytes(range(251)) * (6 * MIB // 251)


@pytest.fixture(scope="module")
def cloud() -> Iterator[MotoCloud]:
    object_store.install(ScaledClock())
    with running_moto() as moto:
        moto.client("s3").create_bucket(Bucket=BUCKET)
        yield moto


@pytest.fixture
def s3(cloud: MotoCloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def bucket(cloud: MotoCloud, s3: Any) -> S3ArtifactBucket:
    return S3ArtifactBucket(s3, cloud.client("s3", config=ONCE), BUCKET)


def in_pieces(body: bytes, size_bytes: int = 100_000) -> Iterator[bytes]:
    for start in range(0, len(body), size_bytes):
        yield body[start : start + size_bytes]


def crc(body: bytes) -> str:
    return encoded(checksums.crc64nvme(body))


@pytest.mark.parametrize("size_bytes", [1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES])
@pytest.mark.parametrize("piece_bytes", [100_000, FRAME_BYTES, MIB])
def test_a_body_is_as_long_as_it_says_before_its_bytes_have_come(size_bytes: int, piece_bytes: int) -> None:
    body = FramedBody(in_pieces(BYTES[:size_bytes], piece_bytes), size_bytes)
    promised = len(body)

    assert len(body.read()) == promised


def test_what_arrives_is_what_came_and_s3_knows_its_checksum(bucket: S3ArtifactBucket, s3: Any) -> None:
    upload = bucket.start_upload(KEY)
    parts = [BYTES[:SMALLEST_PART_BYTES], BYTES[SMALLEST_PART_BYTES:]]

    for number, part in enumerate(parts, start=1):
        bucket.upload_part(KEY, upload, number, len(part), in_pieces(part))
    held = bucket.parts(KEY, upload)
    checksum = bucket.complete(KEY, upload, list(held.values()))

    assert [held[number].checksum_crc64nvme for number in (1, 2)] == [crc(part) for part in parts]
    head = s3.head_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")
    assert checksum == head["ChecksumCRC64NVME"] == crc(BYTES)
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == BYTES


def test_frames_leave_whole(bucket: S3ArtifactBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = FramedBody.read

    def noting(body: FramedBody, size: int = -1) -> bytes:
        asked.append(size)
        return read(body, size)

    monkeypatch.setattr(FramedBody, "read", noting)
    bucket.upload_part(KEY, bucket.start_upload(KEY), 1, len(BYTES), in_pieces(BYTES))

    assert set(asked) == {FRAME_BYTES}


def test_an_object_whose_parts_do_not_make_its_checksum_is_refused_by_s3(bucket: S3ArtifactBucket, s3: Any) -> None:
    upload = bucket.start_upload(KEY)
    bucket.upload_part(KEY, upload, 1, len(BYTES), in_pieces(BYTES))
    (part,) = bucket.parts(KEY, upload).values()

    with pytest.raises(BodyCutShort, match="replaced since it was listed"):
        bucket.complete(KEY, upload, [part.changed(checksum_crc64nvme=crc(b"something else"))])

    s3.abort_multipart_upload(Bucket=BUCKET, Key=KEY, UploadId=upload)


def test_bytes_that_change_on_their_way_are_refused_by_s3(
    bucket: S3ArtifactBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = bucket.start_upload(KEY)
    monkeypatch.setattr("pilotlight.adapters.part_upload.encoded", lambda _: crc(b"something else"))

    with pytest.raises(Terminal, match="BadDigest"):
        bucket.upload_part(KEY, upload, 1, len(BYTES), in_pieces(BYTES))

    assert bucket.parts(KEY, upload) == {}


def test_a_source_that_breaks_off_leaves_no_part_and_is_told_in_its_own_words(bucket: S3ArtifactBucket) -> None:
    def breaking() -> Iterator[bytes]:
        yield BYTES[:MIB]
        raise BodyCutShort("the hub went away")

    upload = bucket.start_upload(KEY)

    with pytest.raises(BodyCutShort, match="the hub went away"):
        bucket.upload_part(KEY, upload, 1, len(BYTES), breaking())

    assert bucket.parts(KEY, upload) == {}


def test_an_upload_that_is_gone_is_told_as_that(bucket: S3ArtifactBucket) -> None:
    upload = bucket.start_upload(KEY)
    bucket.abort_uploads(KEY)

    with pytest.raises(NotFound, match="over or was aborted"):
        bucket.upload_part(KEY, upload, 1, len(BYTES), in_pieces(BYTES))


def test_an_upload_of_an_older_version_is_not_gone_on_with(bucket: S3ArtifactBucket, s3: Any) -> None:
    older = s3.create_multipart_upload(Bucket=BUCKET, Key="other", ChecksumAlgorithm="CRC32")["UploadId"]

    assert bucket.start_upload("other") != older
    assert bucket.start_upload("other") == bucket.start_upload("other")
