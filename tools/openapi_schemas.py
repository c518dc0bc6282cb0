"""The schemas and examples of docs/openapi.json: from the contracts, and from events/."""

import json
import re
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from pilotlight.routes import Promise
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from tools.cloudformation import ROOT

REF = "#/components/schemas/{model}"

PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457), and what a program may want to know beside them.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:pilotlight:problem:[a-z-]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "pattern": "^[a-z-]+$", "description": "Stable; docs/operations.md explains each."},
        "detail": {"type": "string", "description": "A sentence for a person."},
        "retry_after_seconds": {"type": "number"},
        "errors": {
            "type": "array",
            "description": "Which field broke which rule, and what to write instead.",
            "items": {
                "type": "object",
                "required": ["field", "rule", "message"],
                "properties": {name: {"type": "string"} for name in ("field", "rule", "message")},
            },
        },
    },
}
GATEWAY_MESSAGE = {
    "type": "object",
    "description": "API Gateway's own words.",
    "required": ["message"],
    "properties": {"message": {"type": ["string", "null"]}},
}


class AsSent(GenerateJsonSchema):
    """Schemas as our bodies are: what we give never holds null, and always what is not optional."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """Return the schema of an optional value: what we send leaves it out instead."""
        if self.mode == "serialization":
            return self.generate_inner(schema["schema"])
        return super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """Return the schema of a value with a default; that of a value left out is told by leaving it out."""
        told = super().default_schema(schema)
        default = told.pop("default", None)
        if default is not None and self.mode == "validation":
            told["default"] = _without_null(default)
        return told

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        """Return whether a field is always there: in what we send, everything that is not optional."""
        if self.mode == "validation":
            return super().field_is_required(field, total)
        inner: Any = field["schema"]
        while inner["type"] == "default":
            inner = inner["schema"]
        return bool(inner["type"] not in ("nullable", "any"))

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (pydantic's own method)
        """Return False: a title that repeats the field's name tells nobody anything."""
        return False


def schemas(promises: list[Promise]) -> dict[str, Any]:
    """Return every schema that the routes speak of, by its name."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    for promise in promises:
        if promise.takes:
            wanted.append((promise.takes, "validation"))
        wanted += [(model, "serialization") for model in promise.gives.values() if model]
    _, told = models_json_schema(list(dict.fromkeys(wanted)), schema_generator=AsSent, ref_template=REF)
    return {**dict(sorted(told["$defs"].items())), "Problem": PROBLEM, "GatewayMessage": GATEWAY_MESSAGE}


def component(model: type[BaseModel]) -> dict[str, str]:
    """Return the reference to a model's schema; no model is both taken and given."""
    return {"$ref": REF.format(model=model.__name__)}


def _without_null(default: Any) -> Any:
    return (
        {name: value for name, value in default.items() if value is not None} if isinstance(default, dict) else default
    )


@dataclass(frozen=True)
class Example:
    """One request of events/api that keeps the rules of its route."""

    body: Any
    parameters: dict[str, Any]


def examples_of(promise: Promise) -> dict[str, Example]:
    """Return the examples of a route by their names; those of broken rules are for tests."""
    found = {}
    for path in sorted((ROOT / "events/api").glob("*.json")):
        event = json.loads(path.read_text(encoding="utf-8"))
        if (event["httpMethod"], event["resource"]) != (promise.method, promise.path):
            continue
        body = None
        if promise.takes:
            try:
                body = json.loads(event["body"])
                promise.takes.model_validate(body)
            except (ValueError, ValidationError):
                continue
        told = _values({**(event["queryStringParameters"] or {}), **event["headers"]}, promise)
        if told is not None:
            found[path.stem] = Example(body, {**(event["pathParameters"] or {}), **told})
    return found


def _values(told: dict[str, str], promise: Promise) -> dict[str, Any] | None:
    """Return the parameters that a request gave, as values of their types; None where one breaks its rule."""
    values: dict[str, Any] = {}
    for asked in promise.asks:
        if asked.name not in told:
            continue
        text = told[asked.name]
        value: Any = int(text) if asked.schema["type"] == "integer" and text.isdigit() else text
        if not Draft202012Validator(dict(asked.schema)).is_valid(value):
            return None
        values[asked.name] = value
    return values


def placeholders(path: str) -> list[str]:
    """Return the names of a path's parameters."""
    return re.findall(r"{(\w+)}", path)
