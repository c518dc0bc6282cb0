"""Writes docs/openapi.json from what the routes promise (`make openapi`), or says that it is stale (`--check`).

The document is made here and not in the Lambda: functions/api carries a copy of it as a file, so that a cold start
pays neither for pydantic's schemas nor for this module.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from pilotlight.domain.errors import InvalidInput, PilotlightError
from pilotlight.http import NotJson
from pilotlight.routes import (
    BINARY_MEDIA_TYPES,
    CORRELATION_ID,
    PATH_PARAMETERS,
    TEXT_MEDIA_TYPES,
    Parameter,
    Promise,
)
from pilotlight.runtime import VERSION

from tools.cloudformation import ROOT
from tools.openapi_schemas import component, examples_of, placeholders, schemas

WRITTEN = (ROOT / "docs/openapi.json", ROOT / "functions/api/openapi.json")
STALE = "docs/openapi.json is stale: run `make openapi` and commit what it writes."
PROBLEM = "application/problem+json"
JSON = "application/json"
DESCRIPTION = (
    "The control plane for your own LLMs. Times are ISO 8601 in UTC; what is not known is left out; errors are problem "
    "details (RFC 9457) with a stable `code`. docs/api.md shows every route by example."
)
# What API Gateway answers by itself, in its own words.
GATEWAY = {
    HTTPStatus.FORBIDDEN: "Not signed, not allowed, or no such route: API Gateway's own answer.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than API Gateway carries.",
    HTTPStatus.TOO_MANY_REQUESTS: "API Gateway's limit of requests per second.",
    HTTPStatus.BAD_GATEWAY: "The function failed without an answer.",
    HTTPStatus.GATEWAY_TIMEOUT: "The function did not answer within 29 seconds.",
}
UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"  # Chalice's own refusal, as pilotlight.http tells it
INTERNAL = "internal"


def promises() -> list[Promise]:
    """Return what every route of functions/api promises, in the order in which they are written."""
    spec = importlib.util.spec_from_file_location("pilotlight_api_as_documented", ROOT / "functions/api/app.py")
    assert spec and spec.loader  # noqa: S101, PT018 (the file exists: it is ours)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.app.promises)


def document() -> dict[str, Any]:
    """Return the whole OpenAPI document."""
    told = promises()
    paths: dict[str, dict[str, Any]] = {}
    for promise in told:
        paths.setdefault(promise.path, {})[promise.method.lower()] = _operation(promise, told)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pilotlight", "version": VERSION, "description": DESCRIPTION},
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/v1",
                "description": "An account; the stack's output ApiUrl.",
                "variables": {"api": {"default": "api"}, "region": {"default": "us-east-1"}},
            },
            {
                "url": "http://127.0.0.1:8000",
                "description": "The embedded cloud (`make up`), which takes unsigned requests.",
            },
        ],
        "security": [{"sigv4": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(told),
            "headers": HEADERS,
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "description": "AWS Signature Version 4 for the service `execute-api`.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def text() -> str:
    """Return the document as it is written."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the document, or compare it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    wanted = text()
    if parser.parse_args().check:
        stale = [path for path in WRITTEN if not path.exists() or path.read_text(encoding="utf-8") != wanted]
        print(STALE if stale else "docs/openapi.json is as the routes promise.")
        return bool(stale)
    for path in WRITTEN:
        path.write_text(wanted, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


# ---- one operation -------------------------------------------------------------------------------------------

HEADERS = {
    "X-Correlation-Id": {"description": "The id of this request.", "schema": {"type": "string"}},
    "X-Pilotlight-Now": {
        "description": "The moment by which the times in the answer are to be read.",
        "schema": {"type": "string", "format": "date-time"},
    },
    "Location": {"description": "Where to ask what became of it.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds of the wall's clock until it is worth asking again.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "ETag": {"description": "The version of the answer.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "How long the answer may be kept.", "schema": {"type": "string"}},
}
EVERY_ANSWER = ("X-Correlation-Id", "X-Pilotlight-Now")


def _operation(promise: Promise, all_promises: list[Promise]) -> dict[str, Any]:
    examples = examples_of(promise)
    operation: dict[str, Any] = {
        "operationId": promise.operation,
        "summary": promise.summary,
        "tags": [promise.path.split("/")[1]],
        "parameters": [_parameter(each, examples) for each in _parameters(promise)],
    }
    if promise.takes:
        content: dict[str, Any] = {"schema": component(promise.takes)}
        if bodies := {case: {"value": example.body} for case, example in examples.items() if example.body}:
            content["examples"] = bodies
        whole = ("text/*", *TEXT_MEDIA_TYPES, *BINARY_MEDIA_TYPES) if promise.passes else ()
        passed: dict[str, Any] = {kind: {} for kind in whole}
        operation["requestBody"] = {"required": True, "content": {JSON: content, **passed}}
    responses = {**_answers(promise, all_promises)}
    for status, content in _refusals(promise):
        responses[str(int(status))] = content
    operation["responses"] = dict(sorted(responses.items()))
    return operation


def _parameters(promise: Promise) -> Iterator[Parameter]:
    for name in placeholders(promise.path):
        if name not in PATH_PARAMETERS:
            raise ValueError(f"{promise.path}: say in pilotlight.routes.PATH_PARAMETERS what {{{name}}} is.")
        yield PATH_PARAMETERS[name]
    yield from promise.asks
    yield CORRELATION_ID


def _parameter(parameter: Parameter, examples: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"name": parameter.name, "in": parameter.place}
    if parameter.place == "path":
        told["required"] = True
    told |= {"description": parameter.about, "schema": dict(parameter.schema)}
    found = (example.parameters.get(parameter.name) for example in examples.values())
    if value := next((value for value in found if value is not None), None):
        told["example"] = value
    return told


def _answers(promise: Promise, all_promises: list[Promise]) -> dict[str, Any]:
    """Return the responses of a route that says yes."""
    answers = {}
    for status, model in promise.gives.items():
        names = [*EVERY_ANSWER]
        if status is HTTPStatus.ACCEPTED:
            names.append("Location")
        if model and "retry_after_seconds" in model.model_fields:
            names.append("Retry-After")
        if any(asked.name == "If-None-Match" for asked in promise.asks):
            names += ["ETag", "Cache-Control"]
        answer: dict[str, Any] = {"description": status.phrase, "headers": _headers(names)}
        if model:
            answer["content"] = {JSON: {"schema": component(model)}}
        if links := _links(promise, status, all_promises):
            answer["links"] = links
        answers[str(int(status))] = answer
    return answers


def _links(promise: Promise, status: HTTPStatus, all_promises: list[Promise]) -> dict[str, Any]:
    """Return what can be asked next with what an answer tells: its name, its id, its next page."""
    model = promise.gives[status]
    fields = model.model_fields if model else {}
    if any(asked.name == "cursor" for asked in promise.asks):
        return {"next_page": {"operationId": promise.operation, "parameters": {"query.cursor": "$response.body#/next"}}}
    if promise.method == "POST" and promise.path == "/deployments":
        following = {"name": "$response.body#/name"}
    elif promise.method == "POST" and "retry_after_seconds" in fields:
        following = {"invocation_id": "$response.body#/id"}
    else:
        return {}
    return {
        each.operation: {"operationId": each.operation, "parameters": following}
        for each in all_promises
        if placeholders(each.path) == list(following)
    }


def _refusals(promise: Promise) -> Iterator[tuple[HTTPStatus, dict[str, Any]]]:
    """Yield the responses of a route that says no: ours as problem details, API Gateway's in its own form."""
    codes: dict[int, dict[str, str]] = {}
    for error in _errors(promise):
        codes.setdefault(error.http_status, {})[error.code] = (error.__doc__ or "").partition("\n")[0]
    if promise.takes:
        codes.setdefault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {})[UNSUPPORTED_MEDIA_TYPE] = (
            "The body is of a type that does not come through."
            if promise.passes
            else "The body is not JSON by its type."
        )
    codes.setdefault(HTTPStatus.INTERNAL_SERVER_ERROR, {})[INTERNAL] = "Our fault; the log knows the correlation id."
    gateway = {
        status: told
        for status, told in GATEWAY.items()
        if promise.takes or status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    }
    for status in sorted({*codes, *gateway}):
        yield HTTPStatus(status), _refusal(codes.get(status, {}), gateway.get(HTTPStatus(status)))


def _errors(promise: Promise) -> Iterator[type[PilotlightError]]:
    yield from promise.refuses
    if promise.takes:
        yield NotJson
    if promise.takes or promise.asks:
        yield InvalidInput


def _refusal(codes: Mapping[str, str], gateway: str | None) -> dict[str, Any]:
    told = [f"`{code}`: {meaning}" for code, meaning in sorted(codes.items())] + ([gateway] if gateway else [])
    answer: dict[str, Any] = {"description": " ".join(told), "content": {}}
    if codes:
        names = [*EVERY_ANSWER[:1], *(["Retry-After"] if "queue-full" in codes else [])]
        answer["headers"] = _headers(names)
        narrowed = {"properties": {"code": {"enum": sorted(codes)}}}
        answer["content"][PROBLEM] = {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}}
    if gateway:
        answer["content"][JSON] = {"schema": {"$ref": "#/components/schemas/GatewayMessage"}}
    return answer


def _headers(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


if __name__ == "__main__":
    sys.exit(main())
