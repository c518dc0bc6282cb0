import zlib
from contextlib import nullcontext

import pytest
from pilotlight.domain.errors import InvalidInput, NotFound
from pilotlight.domain.folder_upload import (
    AddressesRequest,
    FileToUpload,
    HeldFile,
    JoinRequest,
    PartToUpload,
    UploadRequest,
)
from pilotlight.domain.spans import SMALLEST_PART_BYTES, SpanLimits
from pilotlight.services.placing import Placing
from pilotlight_client.crc32 import encoded
from pydantic import ValidationError

from tests.fakes.upload_bucket import FakeUploadBucket

KEY = "uploads/demo/model.safetensors"
CONTENT = b"abc" * SMALLEST_PART_BYTES  # three parts
SIZE_BYTES = len(CONTENT)
WHOLE = encoded(zlib.crc32(CONTENT))


@pytest.fixture
def bucket() -> FakeUploadBucket:
    return FakeUploadBucket()


@pytest.fixture
def placing(bucket) -> Placing:
    return Placing(bucket, SpanLimits(part_bytes=SMALLEST_PART_BYTES))


def planned(placing, size_bytes=SIZE_BYTES, *, replace=False):
    file = {"path": "model.safetensors", "size_bytes": size_bytes, "replace": replace}
    return placing.plan(UploadRequest.model_validate({"name": "demo", "files": [file]}))


def send(bucket, upload_id, *numbers):
    for number in numbers:
        start = (number - 1) * SMALLEST_PART_BYTES
        bucket.put_part(KEY, upload_id, number, CONTENT[start : start + SMALLEST_PART_BYTES])


def join(placing, upload_id, checksum=WHOLE, size_bytes=SIZE_BYTES):
    request = JoinRequest(path="model.safetensors", upload_id=upload_id, size_bytes=size_bytes, checksum_crc32=checksum)
    return placing.join("demo", request)


def test_a_second_plan_goes_on_with_the_upload_that_is_under_way_and_tells_its_parts(bucket, placing):
    (first,) = planned(placing).files
    send(bucket, first.upload_id, 2)

    (again,) = planned(placing).files

    assert again.upload_id == first.upload_id
    assert [(part.number, part.size_bytes) for part in again.parts] == [(2, SMALLEST_PART_BYTES)]
    assert again.parts[0].checksum_crc32 == bucket.parts(KEY, first.upload_id)[0].checksum_crc32


def test_a_file_up_to_5_mib_is_put_whole_and_begins_no_upload(bucket, placing):
    (file,) = planned(placing, SMALLEST_PART_BYTES).files

    assert file.upload_id is None
    assert bucket.uploads == {}


def test_a_larger_file_is_there_only_once_it_is_joined_though_it_is_one_part(bucket):
    placing = Placing(bucket, SpanLimits(part_bytes=SIZE_BYTES))

    (file,) = planned(placing).files
    bucket.put_part(KEY, file.upload_id, 1, CONTENT)
    assert KEY not in bucket.objects
    join(placing, file.upload_id)

    assert bucket.objects[KEY] == HeldFile(size_bytes=SIZE_BYTES, checksum_crc32=WHOLE)


def test_a_stored_file_of_that_size_is_told_with_its_checksum_and_replaced_only_when_asked(bucket, placing):
    bucket.objects[KEY] = HeldFile(size_bytes=len(CONTENT), checksum_crc32=WHOLE)

    (there,) = planned(placing).files
    assert (there.stored_checksum_crc32, there.upload_id, bucket.uploads) == (WHOLE, None, {})

    (replaced,) = planned(placing, replace=True).files
    assert (replaced.stored_checksum_crc32, replaced.upload_id) == (None, "upload-1")


def test_a_stored_file_of_another_size_is_no_news(bucket, placing):
    bucket.objects[KEY] = HeldFile(size_bytes=7, checksum_crc32=WHOLE)

    assert planned(placing, 8).files[0].stored_checksum_crc32 is None


def test_what_lies_beside_the_files_is_told(bucket, placing):
    bucket.objects["uploads/demo/old.bin"] = HeldFile(size_bytes=1)
    bucket.objects["uploads/demo-2/x"] = HeldFile(size_bytes=1)

    assert planned(placing).others == ("old.bin",)


def test_parts_are_joined_as_s3_holds_them_and_a_repeat_gives_the_same_answer(bucket, placing):
    (file,) = planned(placing).files
    send(bucket, file.upload_id, 1, 2, 3)

    first, repeated = join(placing, file.upload_id), join(placing, file.upload_id)

    assert first == repeated
    assert bucket.objects[KEY] == HeldFile(size_bytes=len(CONTENT), checksum_crc32=WHOLE)


def test_a_file_with_a_part_missing_is_not_joined(bucket, placing):
    (file,) = planned(placing).files
    send(bucket, file.upload_id, 1, 3)

    with pytest.raises(InvalidInput, match=r"holds 10485760 of the 15728640 bytes .* 2 parts"):
        join(placing, file.upload_id)

    assert KEY not in bucket.objects


def test_a_file_that_has_shrunk_is_joined_of_its_own_parts_alone(bucket, placing):
    (longer,) = planned(placing).files
    send(bucket, longer.upload_id, 1, 2, 3)
    shorter = CONTENT[: SMALLEST_PART_BYTES + 7]

    (file,) = planned(placing, len(shorter)).files
    assert [part.number for part in file.parts] == [1]  # the others are of the longer file
    bucket.put_part(KEY, file.upload_id, 2, shorter[SMALLEST_PART_BYTES:])
    join(placing, file.upload_id, encoded(zlib.crc32(shorter)), len(shorter))

    assert file.upload_id == longer.upload_id
    assert bucket.objects[KEY].size_bytes == len(shorter)


def test_parts_of_another_size_than_the_stack_now_cuts_are_sent_anew(bucket, placing):
    (small,) = planned(placing).files
    send(bucket, small.upload_id, 1, 2, 3)
    half = SIZE_BYTES // 2
    changed = Placing(bucket, SpanLimits(part_bytes=half))

    (file,) = planned(changed).files
    assert (file.upload_id, file.parts) == (small.upload_id, ())
    for number, start in ((1, 0), (2, half)):
        bucket.put_part(KEY, file.upload_id, number, CONTENT[start : start + half])
    join(changed, file.upload_id)

    assert bucket.objects[KEY] == HeldFile(size_bytes=SIZE_BYTES, checksum_crc32=WHOLE)


def test_parts_of_another_content_are_not_joined(bucket, placing):
    (file,) = planned(placing).files
    send(bucket, file.upload_id, 1, 2, 3)

    with pytest.raises(InvalidInput):
        join(placing, file.upload_id, checksum=encoded(0))


@pytest.mark.parametrize(("held", "is_ours"), [(WHOLE, True), (encoded(0), False)])
def test_an_upload_that_is_joined_after_its_parts_were_listed_is_a_repeat_where_it_made_that_file(held, is_ours):
    class JoinedMeanwhile(FakeUploadBucket):
        def parts(self, key, upload_id):
            found = super().parts(key, upload_id)
            self.objects[key] = HeldFile(size_bytes=SIZE_BYTES, checksum_crc32=held)
            del self.uploads[upload_id]
            return found

    bucket = JoinedMeanwhile()
    placing = Placing(bucket, SpanLimits(part_bytes=SMALLEST_PART_BYTES))
    upload_id = bucket.start(KEY)
    send(bucket, upload_id, 1, 2, 3)

    with nullcontext() if is_ours else pytest.raises(NotFound, match="over or was aborted"):
        assert join(placing, upload_id).checksum_crc32 == WHOLE


def test_an_upload_that_is_gone_is_not_taken_for_a_repeat(bucket, placing):
    bucket.objects[KEY] = HeldFile(size_bytes=len(CONTENT), checksum_crc32=encoded(0))

    with pytest.raises(NotFound, match="over or was aborted"):
        join(placing, "upload-9")


def test_a_file_without_an_upload_has_one_address(placing):
    parts = tuple(PartToUpload(number=number, size_bytes=1, checksum_crc32=WHOLE) for number in (1, 2))

    with pytest.raises(InvalidInput, match="Parts need the id of their upload"):
        placing.addresses("demo", AddressesRequest(path="config.json", parts=parts))


@pytest.mark.parametrize("name", ["../other", "Demo", "a" * 33, ""])
def test_an_address_is_signed_for_no_name_that_a_deployment_may_not_have(placing, name):
    part = PartToUpload(size_bytes=1, checksum_crc32=WHOLE)

    with pytest.raises(InvalidInput):
        placing.addresses(name, AddressesRequest(path="config.json", parts=(part,)))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../up", "leaves its folder"),
        ("/root", "leaves its folder"),
        ("a//b", "leaves its folder"),
        ("a/%2e%2e/b", "leaves its folder"),
        ("a\\b", "leaves its folder"),
        ("model\u202e.json", "cannot be seen"),
        ("zero\u200bwidth", "cannot be seen"),
        ("\uff0e\uff0e/up", "leaves its folder"),
        ("x" * 984, "983 bytes at most"),
    ],
)
def test_a_path_that_leads_elsewhere_or_reads_as_another_is_refused_with_its_reason(path, why):
    with pytest.raises(ValidationError, match=why):
        FileToUpload(path=path, size_bytes=1)
