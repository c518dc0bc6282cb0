"""The REST API on loopback: a real Chalice application behind it, and the real gateway's own answers."""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from local import gateway
from local.cloud import Cloud
from local.gateway import Gateway, RestApi, Route
from local.worker_pool import ThrottledError
from local.workers import Outcome

Function = Callable[[str, bytes, str], Outcome]


@pytest.fixture
def client(cloud: Cloud) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cloud.api_url, timeout=20) as http_client:
        yield http_client


@pytest.fixture
def serve() -> Iterator[Callable[[Function], str]]:
    """Give the address of a gateway with one route and a function of the test's own."""
    running: list[Gateway] = []

    def start(function: Function) -> str:
        routes = (Route.of("/things/{name}", {"GET": "sample", "POST": "sample"}),)
        api = RestApi("abc", "v1", routes, frozenset({"image/png"}))
        running.append(Gateway(api, function))
        running[-1].start()
        return running[-1].url

    yield start
    for each in running:
        each.stop()


def proxy_answer(**answer: Any) -> Outcome:
    return Outcome("id", json.dumps(answer).encode(), failed=False)


def test_a_route_with_a_query_reaches_chalice(client: httpx.Client) -> None:
    answer = client.get("/things", params={"kind": "small"})

    assert answer.status_code == 200
    assert answer.json() == {"query": {"kind": "small"}}


def test_path_parameter_body_and_headers_go_both_ways(client: httpx.Client) -> None:
    answer = client.post("/things/one", json={"a": "ä"}, headers={"X-Asked": "yes"})

    assert answer.status_code == 201
    assert answer.headers["Location"] == "/things/one"
    assert answer.json()["name"] == "one"
    assert answer.json()["body"] == {"a": "ä"}
    assert answer.json()["header"] == "yes"
    assert answer.json()["ip"]["sourceIp"] == "127.0.0.1"


def test_an_escaped_slash_stays_in_its_parameter(client: httpx.Client) -> None:
    answer = client.get("/things/a%2Fb")

    assert answer.json()["name"] == "a/b"


def test_the_applications_own_errors_come_through(client: httpx.Client) -> None:
    answer = client.get("/things/bad")

    assert answer.status_code == 400
    assert answer.json()["Message"] == "no such name"


@pytest.mark.parametrize("path", ["/things/", "/things/one/"])
def test_a_slash_at_the_end_is_the_same_route(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//things", 200),  # the server takes several slashes at the beginning for one
        ("/things//", 403),
        ("/things//one", 403),
        ("/./things", 403),
        ("/things/../things", 403),
        ("/%74hings", 403),
        ("/things%2F", 403),
        ("/things/%2F", 200),
        ("/things/a%2Fb/", 200),
        ("/things/..", 200),
        ("/things/%2e%2e", 200),
        ("/things/%00", 200),
        ("/things/%ff", 200),
        ("/things/a*b", 200),
        ("/things/a?b", 200),
        ("/things/%7Bname%7D", 200),
    ],
)
def test_an_odd_path_reaches_the_function_or_no_route_and_never_breaks(cloud: Cloud, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(cloud.api_url.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    finally:
        connection.close()

    assert answer.status == status
    assert status == 200 or told == {"message": "Missing Authentication Token"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("DELETE", "/things")])
def test_an_unknown_route_is_answered_as_by_the_real_gateway(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 403
    assert answer.json() == {"message": "Missing Authentication Token"}


def test_a_foreign_host_header_is_refused_and_told_why(client: httpx.Client) -> None:
    answer = client.get("/things", headers={"Host": "evil.example"})

    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert "evil.example" in answer.json()["detail"]


def test_localhost_is_a_name_of_ours(cloud: Cloud, client: httpx.Client) -> None:
    port = cloud.api_url.rsplit(":", 1)[1]

    answer = client.get("/things", headers={"Host": f"localhost:{port}"})

    assert answer.status_code == 200


def test_a_connection_is_used_again(cloud: Cloud) -> None:
    connection = http.client.HTTPConnection(cloud.api_url.removeprefix("http://"), timeout=30)
    try:
        ports = set()
        for _ in range(3):
            connection.request("GET", "/nothing")
            connection.getresponse().read()
            ports.add(connection.sock.getsockname()[1])
    finally:
        connection.close()

    assert len(ports) == 1


def test_a_body_that_was_not_read_is_not_taken_for_the_next_request(serve: Callable[[Function], str]) -> None:
    url = serve(lambda *_: proxy_answer(statusCode=200, body="{}"))

    with httpx.Client(base_url=url) as one_connection:
        refused = one_connection.request("PATCH", "/things/one", content=b"GET /things/two HTTP/1.1")
        answered = one_connection.get("/things/one")

    assert (refused.status_code, answered.status_code) == (403, 200)


def test_a_body_over_the_limit_is_refused_unread(
    serve: Callable[[Function], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "MAX_BODY_BYTES", 1000)
    url = serve(lambda _name, _event, _source: proxy_answer(statusCode=200))

    answer = httpx.post(f"{url}/things/a", content=b"x" * 1001)

    assert answer.status_code == 413


def test_an_integration_that_takes_too_long_is_a_504(
    serve: Callable[[Function], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(gateway, "INTEGRATION_SECONDS", 0.05)
    done = threading.Event()
    url = serve(lambda _name, _event, _source: done.wait(5) and proxy_answer(statusCode=200))

    answer = httpx.get(f"{url}/things/a")
    done.set()

    assert answer.status_code == 504
    assert answer.json() == {"message": "Endpoint request timed out"}


def test_a_function_that_fails_is_a_502(serve: Callable[[Function], str]) -> None:
    url = serve(lambda _name, _event, _source: Outcome("id", b'{"errorType": "Boom"}', failed=True))

    answer = httpx.get(f"{url}/things/a")

    assert answer.status_code == 502
    assert answer.json() == {"message": "Internal server error"}


@pytest.mark.parametrize("answer", [{"no": "status"}, ["list"], None])
def test_an_answer_in_no_proxy_shape_is_a_502(serve: Callable[[Function], str], answer: Any) -> None:
    url = serve(lambda _name, _event, _source: Outcome("id", json.dumps(answer).encode(), failed=False))

    assert httpx.get(f"{url}/things/a").status_code == 502


def test_a_throttled_function_is_a_500_as_behind_the_real_gateway(serve: Callable[[Function], str]) -> None:
    def throttled(_name: str, _event: bytes, _source: str) -> Outcome:
        raise ThrottledError("sample", 1)

    assert httpx.get(f"{serve(throttled)}/things/a").status_code == 500


def test_the_event_has_the_real_ones_fields(serve: Callable[[Function], str]) -> None:
    seen: list[dict[str, Any]] = []

    def function(_name: str, event: bytes, _source: str) -> Outcome:
        seen.append(json.loads(event))
        return proxy_answer(statusCode=200, multiValueHeaders={"Set-Cookie": ["a=1", "b=2"]})

    answer = httpx.get(f"{serve(function)}/things/a?x=1&x=2", headers=[("X-Two", "1"), ("X-Two", "2")])

    event = seen[0]
    assert event["resource"] == event["requestContext"]["resourcePath"] == "/things/{name}"
    assert event["path"] == "/things/a"
    assert event["pathParameters"] == {"name": "a"}
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["multiValueHeaders"]["X-Two"] == ["1", "2"] or event["multiValueHeaders"]["X-Two"] == ["1,2"]
    assert event["requestContext"]["stage"] == "v1"
    assert event["body"] is None
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("content_type", "sent", "body", "is_base64"),
    [
        ("image/png", b"\x89PNG\xff", "iVBOR/8=", True),
        ("image/png; q=1", b"text", "dGV4dA==", True),
        ("application/json", '{"a": "ä"}'.encode(), '{"a": "ä"}', False),
        ("image/gif", b"GIF\xff", "GIF\ufffd", False),  # nobody told it that these are no text
    ],
)
def test_a_body_is_handed_over_whole_only_where_its_type_is_binary(
    serve: Callable[[Function], str], content_type: str, sent: bytes, body: str, is_base64: bool
) -> None:
    events: list[dict[str, Any]] = []

    def function(_name: str, event: bytes, _source: str) -> Outcome:
        events.append(json.loads(event))
        return proxy_answer(statusCode=200, body="")

    httpx.post(f"{serve(function)}/things/one", content=sent, headers={"Content-Type": content_type})

    assert (events[0]["body"], events[0]["isBase64Encoded"]) == (body, is_base64)


def test_an_answer_in_base64_reaches_its_caller_as_bytes(serve: Callable[[Function], str]) -> None:
    answer = proxy_answer(statusCode=200, body="iVBOR/8=", isBase64Encoded=True, headers={"Content-Type": "image/png"})

    told = httpx.get(f"{serve(lambda *_: answer)}/things/one")

    assert (told.content, told.headers["Content-Type"]) == (b"\x89PNG\xff", "image/png")


def test_an_api_says_which_types_are_binary_in_cloudformations_spelling() -> None:
    class Client:
        def get_rest_apis(self) -> Any:
            return {"items": [{"id": "abc", "binaryMediaTypes": ["image~1png", "audio/wav"]}]}

        def get_resources(self, **_: Any) -> Any:
            return {"items": []}

        def get_stages(self, **_: Any) -> Any:
            return {"item": [{"stageName": "v1"}]}

    api = RestApi.read(Client())

    assert api is not None
    assert api.binary == {"image/png", "audio/wav"}
