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
    BodyCutShort,
    CapacityReached,
    ConcurrentChange,
    KillSwitchOn,
    LeaseEnded,
    PilotlightError,
    PreflightRefused,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    SpendCeilingReached,
    Terminal,
    Throttled,
    Unavailable,
    WakesExhausted,
)
from pilotlight.domain.invocation_request import LONGEST_TIMEOUT_SECONDS, MEDIA_TYPE_PATTERN
from pilotlight.domain.values import NAME_MAX, NAME_PATTERN, Model

CORRELATION_ID_PATTERN = r"^[\w.:-]{1,64}$"
IDEMPOTENCY_KEY_PATTERN = r"^[!-~]{1,200}$"

BINARY_MEDIA_TYPES = (
    "application/octet-stream",
    "application/pdf",
    "application/vnd.apache.parquet",
    "application/x-npy",
    "application/x-recordio-protobuf",
    "application/zip",
    "audio/flac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/x-wav",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "video/mp4",
)
"""Types whose bodies API Gateway hands over byte by byte, as the template tells it: of any other it makes text."""

TEXT_MEDIA_TYPES = ("application/jsonlines", "application/x-ndjson", "application/xml")
"""Types of text beside `text/*` whose bodies go through, in UTF-8."""

FROM_AWS = (Throttled, Unavailable, ConcurrentChange, AccessDenied, Terminal)
"""What every route may refuse with that asks a service for something."""

NOT_MADE = (LeaseEnded, SpendCeilingReached, KillSwitchOn, CapacityReached)
"""Why what costs money by the hour is not made."""

NOT_SPENT = (*NOT_MADE, WakesExhausted)
"""Why a model is not woken."""

NOT_READ = (SourceRefused, SourceNotFound, SourceGated, SourceChanged, BodyCutShort)
"""Why a model cannot be judged."""

NOT_TAKEN = (*NOT_READ, PreflightRefused)
"""Why a model is not taken."""


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
ARTIFACT_ID = Parameter(
    "artifact_id",
    "path",
    "The id of an artifact, as the list shows it.",
    {"type": "string", "pattern": "^a[0-9a-f]{19}$"},
)
PATH_PARAMETERS = {parameter.name: parameter for parameter in (NAME, INVOCATION_ID, ARTIFACT_ID)}

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
RAW_ACCEPT = Parameter(
    "accept",
    "query",
    "Of a body that is not JSON: the type that its answer shall have.",
    {"type": "string", "minLength": 3, "maxLength": 256, "pattern": MEDIA_TYPE_PATTERN},
)
RAW_TIMEOUT = Parameter(
    "timeout_seconds",
    "query",
    "Of a body that is not JSON: how long the container may work on it.",
    {"type": "integer", "minimum": 1, "maximum": LONGEST_TIMEOUT_SECONDS},
)
RAW_WEBHOOK = Parameter(
    "webhook",
    "query",
    "Of a body that is not JSON: whom to tell when it is over.",
    {"type": "string", "format": "uri", "minLength": 9, "maxLength": 2048, "pattern": "^https://[!-~]+$"},
)
OF_RAW_BODIES = (RAW_ACCEPT, RAW_TIMEOUT, RAW_WEBHOOK)
IF_NONE_MATCH = Parameter("If-None-Match", "header", "The `ETag` of the copy at hand.", {"type": "string"})


@dataclass(frozen=True)
class Promise:
    """What one route takes, gives and refuses.

    A body is of the model `takes`, or, where it says so by its type, of whatever `passes` lets through as it is; None
    gives a body of its status no content. A route that takes a body or asks for
    parameters refuses what breaks their rules, and any route may break by itself (500): neither is declared.
    """

    method: str
    path: str
    operation: str
    summary: str
    gives: Mapping[HTTPStatus, type[Model] | None]
    takes: type[BaseModel] | None = None
    passes: bool = False
    asks: tuple[Parameter, ...] = ()
    refuses: tuple[type[PilotlightError], ...] = ()


class OpenApiDocument(Model):
    """The description of the API by itself."""

    model_config = ConfigDict(frozen=True, extra="allow")

    openapi: str = Field(pattern=r"^3\.1\.\d+$")
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
