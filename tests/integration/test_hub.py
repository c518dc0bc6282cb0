"""A hub's checkpoint is read at one commit, byte for byte, and the token stays with the hub."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pilotlight.adapters.clock import SystemClock
from pilotlight.adapters.hub import HubSource
from pilotlight.adapters.template_vetting import TemplateVetting
from pilotlight.domain.errors import (
    BodyCutShort,
    InvalidInput,
    PilotlightError,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Throttled,
    Unavailable,
)
from pilotlight.domain.safetensors import FIRST_READ_BYTES
from pilotlight.domain.source import Source, SourceFile, joined
from pilotlight.domain.values import Backend
from pilotlight.services.preflight import Preflight

from local.checkpoints import write_checkpoint
from local.hub import Hub, RateLimit
from tests.fakes import FakeSpeeds

REPO = "acme/little-llama"
SHARD = "weights-c.safetensors"
SECRET = "hf_pilotlight"  # pragma: allowlist secret


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model"), shard_bytes=1_500_000)


class Clock:
    """A clock that stands until it is moved: addresses expire by it."""

    now = 1_800_000_000.0

    def timestamp(self):
        return self.now


@pytest.fixture
def hub(model):
    with Hub(Clock(), token=SECRET) as hub:
        hub.head = hub.add(REPO, model, revisions=("main", "v1.0", "refs/pr/1"))
        yield hub


@pytest.fixture
def reader(hub):
    return HubSource(hub.url, lambda: SECRET, read_timeout_seconds=2)


@pytest.fixture
def pinned(reader):
    return reader.resolve(Source.parse(f"hf://{REPO}"))


def shard_of(listing):
    file = listing.file(SHARD)
    assert file is not None
    return file


def streamed(reader, listing, offset=0, size_bytes=None, file=None):
    file = file or shard_of(listing)
    size_bytes = file.size_bytes - offset if size_bytes is None else size_bytes
    return joined(reader.stream(listing.source, file, offset=offset, size_bytes=size_bytes))


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1"])
def test_a_branch_a_tag_or_a_ref_is_pinned_to_its_commit(hub, reader, revision):
    listing = reader.resolve(Source.parse(f"hf://{REPO}@{revision}"))

    assert listing.revision == hub.head
    assert str(listing.source) == f"hf://{REPO}@{hub.head}"


def test_every_file_is_listed_with_its_size_and_the_digest_of_large_ones(model, pinned):
    sizes = {file.path: file.size_bytes for file in pinned.files}

    assert sizes == {name: (model.folder / name).stat().st_size for name in model.files}
    assert len(shard_of(pinned).sha256) == 64
    assert pinned.file("config.json").sha256 is None


def test_a_small_file_is_read_whole(model, reader, pinned):
    content = reader.read(pinned.source, "config.json", limit_bytes=1 << 20)

    assert content == (model.folder / "config.json").read_bytes()


def test_a_file_beyond_the_limit_is_refused(reader, pinned):
    with pytest.raises(SourceRefused, match="larger than the 10 bytes"):
        reader.read(pinned.source, "config.json", limit_bytes=10)


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, None), (0, 1), (7, 1000), (1_048_576, 300_000), (5, 0)])
def test_a_range_comes_byte_for_byte(model, reader, pinned, offset, size_bytes):
    content = (model.folder / SHARD).read_bytes()

    got = streamed(reader, pinned, offset, size_bytes)

    assert got == content[offset:][:size_bytes]


def test_a_small_file_streams_from_the_hub_itself(model, reader, pinned):
    got = streamed(reader, pinned, file=pinned.file("config.json"))

    assert got == (model.folder / "config.json").read_bytes()


def test_the_token_goes_to_the_hub_and_never_to_its_file_server(hub, reader, pinned):
    streamed(reader, pinned)
    streamed(reader, pinned, 10, 10)

    assert not hub.leaks
    assert {request.authorized for request in hub.requests if request.server == "hub"} == {True}
    assert {request.authorized for request in hub.requests if request.server == "cdn"} == {False}


def test_a_file_is_resolved_once_for_all_its_ranges_also_by_eight_threads(hub, model, reader, pinned):
    content = (model.folder / SHARD).read_bytes()
    offsets = range(0, 800_000, 100_000)

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda offset: streamed(reader, pinned, offset, 100_000), offsets))

    assert b"".join(got) == content[:800_000]
    assert sum("/resolve/" in request.path for request in hub.requests) == 1


def test_an_expired_address_is_resolved_again(hub, model, reader, pinned):
    streamed(reader, pinned, 0, 10)
    hub.clock.now += hub.address_seconds + 1

    got = streamed(reader, pinned, 10, 10)

    assert got == (model.folder / SHARD).read_bytes()[10:20]
    assert sum("/resolve/" in request.path for request in hub.requests) == 2


def test_an_address_that_is_refused_when_fresh_is_said_without_quoting_it(hub, reader, pinned):
    hub.address_seconds = -1.0

    with pytest.raises(Unavailable, match="refused a fresh address") as caught:
        streamed(reader, pinned)

    assert "Signature" not in str(caught.value)


def test_a_body_cut_short_is_said_with_how_much_arrived(hub, reader, pinned):
    hub.faults.cut_after(1000)

    with pytest.raises(BodyCutShort):
        streamed(reader, pinned)

    assert streamed(reader, pinned, 0, 2000)


@pytest.mark.parametrize("fault", ["ignore_range", "wrong_content_range", "endless_body"])
def test_an_answer_that_is_not_the_range_asked_for_is_refused(hub, reader, pinned, fault):
    getattr(hub.faults, fault)()

    with pytest.raises(Unavailable):
        streamed(reader, pinned, 100, 100)


def test_the_whole_file_may_answer_a_range_that_is_the_whole_file(hub, model, reader, pinned):
    hub.faults.ignore_range()

    assert streamed(reader, pinned) == (model.folder / SHARD).read_bytes()


def test_an_endless_small_file_is_cut_at_the_limit(hub, reader, pinned):
    hub.faults.endless_body(path="config.json")

    with pytest.raises(SourceRefused, match="larger than"):
        reader.read(pinned.source, "config.json", limit_bytes=100_000)


def test_a_server_that_stands_still_is_given_up(hub, model):
    reader = HubSource(hub.url, lambda: None, read_timeout_seconds=0.2)
    listing = reader.resolve(Source.parse(f"hf://{REPO}"))
    hub.faults.slow_start(5)

    with pytest.raises(Unavailable, match="ReadTimeoutError"):
        streamed(reader, listing)


@pytest.mark.parametrize("change", [{"size_bytes": 12}, {"sha256": "0" * 64}])
def test_a_file_that_is_not_the_listed_one_has_changed(reader, pinned, change):
    file = shard_of(pinned).changed(**change)

    with pytest.raises(SourceChanged):
        streamed(reader, pinned, 0, 10, file=file)


def test_a_small_file_with_another_git_id_has_changed(reader, pinned):
    file = pinned.file("config.json").changed(etag="0" * 40)

    with pytest.raises(SourceChanged):
        streamed(reader, pinned, 0, 10, file=file)


def test_another_commit_than_the_pinned_one_has_changed(hub, reader):
    with pytest.raises(SourceChanged, match=hub.head):
        reader.read(Source.parse(f"hf://{REPO}@v1.0"), "config.json", limit_bytes=1 << 20)


def test_what_is_missing_is_named(hub, reader, pinned):
    with pytest.raises(SourceNotFound, match="has no model acme/nothing"):
        reader.resolve(Source.parse("hf://acme/nothing"))
    with pytest.raises(SourceNotFound, match="no branch, tag or commit 'v9'"):
        reader.resolve(Source.parse(f"hf://{REPO}@v9"))
    with pytest.raises(SourceNotFound, match=r"no file nothing\.json"):
        reader.read(pinned.source, "nothing.json", limit_bytes=10)


@pytest.mark.parametrize("token", [None, "hf_visitor"])
def test_a_gated_model_says_where_to_accept_its_terms(hub, model, token):
    hub.add("acme/gated", model, gated=True)
    reader = HubSource(hub.url, lambda: token)
    listing = reader.resolve(Source.parse("hf://acme/gated"))

    with pytest.raises(SourceGated, match=r"accept its terms at .*/acme/gated, then set HF_TOKEN"):
        reader.read(listing.source, "config.json", limit_bytes=1 << 20)


def test_a_token_that_the_hub_does_not_know_is_said_to_be_wrong(hub):
    with pytest.raises(SourceGated, match="does not accept the token"):
        HubSource(hub.url, lambda: "hf_wrong").resolve(Source.parse(f"hf://{REPO}"))


def test_a_rate_limit_says_how_long_to_wait(hub, model):
    with Hub(rate_limit=RateLimit(api=1, window_seconds=55)) as strict:
        strict.add(REPO, model)
        reader = HubSource(strict.url, lambda: None)
        reader.resolve(Source.parse(f"hf://{REPO}"))

        with pytest.raises(Throttled) as caught:
            reader.resolve(Source.parse(f"hf://{REPO}"))

    assert 1 <= caught.value.detail["retry_after_seconds"] <= 55


@pytest.mark.parametrize("path", ["../secrets", "/etc/passwd", "a//b", "a/./b", ""])
def test_a_name_that_leaves_its_folder_is_never_asked_for(hub, reader, pinned, path):
    before = len(hub.requests)

    with pytest.raises(SourceRefused):
        reader.read(pinned.source, path, limit_bytes=10)

    assert len(hub.requests) == before


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://hub.example",
        "ftp://hub.example",
        "https://user:pw@hub.example",  # pragma: allowlist secret
        "file:///etc",
        "hub",
        "https://a\\b",
    ],  # pragma: allowlist secret
)
def test_an_endpoint_that_is_not_https_or_our_own_machine_is_refused(endpoint):
    with pytest.raises(InvalidInput, match="https://host") as caught:
        HubSource(endpoint, lambda: None)

    assert "pw" not in str(caught.value)


def test_a_token_that_cannot_be_sent_is_not_quoted(hub):
    with pytest.raises(InvalidInput) as caught:
        HubSource(hub.url, lambda: "hf_geheim\nX: y").resolve(Source.parse(f"hf://{REPO}"))

    assert "geheim" not in str(caught.value)


def test_nobody_listening_is_unavailable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        reader = HubSource(f"http://127.0.0.1:{taken.getsockname()[1]}", lambda: None)

        with pytest.raises(Unavailable, match="did not answer"):
            reader.resolve(Source.parse(f"hf://{REPO}"))


class EmptyRegion:
    """A region without imported models."""

    def holders(self):
        return []

    def model_quota(self):
        return 3


def test_a_verdict_on_a_hubs_model_reads_the_headers_of_its_weights_and_no_more(hub, reader):
    inspection = Preflight(reader, TemplateVetting(SystemClock()), EmptyRegion(), "us-east-1", FakeSpeeds()).require(
        Source.parse(f"hf://{REPO}"), Backend.BEDROCK
    )

    assert inspection.listing.revision == hub.head
    assert SHARD in inspection.plan.paths
    shards = [request for request in hub.requests if request.server == "cdn"]
    assert [request.range for request in shards] == [f"bytes=0-{FIRST_READ_BYTES - 1}"] * 3


# ---- a hub that is none --------------------------------------------------------------------------------------


class Stranger:
    """Answers every request alike."""

    def __init__(self, status, headers=None, body=b""):
        answer = (status, headers or {}, body)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, body = answer
                self.send_response_only(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        return HubSource(self.url, lambda: SECRET, read_timeout_seconds=2)

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/",
        "https://[fd00:ec2::254]/",
        "https://10.0.0.1/",
        "http://files.example/x",
        "https://user:pw@files.example/",  # pragma: allowlist secret
        "ftp://files.example/",
        "https://files.example\\@evil.example/",
        "https://fi les.example/",
        "",
    ],
)
def test_a_redirect_to_where_no_hub_sends_anybody_is_not_followed(location):
    with Stranger(302, {"Location": location}) as reader, pytest.raises((SourceRefused, Unavailable)) as caught:
        reader.resolve(Source.parse(f"hf://{REPO}"))

    assert "did not answer" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_redirects_that_never_end_are_given_up():
    with Stranger(307, {"Location": "/again"}) as reader, pytest.raises(Unavailable, match="more than 5 times"):
        reader.resolve(Source.parse(f"hf://{REPO}"))


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (200, {}, b"<html>", Unavailable),
        (200, {}, b'{"sha": "main", "siblings": []}', Unavailable),
        (200, {}, b'{"sha": "' + b"a" * 40 + b'", "siblings": [{"rfilename": "x"}]}', SourceRefused),
        (500, {}, b"", Unavailable),
        (503, {}, b"", Unavailable),
        (403, {"X-Error-Code": "DisabledRepo"}, b"", SourceRefused),
        (403, {}, b"", SourceGated),
        (404, {}, b"", SourceNotFound),
        (418, {}, b"", SourceRefused),
        (429, {}, b"", Throttled),
        (429, {"Retry-After": "17"}, b"", Throttled),
    ],
)
def test_every_refusal_has_its_error(status, headers, body, error):
    with Stranger(status, headers, body) as reader, pytest.raises(error) as caught:
        reader.resolve(Source.parse(f"hf://{REPO}"))

    assert isinstance(caught.value, PilotlightError)
    assert SECRET not in str(caught.value)
    assert caught.value.detail.get("retry_after_seconds") == (17 if headers.get("Retry-After") else None)


def test_retry_after_may_be_a_date_on_the_hubs_own_clock():
    dates = {"Date": "Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After": "Fri, 20 Nov 2026 10:01:30 GMT"}

    with Stranger(429, dates) as reader, pytest.raises(Throttled) as caught:
        reader.resolve(Source.parse(f"hf://{REPO}"))

    assert caught.value.detail["retry_after_seconds"] == 90


def test_a_shorter_file_than_listed_has_changed():
    source = Source.parse(f"hf://{REPO}@{'a' * 40}")
    file = SourceFile(path="x.safetensors", size_bytes=100)

    with Stranger(416) as reader, pytest.raises(SourceChanged):
        list(reader.stream(source, file, offset=0, size_bytes=10))


def test_a_thread_that_stands_still_while_it_asks_for_an_address_holds_up_others_for_seconds_only(
    reader, pinned, monkeypatch
):
    monkeypatch.setattr("pilotlight.adapters.hub_reader.ALONE_SECONDS", 0.05)
    url = reader._address(pinned.source, shard_of(pinned).path)

    with reader._alone(url):
        assert streamed(reader, pinned, 0, 10) == streamed(reader, pinned, 0, 20)[:10]
