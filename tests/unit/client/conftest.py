"""A fake of the API that keeps the API's promises, and a clock that never makes a test wait."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pilotlight_client import Pilotlight
from pilotlight_client.commands import app
from pilotlight_client.commands.session import Surroundings
from typer.testing import CliRunner, Result

NOW = "2026-11-20T12:00:00Z"
MONEY = {"usd": 0.2859, "basis": "estimated"}
HOSTING_FIELDS = {"instance", "scaling", "serving", "container"}
DEPLOYMENT_FIELDS = {
    "name",
    "source",
    "backend",
    "lease",
    "keep_warm",
    "tags",
    "artifact",
    "import_role_arn",
    "accept_eula",
}
STORE = "https://store.example"


class FakeClock:
    """Time that passes only by sleeping; `before_sleep` may let something happen meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.before_sleep: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.before_sleep()
        self.slept.append(seconds)
        self.seconds += seconds


def problem(status: int, code: str, detail: str, **members: Any) -> httpx.Response:
    document = {"type": f"urn:pilotlight:{code}", "title": code, "status": status, "detail": detail, "code": code}
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, headers=headers, content=json.dumps({**document, **members}))


class FakeApi:
    """Deployments, invocations and uploads in memory. A record moves one step of its `path` with each GET."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.deployments: dict[str, dict[str, Any]] = {}
        self.paths: dict[str, list[dict[str, Any]]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.invocations: dict[str, list[dict[str, Any]]] = {}
        self.answer: dict[str, Any] = {}
        self.uploads: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.verdict: dict[str, Any] = {}
        self.failures: list[httpx.Response | Exception] = []
        self.replies: dict[str, tuple[bytes, httpx.Response]] = {}
        self.revisions: list[dict[str, Any]] = []
        self.new_instances: dict[str, Any] = {}  # what an update tells of those that it brings
        self.objects: dict[str, tuple[bytes, httpx.Headers]] = {}
        self.store_failures: list[httpx.Response | Exception] = []
        self.health = {
            "status": "ok",
            "version": "0.1.0",
            "stack": "pilotlight",
            "region": "us-east-1",
            "upload_bucket": "pilotlight-uploads",
            "simulated": True,
        }

    # ---- arranging ----

    def has(self, name: str, status: str = "SERVING", **fields: Any) -> dict[str, Any]:
        view = {
            "name": name,
            "generation": 1,
            "attempt": 1,
            "status": status,
            "source": "hf://org/model@main",
            "revision": "c0ffee" * 6,
            "backend": "bedrock",
            "region": "us-east-1",
            "lease": "8h",
            "lease_ends_at": "2026-11-20T20:00:00Z",
            "keep_warm": {"policy": "none", "windows": []},
            "tags": {},
            "cost_so_far": MONEY,
            "cost_per_hour": {"usd": 27.4464, "basis": "estimated"},
            "correlation_id": "c-1",
            "created_at": "2026-11-20T11:00:00Z",
            "updated_at": "2026-11-20T11:59:00Z",
            **fields,
        }
        if status == "SERVING" and "warmth" not in view:
            view["warmth"] = {"state": "COLD", "as_of": NOW, "cold_start_seconds": 110.0}
        self.deployments[name] = view
        return view

    def will_go(self, name: str, *steps: dict[str, Any]) -> None:
        self.paths[name] = list(steps)

    def bodies(self, method: str, path: str) -> list[dict[str, Any]]:
        return [json.loads(r.content or b"{}") for r in self.sent(method, path)]

    def sent(self, method: str, path: str) -> list[httpx.Request]:
        return [request for request in self.requests if (request.method, request.url.path) == (method, path)]

    # ---- answering ----

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == httpx.URL(STORE).host:
            return self._store(request)
        self.requests.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        response = self._route(request)
        response.headers["X-Correlation-Id"] = request.headers.get("X-Correlation-Id", "made-here")
        response.headers["X-Pilotlight-Now"] = NOW
        return response

    def _store(self, request: httpx.Request) -> httpx.Response:
        """Keep and give objects, as a bucket does at an address that it signed."""
        content = request.read()
        if self.store_failures:
            failure = self.store_failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        if request.method == "PUT":
            self.objects[request.url.path] = (content, request.headers)
            return httpx.Response(200)
        if request.url.path not in self.objects:
            return httpx.Response(403, text="<Error><Code>AccessDenied</Code></Error>")
        return httpx.Response(200, content=self.objects[request.url.path][0])

    def _route(self, request: httpx.Request) -> httpx.Response:
        for method, pattern, view in self._routes():
            match = re.fullmatch(pattern, request.url.path)
            if match and method == request.method:
                return view(request, *match.groups())
        return problem(404, "not-found", f"There is no {request.method} {request.url.path}.")

    def _routes(self) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        return [
            ("POST", "/deployments", self._deploy),
            ("GET", "/deployments", self._list),
            ("GET", "/deployments/([^/]+)", self._get),
            ("DELETE", "/deployments/([^/]+)", self._delete),
            ("PATCH", "/deployments/([^/]+)", self._update),
            ("POST", "/deployments/([^/]+)/rollback", self._rollback),
            ("GET", "/deployments/([^/]+)/revisions", self._revisions),
            ("POST", "/deployments/([^/]+)/inputs", self._input),
            ("POST", "/deployments/([^/]+)/(retry|warm-up|scale-down)", self._change),
            ("PUT", "/deployments/([^/]+)/(keep-warm|lease)", self._put),
            ("GET", "/deployments/([^/]+)/events", self._events),
            ("POST", "/deployments/([^/]+)/invocations", self._invoke),
            ("GET", "/invocations/([^/]+)", self._invocation),
            ("GET", "/uploads", self._uploads),
            ("GET", "/artifacts", lambda _: httpx.Response(200, json={"items": self.artifacts})),
            ("DELETE", "/artifacts/([^/]+)", self._discard),
            ("POST", "/preflight", self._preflight),
            ("GET", "/health", lambda _: httpx.Response(200, json=self.health)),
        ]

    def _deploy(self, request: httpx.Request) -> httpx.Response:
        key, body = request.headers["Idempotency-Key"], json.loads(request.content)
        if key in self.replies:
            first, reply = self.replies[key]
            return reply if first == request.content else problem(422, "idempotency-key-reused", "Another body.")
        if unknown := set(body) - DEPLOYMENT_FIELDS - HOSTING_FIELDS:
            return problem(422, "invalid-input", f"Unknown: {unknown}.")
        if body["name"] != body["name"].lower():
            wrong = {"field": "name", "rule": "pattern", "message": "lower-case words joined by single hyphens"}
            return problem(422, "invalid-input", "The request breaks a rule.", errors=[wrong])
        holder = self.deployments.get(body["name"])
        if holder and holder["status"] != "GONE":
            detail = f"The name {body['name']} is taken by a deployment of {holder['source']}."
            return problem(409, "name-taken", detail, holder=holder["source"])
        told = {field: value for field, value in body.items() if field not in HOSTING_FIELDS}
        view = self.has(**{"lease": "72h", "keep_warm": {"policy": "none"}, **told, "status": "REQUESTED"})
        reply = httpx.Response(202, json=view, headers={"Location": f"/deployments/{body['name']}"})
        self.replies[key] = (request.content, reply)
        return reply

    def _list(self, request: httpx.Request) -> httpx.Response:
        names = sorted(self.deployments)
        start = int(request.url.params.get("cursor", "0").split(" ")[-1])
        page: dict[str, Any] = {"items": [self.deployments[name] for name in names[start : start + 2]]}
        if start + 2 < len(names):
            page["next"] = f"after {start + 2}"
        return httpx.Response(200, json=page)

    def _get(self, _request: httpx.Request, name: str) -> httpx.Response:
        if name not in self.deployments:
            return _unknown(name)
        if self.paths.get(name):
            self.deployments[name] = {**self.deployments[name], **self.paths[name].pop(0)}
        return httpx.Response(200, json=self.deployments[name])

    def _delete(self, _request: httpx.Request, name: str) -> httpx.Response:
        return self._become(name, status="TEARING_DOWN")

    def _discard(self, _request: httpx.Request, artifact_id: str) -> httpx.Response:
        artifact = next((each for each in self.artifacts if each["id"] == artifact_id), None)
        if artifact is None:
            return problem(404, "not-found", f"There is no artifact {artifact_id!r}.")
        if users := artifact["users"]:
            return problem(409, "artifact-in-use", f"It is used by {', '.join(users)}.", users=users)
        artifact.update(keep="delete", kept_until=NOW)
        return httpx.Response(202, json=artifact)

    def _update(self, request: httpx.Request, name: str) -> httpx.Response:
        body = json.loads(request.content)
        if unknown := set(body) - HOSTING_FIELDS - {"strategy", "reason"}:
            return problem(422, "invalid-input", f"Unknown: {unknown}.")
        if set(body) == {"scaling"}:  # changed where it is
            return self._become(name)
        current = (self.deployments.get(name, {}).get("endpoint") or {}).get("revision", 1)
        return self._revise(name, current + 1, body.get("strategy", "blue-green"))

    def _rollback(self, request: httpx.Request, name: str) -> httpx.Response:
        return self._revise(name, json.loads(request.content).get("revision", 1))

    def _revise(self, name: str, revision: int, strategy: str = "blue-green") -> httpx.Response:
        if name not in self.deployments:
            return _unknown(name)
        before = self.deployments[name].get("endpoint") or an_endpoint()
        update = {"revision": revision, "previous": before["revision"], "strategy": strategy, "started_at": NOW}
        return self._become(name, endpoint={**before, "update": {**update, **self.new_instances}})

    def _revisions(self, request: httpx.Request, name: str) -> httpx.Response:
        start = int(request.url.params.get("cursor", "0"))
        page: dict[str, Any] = {"items": self.revisions[start : start + 2]}
        if start + 2 < len(self.revisions):
            page["next"] = str(start + 2)
        return httpx.Response(200, json=page) if name in self.deployments else _unknown(name)

    def _input(self, request: httpx.Request, name: str) -> httpx.Response:
        body = json.loads(request.content)
        key = f"inputs/{name}/{len(self.objects)}"
        headers = {"Content-Type": body["content_type"]} if "content_type" in body else {}
        upload = {"url": f"{STORE}/{key}?signature=secret", "method": "PUT", "headers": headers}
        view = {"input": f"s3://store/{key}", "upload": upload, "expires_at": "2026-11-20T13:00:00Z"}
        return httpx.Response(201, json=view)

    def _change(self, _request: httpx.Request, name: str, verb: str) -> httpx.Response:
        status = self.deployments.get(name, {}).get("status")
        if verb == "retry":
            if status != "FAILED":
                return problem(409, "illegal-transition", f"Deployment {name} is {status}.", deployment=name)
            return self._become(name, status="REQUESTED", attempt=2)
        if status != "SERVING":
            return _unknown(name) if status is None else problem(409, "not-serving", f"Deployment {name} is {status}.")
        state = "WAKING" if verb == "warm-up" else "COLD"
        step = {"what": "the model is cold", "at": "2026-11-20T12:05:00Z"}
        return self._become(name, warmth={"state": state, "as_of": NOW, "cold_start_seconds": 110.0}, next=step)

    def _put(self, request: httpx.Request, name: str, _what: str) -> httpx.Response:
        return self._become(name, **json.loads(request.content))

    def _become(self, name: str, **fields: Any) -> httpx.Response:
        if name not in self.deployments:
            return _unknown(name)
        self.deployments[name] = {**self.deployments[name], **fields}
        return httpx.Response(202, json=self.deployments[name])

    def _events(self, request: httpx.Request, name: str) -> httpx.Response:
        start = int(request.url.params.get("cursor", "0"))
        events = self.events.get(name, [])
        page: dict[str, Any] = {"items": events[start : start + 2]}
        if start + 2 < len(events):
            page["next"] = str(start + 2)
        return httpx.Response(200, json=page)

    def _invoke(self, _request: httpx.Request, name: str) -> httpx.Response:
        if self.deployments[name]["status"] != "SERVING":
            return problem(409, "not-serving", f"Deployment {name} takes no invocations.")
        if self.answer:
            return httpx.Response(200, json=self.answer)
        identity = "i1"
        self.invocations.setdefault(identity, [invocation("QUEUED"), invocation("RUNNING"), invocation("SUCCEEDED")])
        headers = {"Location": f"/invocations/{identity}", "Retry-After": "7"}
        return httpx.Response(202, json=invocation("QUEUED"), headers=headers)

    def _invocation(self, _request: httpx.Request, identity: str) -> httpx.Response:
        if identity not in self.invocations:
            return problem(404, "not-found", f"There is no invocation {identity}.")
        states = self.invocations[identity]
        view = states.pop(0) if len(states) > 1 else states[0]
        over = view["status"] in ("SUCCEEDED", "FAILED")
        return httpx.Response(200, json=view, headers={} if over else {"Retry-After": "3"})

    def _uploads(self, _request: httpx.Request) -> httpx.Response:
        page = {"items": self.uploads, "bucket": "pilotlight-uploads", "prefix": "uploads/"}
        return httpx.Response(200, json=page)

    def _preflight(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        told = {"revision": "c0ffee" * 6, "region": "us-east-1", "verdict": self.verdict}
        return httpx.Response(200, json={**body, **told})


def _unknown(name: str) -> httpx.Response:
    return problem(404, "not-found", f"There is no deployment {name}.", deployment=name)


def invocation(status: str, **fields: Any) -> dict[str, Any]:
    view = {
        "id": "i1",
        "deployment": "demo",
        "status": status,
        "was_cold": True,
        "correlation_id": "c-1",
        "created_at": NOW,
        "expires_at": "2026-11-27T12:00:00Z",
    }
    if status == "SUCCEEDED":
        view["output"] = {"text": "Four.", "reasoning": "Two and two.", "stop_reason": "stop"}
        view["usage"] = {"input_tokens": 5, "output_tokens": 12}
        view["latency_ms"] = 93_400
        view["cost"] = MONEY
    return {**view, **fields}


def an_endpoint(**fields: Any) -> dict[str, Any]:
    return {
        "name": "pilotlight-demo-g1",
        "arn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/pilotlight-demo-g1",
        "status": "InService",
        "instance_type": "ml.g5.2xlarge",
        "instances": 1,
        "desired": 1,
        "min": 0,
        "max": 2,
        "usd_per_instance_hour": 1.515,
        "revision": 1,
        **fields,
    }


def a_revision(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "number": number,
        "status": "IN_SERVICE",
        "instance_type": "ml.g5.2xlarge",
        "usd_per_hour": 1.515,
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi27.0.0-cu130",
        "scaling": {
            "initial": 1,
            "components": False,
        },
        "instance": {"optimize_for": "cost", "context_tokens": 8192},
        "serving": {"dtype": "bf16", "options": {"max_model_len": "8192"}, "files": {"model.py": "# mine"}},
        "container": {"version": "0.36.0", "environment": {"A": "1"}},
        "why": "it is the cheapest by the hour",
        "reason": "asked for",
        "created_at": "2026-11-20T11:00:00Z",
        **fields,
    }


class Command:
    """The `pilotlight` command before a fake API."""

    def __init__(self, api: FakeApi, clock: FakeClock) -> None:
        self.api, self.clock = api, clock
        self.somebody_is_there = False

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0) -> Result:
        around = Surroundings(
            connect=lambda url: Pilotlight(url, transport=httpx.MockTransport(self.api), clock=self.clock),
            can_ask=lambda: self.somebody_is_there,
        )
        result = CliRunner().invoke(app, list(arguments), input=stdin, obj=around)
        assert result.exit_code == code, f"exit code {result.exit_code}\n{result.output}\n{result.exception!r}"
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run with --json and return the one document of stdout."""
        lines = self.lines(*arguments, code=code)
        assert len(lines) == 1, lines
        return lines[0]

    def lines(self, *arguments: str, code: int = 0) -> list[Any]:
        """Run with --json and return every document of stdout."""
        return [json.loads(line) for line in self(*arguments, "--json", code=code).stdout.splitlines()]

    def problem(self, *arguments: str, code: int = 1) -> Any:
        """Run with --json and return the problem on stderr."""
        return json.loads(self(*arguments, "--json", code=code).stderr)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PILOTLIGHT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pilotlight(api: FakeApi, clock: FakeClock) -> Pilotlight:
    return Pilotlight(transport=httpx.MockTransport(api), clock=clock)


@pytest.fixture
def command(api: FakeApi, clock: FakeClock) -> Command:
    return Command(api, clock)


@pytest.fixture
def an_invocation() -> Callable[..., dict[str, Any]]:
    return invocation


@pytest.fixture
def a_problem() -> Callable[..., httpx.Response]:
    return problem


@pytest.fixture
def a_described_endpoint() -> Callable[..., dict[str, Any]]:
    return an_endpoint


@pytest.fixture
def a_described_revision() -> Callable[..., dict[str, Any]]:
    return a_revision


class Elapsing:
    """Time that passes only by waiting, with a thread and without."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def elapsing():
    return Elapsing()


@pytest.fixture(params=["invoke", "ainvoke"])
def call(request):
    """Call a model the way of threads, and the way of asyncio."""

    def ask(model, *arguments, **options):
        if request.param == "invoke":
            return model.invoke(*arguments, **options)
        return asyncio.run(model.ainvoke(*arguments, **options))

    return ask
