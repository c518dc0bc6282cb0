"""What a route takes, gives and refuses: declared beside it in functions/api, told by docs/openapi.json.

A declaration costs a Lambda nothing but these few values: schemas are made from it when the document is written
(`make openapi`), never when a function starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pilotlight.contracts import LARGEST_PAGE, PAGE
from pilotlight.domain.errors import (
    AccessDenied,
    ConcurrentChange,
    PilotlightError,
    Terminal,
    Throttled,
    Unavailable,
)
from pilotlight.domain.values import NAME_MAX, NAME_PATTERN, Model

CORRELATION_ID_PATTERN = r"^[\w.:-]{1,64}$"
IDEMPOTENCY_KEY_PATTERN = r"^[!-~]{1,200}$"

FROM_AWS = (Throttled, Unavailable, ConcurrentChange, AccessDenied, Terminal)
"""What every route may refuse with that asks a service for something."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a route: where it stands, what it means, and its JSON schema."""

    name: str
    place: Literal["path", "query", "header"]
    about: str
    schema: Mapping[str, Any]


NAME = Parameter(
    "name", "path", "A deployment's name.", {"type": "string", "pattern": NAME_PATTERN, "maxLength": NAME_MAX}
)
INVOCATION_ID = Parameter(
    "invocation_id",
    "path",
    "The id that an invocation was answered with.",
    {"type": "string", "pattern": "^[0-9a-z]{26}$"},
)
PATH_PARAMETERS = {parameter.name: parameter for parameter in (NAME, INVOCATION_ID)}

CURSOR = Parameter("cursor", "query", "`next` of the page before.", {"type": "string"})
LIMIT = Parameter(
    "limit",
    "query",
    "How many items a page has at most.",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE},
)
PAGES = (CURSOR, LIMIT)

CORRELATION_ID = Parameter(
    "X-Correlation-Id",
    "header",
    "Up to 64 letters, digits, `_ . : -`, taken over into records, logs and the backend's call. Without it, or with "
    "another one, the request's own id is.",
    {"type": "string"},
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same key and body give the same answer, and start nothing twice. A key is its caller's own.",
    {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN},
)
PREFER = Parameter(
    "Prefer",
    "header",
    "`wait=20` holds the request up to so many seconds (25 at most) for its answer (RFC 7240); others are ignored.",
    {"type": "string"},
)
IF_NONE_MATCH = Parameter("If-None-Match", "header", "The `ETag` of the copy at hand.", {"type": "string"})


@dataclass(frozen=True)
class Promise:
    """What one route takes, gives and refuses.

    A body is of the model `takes`; None gives a body of its status no content. A route that takes a body or asks for
    parameters refuses what breaks their rules, and any route may break by itself (500): neither is declared.
    """

    method: str
    path: str
    operation: str
    summary: str
    gives: Mapping[HTTPStatus, type[Model] | None]
    takes: type[BaseModel] | None = None
    asks: tuple[Parameter, ...] = ()
    refuses: tuple[type[PilotlightError], ...] = ()


class OpenApiDocument(Model):
    """The description of the API by itself."""

    model_config = ConfigDict(frozen=True, extra="allow")

    openapi: str = Field(pattern=r"^3\.1\.\d+$")
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
