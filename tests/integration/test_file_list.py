"""A list of files on any public server is a source: at one list, byte for byte, and from public addresses alone."""

import hashlib
import shutil
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from pilotlight.adapters.file_list import MOST_ASKED_FOR, FileListSource
from pilotlight.domain.errors import (
    BodyCutShort,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Throttled,
    Unavailable,
)
from pilotlight.domain.file_names import MOST_FILES
from pilotlight.domain.source import Source, joined

from tests.file_server import Lie, entry, serving
from tests.workflows.hooks import Certificate

SHARD = "model.safetensors"
FILES = {"config.json": b'{"a": 1}', SHARD: bytes(range(256)) * 24_000, "empty.txt": b""}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate):
    with serving(certificate) as server:
        server.publish(FILES)
        yield server


@pytest.fixture
def trust(certificate):
    return ssl.create_default_context(cafile=certificate.path)


@pytest.fixture
def reader(trust):
    return local(trust)


def local(trust):
    return FileListSource(allows_loopback=True, ssl_context=trust, read_timeout_seconds=2)


@pytest.fixture
def pinned(server, reader):
    return reader.resolve(Source.parse(server.source))


def streamed(reader, listing, path=SHARD, offset=0, size_bytes=None):
    file = listing.file(path)
    size_bytes = file.size_bytes - offset if size_bytes is None else size_bytes
    return joined(reader.stream(listing.source, file, offset=offset, size_bytes=size_bytes))


def test_a_list_is_pinned_to_the_digest_of_its_sorted_sums(server, pinned):
    lines = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in FILES.items())
    sums = "".join(f"{sha256}  {name}\n" for name, sha256 in lines).encode()

    assert str(pinned.source) == f"{server.source}@{hashlib.sha256(sums).hexdigest()}"
    assert Source.parse(str(pinned.source)) == pinned.source


def test_every_file_is_listed_with_its_size_and_its_digest(pinned):
    told = {file.path: (file.size_bytes, file.sha256) for file in pinned.files}

    assert told == {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()}


def test_sums_alone_are_the_same_list_and_their_sizes_are_asked_for(server, reader, pinned):
    listing = reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))

    assert set(listing.files) == set(pinned.files)
    assert listing.revision == pinned.revision
    assert streamed(reader, listing) == FILES[SHARD]


def test_sizes_are_taken_from_a_server_that_knows_no_ranges(server, reader):
    small = {name: content for name, content in FILES.items() if name != SHARD}
    server.publish(small)
    server.lies = {f"/model/files/{name}": Lie(ignores_range=True) for name in small}

    listing = reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))

    assert {file.path: file.size_bytes for file in listing.files} == {name: len(small[name]) for name in small}


def test_a_size_that_the_server_hides_is_asked_for_again(server, reader):
    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"Content-Range": "bytes 0-0/*"})

    with pytest.raises(Unavailable, match="Publish it where servers do"):
        reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))


@pytest.mark.parametrize(
    "text",
    [
        b"0123  config.json\n",
        b"a" * 64 + b" config.json\n",
        b"\\" + b"a" * 64 + b"  con\\nfig.json\n",
        b"A" * 64 + b"  config.json\n",
        b"SHA256 (config.json) = " + b"a" * 64,
    ],
)
def test_a_line_that_is_not_of_sha256sum_is_told_by_its_number(server, reader, text):
    server.files["/model/files/SHA256SUMS"] = b"b" * 64 + b" *./first\n" + text

    with pytest.raises(SourceRefused, match="Line 2 of the list"):
        reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))


def test_a_small_file_is_read_whole(reader, pinned):
    assert reader.read(pinned.source, "config.json", limit_bytes=MIB) == FILES["config.json"]


def test_a_small_file_that_is_not_of_its_digest_is_refused(server, reader, pinned):
    server.files["/model/files/config.json"] = b'{"a": 2}'

    with pytest.raises(SourceChanged, match=r"config\.json is not the file whose SHA-256"):
        reader.read(pinned.source, "config.json", limit_bytes=MIB)


def test_a_file_beyond_the_limit_is_refused(reader, pinned):
    with pytest.raises(SourceRefused, match="larger than the 5 bytes"):
        reader.read(pinned.source, "config.json", limit_bytes=5)


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, None), (0, 1), (7, 1000), (1_048_576, 300_000), (5, 0)])
def test_a_range_comes_byte_for_byte(reader, pinned, offset, size_bytes):
    assert streamed(reader, pinned, SHARD, offset, size_bytes) == FILES[SHARD][offset:][:size_bytes]


def test_a_copier_that_knows_the_task_alone_reads_the_list_once_for_all_its_threads(server, trust, pinned):
    server.asked.clear()
    copier = local(trust)
    offsets = range(0, 800_000, 100_000)

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda offset: streamed(copier, pinned, SHARD, offset, 100_000), offsets))

    assert b"".join(got) == FILES[SHARD][:800_000]
    assert server.asked.count("/model/list.json") == 1


def test_a_list_that_changed_is_refused_by_whoever_comes_later(server, trust, pinned):
    changed = {**FILES, "config.json": b'{"a": 3}'}
    server.publish(changed)
    copier = local(trust)

    with pytest.raises(SourceChanged, match="another list now"):
        streamed(copier, pinned)
    with pytest.raises(SourceChanged, match="another list now"):
        copier.resolve(pinned.source)


def test_a_list_whose_files_have_moved_is_the_same_list(server, trust, pinned):
    server.files["/elsewhere"] = FILES[SHARD]
    moved = [entry(name, content) for name, content in FILES.items() if name != SHARD]
    server.list_as([*moved, entry(SHARD, FILES[SHARD], url="/elsewhere?signature=1")])

    assert streamed(local(trust), pinned) == FILES[SHARD]
    assert "/elsewhere?signature=1" in server.asked


def test_a_hub_that_a_list_refers_to_may_tell_a_commit_of_its_own(server, reader, pinned):
    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"X-Repo-Commit": "c" * 40})

    assert streamed(reader, pinned) == FILES[SHARD]


def test_a_redirect_is_followed_and_where_it_leads_is_kept(server, reader, pinned):
    server.files["/signed"] = FILES[SHARD]
    server.lies[f"/model/files/{SHARD}"] = Lie(status=302, headers={"Location": f"{server.url}/signed"})
    server.asked.clear()

    assert streamed(reader, pinned, SHARD, 0, 10) + streamed(reader, pinned, SHARD, 10, 10) == FILES[SHARD][:20]
    assert server.asked.count(f"/model/files/{SHARD}") == 1


def test_the_next_list_of_the_same_addresses_is_not_read_from_where_the_last_one_led(server, reader, pinned):
    server.files["/signed/first"] = FILES[SHARD]
    moved = f"/model/files/{SHARD}"
    server.lies[moved] = Lie(status=302, headers={"Location": f"{server.url}/signed/first"})
    assert streamed(reader, pinned) == FILES[SHARD]

    other = bytes(reversed(FILES[SHARD]))
    server.publish({**FILES, SHARD: other})
    server.files["/signed/second"] = other
    server.lies[moved] = Lie(status=302, headers={"Location": f"{server.url}/signed/second"})
    listing = reader.resolve(Source.parse(server.source))

    assert streamed(reader, listing) == other


def test_a_server_of_a_list_is_told_nothing_of_us(server, reader, pinned):
    streamed(reader, pinned)

    assert not any({"Authorization", "Cookie"} & set(headers) for headers in server.headers)


@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/weights",
        "https://2852039166/",
        "https://metadata.internal/",
        "http://example.com/weights",
        "https://example.com:8443/weights",
        "https://user:secret@example.com/weights",  # pragma: allowlist secret
        "file:///etc/passwd",
        "https://example.com\\@10.0.0.1/",
    ],
)
def test_neither_a_redirect_nor_a_list_leads_to_an_address_that_is_not_public(server, reader, pinned, location):
    server.lies[f"/model/files/{SHARD}"] = Lie(status=302, headers={"Location": location})
    listed = entry("config.json", FILES["config.json"], url=location)

    with pytest.raises(SourceRefused, match=r"redirects to .* not a public https address"):
        streamed(reader, pinned)
    server.list_as([listed])
    with pytest.raises(SourceRefused, match=r"refers to .* not a public https address"):
        reader.resolve(Source.parse(server.source))


def test_a_list_at_an_address_that_is_not_public_is_not_asked_for(server, trust):
    with pytest.raises(SourceRefused, match="leads to https://localhost, which is not a public https address"):
        FileListSource(ssl_context=trust).resolve(Source.parse(server.source))

    assert server.asked == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["10.0.0.1"], ["93.184.216.34", "::1"], []])
def test_a_name_that_leads_to_an_internal_address_is_not_asked(trust, addresses):
    reader = FileListSource(ssl_context=trust, resolve=lambda _host, _port: addresses)

    with pytest.raises(SourceRefused, match="has an address that is not public"):
        reader.resolve(Source.parse("https://models.example.com/list.json"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../config.json", "leaves its folder"),
        ("/etc/passwd", "leaves its folder"),
        ("a//b", "leaves its folder"),
        ("..%2fconfig.json", "leaves its folder"),
        ("．．/config.json", "leaves its folder"),
        ("con\u202egif.json", "characters that cannot be seen"),
        ("c" * 1025, "longer than the 1024 bytes"),
    ],
)
def test_a_name_that_deceives_refuses_the_whole_list_with_its_reason(server, reader, path, why):
    server.list_as([entry("config.json", b"{}"), entry(path, b"{}", url="files/config.json")])

    with pytest.raises(SourceRefused, match=why):
        reader.resolve(Source.parse(server.source))


def test_a_name_twice_refuses_the_whole_list(server, reader):
    server.list_as([entry("config.json", b"{}"), entry("config.json", b"[]")])

    with pytest.raises(SourceRefused, match="more than once"):
        reader.resolve(Source.parse(server.source))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sha256": None}, "files.0.sha256"),
        ({"sha256": "a" * 63}, "files.0.sha256"),
        ({"sha256": "A" * 64}, "files.0.sha256"),
        ({"sha256": "a" * 64 + "\n"}, "files.0.sha256"),
        ({"size_bytes": -1}, "files.0.size_bytes"),
        ({"size_bytes": "8"}, "files.0.size_bytes"),
        ({"size_bytes": None}, "files.0.size_bytes"),
        ({"size_bytes": 6 * 1024**4}, "files.0.size_bytes"),
        ({"path": ""}, "files.0.path"),
        ({"url": ""}, "files.0.url"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_told_by_its_field(server, reader, changes, field):
    server.list_as([entry("config.json", b"{}", **changes)])

    with pytest.raises(SourceRefused, match=field):
        reader.resolve(Source.parse(server.source))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "files"),
        (b'{"files": []}', "names no files"),
        (b'{"files": [], "files": []}', "twice"),
    ],
)
def test_what_is_no_list_is_told(server, reader, body, why):
    server.files["/model/list.json"] = body

    with pytest.raises(SourceRefused, match=why):
        reader.resolve(Source.parse(server.source))


def test_a_size_that_is_not_the_files_is_refused_of_large_files_before_any_byte_is_copied(server, reader):
    server.list_as([entry(SHARD, FILES[SHARD], size_bytes=len(FILES[SHARD]) - 1)])

    with pytest.raises(SourceRefused, match=r"has 6144000 bytes; .* tells 6143999"):
        reader.resolve(Source.parse(server.source))


def test_a_size_that_is_not_the_files_is_refused_of_small_files_when_they_are_copied(server, reader):
    server.list_as([entry("config.json", FILES["config.json"], size_bytes=7)])
    listing = reader.resolve(Source.parse(server.source))

    with pytest.raises(SourceChanged, match="7 were listed"):
        streamed(reader, listing, "config.json")


def test_a_large_file_on_a_server_without_ranges_is_refused_before_any_byte_is_copied(server, reader):
    server.lies[f"/model/files/{SHARD}"] = Lie(ignores_range=True)

    with pytest.raises(SourceRefused, match="Publish large files on a server that answers ranges"):
        reader.resolve(Source.parse(server.source))


def test_a_large_file_that_was_replaced_by_one_of_its_size_is_refused_by_every_copier(server, trust, reader):
    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"ETag": '"first"'})
    listing = reader.resolve(Source.parse(server.source))
    assert streamed(local(trust), listing, SHARD, 0, 10) == FILES[SHARD][:10]

    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"ETag": '"second"'})

    with pytest.raises(SourceChanged, match="replaced since it was listed"):
        streamed(local(trust), listing, SHARD, 10, 10)


def test_an_entity_tag_that_looks_like_a_digest_is_none(server, reader):
    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"ETag": f'"{"ab" * 32}"'})
    listing = reader.resolve(Source.parse(server.source))

    assert streamed(reader, listing, SHARD, 0, 10) == FILES[SHARD][:10]


@pytest.mark.parametrize("etag", ['W/"weak"', "unquoted", ""])
def test_an_entity_tag_that_does_not_stand_for_every_byte_is_not_compared(server, reader, etag):
    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"ETag": etag})
    listing = reader.resolve(Source.parse(server.source))

    assert listing.file(SHARD).etag is None
    assert streamed(reader, listing, SHARD, 0, 10) == FILES[SHARD][:10]


@pytest.mark.parametrize(
    ("line", "why"),
    [("./", "Line 1 .* names no file"), ("x" * 5000, "Line 1 .* too long"), ("\n".join(["y"] * 2), "Line 2 ")],
)
def test_a_line_that_names_no_file_is_told_by_its_number(server, reader, line, why):
    server.files["/model/files/SHA256SUMS"] = f"{'a' * 64}  {line}\n".encode()

    with pytest.raises(SourceRefused, match=why):
        reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))


@pytest.mark.parametrize("name", ["list.json", "files/SHA256SUMS"])
def test_a_list_of_more_files_than_a_model_has_is_refused(server, reader, name):
    many = range(MOST_FILES + 1)
    server.list_as([entry(f"part-{number}", b"") for number in many])
    server.files["/model/files/SHA256SUMS"] = "".join(f"{'a' * 64}  part-{number}\n" for number in many).encode()

    with pytest.raises(SourceRefused, match=f"{MOST_FILES}"):
        reader.resolve(Source.parse(f"{server.url}/model/{name}"))


def test_a_list_that_would_have_us_ask_for_thousands_of_files_is_refused_before_any(server, reader):
    lines = (f"{number:064x}  part-{number}\n" for number in range(MOST_ASKED_FOR + 1))
    server.files["/model/files/SHA256SUMS"] = "".join(lines).encode()

    with pytest.raises(SourceRefused, match="more than 1000 files that are large or have no size"):
        reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))
    assert server.asked == ["/model/files/SHA256SUMS"]


def test_small_files_are_listed_without_asking_their_servers(server, reader):
    server.asked.clear()

    reader.resolve(Source.parse(server.source))

    assert sorted(server.asked) == ["/model/files/model.safetensors", "/model/list.json"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not there")
def test_the_revision_is_what_coreutils_make_of_the_list(server, reader, tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    sums = subprocess.run(["sha256sum", *FILES], cwd=tmp_path, check=True, capture_output=True).stdout
    server.files["/model/files/SHA256SUMS"] = sums

    listing = reader.resolve(Source.parse(f"{server.url}/model/files/SHA256SUMS"))

    told = subprocess.run(
        "sort -k2 | sha256sum",
        shell=True,
        input=sums,
        env={"LC_ALL": "C"},
        check=True,
        capture_output=True,
    ).stdout
    assert listing.revision == told.decode().split()[0]


def test_a_whole_file_where_a_range_was_asked_for_is_refused(server, reader, pinned):
    server.lies[f"/model/files/{SHARD}"] = Lie(ignores_range=True)

    with pytest.raises(Unavailable, match="with the whole file"):
        streamed(reader, pinned, SHARD, 7, 10)


def test_another_range_than_the_one_that_was_asked_for_is_refused(server, reader, pinned):
    server.lies[f"/model/files/{SHARD}"] = Lie(headers={"Content-Range": f"bytes 8-17/{len(FILES[SHARD])}"})

    with pytest.raises(Unavailable, match="not those asked for"):
        streamed(reader, pinned, SHARD, 7, 10)


def test_a_body_that_ends_early_is_cut_short(server, reader, pinned):
    server.lies[f"/model/files/{SHARD}"] = Lie(body=b"123")

    with pytest.raises(BodyCutShort):
        streamed(reader, pinned, SHARD, 7, 10)


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (401, {}, SourceGated),
        (403, {}, SourceGated),
        (404, {}, SourceNotFound),
        (410, {}, SourceNotFound),
        (418, {}, SourceRefused),
        (429, {"Retry-After": "7"}, Throttled),
        (500, {}, Unavailable),
    ],
)
def test_what_a_server_refuses_is_told_without_the_address(server, reader, pinned, status, headers, error):
    server.lies |= dict.fromkeys(["/model/list.json", f"/model/files/{SHARD}"], Lie(status=status, headers=headers))

    with pytest.raises(error, match="localhost"):
        reader.resolve(Source.parse(server.source))
    with pytest.raises(error, match="localhost") as caught:
        streamed(reader, pinned)
    assert f"files/{SHARD}" not in str(caught.value)
    assert caught.value.detail.get("retry_after_seconds") == (7 if status == 429 else None)


def test_a_file_that_the_list_does_not_name_is_not_found(reader, pinned):
    with pytest.raises(SourceNotFound, match="lists no file nothing"):
        reader.read(pinned.source, "nothing", limit_bytes=MIB)
