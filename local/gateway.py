"""The REST API on loopback: routes of the deployed stack, requests as proxy events, answers as HTTP.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html and API Gateway's gateway responses.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from local.identity import ACCOUNT_ID, REGION
from local.server import UNREAD, KeepAliveRequestHandler, LoopbackServer
from local.worker_pool import ThrottledError
from local.workers import Outcome

INTEGRATION_SECONDS = 29.0
MAX_BODY_BYTES = 10 * 1024 * 1024

Invoke = Callable[[str, bytes, str], Outcome]  # the function, its event, and the ARN of the method that calls it


@dataclass(frozen=True)
class Route:
    """One resource of the API: its path, and the function behind each method."""

    path: str
    pattern: re.Pattern[str]
    functions: Mapping[str, str]

    @classmethod
    def of(cls, path: str, functions: Mapping[str, str]) -> Route:
        """Give the route of a path such as /deployments/{name} or /{proxy+}."""
        parts = [_part(part) for part in path.strip("/").split("/") if part]
        return cls(path, re.compile("/" + "/".join(parts) + "/?"), functions)

    def match(self, path: str) -> dict[str, str] | None:
        """Give the path's parameters, or None if it is another's."""
        found = self.pattern.fullmatch(path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}

    def called_with(self, parameters: Mapping[str, str]) -> str:
        """Give the path in the ARN of a call: the resource's own, whether or not a slash came after it.

        API Gateway takes /health/ for /health, and hands the function the path as it was sent.
        """
        return re.sub(r"\{(\w+)\+?\}", lambda part: parameters[part[1]], self.path)


@dataclass(frozen=True)
class RestApi:
    """A deployed API: its id, its stage, its routes; those without parameters come first.

    Bodies of the types in `binary` are handed over byte by byte.
    """

    api_id: str
    stage: str
    routes: tuple[Route, ...]
    binary: frozenset[str] = frozenset()

    @classmethod
    def read(cls, client: Any) -> RestApi | None:
        """Give the stack's API as it was deployed, or None if there is none."""
        for api in client.get_rest_apis()["items"]:
            resources = client.get_resources(restApiId=api["id"], embed=["methods"], limit=500)["items"]
            routes = [Route.of(resource["path"], _functions(resource)) for resource in resources]
            stages = client.get_stages(restApiId=api["id"])["item"]
            stage = stages[0]["stageName"] if stages else "local"
            literal_first = sorted(routes, key=lambda route: [part[:1] == "{" for part in route.path.split("/")])
            binary = {
                kind.replace("~1", "/") for kind in api.get("binaryMediaTypes") or ()
            }  # as CloudFormation says it
            return cls(api["id"], stage, tuple(literal_first), frozenset(binary))
        return None

    def find(self, method: str, path: str) -> tuple[Route, str, dict[str, str]] | None:
        """Give the route, its function and the path's parameters, or None."""
        for route in self.routes:
            function = route.functions.get(method) or route.functions.get("ANY")
            parameters = route.match(path) if function else None
            if function and parameters is not None:
                return route, function, parameters
        return None


class Gateway:
    """Serves the API; every answer that is not the function's own has the real gateway's body."""

    def __init__(self, api: RestApi, invoke: Invoke, *, port: int | None = None) -> None:
        self._api = api
        self._invoke = invoke
        self._server = LoopbackServer(self._application, port=port or 0, handler=KeepAliveRequestHandler)

    @property
    def url(self) -> str:
        """Give the API's address."""
        return self._server.url

    def start(self) -> None:
        """Answer from now on."""
        self._server.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.stop()

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        unread: threading.Event = request.environ[UNREAD]
        if "Content-Length" in request.headers or "Transfer-Encoding" in request.headers:
            unread.set()
        refused = self._refused(request)
        if refused is not None:
            return refused
        found = self._api.find(request.method, _raw_path(request))
        if found is None:
            return _message(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
        route, function, parameters = found
        request.get_data()
        unread.clear()
        event = _event(request, self._api, route, parameters)
        method = f"{self._api.api_id}/{self._api.stage}/{request.method}{route.called_with(parameters)}"
        source_arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{method}"
        return self._integrated(function, json.dumps(event).encode(), source_arn)

    def _refused(self, request: Request) -> Response | None:
        """Give the answer to a request that must not be looked at, else None.

        Requests are unsigned here, so a web page that points a name of its own at 127.0.0.1 could send them
        from a visitor's browser: only our own address is a valid Host.
        """
        port = self._server.port
        allowed = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        if request.host not in allowed:
            return _forbidden_host(request.host, sorted(allowed))
        if (request.content_length or 0) > MAX_BODY_BYTES:
            return _message(413, "Request Too Long")
        return None

    def _integrated(self, function: str, event: bytes, source_arn: str) -> Response:
        answer: Future[Outcome] = Future()
        work = (answer, self._invoke, function, event, source_arn)
        thread = threading.Thread(target=_resolve, args=work, daemon=True)
        thread.start()
        try:
            outcome = answer.result(timeout=INTEGRATION_SECONDS)
        except NotInTime:  # the function goes on, as it does behind the real gateway
            return _message(504, "Endpoint request timed out")
        except (ThrottledError, PermissionError):
            return _message(500, "Internal server error")
        if outcome.failed:
            return _message(502, "Internal server error", "InternalServerErrorException")
        return _response(outcome.payload)


def _part(part: str) -> str:
    if part.startswith("{") and part.endswith("+}"):
        return f"(?P<{part[1:-2]}>.+)"
    if part.startswith("{") and part.endswith("}"):
        return f"(?P<{part[1:-1]}>[^/]+)"
    return re.escape(part)


def _functions(resource: Mapping[str, Any]) -> dict[str, str]:
    """Give the function's name behind each method, from the integrations' addresses."""
    methods = resource.get("resourceMethods", {})
    uris = {method: settings.get("methodIntegration", {}).get("uri", "") for method, settings in methods.items()}
    found = {method: re.search(r":function:([\w-]+)", uri) for method, uri in uris.items()}
    return {
        ("ANY" if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" else method): match[1]
        for method, match in found.items()
        if match
    }


def _raw_path(request: Request) -> str:
    """Give the path as it was sent: an escaped slash must not become a separator."""
    raw = str(request.environ.get("REQUEST_URI") or request.path)
    return raw.split("?", 1)[0]


def _event(request: Request, api: RestApi, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
    """Give the proxy event, format 1.0."""
    headers = {name: ", ".join(request.headers.getlist(name)) for name in request.headers.keys()}  # noqa: SIM118
    every_header = {name: request.headers.getlist(name) for name in headers}
    query = request.args.to_dict(flat=False)
    body, is_base64 = _event_body(request.get_data(), request.mimetype in api.binary or "*/*" in api.binary)
    return {
        "resource": route.path,
        "path": unquote(_raw_path(request)),
        "httpMethod": request.method,
        "headers": headers or None,
        "multiValueHeaders": every_header or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": _context(request, api, route),
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _context(request: Request, api: RestApi, route: Route) -> dict[str, Any]:
    now = time.time()
    return {
        "accountId": ACCOUNT_ID,
        "apiId": api.api_id,
        "domainName": request.host,
        "extendedRequestId": uuid.uuid4().hex[:16],
        "httpMethod": request.method,
        "identity": {
            "sourceIp": request.remote_addr,
            "userAgent": request.headers.get("User-Agent"),
            "userArn": None,
            "caller": None,
            "accountId": None,
        },
        "path": unquote(_raw_path(request)),  # as under a domain of one's own: no stage before the path
        "protocol": request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        "requestId": str(uuid.uuid4()),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "requestTimeEpoch": int(now * 1000),
        "resourceId": "local",
        "resourcePath": route.path,
        "stage": api.stage,
    }


def _event_body(data: bytes, is_binary: bool) -> tuple[str | None, bool]:
    """Give a body as the real gateway hands it over: of a type that is not binary it makes text, whatever it was.

    Source: Amazon API Gateway developer guide, "Working with binary media types for REST APIs".
    """
    if not data:
        return None, False
    if is_binary:
        return base64.b64encode(data).decode(), True
    return data.decode(errors="replace"), False


def _resolve(answer: Future[Outcome], invoke: Invoke, function: str, event: bytes, source_arn: str) -> None:
    try:
        answer.set_result(invoke(function, event, source_arn))
    except BaseException as exc:  # noqa: BLE001 - it is raised again in the thread that waits
        answer.set_exception(exc)


def _response(payload: bytes) -> Response:
    """Give the function's answer as HTTP, or 502 when it has not the shape of one."""
    answer = json.loads(payload or b"null")
    if not isinstance(answer, dict) or not str(answer.get("statusCode", "")).isdigit():
        return _message(502, "Internal server error", "InternalServerErrorException")
    body = answer.get("body") or ""
    data = base64.b64decode(body) if answer.get("isBase64Encoded") else str(body).encode()
    response = Response(data, status=int(answer["statusCode"]), content_type="application/json")
    single: dict[str, Any] = answer.get("headers") or {}
    multiple: dict[str, list[Any]] = answer.get("multiValueHeaders") or {}
    for name, value in single.items():
        response.headers[name] = str(value)
    for name, values in multiple.items():
        response.headers.setlist(name, [str(value) for value in values])
    return response


def _message(status: int, text: str, error: str | None = None) -> Response:
    response = Response(json.dumps({"message": text}), status=status, content_type="application/json")
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    if error:
        response.headers["x-amzn-ErrorType"] = error
    return response


def _forbidden_host(host: str, allowed: list[str]) -> Response:
    problem = {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": f"Requests are unsigned here, so only this machine may send them: the Host header has to be one of "
        f"{', '.join(allowed)}, not {host!r}.",
    }
    return Response(json.dumps(problem), status=403, content_type="application/problem+json")
