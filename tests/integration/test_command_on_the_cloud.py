"""The `pilotlight` command and its Python client against a running cloud."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pilotlight_client import Pilotlight
from pilotlight_client.commands import app
from pilotlight_client.errors import ApiError, DeploymentFailed
from typer.testing import CliRunner, Result

from tests.workflows.world import SMALL, World, running_world

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def the_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def world(the_world: World) -> World:
    the_world.calm()
    return the_world


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PILOTLIGHT_URL", world.cloud.api_url)

    def run_command(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return result

    return run_command


@pytest.fixture(scope="module")
def serving(the_world: World) -> str:
    the_world.calm()
    return the_world.serving("serving")


@pytest.fixture(scope="module")
def hosted(the_world: World) -> str:
    the_world.calm()
    return the_world.serving("hosted", backend="sagemaker-async", scaling={"min": 0, "max": 1})


def documents(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_deployment_is_watched_until_it_serves_and_its_teardown_until_nothing_is_left(run: Run) -> None:
    up = documents(run("deploy", SMALL, "--name", "watched", "--lease", "8h", "--watch", "--timeout", "120", "--json"))
    down = documents(run("teardown", "watched", "--yes", "--watch", "--timeout", "120", "--json"))

    assert up[0]["status"] in ("REQUESTED", "STAGING")
    assert (up[-1]["status"], up[-1]["lease"]) == ("SERVING", "8h")
    assert (down[-1]["status"], down[-1]["name"]) == ("GONE", "watched")
    assert run("events", "watched").stdout.rstrip().endswith("every trace is removed; the name is free")


def test_a_question_is_answered_however_cold_the_model_is(world: World, run: Run, serving: str) -> None:
    world.go_cold(serving)

    plain = run("invoke", serving, "Is anybody there?", "--max-tokens", "200")
    (told,) = documents(run("invoke", serving, "Is anybody there?", "--max-tokens", "200", "--json"))

    assert "Is anybody there?" in plain.stdout
    assert told["status"] == "SUCCEEDED"
    assert told["output"]["text"] in plain.stdout


def test_a_parameter_that_the_backend_lacks_ends_with_2_and_the_reason(run: Run, serving: str) -> None:
    assert "top_k" in run("invoke", serving, "x", "--top-k", "3", code=2).stderr


def test_status_and_list_are_the_api_s_documents(run: Run, serving: str) -> None:
    (status,) = documents(run("status", serving, "--json"))
    (listed,) = documents(run("list", "--json"))

    assert (status["name"], status["status"]) == (serving, "SERVING")
    assert serving in [item["name"] for item in listed["items"]]
    assert serving in run("status", serving).stdout


def test_a_warm_up_is_watched_until_the_model_is_warm(world: World, run: Run, serving: str) -> None:
    world.go_cold(serving)

    seen = documents(run("warm-up", serving, "--watch", "--timeout", "120", "--json"))

    assert seen[-1]["warmth"]["state"] == "WARM"


def test_a_model_is_scaled_down_and_its_lease_and_policy_changed(run: Run, serving: str) -> None:
    run("scale-down", serving)
    (leased,) = documents(run("lease", serving, "9h", "--json"))
    (policy,) = documents(run("keep-warm", serving, "MON-FRI 09:00-18:00 Asia/Shanghai", "--json"))

    assert leased["lease"] == "9h"
    assert policy["keep_warm"]["windows"][0]["timezone"] == "Asia/Shanghai"
    assert "scaled down" in run("events", serving).stdout
    run("keep-warm", serving, "none")


def test_a_model_that_bedrock_would_not_take_ends_preflight_with_3(world: World, run: Run) -> None:
    refused = run("preflight", world.publish(quantised=True), code=3)
    accepted = run("preflight", SMALL)

    assert "gptq" in refused.stdout
    assert ": accepted" in accepted.stdout
    assert "original/consolidated.00.pth" in accepted.stdout


def test_a_deployment_that_fails_while_it_is_watched_ends_with_its_reason_and_can_be_retried(
    world: World, run: Run
) -> None:
    world.bedrock.knobs.fail_next_import = "The tokenizer is not one of ours."

    failed = run("deploy", SMALL, "--name", "unlucky", "--watch", "--timeout", "120", code=1)
    retried = documents(run("retry", "unlucky", "--watch", "--timeout", "120", "--json"))

    assert "The tokenizer is not one of ours." in failed.stderr
    assert retried[-1]["status"] == "SERVING"


def test_a_refused_model_ends_a_watched_deployment_with_3(world: World, run: Run) -> None:
    source = world.publish(architecture="mamba2")

    assert "mamba2" in run("deploy", source, "--name", "refused", "--watch", "--timeout", "120", code=3).stderr


def test_a_folder_is_uploaded_and_watched_until_it_serves(world: World, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(world.checkpoint, folder)
    (folder / "pilotlight.json").write_text('{"lease": "8h"}')

    lines = documents(run("upload", str(folder), "--name", "uploaded", "--watch", "--timeout", "120", "--json"))

    assert "model-1-of-2.safetensors" in lines[0]["sent"]
    assert (lines[-1]["name"], lines[-1]["status"], lines[-1]["lease"]) == ("uploaded", "SERVING", "8h")
    (again,) = documents(run("upload", str(folder), "--name", "uploaded", "--json"))
    assert again["sent"] == []


def test_the_python_client_deploys_asks_and_takes_down(world: World) -> None:
    with Pilotlight(world.cloud.api_url) as pilotlight:
        pilotlight.deploy(SMALL, name="by-hand", keep_warm={"policy": "none"}, tags={"team": "a"})
        serving = pilotlight.wait_until("by-hand", {"SERVING"}, timeout_seconds=120)
        answer = pilotlight.invoke("by-hand", messages=[{"role": "user", "content": "Hello?"}], wait_seconds=120)
        events = list(pilotlight.iterate(lambda cursor: pilotlight.events("by-hand", cursor)))
        pilotlight.teardown("by-hand")
        gone = pilotlight.wait_until("by-hand", {"GONE"}, timeout_seconds=120)

    assert serving["tags"] == {"team": "a"}
    assert answer["status"] == "SUCCEEDED"
    assert events[0]["reason"] == f"asked for {SMALL}"
    assert gone["status"] == "GONE"


def test_the_python_client_s_errors_carry_the_problem(world: World, serving: str) -> None:
    with Pilotlight(world.cloud.api_url) as pilotlight:
        with pytest.raises(ApiError, match="exists already") as taken:
            pilotlight.deploy(SMALL, name=serving)
        pilotlight.deploy(world.publish(quantised=True), name="hopeless")
        with pytest.raises(DeploymentFailed, match="quantisation"):
            pilotlight.wait_until("hopeless", {"SERVING"}, timeout_seconds=120)

    assert taken.value.problem_code == "name-taken"


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b"\x89PNG\xff\x00", "image/png"),
        (b"\x89\xff\x00", "model/gltf-binary"),
        (b"caf\xe9", "text/plain; charset=latin-1"),
        (bytes(range(256)) * 800, "application/octet-stream"),
        ("a,b\n1,2\n", "text/csv"),
    ],
    ids=["bytes", "another type", "other letters", "long", "text"],
)
def test_whatever_is_given_to_a_container_comes_to_it_byte_for_byte(
    world: World, hosted: str, payload: bytes | str, content_type: str
) -> None:
    """The simulated container gives back what it does not understand."""
    with Pilotlight(world.cloud.api_url) as pilotlight:
        result = pilotlight.predict(hosted, payload, content_type, timeout=120)

    assert result.content == (payload if isinstance(payload, bytes) else payload.encode())
    assert result.content_type == content_type


def test_json_comes_to_a_container_as_it_is_and_its_result_may_be_asked_for_later(
    world: World, hosted: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "question.json").write_text('{"inputs": "Is it warm?", "parameters": {"max_new_tokens": 40}}')
    asked = ("invoke", hosted, "--payload", str(tmp_path / "question.json"), "--wait", "0", "--json")
    (queued,) = documents(run(*asked))

    *phases, done = documents(run("answer", queued["id"], "--watch", "--timeout", "120", "--json"))
    run("answer", queued["id"], "--output", str(tmp_path / "answer.json"))

    assert {phase["id"] for phase in phases} <= {queued["id"]}
    assert (done["status"], done["phase"]) == ("SUCCEEDED", "done")
    assert "Is it warm?" in json.loads((tmp_path / "answer.json").read_text())["generated_text"]


def test_a_hosted_model_is_updated_and_brought_back_without_losing_what_was_not_said(run: Run, hosted: str) -> None:
    def last(*arguments: str) -> dict:
        return dict(documents(run(*arguments, "--watch", "--timeout", "150", "--json"))[-1]["endpoint"])

    first = last("update", hosted, "--option", "max_model_len=2048", "--env", "A=1")
    rescaled = last("update", hosted, "--max", "2")
    second = last("update", hosted, "--env", "B=2", "--reason", "a busy day")
    (kept,) = documents(run("revisions", hosted, "--json"))
    back = last("rollback", hosted, "--revision", "1")

    assert [seen["revision"] for seen in (first, rescaled, second, back)] == [2, 2, 3, 1]
    assert (first["max"], rescaled["max"], second["max"]) == (1, 2, 2)
    newest = kept["items"][0]
    assert (newest["number"], newest["reason"]) == (3, "a busy day")
    assert newest["serving"]["options"] == {"max_model_len": "2048"}
    assert newest["container"]["environment"] == {"A": "1", "B": "2"}
    assert "1 ←" in run("revisions", hosted).stdout


def test_an_instance_that_does_not_exist_is_refused_with_what_would_do(run: Run, hosted: str) -> None:
    refused = run("update", hosted, "--instance-type", "ml.nope.xlarge", code=3)

    assert "ml.nope.xlarge" in refused.stderr
