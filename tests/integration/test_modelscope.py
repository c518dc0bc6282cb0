"""A checkpoint of ModelScope's is read at one commit, byte for byte, through the API that its clients know."""

import json

import pytest
from pilotlight.adapters.modelscope import MIB, MOST_ENTRIES, ModelScopeSource
from pilotlight.domain.errors import (
    BodyCutShort,
    InvalidInput,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Unavailable,
)
from pilotlight.domain.source import Source, joined

from local.checkpoints import write_checkpoint
from local.hub import Hub

REPO = "acme/little-llama"
SHARD = "weights-c.safetensors"
SECRET = "ms_pilotlight"  # pragma: allowlist secret
COMMIT = "a" * 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model"), shard_bytes=1_500_000)


@pytest.fixture
def hub(model):
    with Hub(token=SECRET) as hub:
        hub.head = hub.add(REPO, model, revisions=("main", "v1.0"))
        yield hub


@pytest.fixture
def reader(hub):
    return ModelScopeSource(hub.url, lambda: SECRET, read_timeout_seconds=2)


@pytest.fixture
def pinned(reader):
    return reader.resolve(Source.parse(f"ms://{REPO}"))


def streamed(reader, listing, path=SHARD, offset=0, size_bytes=None):
    file = listing.file(path)
    size_bytes = file.size_bytes - offset if size_bytes is None else size_bytes
    return joined(reader.stream(listing.source, file, offset=offset, size_bytes=size_bytes))


def told(files=(), latest=None, code=200):
    return json.dumps({"Code": code, "Data": {"Files": list(files), "LatestCommitter": latest}}).encode()


def blob(path, **fields):
    return {"Path": path, "Type": "blob", "Size": 4, "Sha256": "b" * 64, "Revision": COMMIT, **fields}


@pytest.mark.parametrize("revision", ["", "@master", "@main", "@v1.0"])
def test_a_branch_or_a_tag_is_pinned_to_its_commit(hub, reader, revision):
    listing = reader.resolve(Source.parse(f"ms://{REPO}{revision}"))

    assert str(listing.source) == f"ms://{REPO}@{hub.head}"


def test_every_file_is_listed_with_its_size_and_its_digest_and_no_folder(model, pinned):
    sizes = {file.path: file.size_bytes for file in pinned.files}

    assert sizes == {name: (model.folder / name).stat().st_size for name in model.files}
    assert {len(file.sha256) for file in pinned.files} == {64}


def test_a_pinned_commit_stays_what_it_was_when_its_branch_moves_on(hub, model, reader, pinned):
    hub.commit(REPO, {"config.json": b"{}"})

    again = reader.resolve(pinned.source)
    moved = reader.resolve(Source.parse(f"ms://{REPO}"))

    assert again == pinned
    assert moved.revision != pinned.revision
    assert reader.read(pinned.source, "config.json", limit_bytes=MIB) == (model.folder / "config.json").read_bytes()
    assert reader.read(moved.source, "config.json", limit_bytes=MIB) == b"{}"


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, None), (0, 1), (7, 1000), (1_048_576, 300_000), (5, 0)])
def test_a_range_of_a_large_file_comes_byte_for_byte(model, reader, pinned, offset, size_bytes):
    content = (model.folder / SHARD).read_bytes()

    assert streamed(reader, pinned, SHARD, offset, size_bytes) == content[offset:][:size_bytes]


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, None), (0, 1), (7, 30), (40, None)])
def test_a_range_is_cut_out_of_a_small_file_that_the_hub_sends_whole(model, reader, pinned, offset, size_bytes):
    content = (model.folder / "config.json").read_bytes()

    assert streamed(reader, pinned, "config.json", offset, size_bytes) == content[offset:][:size_bytes]


def test_a_range_behind_the_first_mebibyte_is_cut_out_of_a_file_that_the_hub_sends_whole(hub, reader):
    content = bytes(range(256)) * 8192
    hub.commit(REPO, {"tokenizer.json": content})
    listing = reader.resolve(Source.parse(f"ms://{REPO}"))

    assert streamed(reader, listing, "tokenizer.json", MIB + 3, 500_000) == content[MIB + 3 :][:500_000]


def test_a_large_file_that_a_file_server_sends_whole_is_not_taken_for_a_range(hub, reader, pinned):
    hub.faults.ignore_range(path="/repos/")

    with pytest.raises(Unavailable, match="with the whole file"):
        streamed(reader, pinned, SHARD, 7, 10)


def test_a_range_that_was_not_asked_for_is_refused(hub, reader, pinned):
    hub.faults.wrong_content_range(path="/repos/")

    with pytest.raises(Unavailable, match="not those asked for"):
        streamed(reader, pinned, SHARD, 7, 10)


def test_a_body_that_ends_early_is_cut_short(hub, reader, pinned):
    hub.faults.cut_after(100, path="/repos/")

    with pytest.raises(BodyCutShort):
        streamed(reader, pinned, SHARD)


def test_a_file_of_another_digest_than_the_listed_one_is_refused(reader, pinned):
    file = pinned.file(SHARD).changed(sha256="c" * 64)

    with pytest.raises(SourceChanged, match="another digest"):
        joined(reader.stream(pinned.source, file, offset=0, size_bytes=10))


def test_the_token_goes_to_the_hub_as_header_and_cookie_and_never_to_its_file_server(hub, reader, pinned):
    streamed(reader, pinned)

    assert not hub.leaks
    assert {request.authorized for request in hub.requests if request.server == "hub"} == {True}
    assert {request.authorized for request in hub.requests if request.server == "cdn"} == {False}
    assert reader._site.credentials() == {"Authorization": f"Bearer {SECRET}", "Cookie": f"m_session_id={SECRET}"}


def test_what_is_not_for_everybody_says_which_token_to_set(hub, model):
    hub.add("acme/closed", model, gated=True)

    with pytest.raises(SourceGated, match="MODELSCOPE_API_TOKEN locally, or modelscope_token in the hub secret"):
        ModelScopeSource(hub.url, lambda: None).resolve(Source.parse("ms://acme/closed"))


@pytest.mark.parametrize("source", ["ms://acme/nothing", f"ms://{REPO}@v2.0", f"ms://{REPO}@{COMMIT}"])
def test_what_does_not_exist_is_not_found(hub, reader, source):
    with pytest.raises(SourceNotFound, match=f"{hub.url}/models/acme/"):
        reader.resolve(Source.parse(source))


def test_a_file_that_is_not_there_is_not_found(reader, pinned):
    with pytest.raises(SourceNotFound, match=r"nothing\.json"):
        reader.read(pinned.source, "nothing.json", limit_bytes=MIB)


@pytest.mark.parametrize(
    "path", ["../config.json", "/etc/passwd", "a/../../b", "..%2fconfig.json", "．．/config.json", "con\u202efig.json"]
)
def test_a_name_that_leaves_its_folder_or_reads_as_another_refuses_the_whole_listing(hub, reader, path):
    hub.faults.listing(told([blob(path)], {"Id": COMMIT}))

    with pytest.raises(SourceRefused, match="Nothing of it is staged"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


def test_a_name_twice_refuses_the_whole_listing(hub, reader):
    hub.faults.listing(told([blob("config.json"), blob("config.json")], {"Id": COMMIT}))

    with pytest.raises(SourceRefused, match="more than once"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


def test_a_listing_that_may_have_been_cut_off_is_refused(hub, reader):
    files = [blob(f"file-{number}") for number in range(MOST_ENTRIES)]
    hub.faults.listing(told(files, {"Id": COMMIT}))

    with pytest.raises(SourceRefused, match="lists no more"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


@pytest.mark.parametrize(
    "latest", [None, {}, {"Id": "", "ShortId": ""}, {"ShortId": "bbbbbbbb"}, {"Id": "4711"}, {"ShortId": "master"}]
)
def test_a_branch_whose_commit_is_not_told_is_refused_with_what_to_name(hub, reader, latest):
    hub.faults.listing(told([blob("config.json")], latest))

    with pytest.raises(SourceRefused, match="Name the commit itself"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


@pytest.mark.parametrize(
    "latest", [{"Id": COMMIT}, {"Id": "", "ShortId": COMMIT[:8]}, {"Id": "4711", "ShortId": "aaaaaaaa"}]
)
def test_a_commit_is_told_whole_or_by_its_beginning(hub, reader, latest):
    hub.faults.listing(told([blob("config.json", Revision=COMMIT), blob("b", Revision="c" * 40)], latest))

    assert reader.resolve(Source.parse(f"ms://{REPO}")).revision == COMMIT


def test_another_commit_than_the_pinned_one_is_refused(hub, reader):
    hub.faults.listing(told([blob("config.json")], {"ShortId": "bbbbbbbb"}))

    with pytest.raises(SourceChanged, match="commit bbbbbbbb"):
        reader.resolve(Source.parse(f"ms://{REPO}@{COMMIT}"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"Code": 200, "Code": 201}', "twice"),
        (told([blob("a", Size=-1)], {"Id": COMMIT}), "Size"),
        (told([blob("a", Sha256="xyz")], {"Id": COMMIT}), "Sha256"),
        (told([{"Type": "blob"}], {"Id": COMMIT}), "Path"),
    ],
)
def test_what_is_no_listing_of_modelscopes_is_told_by_its_field(hub, reader, body, why):
    hub.faults.listing(body)

    with pytest.raises(Unavailable, match=why):
        reader.resolve(Source.parse(f"ms://{REPO}"))


def test_a_file_without_a_size_is_refused(hub, reader):
    hub.faults.listing(told([blob("a", Size=None)], {"Id": COMMIT}))

    with pytest.raises(SourceRefused, match="without its size"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


def test_a_code_that_is_not_200_is_told(hub, reader):
    hub.faults.listing(told(code=10010205001))

    with pytest.raises(SourceRefused, match="code 10010205001"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


def test_a_redirect_to_an_internal_address_is_not_followed(hub, reader):
    hub.faults.redirect("https://169.254.169.254/latest/meta-data/")

    with pytest.raises(SourceRefused, match="Is MODELSCOPE_ENDPOINT the hub that you meant"):
        reader.resolve(Source.parse(f"ms://{REPO}"))


def test_an_endpoint_that_is_not_https_is_refused_by_its_setting():
    with pytest.raises(InvalidInput) as caught:
        ModelScopeSource("http://modelscope.cn", lambda: None)

    assert caught.value.detail["field"] == "MODELSCOPE_ENDPOINT"
