"""invoke with payloads, and answers that are more than text."""

import json

import httpx
import pytest

INVOCATIONS = "/deployments/demo/invocations"
STORE = "https://store.example"


@pytest.fixture(autouse=True)
def _serving(api):
    api.has("demo", backend="sagemaker-async")


@pytest.fixture
def gives(api, an_invocation):
    """Let the invocation end with what a container gave."""

    def arrange(*before, **fields):
        done = an_invocation("SUCCEEDED", phase="done", usage=None, **fields)
        del done["output"]
        api.invocations["i1"] = [*before, done]
        return done

    return arrange


def test_a_payload_is_sent_as_it_is_and_json_comes_to_stdout(command, api, gives, tmp_path):
    (tmp_path / "question.json").write_text('{"inputs": "Hi"}')
    gives(body=[0.25, 0.5], content_type="application/json")

    result = command("invoke", "demo", "--payload", str(tmp_path / "question.json"))

    assert json.loads(result.stdout) == [0.25, 0.5]
    assert "93.4 s · cold start · $0.29 (estimated) · i1" in result.stderr
    assert "tokens" not in result.stderr
    assert api.bodies("POST", INVOCATIONS) == [{"payload": {"inputs": "Hi"}}]


def test_a_payload_may_come_from_stdin_and_is_json_where_nothing_else_is_said(command, api, gives):
    gives(body="x")

    command("invoke", "demo", "--payload", "-", stdin='{"a": 1}')
    command("invoke", "demo", "--payload", "-", "--content-type", "text/csv", stdin="a,b")

    first, second = api.sent("POST", INVOCATIONS)
    assert json.loads(first.content) == {"payload": {"a": 1}}
    assert (second.headers["Content-Type"], second.content) == ("text/csv", b"a,b")


def test_what_is_in_a_bucket_is_only_named(command, api, gives):
    gives(body="x", content_type="text/plain")

    shown = command(
        *("invoke", "demo", "--input", "s3://mine/a.wav", "--content-type", "audio/wav", "--accept", "text/plain"),
        *("--webhook", "https://hooks.example/x"),
    )

    assert shown.stdout == "x\n"
    assert api.bodies("POST", INVOCATIONS) == [
        {
            "input": "s3://mine/a.wav",
            "content_type": "audio/wav",
            "webhook": "https://hooks.example/x",
            "accept": "text/plain",
        }
    ]


def test_bytes_go_to_a_pipe_as_they_are(command, api, gives):
    api.objects["/outputs/1"] = (b"\x89PNG\xff", httpx.Headers())
    gives(output_url=f"{STORE}/outputs/1", content_type="image/png")

    result = command("invoke", "demo", "--input", "s3://mine/a.txt")

    assert result.stdout_bytes == b"\x89PNG\xff"


@pytest.mark.parametrize("as_json", [True, False])
def test_an_output_is_written_into_a_file(command, api, gives, tmp_path, as_json):
    api.objects["/outputs/1"] = (b"\x89PNG", httpx.Headers())
    record = gives(output_url=f"{STORE}/outputs/1", content_type="image/png")
    file = tmp_path / "out.png"

    result = command("invoke", "demo", "--input", "s3://m/a", "--output", str(file), *(["--json"] if as_json else []))

    assert file.read_bytes() == b"\x89PNG"
    if as_json:
        assert json.loads(result.stdout) == record
        assert result.stderr == ""
    else:
        assert result.stdout == ""
        assert f"4 bytes of image/png in {file}" in result.stderr


def test_a_text_model_s_answer_may_be_written_into_a_file_too(command, api, an_invocation, tmp_path):
    api.answer = an_invocation("SUCCEEDED")

    result = command("invoke", "demo", "2+2?", "--output", str(tmp_path / "said.txt"))

    assert (tmp_path / "said.txt").read_text() == "Four."
    assert result.stdout == ""


def test_an_answer_of_before_may_be_written_into_a_file(command, gives, tmp_path):
    gives(body={"a": 1})

    command("answer", "i1", "--output", str(tmp_path / "out.json"))

    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}


def test_an_output_that_is_no_longer_there_ends_with_1_and_its_sentence(command, gives, tmp_path):
    gives(output_url=f"{STORE}/outputs/1?signature=secret", content_type="image/png")

    problem = command.problem("answer", "i1", "--output", str(tmp_path / "out.png"))

    assert problem["code"] == "result-not-readable"
    assert "secret" not in problem["detail"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("Hi", "--payload", "{file}"), "give one of"),
        (("--payload", "{file}", "--input", "s3://a/b"), "give one of"),
        (("--message", "user=Hi", "--input", "s3://a/b"), "give one of"),
        ((), "give one of"),
        (("Hi", "--content-type", "text/csv"), "--content-type and --accept go with --payload or --input"),
        (("Hi", "--accept", "text/csv"), "--content-type and --accept go with"),
        (("--payload", "{file}", "--max-tokens", "5"), "--max-tokens: how to sample goes with a prompt"),
        (("--payload", "{file}", "--raw"), "--raw goes with a prompt alone"),
        (("--payload", "nowhere.bin"), "there is no such file"),
        (("--input", "mine/a.wav"), "write s3://bucket/key"),
        (("--input", "s3://mine"), "write s3://bucket/key"),
        (("Hi", "--webhook", "http://hooks.example/x"), "takes an https:// address"),
        (("Hi", "--output", "nowhere/out.txt"), "there is no folder nowhere"),
    ],
)
def test_wrong_combinations_are_told_before_anything_is_sent(command, api, tmp_path, wrong, told):
    (tmp_path / "q.json").write_text("{}")

    shown = command("invoke", "demo", *(part.format(file=tmp_path / "q.json") for part in wrong), code=2).stderr

    assert told in " ".join(shown.replace("│", " ").split())
    assert api.requests == []


def test_a_file_that_says_it_is_json_and_is_not_ends_with_2(command, api, tmp_path):
    (tmp_path / "q.json").write_text("{")

    assert (
        "give its own content type" in command("invoke", "demo", "--payload", str(tmp_path / "q.json"), code=2).stderr
    )
    assert api.requests == []


def test_watching_an_answer_shows_each_phase_once_with_what_is_left(command, gives, an_invocation):
    estimate = {"seconds_left": 250.0, "basis": "measured"}
    starting = an_invocation("QUEUED", phase="instance-starting", estimate=estimate)
    gives(
        *(an_invocation("QUEUED", phase="queued"), starting, starting, an_invocation("QUEUED", phase="loading")),
        an_invocation("RUNNING", phase="running"),
        body="x",
    )

    result = command("answer", "i1", "--watch")

    assert result.stderr.splitlines()[:4] == [
        "i1: QUEUED – waits for its turn …",
        "i1: QUEUED – an instance starts, about 4 min 10 s left (measured) …",
        "i1: QUEUED – the model is loaded …",
        "i1: RUNNING – the model works on it …",
    ]
    assert result.stdout == "x\n"


def test_watching_with_json_prints_each_phase_and_then_the_record(command, gives, an_invocation):
    estimate = {"seconds_left": 250.0, "basis": "measured"}
    done = gives(an_invocation("QUEUED", phase="instance-starting", estimate=estimate), body="x")

    first, last = command.lines("answer", "i1", "--watch")

    assert first == {"id": "i1", "status": "QUEUED", "phase": "instance-starting", "estimate": estimate}
    assert last == done


def test_watching_ends_with_5_at_its_timeout_and_goes_on_without_one(command, api, clock, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED", phase="queued")]
    assert "still QUEUED (queued)" in command("answer", "i1", "--watch", "--timeout", "20", code=5).stderr
    assert clock.seconds == 20

    api.invocations["i1"] = [an_invocation("QUEUED")] * 2000 + [an_invocation("SUCCEEDED")]
    command("answer", "i1", "--watch")
    assert clock.seconds > 3600


@pytest.mark.parametrize("wrong", [("--watch", "--wait", "5"), ("--timeout", "5")])
def test_ways_of_waiting_that_contradict_are_refused(command, api, wrong):
    command("answer", "i1", *wrong, code=2)

    assert api.requests == []


@pytest.mark.parametrize(("phase", "told"), [("failed", "Invocation i1 failed"), ("expired", "Invocation i1 expired")])
def test_what_failed_or_expired_ends_with_1_and_its_reason(command, api, an_invocation, phase, told):
    error = {"code": "invocation-failed", "message": "no instance came in time"}
    api.invocations["i1"] = [an_invocation("FAILED", phase=phase, error=error)]

    result = command("answer", "i1", "--watch", code=1)

    assert result.stderr == f"{told}: no instance came in time\n"


def test_a_payload_that_failed_at_once_ends_with_1(command, api, an_invocation):
    api.failures = [httpx.Response(200, json=an_invocation("FAILED", error={"message": "the container said no"}))]

    assert "the container said no" in command("invoke", "demo", "--input", "s3://a/b", "--wait", "0", code=1).stderr


def test_without_waiting_a_payload_s_record_comes_at_once(command, api, tmp_path):
    (tmp_path / "a.wav").write_bytes(bytes(200_000))

    shown = command.json("invoke", "demo", "--payload", str(tmp_path / "a.wav"), "--wait", "0")

    assert shown["status"] == "QUEUED"
    assert len(api.objects) == 1
