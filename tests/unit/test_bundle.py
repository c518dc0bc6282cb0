"""A bundle is one archive for one content, whoever packs it and whenever; nothing of it lies outside its root."""

import gzip
import io
import tarfile
import zlib

import pytest
from pilotlight.domain.bundle import LARGEST_ARCHIVE_BYTES, digest, pack, problem_with_name
from pilotlight.domain.errors import InvalidInput

FILES = {
    "serving.properties": b"engine=Python\n",
    "model.py": b"def handle(inputs):\n    return None\n",
    "requirements.txt": b"transformers\n",
}


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_a_bundle_unpacks_to_what_was_packed():
    assert unpacked(pack(FILES)) == FILES


def test_a_bundle_is_the_same_bytes_in_any_order_and_whenever_it_is_packed():
    assert (
        pack(FILES) == pack(dict(reversed(FILES.items()))) == pack({name: bytes(text) for name, text in FILES.items()})
    )


def test_the_bytes_of_a_bundle_are_those_of_every_python_and_every_zlib():
    expected = "0fcd68ac403fce47ad78a13777905f5c9262d398f84589e0ee9e48ef703c2172"  # pragma: allowlist secret (a digest)
    assert digest(pack(FILES)) == expected


@pytest.mark.parametrize(
    "changed", [{**FILES, "model.py": b"other"}, {**FILES, "more.json": b"{}"}, {"model.py": FILES["model.py"]}]
)
def test_any_change_of_a_name_or_a_content_is_another_digest(changed):
    assert digest(pack(changed)) != digest(pack(FILES))


def test_nothing_of_a_bundle_tells_when_or_by_whom_it_was_packed():
    archive = pack(FILES)

    assert archive[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        told = {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode, each.type) for each in tar}
    assert told == {(0, 0, 0, "", "", 0o644, tarfile.REGTYPE)}


@pytest.mark.parametrize("size", [0, 1, 0xFFFF - 512, 0xFFFF, 200_000])
def test_a_bundle_is_sound_gzip_whatever_its_size(size):
    archive = pack({"big.json": b"x" * size})

    assert unpacked(archive) == {"big.json": b"x" * size}
    assert zlib.decompress(archive, wbits=31) == gzip.decompress(archive)


@pytest.mark.parametrize(
    "name",
    [
        "../model.py",
        "/model.py",
        "code/model.py",
        "code\\model.py",
        "..",
        ".hidden.py",
        "a..py",
        "-rf.py",
        "model.py\n",
        "mod\u202eel.py",
        "модель.py",
        "model.py\x00.txt",
        "model.pyc",
        "weights.safetensors",
        "model.py.",
        "CON.",
        "%2e%2e/model.py",
        "a" * 120 + ".py",
        "",
        ".py",
    ],
)
def test_a_name_that_leads_out_of_the_root_or_is_no_small_file_is_refused(name):
    assert "write letters, digits" in (problem_with_name(name) or "")
    with pytest.raises(InvalidInput, match="in no folder"):
        pack({name: b""})


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Model.py", "model.py"), ("requirement.txt", "requirements.txt"), ("Requirements.txt", "requirements.txt")],
)
def test_a_name_that_the_server_would_overlook_is_refused_with_the_one_that_it_reads(name, meant):
    assert f"write {meant!r}" in (problem_with_name(name) or "")


@pytest.mark.parametrize("name", ["model.py", "__init__.py", "my-schema.v2.json", "labels_1.txt", "serving.properties"])
def test_the_names_of_small_files_are_taken(name):
    assert problem_with_name(name) is None


def test_a_bundle_holds_no_weights():
    with pytest.raises(InvalidInput, match="staged beside"):
        pack({"big.json": b"x" * (LARGEST_ARCHIVE_BYTES + 1)})
