"""The upload command against an S3 that keeps objects, ETags and multipart uploads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from pilotlight_client import Pilotlight
from pilotlight_client.commands import app
from pilotlight_client.commands.session import Surroundings
from pilotlight_client.errors import UploadFailed
from pilotlight_client.uploading import PART_BYTES, UploadBucket, plan_upload, read_folder
from typer.testing import CliRunner, Result

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
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint, monkeypatch) -> Iterator[Any]:
    monkeypatch.delenv("PILOTLIGHT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-user-s-own")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)


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
    """GET /health and /uploads; a folder goes through `states`, one with each look."""

    def __init__(self, s3_endpoint: str) -> None:
        self.states: list[dict[str, Any] | None] = [None]
        self.health = {
            "status": "ok",
            "version": "0.1.0",
            "stack": "pilotlight",
            "region": "us-east-1",
            "upload_bucket": BUCKET,
            "s3_endpoint": s3_endpoint,
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
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


def in_parts(weights: Path) -> None:
    """Let the weights be more than one part long."""
    weights.write_bytes(HEADER + bytes(PART_BYTES + 1024 * 1024) + b"tail")


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
    assert f"s3://{BUCKET}/uploads/demo/: 4 files sent (68.2 MB), 0 were there." in result.stdout


def test_a_second_upload_sends_only_what_has_changed_parts_and_all(s3, folder, run):
    in_parts(folder / "model.safetensors")
    run(str(folder), "--name", "demo")
    (folder / "config.json").write_text('{"model_type": "qwen2"}')

    summary = json.loads(run(str(folder), "--name", "demo", "--json").stdout)

    assert summary["sent"] == ["config.json"]
    assert summary["already_there"] == [name for name in FILES if name != "config.json"]
    assert s3.get_object(Bucket=BUCKET, Key="uploads/demo/config.json")["Body"].read() == b'{"model_type": "qwen2"}'


def test_an_upload_that_breaks_off_takes_the_old_mark_of_completeness_away(s3, api, folder, run):
    run(str(folder), "--name", "demo")
    (folder / "config.json").write_text("{}")
    bucket = UploadBucket.of(api.health, "demo")
    plan = plan_upload(read_folder(folder), bucket.stored())
    (folder / "config.json").unlink()

    with pytest.raises(UploadFailed, match="broke off"):
        bucket.send(plan, on_bytes=lambda _: None)

    assert set(objects(s3)) == {f"uploads/demo/{name}" for name in FILES}


def test_a_simulated_s3_never_sees_the_user_s_own_credentials(s3, api):
    bucket = UploadBucket.of(api.health, "demo")
    seen = []
    bucket._s3.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.headers))

    bucket.stored()

    assert b"the-user-s-own" not in seen[0]["Authorization"]


def test_a_bucket_that_is_not_there_is_one_sentence(s3, api, folder, run):
    api.health["upload_bucket"] = "another-bucket"

    result = run(str(folder), "--name", "demo", code=1)

    assert "S3 refused s3://another-bucket/uploads/demo/: NoSuchBucket" in result.stderr


def test_an_s3_that_does_not_answer_ends_with_4(api, folder, run, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    api.health["s3_endpoint"] = "http://127.0.0.1:9"

    assert "cannot be reached" in run(str(folder), "--name", "demo", code=4).stderr


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
