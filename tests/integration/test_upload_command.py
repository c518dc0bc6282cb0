"""The upload command against the API's own placing, and an S3 that checks what it is sent."""

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from pilotlight.adapters.invocation_bodies import SIGNING
from pilotlight.adapters.upload_bucket import S3UploadBucket
from pilotlight.domain.errors import ConcurrentChange, InvalidInput, PilotlightError
from pilotlight.domain.folder_upload import AddressesRequest, JoinRequest, UploadRequest
from pilotlight.domain.spans import SMALLEST_PART_BYTES as PART_BYTES
from pilotlight.domain.spans import SpanLimits
from pilotlight.services.placing import Placing
from pilotlight_client import Pilotlight
from pilotlight_client.commands import app
from pilotlight_client.commands.session import Surroundings
from typer.testing import CliRunner, Result

from local import object_store
from local.clock import ScaledClock
from tests.factories import NOON
from tests.integration.local.moto_cloud import running_moto

BUCKET = "pilotlight-uploads"


class Instantly:
    """A clock that never waits; something may happen while it would."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    object_store.install(ScaledClock())
    with running_moto() as cloud:
        yield cloud.url


@pytest.fixture
def s3(s3_endpoint, monkeypatch) -> Iterator[Any]:
    monkeypatch.delenv("PILOTLIGHT_URL", raising=False)
    client = a_client(s3_endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield client
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)


def a_client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="the-api-s",
        aws_secret_access_key="secret",  # pragma: allowlist secret (of a simulation)
        config=SIGNING,
    )


FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
HEADER = (2).to_bytes(8, "little") + b"{}"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "checkpoint"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "llama"}')
    (made / "tokenizer.json").write_text("{}")
    (made / "tokenizer_config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(HEADER)
    (made / ".cache").write_text("x")
    return made


class Api:
    """GET /health and /uploads, where a folder goes through `states`, one with each look; and placing, which is real.

    Requests to S3 pass through it, too: `on_put` may look at one, and answer in S3's place.
    """

    def __init__(self, s3_endpoint: str) -> None:
        self.states: list[dict[str, Any] | None] = [None]
        client = a_client(s3_endpoint)
        self.bucket = S3UploadBucket(client, BUCKET, lambda: client, lambda: NOON)
        self.placing = Placing(self.bucket, SpanLimits(part_bytes=PART_BYTES))
        self.host = urlsplit(s3_endpoint).netloc
        self.puts: list[httpx.Request] = []
        self.on_put: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        self.health = {
            "status": "ok",
            "version": "0.1.0",
            "stack": "pilotlight",
            "region": "us-east-1",
            "upload_bucket": BUCKET,
            "s3_endpoint": s3_endpoint,
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.netloc.decode() == self.host:
            return self.put(request)
        if request.method == "POST":
            return self.place(request)
        if request.url.path == "/health":
            return httpx.Response(200, json=self.health)
        if request.url.path == "/uploads":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            page = {"items": [state] if state else [], "bucket": BUCKET, "prefix": "uploads/"}
            return httpx.Response(200, json=page)
        deployment = {
            "name": "demo",
            "generation": 1,
            "attempt": 1,
            "status": "SERVING",
            "source": f"s3://{BUCKET}/uploads/demo/",
            "backend": "bedrock",
            "region": "us-east-1",
            "lease": "72h",
            "keep_warm": {"policy": "none"},
            "tags": {},
            "cost_so_far": {"usd": 0, "basis": "estimated"},
            "correlation_id": "c",
            "created_at": "2026-11-20T12:00:00Z",
            "updated_at": "2026-11-20T12:00:00Z",
        }
        return httpx.Response(200, json=deployment)

    def put(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.puts.append(request)
        if answer := self.on_put(request):
            return answer
        return httpx.put(request.url, headers=dict(request.headers), content=body, trust_env=False)

    def place(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        _, _, *rest = request.url.path.split("/")
        try:
            match rest:
                case []:
                    view = self.placing.plan(UploadRequest.model_validate(body))
                case [name, "addresses"]:
                    view = self.placing.addresses(name, AddressesRequest.model_validate(body))
                case [name, "files"]:
                    view = self.placing.join(name, JoinRequest.model_validate(body))
        except PilotlightError as exc:
            return httpx.Response(exc.http_status, json={"title": exc.code, "detail": exc.message, "code": exc.code})
        return httpx.Response(200, json=view.dump())


@pytest.fixture
def api(s3_endpoint) -> Api:
    return Api(s3_endpoint)


@pytest.fixture
def run(api):
    def run_command(*arguments: str, code: int = 0) -> Result:
        around = Surroundings(
            connect=lambda url: Pilotlight(url, transport=httpx.MockTransport(api), clock=Instantly())
        )
        result = CliRunner().invoke(app, ["upload", *arguments], obj=around)
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return result

    return run_command


def in_parts(weights: Path, parts: int = 2) -> None:
    """Let the weights be so many parts long, each of other content."""
    content = b"".join(bytes([number]) * PART_BYTES for number in range(parts))
    weights.write_bytes(HEADER + content[len(HEADER) : -1000])


def content_of(s3, path: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=f"uploads/demo/{path}")["Body"].read()


def objects(s3) -> dict[str, Any]:
    return {item["Key"]: item for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}


def test_a_folder_is_uploaded_whole_with_its_mark_last(s3, folder, run):
    in_parts(folder / "model.safetensors")

    result = run(str(folder), "--name", "demo")

    held = objects(s3)
    assert set(held) == {f"uploads/demo/{name}" for name in (*FILES, "_COMPLETE")}
    assert max(held.values(), key=lambda item: item["LastModified"])["Key"].endswith("_COMPLETE")
    weights = s3.get_object(Bucket=BUCKET, Key="uploads/demo/model.safetensors")
    assert weights["Body"].read() == (folder / "model.safetensors").read_bytes()
    assert weights["ETag"].endswith('-2"')
    assert f"s3://{BUCKET}/uploads/demo/: 4 files sent (10.5 MB), 0 were there." in result.stdout


def test_no_file_takes_the_place_of_another_before_all_that_go_in_parts_have_come(s3, api, folder, run):
    in_parts(folder / "model.safetensors")
    run(str(folder), "--name", "demo")
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    in_parts(folder / "model.safetensors", parts=3)
    before, seen = objects(s3), []

    def look(request: httpx.Request) -> None:
        changed = {key for key, item in objects(s3).items() if item["ETag"] != before[key]["ETag"]}
        seen.append((urlsplit(str(request.url)).path.rpartition("/")[2], changed))

    api.on_put = look
    run(str(folder), "--name", "demo", "--parallel", "1")

    weights, config = "uploads/demo/model.safetensors", "uploads/demo/config.json"
    assert seen == [
        *[("model.safetensors", set())] * 3,
        ("config.json", {weights}),
        ("_COMPLETE", {weights, config}),
    ]


def test_nothing_can_be_imported_before_all_but_the_mark_is_there(s3, api, folder, run):
    (folder / "pilotlight.json").write_text('{"lease": "8h"}')
    sent = []
    api.on_put = lambda request: sent.append(urlsplit(str(request.url)).path.rpartition("/")[2])

    run(str(folder), "--name", "demo", "--parallel", "1")

    assert {"pilotlight.json", "tokenizer.json", "model.safetensors"} <= set(sent[:-2])
    assert sent[-2:] == ["config.json", "_COMPLETE"]


def test_a_second_upload_sends_only_what_has_changed_parts_and_all(s3, folder, run):
    in_parts(folder / "model.safetensors")
    run(str(folder), "--name", "demo")
    (folder / "config.json").write_text('{"model_type": "qwen2"}')

    summary = json.loads(run(str(folder), "--name", "demo", "--json").stdout)

    assert summary["sent"] == ["config.json"]
    assert summary["already_there"] == [name for name in FILES if name != "config.json"]
    assert s3.get_object(Bucket=BUCKET, Key="uploads/demo/config.json")["Body"].read() == b'{"model_type": "qwen2"}'


def test_an_upload_that_is_interrupted_goes_on_from_the_parts_that_s3_holds(s3, api, folder, run):
    in_parts(folder / "model.safetensors", parts=4)
    seen = []

    def interrupt(request: httpx.Request) -> None:
        if "partNumber" in request.url.params:
            seen.append(request)
        if len(seen) > 2:
            raise KeyboardInterrupt

    api.on_put = interrupt
    result = run(str(folder), "--name", "demo", "--parallel", "1", code=130)
    api.on_put = lambda _: None
    api.puts.clear()
    resumed = run(str(folder), "--name", "demo", "--parallel", "1")

    assert f"pilotlight upload {folder} --name demo" in result.stderr
    assert "4 files sent (10.5 MB; 10.5 MB in parts were there already), 0 were there." in resumed.stdout
    assert [put.url.params["partNumber"] for put in api.puts if "partNumber" in put.url.params] == ["3", "4"]
    assert content_of(s3, "model.safetensors") == (folder / "model.safetensors").read_bytes()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"status": "HELD", "held_by": "demo"}, "The folder is HELD: held by demo: it starts when that is GONE."),
        (
            {"status": "RESTING", "look_at": "2026-11-20T12:00:30Z"},
            "The folder is RESTING: is looked at any moment: pilotlight uploads.",
        ),
        ({"status": "STARTED", "deployment": "demo", "reason": "started as generation 1"}, "The folder is STARTED: "),
        (None, "The folder is looked at by itself"),
    ],
)
def test_a_repeat_that_sends_nothing_says_so_and_what_the_folder_is(s3, api, folder, run, state, told):
    first = run(str(folder), "--name", "demo").stderr
    api.states = [state and {"folder": "demo", "size_bytes": 1, "updated_at": "2026-11-20T12:00:00Z", **state}]

    repeated = run(str(folder), "--name", "demo").stderr

    assert "It is imported by itself: pilotlight uploads." in first
    assert "Nothing was sent. " + told in repeated
    assert "It is imported by itself" not in repeated


def test_a_new_version_of_a_folder_that_is_held_is_not_told_to_be_imported(s3, api, folder, run):
    api.states = [{"folder": "demo", "size_bytes": 1, "updated_at": "2026-11-20T12:00:00Z", "status": "HELD"}]
    api.states[0]["reason"] = "the kill switch is on."

    told = run(str(folder), "--name", "demo").stderr

    assert told.startswith(
        "Before this upload the folder was HELD: the kill switch is on. It is looked at once more by itself: "
    )


def test_a_run_that_goes_on_tells_what_it_sends_apart_from_the_parts_that_were_there(s3, api, folder, run):
    weights = folder / "model.safetensors"
    in_parts(weights, parts=4)
    api.on_put = lambda put: httpx.Response(403) if put.url.params.get("partNumber") == "3" else None
    run(str(folder), "--name", "demo", "--parallel", "1", code=1)
    api.on_put = lambda _: None
    written = bytearray(weights.read_bytes())
    written[100] ^= 1  # of the two parts that S3 holds, only the second is still that of the file
    weights.write_bytes(written)
    to_send = sum((folder / name).stat().st_size for name in FILES) - PART_BYTES

    shown = run(str(folder), "--name", "demo", "--dry-run").stdout
    told = [json.loads(run(str(folder), "--name", "demo", "--json", *more).stdout) for more in [("--dry-run",), ()]]

    assert "4 files to send (15.7 MB; 5.2 MB in parts are there already), 0 are there." in shown
    assert [summary["parts_already_there_bytes"] for summary in told] == [PART_BYTES] * 2
    assert [summary["sent_bytes"] for summary in told] == [to_send] * 2


def test_an_upload_that_is_interrupted_at_a_terminal_shows_how_far_each_file_is(s3, api, folder, run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    in_parts(folder / "model.safetensors", parts=4)

    def interrupt(request: httpx.Request) -> None:
        if request.url.params.get("partNumber") == "2":
            raise KeyboardInterrupt

    api.on_put = interrupt
    shown = run(str(folder), "--name", "demo", "--parallel", "1", code=130).stderr

    told = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)  # of the second part every byte had gone
    assert "10.5/21.0 MB" in told
    assert "model.safetensors  10.5 MB of 21.0 MB  50 %" in told


def test_a_part_that_changed_between_two_runs_is_sent_again(s3, api, folder, run):
    weights = folder / "model.safetensors"
    in_parts(weights, parts=3)
    api.on_put = lambda put: httpx.Response(403) if put.url.params.get("partNumber") == "3" else None
    run(str(folder), "--name", "demo", code=1)
    assert "_COMPLETE" not in str(objects(s3))
    written = bytearray(weights.read_bytes())
    written[100] ^= 1
    weights.write_bytes(written)
    api.on_put = lambda _: None
    api.puts.clear()

    run(str(folder), "--name", "demo", "--parallel", "1")

    assert [put.url.params["partNumber"] for put in api.puts if "partNumber" in put.url.params] == ["1", "3"]
    assert content_of(s3, "model.safetensors") == bytes(written)


def test_a_file_that_has_shrunk_since_its_upload_broke_off_is_uploaded_all_the_same(s3, api, folder, run):
    weights = folder / "model.safetensors"
    in_parts(weights, parts=4)
    api.on_put = lambda put: httpx.Response(403) if put.url.params.get("partNumber") == "4" else None
    run(str(folder), "--name", "demo", "--parallel", "1", code=1)
    weights.write_bytes(weights.read_bytes()[: PART_BYTES + 1000])
    api.on_put = lambda _: None
    api.puts.clear()

    run(str(folder), "--name", "demo", "--parallel", "1")

    assert [put.url.params["partNumber"] for put in api.puts if "partNumber" in put.url.params] == ["2"]
    assert content_of(s3, "model.safetensors") == weights.read_bytes()


def test_a_byte_that_is_damaged_on_its_way_is_refused_by_s3_and_sent_again(s3, api, folder, run):
    damaged = []

    def damage(request: httpx.Request) -> httpx.Response | None:
        if "model.safetensors" not in request.url.path or damaged:
            return None
        damaged.append(httpx.put(request.url, headers=dict(request.headers), content=b"X" * 10, trust_env=False))
        return damaged[0]

    api.on_put = damage
    run(str(folder), "--name", "demo")

    assert (damaged[0].status_code, "BadDigest" in damaged[0].text) == (400, True)
    assert content_of(s3, "model.safetensors") == HEADER


def test_a_file_that_changes_while_it_is_sent_is_noticed_and_nothing_is_marked_complete(s3, api, folder, run):
    def change(request: httpx.Request) -> None:
        if "tokenizer.json" in request.url.path:
            (folder / "tokenizer.json").write_text('{"changed": true}')

    api.on_put = change

    result = run(str(folder), "--name", "demo", code=1)

    assert "tokenizer.json was changed while it was uploaded" in result.stderr
    assert "uploads/demo/_COMPLETE" not in objects(s3)


def test_each_try_has_an_address_of_its_own_and_one_that_is_over_is_replaced(s3, api, folder, run):
    refused = []

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if "config.json" in request.url.path and "tokenizer" not in request.url.path and not refused:
            refused.append(request)
            return httpx.Response(403, text="<Error><Code>AccessDenied</Code></Error>")
        return None

    api.on_put = refuse

    run(str(folder), "--name", "demo")

    assert content_of(s3, "config.json") == (folder / "config.json").read_bytes()


def test_a_user_needs_no_credentials(s3, api, folder, run, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    run(str(folder), "--name", "demo")

    assert all("authorization" not in put.headers for put in api.puts)
    signed = {put.url.params["X-Amz-SignedHeaders"] for put in api.puts}
    assert signed == {"content-length;host;x-amz-checksum-crc32"}  # any other would be missed by S3


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES, PART_BYTES + 1])
def test_a_file_of_any_size_and_in_any_folder_arrives_with_its_crc(s3, folder, run, size_bytes):
    (folder / "a" / "b").mkdir(parents=True)
    content = b"x" * size_bytes
    (folder / "a" / "b" / "extra.txt").write_bytes(content)

    run(str(folder), "--name", "demo")

    head = s3.head_object(Bucket=BUCKET, Key="uploads/demo/a/b/extra.txt", ChecksumMode="ENABLED")
    assert content_of(s3, "a/b/extra.txt") == content
    assert head["ChecksumCRC32"] == crc32(content)
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_other_content_of_the_same_size_takes_the_place_of_a_file_in_parts(s3, folder, run):
    weights = folder / "model.safetensors"
    in_parts(weights, parts=2)
    run(str(folder), "--name", "demo")
    written = bytearray(weights.read_bytes())
    written[-1] ^= 1
    weights.write_bytes(written)

    run(str(folder), "--name", "demo")

    assert content_of(s3, "model.safetensors") == bytes(written)


def test_other_content_of_the_same_size_takes_the_place_of_a_file_of_one_part(s3, api, folder, run):
    api.placing = Placing(api.bucket, SpanLimits(part_bytes=4 * PART_BYTES))
    weights = folder / "model.safetensors"
    in_parts(weights, parts=2)
    run(str(folder), "--name", "demo")
    written = bytearray(weights.read_bytes())
    written[-1] ^= 1
    weights.write_bytes(written)
    api.puts.clear()

    run(str(folder), "--name", "demo")

    assert [put.url.params.get("partNumber") for put in api.puts] == ["1", None]  # the weights, and the mark
    assert content_of(s3, "model.safetensors") == bytes(written)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def test_a_dry_run_sends_nothing(s3, folder, run):
    told = json.loads(run(str(folder), "--name", "demo", "--dry-run", "--json").stdout)

    assert (told["sent"], told["dry_run"]) == (list(FILES), True)
    assert objects(s3) == {}


def test_an_s3_that_does_not_answer_ends_with_4(s3, api, folder, run):
    def unreachable(request: httpx.Request) -> None:
        raise httpx.ConnectError("nobody there", request=request)

    api.on_put = unreachable

    assert "did not reach" in run(str(folder), "--name", "demo", code=4).stderr


def test_watching_follows_the_folder_to_its_deployment(s3, api, folder, run):
    known = {"folder": "demo", "size_bytes": 1, "updated_at": "2026-11-20T12:00:00Z"}
    stale = {**known, "status": "REFUSED", "reason": "an older upload"}
    resting = {**known, "status": "RESTING", "look_at": "2026-11-20T12:01:00Z", "updated_at": "2026-11-20T12:00:30Z"}
    started = {**known, "status": "STARTED", "deployment": "demo", "updated_at": "2026-11-20T12:01:00Z"}
    api.states = [stale, stale, None, resting, started]

    lines = [json.loads(line) for line in run(str(folder), "--name", "demo", "--watch", "--json").stdout.splitlines()]

    assert lines[0]["sent"] == list(FILES)
    assert [line["status"] for line in lines[1:]] == ["RESTING", "STARTED", "SERVING", "SERVING"]
    assert lines[-1]["source"] == f"s3://{BUCKET}/uploads/demo/"


def test_watching_says_what_an_incomplete_folder_lacks(s3, api, folder, run):
    incomplete = {"folder": "demo", "status": "INCOMPLETE", "size_bytes": 1, "missing": ["tokenizer.json"]}
    api.states = [None, {**incomplete, "updated_at": "2026-11-20T12:01:00Z"}]

    result = run(str(folder), "--name", "demo", "--watch", code=1)

    assert "The folder demo is INCOMPLETE: tokenizer.json" in result.stderr


def test_a_folder_that_lacks_files_is_refused_before_a_byte_is_sent(s3, folder, run):
    (folder / "tokenizer.json").unlink()
    (folder / "model.safetensors").unlink()

    problem = json.loads(run(str(folder), "--name", "demo", "--json", code=3).stderr)

    assert problem["missing"] == [
        "tokenizer.json",
        "model.safetensors (or model.safetensors.index.json and its shards)",
    ]
    assert objects(s3) == {}


def test_what_an_earlier_upload_left_completes_a_folder(s3, folder, run):
    run(str(folder), "--name", "demo")
    (folder / "model.safetensors").unlink()

    run(str(folder), "--name", "demo")

    assert "uploads/demo/model.safetensors" in objects(s3)


def test_a_name_that_no_deployment_may_have_uploads_nothing(s3, folder, run):
    run(str(folder), "--name", "My_Model", code=2)

    assert objects(s3) == {}


def test_s3_refuses_to_join_parts_that_do_not_make_the_file_that_was_told(s3, api):
    content = b"abc" * (PART_BYTES // 2)
    file = {"path": "model.safetensors", "size_bytes": len(content)}
    (planned,) = api.placing.plan(UploadRequest.model_validate({"name": "demo", "files": [file]})).files
    for number, start in enumerate(range(0, len(content), PART_BYTES), start=1):
        body = content[start : start + PART_BYTES]
        part = {"number": number, "size_bytes": len(body), "checksum_crc32": crc32(body)}
        wanted = {"path": file["path"], "upload_id": planned.upload_id, "parts": [part]}
        (address,) = api.placing.addresses("demo", AddressesRequest.model_validate(wanted)).addresses
        assert httpx.put(address.url, headers=address.headers, content=body, trust_env=False).is_success
    told = {**file, "upload_id": planned.upload_id}

    with pytest.raises(InvalidInput, match="BadDigest"):
        api.placing.join("demo", JoinRequest.model_validate({**told, "checksum_crc32": crc32(b"other")}))

    joined = api.placing.join("demo", JoinRequest.model_validate({**told, "checksum_crc32": crc32(content)}))
    again = api.placing.join("demo", JoinRequest.model_validate({**told, "checksum_crc32": crc32(content)}))
    assert joined == again
    assert content_of(s3, "model.safetensors") == content


def crc32(content: bytes) -> str:
    return b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def test_a_program_is_told_of_every_byte_once_though_some_are_sent_again(api, s3, folder):
    in_parts(folder / "model.safetensors")
    refused, told = [], []

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.url.params.get("partNumber") != "2" or refused:
            return None
        refused.append(request)
        return httpx.Response(503)

    api.on_put = refuse
    with Pilotlight("http://127.0.0.1:8000", transport=httpx.MockTransport(api), clock=Instantly()) as pilotlight:
        summary = pilotlight.upload_folder("demo", folder, on_bytes=told.append)

    assert sum(told) == summary["sent_bytes"] == sum((folder / name).stat().st_size for name in FILES)
    assert min(told) < 0
    assert summary["address"] == f"s3://{BUCKET}/uploads/demo/"


def test_it_is_told_when_each_upload_in_parts_began_whoever_began_it(s3, api):
    file = {"path": "model.safetensors", "size_bytes": 3 * PART_BYTES}
    api.placing.plan(UploadRequest.model_validate({"name": "demo", "files": [file]}))
    for key in ("uploads/demo/theirs.safetensors", "uploads/demo-2/other.safetensors"):
        s3.create_multipart_upload(Bucket=BUCKET, Key=key)

    begun = S3UploadBucket(s3, BUCKET, lambda: s3, lambda: NOON).begun("uploads/demo/")

    listed = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="uploads/demo/")["Uploads"]
    assert len(begun) == 2
    assert list(begun) == [each["Initiated"] for each in listed]


@pytest.mark.parametrize("asked", [{}, {"ChecksumAlgorithm": "CRC32"}, {"ChecksumAlgorithm": "CRC64NVME"}])
def test_an_upload_that_another_tool_began_is_not_gone_on_with(s3, api, folder, run, asked):
    theirs = s3.create_multipart_upload(Bucket=BUCKET, Key="uploads/demo/model.safetensors", **asked)["UploadId"]
    in_parts(folder / "model.safetensors")

    run(str(folder), "--name", "demo")

    assert content_of(s3, "model.safetensors") == (folder / "model.safetensors").read_bytes()
    assert [each["UploadId"] for each in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [theirs]


def test_a_part_that_is_put_again_while_parts_are_joined_is_no_fault_of_the_file_s(s3):
    bucket = S3UploadBucket(s3, BUCKET, lambda: s3, lambda: NOON)
    key, content = "uploads/demo/model.safetensors", [b"a" * PART_BYTES, b"b"]
    upload_id = bucket.start(key)
    part = {"Bucket": BUCKET, "Key": key, "UploadId": upload_id, "ChecksumAlgorithm": "CRC32"}
    for number, body in enumerate([content[0], b"other"], start=1):
        s3.upload_part(**part, PartNumber=number, Body=body)
    listed = bucket.parts(key, upload_id)
    s3.upload_part(**part, PartNumber=2, Body=content[1])

    with pytest.raises(ConcurrentChange, match="put again") as refused:
        bucket.join(key, upload_id, listed, crc32(b"".join(content)))

    assert refused.value.http_status == 503  # which the command takes for a reason to ask again
    bucket.join(key, upload_id, bucket.parts(key, upload_id), crc32(b"".join(content)))
    assert bucket.held(key).checksum_crc32 == crc32(b"".join(content))
