"""docs/openapi.json is what the routes promise, and what they promise is what they do."""

import json
from typing import Any

import pytest
from openapi_spec_validator import validate
from pilotlight.http import Api
from pilotlight.routes import Promise

from tests.architecture.template_rules import Template
from tests.documented import breaks, operation_of
from tools import cloudformation, openapi


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document()


@pytest.mark.parametrize("path", openapi.WRITTEN, ids=lambda path: path.parent.name)
def test_the_document_is_as_the_routes_promise(path: Any) -> None:
    assert path.read_text(encoding="utf-8") == openapi.text(), openapi.STALE


def test_the_document_is_sound_openapi(document: dict[str, Any]) -> None:
    validate(json.loads(json.dumps(document)))


def test_every_route_of_the_template_is_in_the_document(document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}

    assert told == {route for _, route in Template(cloudformation.TEMPLATE.read_text()).routes}


def test_every_route_has_a_name_of_its_own_and_says_what_it_does(document: dict[str, Any]) -> None:
    operations = [each for operations in document["paths"].values() for each in operations.values()]

    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["summary"] for each in operations)


def test_every_body_that_a_route_takes_has_an_example_of_events(document: dict[str, Any]) -> None:
    bodies = [
        (each["operationId"], each["requestBody"]["content"]["application/json"])
        for operations in document["paths"].values()
        for each in operations.values()
        if "requestBody" in each
    ]

    assert [name for name, body in bodies if not body.get("examples")] == []


def test_a_route_cannot_be_declared_without_what_it_gives() -> None:
    api = Api("bare", logger=lambda: None, now=lambda: None)  # type: ignore[arg-type, return-value]

    with pytest.raises(TypeError, match="gives"):
        api.view("GET", "/bare")  # type: ignore[call-arg]


def test_a_path_parameter_that_nobody_explained_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Promise("GET", "/things/{thing}", "get_thing", "Show a thing", gives={})
    monkeypatch.setattr(openapi, "promises", lambda: [strange])

    with pytest.raises(ValueError, match="PATH_PARAMETERS"):
        openapi.document()


HEALTHY = {"status": "ok", "version": "1", "stack": "s", "region": "r", "upload_bucket": "b", "simulated": True}
MISSING = {"type": "urn:pilotlight:problem:not-found", "title": "Not Found", "status": 404, "detail": "No such thing."}


@pytest.mark.parametrize(
    ("path", "status", "kind", "body", "found"),
    [
        ("/health", 200, "json", HEALTHY, None),
        ("/health", 200, "json", {**HEALTHY, "colour": "red"}, "colour"),
        ("/health", 200, "json", {**HEALTHY, "simulated": None}, "simulated"),
        ("/health", 200, "html", HEALTHY, "application/html"),
        ("/health", 201, "json", HEALTHY, "not among"),
        ("/deployments/a", 404, "problem+json", {**MISSING, "code": "not-found"}, None),
        ("/deployments/a", 404, "problem+json", {**MISSING, "code": "name-taken"}, "name-taken"),
        ("/deployments/a/b", 200, "json", {}, "no operation"),
    ],
)
def test_an_answer_that_the_document_does_not_describe_is_found(
    path: str, status: int, kind: str, body: Any, found: str | None
) -> None:
    told = breaks("GET", path, status, {"Content-Type": f"application/{kind}"}, json.dumps(body))

    assert (found is None and told == []) or (found and found in told[0])


def test_an_answer_is_judged_by_the_route_that_gave_it() -> None:
    found = operation_of("GET", "/deployments/a%2Fb/events")

    assert found
    assert found["operationId"] == "list_events"
    assert operation_of("PATCH", "/deployments") is None
