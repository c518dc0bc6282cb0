"""A hub that means harm gets neither our token nor our role's, and nothing that it says is staged on its word."""

import json
import socket
import threading

import pytest
from pilotlight.adapters.hub import HubSource
from pilotlight.adapters.public_addresses import is_public
from pilotlight.domain.errors import BodyCutShort, PilotlightError, SourceChanged, SourceRefused, Unavailable
from pilotlight.domain.source import Source, joined
from pilotlight.services.checkpoint_reader import CheckpointReader

from local.checkpoints import write_checkpoint
from local.hub import Hub
from tests.faults.corpus.hub_answers import INTERNAL_PLACES, hostile_listings

REPO = "acme/little-llama"
SOURCE = Source.parse(f"hf://{REPO}")
SHARD = "weights-c.safetensors"
SECRET = "hf_pilotlight"  # pragma: allowlist secret
LISTINGS = hostile_listings()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model"), shard_bytes=200_000)


@pytest.fixture(scope="module")
def serving(model):
    with Hub(token=SECRET) as hub:
        hub.add(REPO, model)
        yield hub


@pytest.fixture
def hub(serving):
    yield serving
    serving.faults.clear()


@pytest.fixture
def reader(hub):
    return HubSource(hub.url, lambda: SECRET, read_timeout_seconds=5)


@pytest.fixture
def pinned(reader):
    return reader.resolve(SOURCE)


def streamed(reader, listing, path=SHARD, *, offset=0, size_bytes=100):
    return joined(reader.stream(listing.source, listing.file(path), offset=offset, size_bytes=size_bytes))


# ---- where it sends us ---------------------------------------------------------------------------------------


def a_reader(hub, addresses, resolved):
    """Return a reader for whom every name has these addresses; what was asked for is added to `resolved`."""

    def resolve(host, _):
        resolved.append(host)
        return addresses

    return HubSource(hub.url, lambda: SECRET, resolve=resolve)


@pytest.mark.parametrize("location", INTERNAL_PLACES)
def test_a_redirect_to_an_internal_place_is_not_followed(hub, location):
    hub.faults.redirect(location)
    resolved = []
    reader = a_reader(hub, ["8.8.8.8"], resolved)

    with pytest.raises((SourceRefused, Unavailable)) as caught:
        reader.resolve(SOURCE)

    assert resolved == []
    assert "did not answer" not in str(caught.value)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["fe80::1%eth0"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["93.184.216.34", "169.254.169.254"],
        [],
        ["not an address"],
    ],
)
def test_a_name_that_leads_to_an_internal_address_is_not_connected_to(hub, addresses):
    hub.faults.redirect("https://files.example/weights")
    resolved = []
    reader = a_reader(hub, addresses, resolved)

    with pytest.raises(SourceRefused, match=r"files\.example, which has an address that is not public"):
        reader.resolve(SOURCE)

    assert resolved == ["files.example"]  # once: what was looked at is what would be connected to


def test_only_the_configured_hub_may_be_internal(hub):
    reader = a_reader(hub, [], [])

    assert reader.resolve(SOURCE).files


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public_however_they_are_written(address):
    assert is_public(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "224.0.0.1", "2002:a00:1::", "100.64.0.1", "192.0.2.1", ""])
def test_others_are_not(address):
    assert not is_public(address)


def test_redirects_in_a_circle_end(hub, reader):
    hub.faults.redirect(f"{hub.url}/api/models/{REPO}/revision/main?blobs=true", times=50)

    with pytest.raises(Unavailable, match="redirected more than 5 times"):
        reader.resolve(SOURCE)


def test_the_token_does_not_follow_a_redirect_to_another_port_of_the_same_machine(hub, reader, pinned):
    hub.faults.redirect(f"{hub.cdn_url}/repos/{'0' * 64}", path="/resolve/")
    before = len(hub.requests)

    with pytest.raises(PilotlightError):
        reader.read(pinned.source, "config.json", limit_bytes=1 << 20)

    assert hub.leaks == []
    assert [(request.server, request.authorized) for request in hub.requests[before:]] == [
        ("hub", True),
        ("cdn", False),
    ]


# ---- what it says that it has --------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LISTINGS)
def test_a_listing_that_lies_is_refused(hub, reader, pinned, lie):
    repository = hub.repositories[REPO]
    truth = repository.describe(pinned.revision, blobs=True, modified="2026-11-20T00:00:00.000Z")
    hub.faults.listing(LISTINGS[lie](json.loads(json.dumps(truth))))

    with pytest.raises((SourceRefused, Unavailable)) as caught:
        reader.resolve(SOURCE)

    assert len(str(caught.value)) < 1000


def test_an_endless_listing_is_cut_at_the_limit(hub, reader):
    hub.faults.listing(b'{"siblings": [' + b" " * (33 << 20))

    with pytest.raises(SourceRefused, match="larger than"):
        reader.resolve(SOURCE)


def test_a_pinned_commit_that_is_listed_as_another_has_changed(hub, reader, pinned):
    repository = hub.repositories[REPO]
    truth = repository.describe(pinned.revision, blobs=True, modified="2026-11-20T00:00:00.000Z")
    hub.faults.listing(json.dumps(truth | {"sha": "e" * 40}).encode())

    with pytest.raises(SourceChanged, match="lists commit e"):
        reader.resolve(pinned.source)


@pytest.mark.parametrize("size_bytes", [1, 1_000_000])
def test_a_small_file_of_another_size_than_listed_has_changed(reader, pinned, size_bytes):
    files = tuple(file.changed(size_bytes=size_bytes) if file.path == "config.json" else file for file in pinned.files)

    with pytest.raises(SourceChanged, match="were listed"):
        CheckpointReader(reader).read(pinned.changed(files=files), "config.json", 1 << 20)


# ---- what it sends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("ignore_range", Unavailable, "whole file"),
        ("wrong_content_range", Unavailable, "not those asked for"),
        ("endless_body", Unavailable, "does not say how many"),
        ("longer_body", Unavailable, "promises 4196 bytes for a range of 100"),
        ("packed_body", SourceRefused, "asked for plain bytes"),
    ],
)
def test_a_range_that_is_answered_otherwise_is_refused(hub, reader, pinned, fault, error, told):
    getattr(hub.faults, fault)(path="/repos/")

    with pytest.raises(error, match=told):
        streamed(reader, pinned, offset=100)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("endless_body", SourceRefused), ("packed_body", SourceRefused), ("other_commit", SourceChanged)],
)
def test_a_small_file_that_is_answered_otherwise_is_refused(hub, reader, pinned, fault, error):
    getattr(hub.faults, fault)(path="config.json")

    with pytest.raises(error):
        reader.read(pinned.source, "config.json", limit_bytes=50_000)


def test_a_small_file_with_more_bytes_than_listed_is_refused(hub, reader, pinned):
    hub.faults.longer_body(path="config.json")

    with pytest.raises((SourceChanged, BodyCutShort)):
        CheckpointReader(reader).read(pinned, "config.json", 1 << 20)


def test_a_revision_that_changes_midway_is_told_with_what_was_found(hub, reader, pinned):
    hub.faults.other_commit(path="config.json")

    with pytest.raises(SourceChanged, match=f"of commit {'f' * 40}.*{pinned.revision}"):
        streamed(reader, pinned, "config.json", size_bytes=10)


def test_a_body_that_drips_is_given_up(hub, pinned):
    reader = HubSource(hub.url, lambda: SECRET, answer_seconds=0.2)
    hub.faults.drip(0.05)

    with pytest.raises(BodyCutShort, match="too slowly"):
        streamed(reader, pinned, size_bytes=10_000)


class DrippingHeaders:
    """A server whose headers never end: each byte comes well within any timeout of a socket."""

    def __enter__(self):
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self):
        client, _ = self.listener.accept()
        with client:
            try:
                client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not self.over.wait(0.02):
                    client.sendall(b"a")
            except OSError:
                return  # the client has had enough, which is the point

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.listener.close()


def test_headers_that_drip_are_given_up():
    with DrippingHeaders() as url, pytest.raises(Unavailable, match="did not answer"):
        HubSource(url, lambda: SECRET, answer_seconds=0.2).resolve(SOURCE)
