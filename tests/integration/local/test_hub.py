"""The hub answers as the Hugging Face hub does, and errs where a test asks it to."""

import hashlib
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

import pytest

from local.checkpoints import write_checkpoint
from local.clock import ScaledClock
from local.hub import Hub, RateLimit

REPO = "acme/little-llama"
SHARD = "weights-c.safetensors"


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)


def ask(url, method="GET", **headers):
    """Ask without following redirects, with underscores for the dashes of header names."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"{parts.path}?{parts.query}".rstrip("?"), headers=names)
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model"), shard_bytes=200_000)


@pytest.fixture
def hub(model):
    with Hub() as hub:
        hub.commit_of_main = hub.add(REPO, model, revisions=("main", "v1.0"))
        yield hub


def resolve(hub, path, revision="main", repo=REPO):
    return f"{hub.url}/{repo}/resolve/{revision}/{path}"


def cdn_address(hub, path=SHARD):
    return ask(resolve(hub, path)).headers["Location"]


def test_the_model_api_lists_files_with_sizes_and_the_digests_of_large_ones(hub, model):
    info = ask(f"{hub.url}/api/models/{REPO}/revision/v1.0?blobs=true").json()

    files = {entry["rfilename"]: entry for entry in info["siblings"]}
    shard = (model.folder / SHARD).read_bytes()
    assert (info["id"], info["sha"], info["gated"]) == (REPO, hub.commit_of_main, False)
    assert set(files) == set(model.files)
    assert files[SHARD]["lfs"]["sha256"] == hashlib.sha256(shard).hexdigest()
    assert files[SHARD]["size"] == files[SHARD]["lfs"]["size"] == len(shard)
    assert "lfs" not in files["config.json"]


def test_without_blobs_and_revision_the_api_gives_names_only(hub):
    info = ask(f"{hub.url}/api/models/{REPO}").json()

    assert info["sha"] == hub.commit_of_main
    assert {"rfilename": "config.json"} in info["siblings"]


def test_a_small_file_comes_from_the_hub_itself(hub, model):
    answer = ask(resolve(hub, "config.json"))

    assert answer.status == 200
    assert answer.body == (model.folder / "config.json").read_bytes()
    assert answer.headers["X-Repo-Commit"] == hub.commit_of_main


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_large_file_is_redirected_to_the_other_host_with_size_and_digest(hub, model, method):
    answer = ask(resolve(hub, SHARD), method)

    content = (model.folder / SHARD).read_bytes()
    assert answer.status == 302
    assert answer.headers["Location"].startswith(hub.cdn_url)
    assert answer.headers["X-Linked-Size"] == str(len(content))
    assert answer.headers["X-Linked-Etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert ask(answer.headers["Location"]).body == content


@pytest.mark.parametrize(
    ("asked", "slice_", "said"),
    [
        ("bytes=10-19", slice(10, 20), "bytes 10-19/{}"),
        ("bytes=100-", slice(100, None), "bytes 100-{last}/{}"),
        ("bytes=-7", slice(-7, None), None),
    ],
)
def test_a_range_gives_those_bytes_and_says_which(hub, model, asked, slice_, said):
    content = (model.folder / SHARD).read_bytes()

    answer = ask(cdn_address(hub), Range=asked)

    assert (answer.status, answer.body) == (206, content[slice_])
    if said:
        assert answer.headers["Content-Range"] == said.format(len(content), last=len(content) - 1)


def test_a_range_beyond_the_end_is_refused_with_the_length(hub, model):
    size = (model.folder / SHARD).stat().st_size

    answer = ask(cdn_address(hub), Range=f"bytes={size}-{size + 5}")

    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_a_small_file_can_be_read_in_ranges_too(hub, model):
    answer = ask(resolve(hub, "config.json"), Range="bytes=2-5")

    assert (answer.status, answer.body) == (206, (model.folder / "config.json").read_bytes()[2:6])


def test_a_token_carried_to_the_other_host_is_refused_and_noted(hub):
    answer = ask(cdn_address(hub), Authorization=f"Bearer {hub.token}")

    assert answer.status == 400
    assert len(hub.leaks) == 1


def test_an_address_on_the_other_host_expires_and_cannot_be_forged(model):
    clock = ScaledClock(speed=36_000)
    with Hub(clock, address_seconds=3600) as hub:
        hub.add(REPO, model)
        address = cdn_address(hub)
        fresh = ask(address)
        time.sleep(0.15)

        expired, forged = ask(address), ask(address.replace("Signature=", "Signature=0"))

    assert (fresh.status, expired.status, forged.status) == (200, 403, 403)


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("nobody/nothing/resolve/main/config.json", None, 401, "RepoNotFound"),
        ("nobody/nothing/resolve/main/config.json", "hf_visitor", 404, "RepoNotFound"),
        ("acme/secret/resolve/main/config.json", "hf_visitor", 404, "RepoNotFound"),
        ("acme/secret/resolve/main/config.json", "hf_pilotlight", 200, None),
        ("acme/gated/resolve/main/config.json", None, 401, "GatedRepo"),
        ("acme/gated/resolve/main/config.json", "hf_visitor", 403, "GatedRepo"),
        ("acme/gated/resolve/main/config.json", "hf_pilotlight", 200, None),
        ("api/models/acme/gated", None, 200, None),
        (f"{REPO}/resolve/v9/config.json", None, 404, "RevisionNotFound"),
        (f"{REPO}/resolve/main/nothing.json", None, 404, "EntryNotFound"),
        (f"{REPO}/resolve/main/config.json", "hf_unknown", 401, None),
        ("somewhere/else", None, 404, None),
    ],
)
def test_a_refusal_names_its_reason(hub, model, path, token, status, code):
    hub.add("acme/gated", model, gated=True)
    hub.add("acme/secret", model, private=True)

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = ask(f"{hub.url}/{path}", **headers)

    assert (answer.status, answer.headers["X-Error-Code"]) == (status, code)


def test_past_the_limit_the_hub_answers_429_and_says_when_to_come_back(model):
    clock = ScaledClock(speed=3000)
    with Hub(clock, rate_limit=RateLimit(api=2, window_seconds=300)) as hub:
        hub.add(REPO, model)
        url = f"{hub.url}/api/models/{REPO}"
        answers = [ask(url) for _ in range(3)]
        download = ask(resolve(hub, "config.json"))
        time.sleep(0.11)
        later = ask(url)

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["RateLimit"].startswith('"api";r=0;t=')
    assert (download.status, later.status) == (200, 200)


def test_a_branch_moves_and_its_old_commit_and_tags_stay(hub):
    moved = hub.commit(REPO, {"config.json": b"{}", "LICENSE": None})

    assert moved != hub.commit_of_main
    assert ask(resolve(hub, "config.json")).body == b"{}"
    assert ask(resolve(hub, "config.json", revision="v1.0")).headers["X-Repo-Commit"] == hub.commit_of_main
    assert ask(resolve(hub, "LICENSE", revision=hub.commit_of_main)).status == 200
    assert ask(resolve(hub, "LICENSE", revision=moved)).headers["X-Error-Code"] == "EntryNotFound"


def test_a_body_can_end_too_early(hub):
    hub.faults.cut_after(1000)
    address = cdn_address(hub)

    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(address)

    assert len(cut.value.partial) == 1000
    assert ask(address).status == 200


def test_a_range_can_be_ignored_or_answered_with_other_bytes(hub):
    address = cdn_address(hub)
    hub.faults.ignore_range()
    hub.faults.wrong_content_range()

    ignored, wrong = (ask(address, Range="bytes=10-19") for _ in range(2))

    assert (ignored.status, ignored.headers["Content-Range"]) == (200, None)
    assert (wrong.status, wrong.headers["Content-Range"].split("/")[0]) == (206, "bytes 9-18")


def test_one_bit_of_a_long_body_can_be_another(hub):
    address = cdn_address(hub)
    hub.faults.other_bytes(at_least=10, times=2)

    short, long, sound = (ask(address, Range=f"bytes=0-{last}").body for last in (8, 9, 9))

    assert short == sound[:9]
    assert (long[:-1], long[-1] ^ 1) == (sound[:-1], sound[-1])


def test_a_body_can_start_late_or_never_end(hub):
    address = cdn_address(hub)
    hub.faults.slow_start(0.1)
    hub.faults.endless_body()

    started = time.perf_counter()
    ask(address)
    late = time.perf_counter() - started
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Range": "bytes=0-9"})
    response = connection.getresponse()
    received = len(response.read(1_000_000))
    response.close()
    connection.close()

    assert late >= 0.1
    assert (response.status, response.headers["Content-Range"].split("/")[0]) == (206, "bytes 0-9")
    assert (response.headers["Content-Length"], received) == (None, 1_000_000)


def test_what_came_is_on_record(hub):
    ask(resolve(hub, "config.json"), Authorization="Bearer hf_pilotlight", Range="bytes=0-1")

    seen = hub.requests[-1]
    assert (seen.server, seen.method, seen.range, seen.authorized) == ("hub", "GET", "bytes=0-1", True)
    assert seen.path == f"/{REPO}/resolve/main/config.json"


def test_an_open_connection_does_not_keep_the_hub_from_stopping(model):
    hub = Hub().start()
    hub.add(REPO, model)
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=30)
    connection.request("GET", f"/{REPO}/resolve/main/config.json")
    connection.getresponse().read()

    stopping = threading.Thread(target=hub.stop)
    stopping.start()
    stopping.join(30)

    assert not stopping.is_alive()
    connection.close()
