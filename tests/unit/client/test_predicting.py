import io
import json

import httpx
import pytest
from pilotlight_client import InvocationFailed, NotReachable, Pilotlight, TimedOut
from pilotlight_client.errors import InvalidRequest, NotFound, ResultNotReadable, UploadFailed, WrongInput
from pilotlight_client.payloads import MOST_INLINE_BYTES, payload_of

INVOCATIONS = "/deployments/demo/invocations"
STORE = "https://store.example"


@pytest.fixture(autouse=True)
def _serving(api):
    api.has("demo", backend="sagemaker-async")


def answered(an_invocation, **fields):
    view = an_invocation("SUCCEEDED", phase="done", **fields)
    if "output" not in fields:
        del view["output"]
    return view


# ---- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"inputs": "Hi"}, ["a", 1], "text", 7, False, 0, [], {}, {"é": "中"}])
def test_any_json_value_reaches_the_container_as_it_is(pilotlight, api, value):
    pilotlight.submit("demo", value)

    assert api.bodies("POST", INVOCATIONS) == [{"payload": value}]


@pytest.mark.parametrize(
    ("payload", "content_type", "sent"),
    [
        (b"\x89PNG", "image/png", b"\x89PNG"),
        (b"\x00\xff", None, b"\x00\xff"),
        ("a,b\n1,2\n", "text/csv", b"a,b\n1,2\n"),
        (io.BytesIO(b"abc"), "audio/wav", b"abc"),
        (io.StringIO("a,b"), "text/csv", b"a,b"),
        (bytearray(b"abc"), "audio/wav", b"abc"),
        ({"a": 1}, "application/vnd.shop+json", b'{"a": 1}'),
    ],
)
def test_bytes_are_the_request_s_own_body_with_their_own_type(pilotlight, api, payload, content_type, sent):
    pilotlight.submit("demo", payload, content_type)

    (request,) = api.sent("POST", INVOCATIONS)
    assert request.content == sent
    assert request.headers["Content-Type"] == (content_type or "application/octet-stream")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_bytes_of_json_are_told_as_json_because_the_api_would_take_them_for_a_request(pilotlight, api, content_type):
    pilotlight.submit("demo", b'{"prompt": "mine"}', content_type)

    assert api.bodies("POST", INVOCATIONS) == [{"payload": {"prompt": "mine"}}]
    assert api.requests[0].headers["Content-Type"] == "application/json"


def test_a_file_has_the_type_of_its_name(pilotlight, api, tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n")
    (tmp_path / "question.json").write_text('{"inputs": "Hi"}')

    pilotlight.submit("demo", tmp_path / "table.csv")
    pilotlight.submit("demo", tmp_path / "question.json")

    first, second = api.sent("POST", INVOCATIONS)
    assert (first.headers["Content-Type"], first.content) == ("text/csv", b"a,b\n")
    assert json.loads(second.content) == {"payload": {"inputs": "Hi"}}


@pytest.mark.parametrize("payload", [{1, 2}, float("nan"), object()])
def test_what_json_cannot_say_is_refused_before_anything_is_sent(pilotlight, api, payload):
    with pytest.raises(WrongInput, match="give bytes, a file, or a JSON value"):
        pilotlight.submit("demo", payload)

    assert api.requests == []


def test_what_says_that_it_is_json_and_is_not_is_refused_before_anything_is_sent(pilotlight, api):
    with pytest.raises(WrongInput, match="give its own content type"):
        pilotlight.submit("demo", b"{", "application/json")

    assert api.requests == []


def test_a_file_that_is_not_there_is_refused_before_anything_is_sent(pilotlight, api, tmp_path):
    with pytest.raises(WrongInput, match=r"missing\.bin cannot be read: No such file"):
        pilotlight.submit("demo", tmp_path / "missing.bin")

    assert api.requests == []


@pytest.mark.parametrize("size", [MOST_INLINE_BYTES, MOST_INLINE_BYTES + 1])
def test_only_what_is_too_long_for_a_request_goes_through_the_bucket(pilotlight, api, size):
    pilotlight.submit("demo", bytes(size), "audio/wav")

    assert bool(api.objects) == (size > MOST_INLINE_BYTES)
    assert len(api.sent("POST", "/deployments/demo/inputs")) == len(api.objects)


@pytest.mark.parametrize("as_file", [True, False])
def test_what_goes_through_the_bucket_is_named_by_the_invocation(pilotlight, api, tmp_path, as_file):
    content = bytes(range(256)) * 8192  # more than a chunk
    (tmp_path / "a.wav").write_bytes(content)

    pilotlight.submit("demo", tmp_path / "a.wav" if as_file else content, "audio/wav")

    ((stored, headers),) = api.objects.values()
    assert stored == content
    assert (headers["Content-Type"], headers["Content-Length"]) == ("audio/wav", str(len(content)))
    assert "Transfer-Encoding" not in headers
    assert api.bodies("POST", "/deployments/demo/inputs") == [{"content_type": "audio/wav", "size_bytes": len(content)}]
    assert api.bodies("POST", INVOCATIONS) == [{"input": "s3://store/inputs/demo/0", "content_type": "audio/wav"}]


def test_json_that_is_too_long_goes_through_the_bucket_byte_for_byte(pilotlight, api):
    value = {"inputs": "é" * MOST_INLINE_BYTES}

    pilotlight.submit("demo", value)

    ((stored, headers),) = api.objects.values()
    assert json.loads(stored) == value
    assert headers["Content-Type"] == "application/json"


@pytest.fixture
def reads_no_bucket(api, a_problem):
    """Let the deployment be of a backend that takes its payloads in the call alone."""
    wrong = {"field": "backend", "rule": "sagemaker-async", "message": "sagemaker-realtime reads no inputs"}
    api.failures = [a_problem(422, "invalid-input", "sagemaker-realtime reads no inputs.", errors=[wrong])]


@pytest.mark.usefixtures("reads_no_bucket")
def test_a_deployment_that_reads_no_bucket_is_sent_longer_bytes_directly(pilotlight, api):
    pilotlight.submit("demo", bytes(MOST_INLINE_BYTES + 1), "audio/wav")

    assert len(api.sent("POST", INVOCATIONS)[0].content) == MOST_INLINE_BYTES + 1


@pytest.mark.usefixtures("reads_no_bucket")
@pytest.mark.parametrize("as_file", [True, False])
def test_a_deployment_that_reads_no_bucket_is_sent_longer_json_directly(pilotlight, api, tmp_path, as_file):
    value = {"inputs": "x" * MOST_INLINE_BYTES}
    (tmp_path / "long.json").write_text(json.dumps(value))

    pilotlight.submit("demo", tmp_path / "long.json" if as_file else value, webhook="https://hooks.example/x")

    assert api.bodies("POST", INVOCATIONS) == [{"payload": value, "webhook": "https://hooks.example/x"}]


@pytest.mark.usefixtures("reads_no_bucket")
def test_what_such_a_deployment_cannot_be_told_is_refused_as_the_api_says(pilotlight, api):
    with pytest.raises(InvalidRequest, match="sagemaker-realtime reads no inputs"):
        pilotlight.submit("demo", None)

    assert api.sent("POST", INVOCATIONS) == []


@pytest.mark.usefixtures("reads_no_bucket")
def test_a_webhook_of_bytes_is_told_in_the_query_where_there_is_no_other_way(pilotlight, api):
    pilotlight.submit("demo", b"\x00", webhook="https://hooks.example/x")

    (request,) = api.sent("POST", INVOCATIONS)
    assert request.url.params["webhook"] == "https://hooks.example/x"


def test_a_type_that_does_not_come_through_whole_goes_through_the_bucket(pilotlight, api, a_problem):
    api.failures = [a_problem(415, "unsupported-media-type", "Bodies of this type do not come through.")]

    pilotlight.submit("demo", b"x", "model/gltf-binary")

    ((stored, headers),) = api.objects.values()
    assert (stored, headers["Content-Type"]) == (b"x", "model/gltf-binary")
    assert [request.url.path for request in api.requests] == [INVOCATIONS, "/deployments/demo/inputs", INVOCATIONS]


def test_a_type_that_comes_no_way_at_all_is_refused_as_the_api_says(pilotlight, api, a_problem):
    wrong = {"field": "backend", "rule": "sagemaker-async", "message": "no inputs"}
    api.failures = [
        a_problem(415, "unsupported-media-type", "Bodies of this type do not come through."),
        a_problem(422, "invalid-input", "no inputs.", errors=[wrong]),
    ]

    with pytest.raises(InvalidRequest, match="Bodies of this type do not come through"):
        pilotlight.submit("demo", b"x", "model/gltf-binary")


@pytest.mark.parametrize("content_type", ["text/plain; charset=latin-1", "application/xml"])
def test_text_that_is_no_utf_8_goes_through_the_bucket_byte_for_byte(pilotlight, api, content_type):
    pilotlight.submit("demo", b"caf\xe9", content_type)

    ((stored, headers),) = api.objects.values()
    assert (stored, headers["Content-Type"]) == (b"caf\xe9", content_type)


def test_an_input_that_was_torn_off_is_stored_once_more_whole(pilotlight, api, tmp_path):
    (tmp_path / "a.wav").write_bytes(bytes(MOST_INLINE_BYTES + 1))
    api.store_failures = [httpx.ReadError("reset"), httpx.Response(503)]

    pilotlight.submit("demo", tmp_path / "a.wav")

    ((stored, _),) = api.objects.values()
    assert len(stored) == MOST_INLINE_BYTES + 1


def test_an_open_file_is_sent_from_where_it_stands_and_left_open(pilotlight, api):
    file = io.BytesIO(b"head" + bytes(MOST_INLINE_BYTES + 1))
    file.seek(4)
    api.store_failures = [httpx.ReadError("reset")]

    pilotlight.submit("demo", file, "audio/wav")

    ((stored, _),) = api.objects.values()
    assert len(stored) == MOST_INLINE_BYTES + 1
    assert not file.closed


def test_a_bucket_that_refuses_is_one_sentence_without_the_address_s_signature(pilotlight, api):
    api.store_failures = [httpx.Response(403)]

    with pytest.raises(UploadFailed, match=r"^The input was not stored: store\.example answered 403\.$"):
        pilotlight.submit("demo", bytes(MOST_INLINE_BYTES + 1))

    assert api.sent("POST", INVOCATIONS) == []


def test_a_bucket_that_does_not_answer_is_told_apart(pilotlight, api):
    api.store_failures = [httpx.ConnectError("https://store.example/?signature=secret")] * 9

    with pytest.raises(NotReachable) as caught:
        pilotlight.submit("demo", bytes(MOST_INLINE_BYTES + 1))

    assert "secret" not in str(caught.value)


def test_nothing_is_sent_over_an_open_wire(pilotlight, api):
    upload = {"url": "http://store.example/x", "method": "PUT", "headers": {}}
    place = {"input": "s3://store/x", "upload": upload, "expires_at": "2026-11-20T13:00:00Z"}
    api.failures = [httpx.Response(201, json=place)]

    with pytest.raises(UploadFailed, match="neither https nor on this machine"):
        pilotlight.submit("demo", bytes(MOST_INLINE_BYTES + 1))

    assert api.objects == {}


def test_nothing_but_the_bytes_goes_to_the_bucket(api, clock):
    client = Pilotlight(transport=httpx.MockTransport(api), clock=clock, correlation_id="mine")

    client.submit("demo", bytes(MOST_INLINE_BYTES + 1))

    ((_, headers),) = api.objects.values()
    assert not {"Authorization", "X-Correlation-Id"} & {name.title() for name in headers}


def test_a_webhook_goes_with_json_and_takes_bytes_through_the_bucket(pilotlight, api):
    hook = "https://hooks.example/done"

    pilotlight.submit("demo", {"a": 1}, webhook=hook)
    pilotlight.submit("demo", b"\x00", webhook=hook)
    pilotlight.invoke("demo", "Hi", webhook=hook, wait_seconds=0)

    assert [body["webhook"] for body in api.bodies("POST", INVOCATIONS)] == [hook] * 3
    assert [set(body) - {"webhook"} for body in api.bodies("POST", INVOCATIONS)] == [
        {"payload"},
        {"input", "content_type"},
        {"prompt"},
    ]


def test_null_goes_through_the_bucket_because_in_a_request_it_would_be_no_payload(pilotlight, api):
    pilotlight.submit("demo", None)

    ((stored, headers),) = api.objects.values()
    assert (stored, headers["Content-Type"]) == (b"null", "application/json")


def test_what_is_wished_of_an_answer_goes_with_whatever_is_sent(pilotlight, api):
    pilotlight.submit("demo", {"a": 1}, accept="text/csv", container_timeout_seconds=60)
    pilotlight.submit("demo", b"a", "audio/wav", accept="text/csv", container_timeout_seconds=60)
    pilotlight.submit("demo", b"a", "audio/wav", accept="text/csv", webhook="https://hooks.example/x")
    pilotlight.submit_input("demo", "s3://mine/a", container_timeout_seconds=60)

    first, second, *others = api.sent("POST", INVOCATIONS)
    assert json.loads(first.content) == {"payload": {"a": 1}, "accept": "text/csv", "timeout_seconds": 60}
    assert second.content == b"a"
    assert dict(second.url.params) == {"accept": "text/csv", "timeout_seconds": "60"}
    assert [json.loads(other.content) for other in others] == [
        {
            "input": "s3://store/inputs/demo/0",
            "content_type": "audio/wav",
            "webhook": "https://hooks.example/x",
            "accept": "text/csv",
        },
        {"input": "s3://mine/a", "timeout_seconds": 60},
    ]


def test_what_lies_in_a_bucket_already_is_only_named(pilotlight, api):
    view = pilotlight.submit_input("demo", "s3://mine/a.png", "image/png")

    assert view["id"] == "i1"
    assert api.bodies("POST", INVOCATIONS) == [{"input": "s3://mine/a.png", "content_type": "image/png"}]


def test_a_place_for_an_input_may_be_asked_for_by_hand(pilotlight):
    assert pilotlight.create_input("demo", "image/png", 9)["upload"]["method"] == "PUT"


def test_an_invocation_whose_answer_was_lost_is_not_sent_twice(pilotlight, api):
    api.failures = [httpx.ReadError("reset")]

    with pytest.raises(NotReachable):
        pilotlight.predict("demo", b"\x00")

    assert len(api.requests) == 1


# ---- what comes back -------------------------------------------------------------------------------------------------


def test_predict_waits_through_the_phases_and_tells_each_look(pilotlight, api, an_invocation):
    waits = [
        an_invocation("QUEUED", phase="instance-starting", estimate={"seconds_left": 300.0, "basis": "typical"}),
        an_invocation("QUEUED", phase="loading", estimate={"seconds_left": 60.0, "basis": "measured"}),
        an_invocation("RUNNING", phase="running"),
    ]
    done = answered(an_invocation, body=[[0.25, 0.5]], content_type="application/json")
    api.invocations["i1"] = [*waits, done]
    seen = []

    result = pilotlight.predict("demo", {"inputs": "Hi"}, on_wait=lambda view: seen.append(view.get("phase")))

    assert result.json() == [[0.25, 0.5]]
    assert seen == [None, "instance-starting", "loading", "running"]
    assert result.view["usage"]["output_tokens"] == 12


def test_the_caller_says_how_often_to_look(pilotlight, api, clock, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED"), answered(an_invocation, body="x")]

    pilotlight.get_result("i1", 60, 9)

    assert clock.slept == [9]


def test_a_result_that_does_not_come_in_time_leaves_its_record_and_phase(pilotlight, api, clock, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED", phase="instance-starting")]

    with pytest.raises(TimedOut, match=r"still QUEUED \(instance-starting\); its answer will be kept") as caught:
        pilotlight.get_result("i1", timeout=30)

    assert caught.value.view["phase"] == "instance-starting"
    assert clock.seconds == 30


def test_a_result_may_be_waited_for_as_long_as_it_takes(pilotlight, api, clock, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED")] * 5000 + [answered(an_invocation, body="x")]

    assert pilotlight.get_result("i1", None).text == "x"
    assert clock.seconds > 3600


@pytest.mark.parametrize(("phase", "told"), [("failed", "i1 failed: CUDA"), ("expired", "i1 expired: CUDA")])
def test_a_failure_and_an_expiry_are_told_apart(pilotlight, api, an_invocation, phase, told):
    error = {"code": "invocation-failed", "message": "CUDA out of memory"}
    api.invocations["i1"] = [an_invocation("FAILED", phase=phase, error=error)]

    with pytest.raises(InvocationFailed, match=told):
        pilotlight.get_result("i1")


def test_an_unknown_invocation_is_not_waited_for(pilotlight):
    with pytest.raises(NotFound):
        pilotlight.get_result("nobody")


@pytest.mark.parametrize(
    ("fields", "value", "content"),
    [
        ({"body": {"a": 1}, "content_type": "application/json"}, {"a": 1}, b'{"a": 1}'),
        ({"body": "words", "content_type": "application/json"}, "words", b'"words"'),
        ({"body": "a,b", "content_type": "text/csv"}, "a,b", b"a,b"),
        ({"body": "a,b"}, "a,b", b"a,b"),
        ({"body": [1]}, [1], b"[1]"),
        ({"body": None, "content_type": "application/json"}, None, b"null"),
        ({"output": {"text": "Four."}}, "Four.", b"Four."),
        ({"output": {"text": "Four."}, "body": None}, "Four.", b"Four."),
    ],
)
def test_a_result_is_what_the_container_gave(pilotlight, api, an_invocation, fields, value, content):
    api.invocations["i1"] = [answered(an_invocation, **fields)]

    result = pilotlight.get_result("i1")

    assert result.value == value
    assert result.content == content


def test_a_text_model_s_words_are_the_text_of_its_result(pilotlight, api, an_invocation):
    body = {"generated_text": "Four."}
    api.invocations["i1"] = [answered(an_invocation, output={"text": "Four."}, body=body)]

    result = pilotlight.get_result("i1")

    assert (result.text, result.json()) == ("Four.", body)


def test_bytes_are_fetched_when_they_are_asked_for_and_once(pilotlight, api, an_invocation, tmp_path):
    url = f"{STORE}/outputs/1?signature=secret"
    api.invocations["i1"] = [answered(an_invocation, output_url=url, content_type="image/png")]

    result = pilotlight.get_result("i1")
    api.objects["/outputs/1"] = (b"\x89PNG", httpx.Headers())

    assert (result.content, result.value) == (b"\x89PNG", b"\x89PNG")
    api.objects.clear()
    assert result.content == b"\x89PNG"
    assert "secret" not in repr(result)


def test_a_result_may_be_read_when_its_client_is_closed(api, clock, an_invocation):
    api.objects["/outputs/1"] = (b"bytes", httpx.Headers())
    api.invocations["i1"] = [answered(an_invocation, output_url=f"{STORE}/outputs/1")]
    with Pilotlight(transport=httpx.MockTransport(api), clock=clock) as client:
        result = client.get_result("i1")

    assert result.content == b"bytes"


def test_a_large_result_is_written_into_a_file(pilotlight, api, an_invocation, tmp_path):
    api.objects["/outputs/1"] = (bytes(3_000_000), httpx.Headers())
    api.invocations["i1"] = [answered(an_invocation, output_url=f"{STORE}/outputs/1")]

    written = pilotlight.get_result("i1").save(tmp_path / "out.bin")

    assert written == (tmp_path / "out.bin").stat().st_size == 3_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_a_result_that_cannot_be_fetched_leaves_an_older_file_alone(pilotlight, api, an_invocation, tmp_path):
    (tmp_path / "out.bin").write_bytes(b"older")
    api.invocations["i1"] = [answered(an_invocation, output_url=f"{STORE}/outputs/1?signature=secret")]

    with pytest.raises(ResultNotReadable, match=r"store\.example gave no output: it answered 403") as caught:
        pilotlight.get_result("i1").save(tmp_path / "out.bin")

    assert (tmp_path / "out.bin").read_bytes() == b"older"
    assert "secret" not in str(caught.value)


def test_an_address_that_has_expired_is_asked_for_again(pilotlight, api, an_invocation):
    api.objects["/outputs/fresh"] = (b"bytes", httpx.Headers())
    stale = answered(an_invocation, output_url=f"{STORE}/outputs/stale")
    api.invocations["i1"] = [stale, answered(an_invocation, output_url=f"{STORE}/outputs/fresh")]

    assert pilotlight.get_result("i1").content == b"bytes"


def test_what_is_no_json_is_said_to_be_none(pilotlight, api, an_invocation):
    api.invocations["i1"] = [answered(an_invocation, body="a,b", content_type="text/csv")]

    with pytest.raises(ResultNotReadable, match="is text/csv, and no JSON"):
        pilotlight.get_result("i1").json()


def test_a_record_that_is_known_already_gives_its_result(pilotlight, an_invocation):
    assert pilotlight.result_of(answered(an_invocation, body="x")).text == "x"
    with pytest.raises(TimedOut, match="wait for it with get_result"):
        pilotlight.result_of(an_invocation("QUEUED"))


def test_a_stream_that_cannot_be_rewound_is_read_once_and_sent_whole():
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.left = [b"ab", b"cd", b""]

        def read(self, _size: int = -1) -> bytes:
            return b"".join(self.left)

        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError("a pipe has no place")

    payload = payload_of(Pipe(), "audio/wav")

    assert [payload.read(), payload.read()] == [b"abcd", b"abcd"]
