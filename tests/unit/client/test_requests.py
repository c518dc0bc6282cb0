"""Whatever the client sends, docs/openapi.json knows: the route, its parameters, and every field of the body."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest
from pilotlight_client import Pilotlight
from pilotlight_client.endpoint_views import Hosting, Sections
from pilotlight_client.invoking import Invocations
from pilotlight_client.upload_requests import UploadRequests

from tests.documented import operation_of, validator

KEEP_WARM = {"policy": "window", "windows": [{"days": "MON-FRI", "start": "09:00", "end": "18:00"}]}
SOURCE = "hf://org/model@main"
INVOCATION = "01m7xjagxm6yf0jp19hg6gaf1n"
ARTIFACT = "a4146667c1632ec14a16"  # pragma: allowlist secret (an id)
HOSTING: Hosting = {
    "instance": {"type": "ml.g5.2xlarge", "context_tokens": 8192, "concurrency": 4},
    "scaling": {"min": 0, "max": 2, "initial": 1, "scale_in": "immediate", "backlog_per_instance": 2.5},
    "serving": {
        "dtype": "bf16",
        "options": {"max_model_len": "8192"},
        "files": {"model.py": "def handle(inputs): ..."},
    },
    "container": {"version": "0.36.0", "environment": {"A": "1"}},
}
CHANGED: Sections = {"scaling": {"max": 4}, "container": {"environment": {"A": "2"}}}
PART = {"number": 1, "size_bytes": 9, "checksum_crc32": "y/Q5Jg=="}


def asking(api: Pilotlight) -> UploadRequests:
    return UploadRequests(api._connection, "a")


ASKED: list[tuple[str, Callable[[Pilotlight], Any]]] = [
    ("create_deployment", lambda api: api.deploy(SOURCE, name="a")),
    (
        "create_deployment",
        lambda api: api.deploy(
            SOURCE,
            name="a",
            lease="8h",
            keep_warm=KEEP_WARM,
            spend_ceiling={"usd": 200, "per": "month"},
            tags={"team": "search"},
            artifact="collect_after:3d",
            import_role_arn="arn:aws:iam::123456789012:role/pilotlight-import-mine",
            idempotency_key="once",
        ),
    ),
    ("create_deployment", lambda api: api.deploy(SOURCE, name="a", backend="sagemaker-async", **HOSTING)),
    (
        "create_deployment",
        lambda api: api.deploy("jumpstart://model@1.0.0", name="a", backend="sagemaker-realtime", accept_eula=True),
    ),
    ("update_deployment", lambda api: api.update("a", strategy="rolling", reason="cheaper", **CHANGED)),
    ("roll_back_deployment", lambda api: api.rollback("a")),
    ("roll_back_deployment", lambda api: api.rollback("a", 2, strategy="blue-green")),
    ("list_revisions", lambda api: api.revisions("a")),
    ("list_deployments", lambda api: api.deployments()),
    ("list_deployments", lambda api: api.deployments(cursor="c", limit=200)),
    ("get_deployment", lambda api: api.deployment("a")),
    ("delete_deployment", lambda api: api.teardown("a")),
    ("retry_deployment", lambda api: api.retry("a")),
    ("warm_up_deployment", lambda api: api.warm_up("a")),
    ("scale_down_deployment", lambda api: api.scale_down("a")),
    ("put_keep_warm", lambda api: api.set_keep_warm("a", KEEP_WARM)),
    ("put_lease", lambda api: api.set_lease("a", "permanent")),
    ("put_spend_ceiling", lambda api: api.set_spend_ceiling("a", 200)),
    ("put_spend_ceiling", lambda api: api.set_spend_ceiling("a", 12.5, "deployment")),
    ("get_kill_switch", lambda api: api.kill_switch()),
    ("turn_kill_switch", lambda api: api.turn_kill_switch(on=True, reason="audit")),
    ("turn_kill_switch", lambda api: api.turn_kill_switch(on=False)),
    ("list_events", lambda api: api.events("a", cursor="c")),
    ("invoke_deployment", lambda api: api.invoke("a", "Why?")),
    (
        "invoke_deployment",
        lambda api: api.invoke(
            "a", messages=[{"role": "user", "content": "Why?"}], parameters={"max_tokens": 5, "stop": ["."]}
        ),
    ),
    ("invoke_deployment", lambda api: api.invoke("a", "Why?", raw=True, wait_seconds=0)),
    ("invoke_deployment", lambda api: api.invoke("a", "Why?", webhook="https://hooks.example/x")),
    ("invoke_deployment", lambda api: api.submit("a", {"inputs": "Why?"}, accept="text/csv")),
    ("invoke_deployment", lambda api: api.submit("a", b"\x00", "audio/wav", container_timeout_seconds=60)),
    ("invoke_deployment", lambda api: api.submit("a", "a,b", "text/csv", accept="text/csv", hold_seconds=5)),
    (
        "invoke_deployment",
        lambda api: api.submit_input("a", "s3://bucket/key", "audio/wav", webhook="https://a.example"),
    ),
    ("invoke_deployment", lambda api: api.predict("a", [1, 2])),
    ("place_input", lambda api: api.create_input("a", "audio/wav", 200_000)),
    ("place_input", lambda api: api.create_input("a")),
    ("get_invocation", lambda api: api.answer(INVOCATION)),
    ("get_invocation", lambda api: api.get_result(INVOCATION)),
    ("preflight", lambda api: api.preflight(SOURCE)),
    ("preflight", lambda api: api.preflight(SOURCE, "sagemaker-async", HOSTING)),
    ("plan_upload", lambda api: asking(api).plan([{"path": "a", "size_bytes": 1, "replace": True}])),
    ("sign_addresses", lambda api: asking(api).addresses("a", [PART], None)),
    ("sign_addresses", lambda api: asking(api).addresses("a", [PART], "upload-1")),
    ("join_file", lambda api: asking(api).join("a", "upload-1", 9, "y/Q5Jg==")),
    ("list_uploads", lambda api: api.uploads(cursor="c")),
    ("list_artifacts", lambda api: api.artifacts()),
    ("delete_artifact", lambda api: api.delete_artifact(ARTIFACT)),
    ("list_orphans", lambda api: api.orphans()),
    ("put_spend_ceiling", lambda api: api.set_spend_ceiling("a", 100)),
    ("get_kill_switch", lambda api: api.kill_switch()),
    ("turn_kill_switch", lambda api: api.turn_kill_switch(on=True, reason="too dear")),
    ("health", lambda api: api.health()),
]


@pytest.mark.parametrize(("operation", "ask"), ASKED, ids=[f"{name} {i}" for i, (name, _) in enumerate(ASKED)])
def test_what_the_client_sends_is_documented(operation: str, ask: Callable[[Pilotlight], Any]) -> None:
    sent: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"items": [], "id": "i-1", "status": "SUCCEEDED"})

    with Pilotlight("http://127.0.0.1:8000", transport=httpx.MockTransport(answered)) as api:
        ask(api)

    (request,) = sent
    known = operation_of(request.method, request.url.path)
    assert known
    assert known["operationId"] == operation
    parameters = {each["name"]: each["schema"] for each in known["parameters"]}
    ours = {name for name in ("Idempotency-Key", "Prefer") if name in request.headers}
    assert ours | set(request.url.params) <= set(parameters)
    taken = known.get("requestBody")
    assert bool(taken) == bool(request.content)
    if taken:
        kind = request.headers["Content-Type"]
        (content,) = [each for name, each in taken["content"].items() if fnmatchcase(kind, name)]
        schema = json.dumps(content.get("schema", {}))
        body = json.loads(request.content) if kind == "application/json" else None
        assert [error.message for error in validator(schema).iter_errors(body)] == []


def test_a_request_is_made_for_every_route_that_the_client_has_a_method_for() -> None:
    asking_nothing = {
        "watch",
        "wait_until",
        "looks",
        "iterate",
        "close",
        "upload",
        "result_of",
        "folder_upload",
        "upload_folder",
    }
    given = {**vars(Invocations), **vars(Pilotlight)}
    methods = {name for name, each in given.items() if callable(each) and not name.startswith("_")} - asking_nothing
    reached = {name for _, ask in ASKED for name in ask.__code__.co_names}

    assert methods <= reached
