import json

import httpx
import pytest
from pilotlight_client import ApiError, DeploymentFailed, InvocationFailed, NotReachable, Pilotlight, TimedOut
from pilotlight_client.errors import Conflict, InvalidRequest, NoAnswer, NotConfigured, ServerFault


def test_deploy_sends_what_was_said_and_leaves_the_rest_to_the_api(pilotlight, api):
    view = pilotlight.deploy("hf://org/model", name="demo", lease="8h", tags={"team": "nlp"})

    assert view["status"] == "REQUESTED"
    assert api.bodies("POST", "/deployments") == [
        {"name": "demo", "source": "hf://org/model", "backend": "bedrock", "lease": "8h", "tags": {"team": "nlp"}}
    ]


def test_a_deploy_whose_answer_was_lost_is_repeated_under_the_same_key_and_deploys_once(pilotlight, api):
    api.failures = [httpx.ReadError("connection reset")]

    pilotlight.deploy("hf://org/model", name="demo")

    keys = {request.headers["Idempotency-Key"] for request in api.requests}
    assert len(api.requests) == 2
    assert len(keys) == 1
    assert list(api.deployments) == ["demo"]


def test_two_deploys_have_different_keys(pilotlight, api):
    pilotlight.deploy("hf://org/model", name="one")
    pilotlight.deploy("hf://org/model", name="two")

    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 2


def test_a_get_is_repeated_while_the_api_is_unavailable_and_waits_as_told(pilotlight, api, clock, a_problem):
    busy = a_problem(503, "throttled", "Slow down.")
    busy.headers["Retry-After"] = "4"
    api.failures = [httpx.ConnectError("refused"), busy]
    api.has("demo")

    assert pilotlight.deployment("demo")["name"] == "demo"
    assert clock.slept[1] == 4
    assert clock.slept[0] < 1


def test_a_get_is_not_repeated_for_ever(pilotlight, api, a_problem):
    api.failures = [a_problem(503, "unavailable", "DynamoDB did not answer.") for _ in range(9)]

    with pytest.raises(ServerFault, match="DynamoDB did not answer") as caught:
        pilotlight.health()

    assert caught.value.status == 503
    assert len(api.requests) == 4


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("slow"), httpx.ConnectError("refused")])
def test_an_invocation_is_never_repeated_blindly(pilotlight, api, failure):
    api.has("demo")
    api.failures = [failure]

    with pytest.raises(NotReachable):
        pilotlight.invoke("demo", "Hello")

    assert len(api.requests) == 1


def test_a_refused_connection_says_how_to_start_a_pilotlight(pilotlight, api):
    api.failures = [httpx.ConnectError("refused")] * 9

    with pytest.raises(NotReachable, match=r"No Pilotlight at http://127.0.0.1:8000: start one with `make up` or set"):
        pilotlight.health()


def test_an_answer_that_does_not_come_is_told_apart_from_nobody_being_there(pilotlight, api):
    api.failures = [httpx.ReadTimeout("timed out")]

    with pytest.raises(NoAnswer, match=r"gave no answer: timed out\. What became of the request is not known"):
        pilotlight.teardown("demo")


def test_a_taken_name_is_a_conflict_that_names_the_holder(pilotlight, api):
    api.has("demo")

    with pytest.raises(Conflict, match="taken by a deployment of hf://org/model") as caught:
        pilotlight.deploy("hf://org/other", name="demo")

    assert caught.value.problem_code == "name-taken"
    assert caught.value.problem()["holder"] == "hf://org/model@main"


def test_a_field_that_breaks_a_rule_is_named_in_the_sentence(pilotlight):
    with pytest.raises(InvalidRequest) as caught:
        pilotlight.deploy("hf://org/model", name="Demo")

    assert str(caught.value) == "The request breaks a rule; name: lower-case words joined by single hyphens."
    assert caught.value.fields[0].rule == "pattern"


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (httpx.Response(403, json={"Message": "User is not authorized"}), "User is not authorized"),
        (httpx.Response(403, json={"message": "Missing Authentication Token"}), "Token: is the URL whole"),
        (httpx.Response(504, text="<html>"), r"Pilotlight refused without a reason \(HTTP 504\)"),
        (httpx.Response(418, json=["odd"]), r"Pilotlight refused without a reason \(HTTP 418\)"),
    ],
)
def test_a_gateway_s_own_words_are_understood_too(pilotlight, api, response, told):
    api.failures = [response]

    with pytest.raises(ApiError, match=told):
        pilotlight.retry("demo")


def test_all_pages_are_iterated_and_a_cursor_is_sent_as_it_came(pilotlight, api):
    for name in ("a", "b", "c", "d", "e"):
        api.has(name)

    names = [view["name"] for view in pilotlight.iterate(pilotlight.deployments)]

    assert names == ["a", "b", "c", "d", "e"]
    assert [request.url.query for request in api.requests] == [b"", b"cursor=after%202", b"cursor=after%204"]


def test_a_name_is_one_segment_of_the_path_whatever_it_contains(pilotlight, api):
    with pytest.raises(ApiError):
        pilotlight.deployment("../uploads?x=1")

    assert api.requests[0].url.raw_path == b"/deployments/..%2Fuploads%3Fx%3D1"


def test_the_correlation_id_of_the_caller_goes_with_every_request(api, clock):
    api.has("demo")
    client = Pilotlight(transport=httpx.MockTransport(api), clock=clock, correlation_id="mine")

    client.invoke("demo", "Hi")

    assert {request.headers["X-Correlation-Id"] for request in api.requests} == {"mine"}


def test_waiting_tells_each_change_once_and_ends_at_the_status(pilotlight, api):
    api.has("demo", "REQUESTED")
    staging = {"status": "STAGING", "progress": {"staged_bytes": 5, "total_bytes": 10, "percent": 50}}
    api.will_go("demo", {"status": "STAGING"}, staging, {}, {"status": "IMPORTING"}, {"status": "SERVING"})
    seen = []

    done = pilotlight.wait_until("demo", {"SERVING"}, seen.append)

    assert done["status"] == "SERVING"
    assert [view["status"] for view in seen] == ["STAGING", "STAGING", "IMPORTING", "SERVING"]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("FAILED", "Deployment demo FAILED while IMPORTING: the tokenizer is not supported"),
        ("TEARING_DOWN", r"Deployment demo is TEARING_DOWN, not SERVING\.$"),
        ("GONE", r"Deployment demo is GONE, not SERVING\.$"),
    ],
)
def test_waiting_ends_when_the_status_can_no_longer_come(pilotlight, api, status, told):
    failure = {"code": "import-failed", "reason": "the tokenizer is not supported", "during": "IMPORTING"}
    api.has("demo", status, failure=failure)

    with pytest.raises(DeploymentFailed, match=told) as caught:
        pilotlight.wait_until("demo", {"SERVING"})

    assert caught.value.reason_code == "import-failed"


def test_waiting_notices_that_another_generation_has_the_name(pilotlight, api):
    api.has("demo", "TEARING_DOWN")
    api.will_go("demo", {}, {"status": "REQUESTED", "generation": 2})

    with pytest.raises(DeploymentFailed, match="replaced by generation 2 before it was GONE"):
        pilotlight.wait_until("demo", {"GONE"})


def test_waiting_gives_up_at_its_deadline_and_not_after_it(pilotlight, api, clock):
    api.has("demo", "STAGING")

    with pytest.raises(TimedOut, match="nothing was stopped"):
        pilotlight.wait_until("demo", {"SERVING"}, timeout_seconds=10)

    assert clock.seconds <= 10


def test_a_warm_model_s_answer_comes_with_the_first_request(pilotlight, api, an_invocation):
    api.has("demo")
    api.answer = an_invocation("SUCCEEDED", was_cold=False)

    view = pilotlight.invoke("demo", messages=[{"role": "user", "content": "2+2?"}], parameters={"max_tokens": 9})

    assert view["output"]["text"] == "Four."
    assert api.bodies("POST", "/deployments/demo/invocations") == [
        {"messages": [{"role": "user", "content": "2+2?"}], "parameters": {"max_tokens": 9}}
    ]
    assert api.requests[0].headers["Prefer"] == "wait=20"


def test_a_202_is_followed_at_its_location_as_often_as_retry_after_says(pilotlight, api, clock):
    api.has("demo")
    seen = []

    view = pilotlight.invoke("demo", "2+2?", on_wait=lambda view: seen.append(view["status"]))

    assert view["status"] == "SUCCEEDED"
    assert [request.url.path for request in api.requests[1:]] == ["/invocations/i1"] * 3
    assert clock.slept == [7, 3, 3]
    assert seen == ["QUEUED", "QUEUED", "RUNNING"]


def test_an_answer_that_takes_too_long_leaves_its_record_to_ask_for(pilotlight, api, clock, an_invocation):
    api.has("demo")
    api.invocations["i1"] = [an_invocation("QUEUED")]
    api.answer = {}

    with pytest.raises(TimedOut, match="i1 is still QUEUED") as caught:
        pilotlight.answer("i1", wait_seconds=10)

    assert caught.value.view["id"] == "i1"
    assert clock.seconds == 10


def test_without_waiting_the_record_comes_at_once_and_nobody_is_asked_to_hold_the_request(pilotlight, api):
    api.has("demo")

    view = pilotlight.invoke("demo", "2+2?", wait_seconds=0)

    assert view["status"] == "QUEUED"
    assert "Prefer" not in api.requests[0].headers
    assert len(api.requests) == 1


def test_a_failed_invocation_is_an_error_with_the_backend_s_reason(pilotlight, api, an_invocation):
    api.invocations["i9"] = [an_invocation("FAILED", id="i9", error={"code": "x", "message": "the context is full"})]

    with pytest.raises(InvocationFailed, match="Invocation i9 failed: the context is full"):
        pilotlight.answer("i9")


def test_a_container_s_own_words_are_in_the_sentence(pilotlight, api, an_invocation, a_problem):
    api.has("demo")
    error = {"code": "invocation-failed", "message": "It broke; its own words are in `told`.", "told": "CUDA is full\n"}
    api.invocations["i9"] = [an_invocation("FAILED", id="i9", error=error)]

    with pytest.raises(InvocationFailed, match=r"in `told`\. It said: CUDA is full$"):
        pilotlight.answer("i9")

    api.failures = [a_problem(502, "invocation-failed", "The container answered with status 500.", told="CUDA is full")]
    with pytest.raises(ServerFault, match=r"status 500\. It said: CUDA is full$"):
        pilotlight.invoke("demo", "Hi")


def test_a_location_elsewhere_is_never_followed(pilotlight, api):
    api.has("demo")
    headers = {"Location": "//elsewhere.example/invocations/i1"}
    api.failures = [httpx.Response(202, headers=headers, json={"id": "i1", "status": "QUEUED"})]

    with pytest.raises(NotConfigured, match="not a path of this API"):
        pilotlight.invoke("demo", "Hi")


def test_a_stage_in_the_url_stays_before_every_path(api, clock):
    api.has("demo")
    client = Pilotlight("http://localhost:8000/", transport=httpx.MockTransport(api), clock=clock)

    assert client.url == "http://localhost:8000"
    assert client.deployment("demo")["name"] == "demo"


def test_the_url_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_URL", "http://127.0.0.1:9000")

    assert Pilotlight().url == "http://127.0.0.1:9000"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://[::1"])
def test_what_is_no_url_of_an_api_is_said_to_be_none(url):
    with pytest.raises(NotConfigured, match=r"not (a|the) URL"):
        Pilotlight(url)


def test_the_time_is_the_api_s_own_where_it_tells_it(pilotlight):
    before = pilotlight.now

    pilotlight.health()

    assert pilotlight.now.isoformat() == "2026-11-20T12:00:00+00:00"
    assert before != pilotlight.now


def test_a_proxy_of_the_environment_never_stands_before_this_machine(monkeypatch, api):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    with Pilotlight(transport=httpx.MockTransport(api)) as client:
        assert json.loads(json.dumps(client.health()))["status"] == "ok"
        assert not client._connection._http._mounts
