"""Whatever the client sends, docs/openapi.json knows: the route, its parameters, and every field of the body."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pilotlight_client import Pilotlight

from tests.documented import operation_of, validator

KEEP_WARM = {"policy": "window", "windows": [{"days": "MON-FRI", "start": "09:00", "end": "18:00"}]}
SOURCE = "hf://org/model@main"
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
            import_role_arn="arn:aws:iam::123456789012:role/pilotlight-import-mine",
            idempotency_key="once",
        ),
    ),
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
    ("get_invocation", lambda api: api.answer("01m7xjagxm6yf0jp19hg6gaf1n")),
    ("preflight", lambda api: api.preflight(SOURCE)),
    ("list_uploads", lambda api: api.uploads(cursor="c")),
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
        schema = json.dumps(taken["content"]["application/json"]["schema"])
        assert [error.message for error in validator(schema).iter_errors(json.loads(request.content))] == []


def test_a_request_is_made_for_every_route_that_the_client_has_a_method_for() -> None:
    waiting = {"watch", "wait_until", "looks", "iterate", "close", "upload"}
    methods = {name for name, each in vars(Pilotlight).items() if callable(each) and not name.startswith("_")} - waiting
    reached = {name for _, ask in ASKED for name in ask.__code__.co_names}

    assert methods <= reached
