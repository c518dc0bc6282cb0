import zlib

import pytest
from pilotlight_client.crc32 import crc32_of, encoded, joined


@pytest.mark.parametrize("pieces", [[b"123456789"], [b"1234", b"56789"], [b"", b"a" * 70_000, b"", b"b"], []])
def test_the_crc_of_a_whole_is_made_of_its_parts(pieces):
    assert joined((zlib.crc32(piece), len(piece)) for piece in pieces) == zlib.crc32(b"".join(pieces))


def test_a_crc_is_written_as_s3_writes_it():
    assert encoded(zlib.crc32(b"123456789")) == "y/Q5Jg=="


def test_a_range_of_a_file_is_read_and_what_is_beyond_its_end_is_not(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")

    assert crc32_of(tmp_path / "file", 2, 3) == zlib.crc32(b"234")
    assert crc32_of(tmp_path / "file", 8, 99) == zlib.crc32(b"89")
