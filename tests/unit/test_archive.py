"""An archive comes in pieces, is the same bytes each time, and has the size that was told before."""

import hashlib
import io
import tarfile
import zlib

import pytest
from pilotlight.domain.archive import Entry, packed, packed_bytes
from pilotlight.domain.bundle import entries_of, pack
from pilotlight.domain.errors import BodyCutShort

WEIGHTS = {
    "model-00001-of-00002.safetensors": bytes(range(256)) * 700,
    "model-00002-of-00002.safetensors": b"\xff" * 100_000,
    "config.json": b"{}",
    "onnx/model.json": b"[]",
    "empty.txt": b"",
}
FILES = {"serving.properties": b"engine=Python\n", "model.py": b"def handle(inputs):\n    return None\n"}


def entries(weights=WEIGHTS, files=FILES):
    kept = [Entry(path=path, size_bytes=len(body), key=f"artifacts/{path}") for path, body in weights.items()]
    return [*entries_of(files), *kept]


def read(entry, piece=4096):
    """Give a content as it would come from a bucket: in pieces."""
    whole = entry.content if entry.key is None else WEIGHTS[entry.path]
    return (whole[start : start + piece] for start in range(0, len(whole), piece))


def unpacked(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_tarfile_reads_what_was_packed_with_folders_as_they_were():
    assert unpacked(b"".join(packed(entries(), read))) == {**WEIGHTS, **FILES}


def test_an_archive_of_contents_alone_is_a_bundle():
    assert b"".join(packed(entries_of(FILES), read)) == pack(FILES)


@pytest.mark.parametrize("piece", [1, 512, 65_535, 1_000_000])
def test_an_archive_is_the_same_bytes_however_its_contents_come_and_in_whatever_order(piece):
    usual = hashlib.sha256(b"".join(packed(entries(), read))).hexdigest()

    other = b"".join(packed(entries()[::-1], lambda entry: read(entry, piece)))

    assert hashlib.sha256(other).hexdigest() == usual


@pytest.mark.parametrize("size", [0, 1, 511, 512, 10_240 - 1536, 0xFFFF - 512, 0xFFFF, 2 * 0xFFFF, 1_000_003])
def test_the_size_of_an_archive_is_known_before_anything_is_read(size):
    one = [Entry(path="model.safetensors", size_bytes=size, key="there")]

    archive = b"".join(packed(one, lambda _: (b"x" * size,)))

    assert packed_bytes(one) == len(archive)
    assert len(zlib.decompress(archive, wbits=31)) % tarfile.RECORDSIZE == 0


@pytest.mark.parametrize("length", [99, 100, 101, 300, 900])
def test_long_names_are_kept_whole(length):
    path = "a/" + "b" * (length - 2)
    entry = Entry(path=path, size_bytes=3, content=b"abc")

    archive = b"".join(packed([entry], read))

    assert unpacked(archive) == {path: b"abc"}
    assert packed_bytes([entry]) == len(archive)


def test_an_archive_is_never_held_whole():
    """A piece is yielded as soon as there is one, whatever comes after it."""
    asked = []

    def contents(entry):
        asked.append(entry.path)
        return read(entry)

    pieces = packed(entries(), contents)
    first = [next(pieces) for _ in range(2)]

    assert asked == ["config.json", "empty.txt", "model-00001-of-00002.safetensors"]
    assert max(map(len, [*first, *pieces])) == 0xFFFF + 5


@pytest.mark.parametrize("content", [b"ab", b"abcd"], ids=["too short", "too long"])
def test_a_content_of_another_length_makes_no_archive(content):
    with pytest.raises(BodyCutShort, match=r"config\.json: \d of 3 bytes"):
        list(packed([Entry(path="config.json", size_bytes=3, key="there")], lambda _: (content,)))
