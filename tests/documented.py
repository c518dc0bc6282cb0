"""docs/openapi.json as a judge: does an answer keep what the document says of its route?

The document leaves objects open, because a newer API may give more; here they are closed, so that a field that
nobody told of is found.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tools.cloudformation import ROOT

DOCUMENT = ROOT / "docs/openapi.json"
OPEN = {"Problem", "GatewayMessage", "OpenApiDocument"}
"""What may hold members that no schema names."""


@cache
def document() -> dict[str, Any]:
    """Return the document with closed objects: not to be changed."""
    told = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    for name, schema in told["components"]["schemas"].items():
        if schema.get("type") == "object" and "properties" in schema and name not in OPEN:
            schema.setdefault("additionalProperties", False)
    return dict(told)


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation that answers a request, or None where the document has no such route."""
    for template, operations in document()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if method.lower() in operations and re.fullmatch(f"{pattern}/?", path):
            return dict(operations[method.lower()])
    return None


def breaks(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | str) -> list[str]:
    """Return what of an answer the document does not know; nothing for an answer that it describes."""
    operation = operation_of(method, path)
    if operation is None:
        return [] if status == 403 else [f"no operation for {method} {path}, which answered {status}"]
    return [f"{operation['operationId']} {status}: {found}" for found in _breaks(operation, status, headers, body)]


def _breaks(operation: dict[str, Any], status: int, headers: Mapping[str, str], body: bytes | str) -> Iterator[str]:
    response = operation["responses"].get(str(status))
    if response is None:
        yield f"not among {sorted(operation['responses'])}"
        return
    found = {name.lower(): value for name, value in headers.items()}
    content = response.get("content", {})
    if not content:
        if body:
            yield "it has no content"
        return
    media_type = found.get("content-type", "").partition(";")[0]
    if media_type not in content:
        yield f"{media_type!r} is not among {sorted(content)}"
        return
    for error in validator(json.dumps(content[media_type]["schema"], sort_keys=True)).iter_errors(json.loads(body)):
        yield f"{error.json_path}: {error.message[:300]}"


@cache
def validator(schema: str) -> Draft202012Validator:
    """Return the judge of one schema of the document, given as JSON."""
    whole = {**json.loads(schema), "components": copy.deepcopy(document()["components"])}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
