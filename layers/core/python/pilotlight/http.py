"""The API's edge: what comes in is parsed, what goes wrong leaves as problem details (RFC 9457).

Chalice answers its own errors as `{"Code", "Message"}` and would log what pydantic found, with the input in it: a
prompt. So every view is wrapped here, and what Chalice refuses by itself is rewritten on its way out.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from chalice.app import Chalice, Response
from pydantic import BaseModel, Field, ValidationError

from pilotlight.domain.broken_rules import broken_rules
from pilotlight.domain.container_answers import media_type
from pilotlight.domain.errors import InvalidInput, PilotlightError
from pilotlight.domain.invocation_request import JSON
from pilotlight.domain.values import Model
from pilotlight.routes import (
    BINARY_MEDIA_TYPES,
    CORRELATION_ID,
    CORRELATION_ID_PATTERN,
    IDEMPOTENCY_KEY_PATTERN,
    TEXT_MEDIA_TYPES,
    Parameter,
    Promise,
)

PROBLEM_TYPE = "application/problem+json"
OUR_NAMES = {"status": "deployment_status", "code": "cause_code", "detail": "more", "type": "kind"}
"""What details are called where problem details (RFC 9457) have a meaning of their own for the name."""

CORRELATION_HEADER = CORRELATION_ID.name
NOW_HEADER = "X-Pilotlight-Now"  # by which our moments are to be read: the embedded cloud's clock may run fast
MOST_TOLD = 5  # rules in the sentence; `errors` has them all
LARGEST_BODY_BYTES = 6_000_000  # Source: AWS Lambda quotas, 6 MB for the whole event of a synchronous invocation
_CORRELATION_ID = re.compile(CORRELATION_ID_PATTERN, re.ASCII)
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)

Body = TypeVar("Body", bound=BaseModel)
View = Callable[..., Response]


class UnsupportedMediaType(InvalidInput):
    """The body is of a type that does not come through."""

    code = "unsupported-media-type"
    http_status = 415


class RawBody(Model):
    """A body as it came, and what it says that it is."""

    content_type: str
    data: bytes = Field(repr=False)


class NotJson(InvalidInput):
    """The body is not JSON."""

    code = "not-json"
    http_status = 400


def answer(body: Model, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    """Return a model as a JSON response; a header's underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        json.dumps(body.dump(), ensure_ascii=False), {"Content-Type": "application/json", **named}, int(status)
    )


def problem(status: int, code: str, detail: str, **members: Any) -> Response:
    """Return problem details: a stable code, a sentence, and what a program may want to know."""
    body = {
        "type": f"urn:pilotlight:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }
    headers = {"Content-Type": PROBLEM_TYPE}
    if "retry_after_seconds" in members:
        headers["Retry-After"] = str(members["retry_after_seconds"])
    return Response(json.dumps(body, default=str, ensure_ascii=False), headers, status)


def problem_of(error: PilotlightError) -> Response:
    """Return the problem details of one of our errors."""
    members = {OUR_NAMES.get(key, key): value for key, value in error.detail.items()}
    if isinstance(error, InvalidInput):
        told = {
            "field": error.detail.get("field", "body"),
            "rule": error.detail.get("rule", ""),
            "message": error.message,
        }
        members["errors"] = [told]
    return problem(error.http_status, error.code, error.message, **members)


def problem_of_validation(error: ValidationError) -> Response:
    """Return what broke which rule, field by field, and what to write instead."""
    broken = broken_rules(error)
    places = "one place" if len(broken) == 1 else f"{len(broken)} places"
    more = f"; and {len(broken) - MOST_TOLD} more" if len(broken) > MOST_TOLD else ""
    told = "; ".join(map(str, broken[:MOST_TOLD]))
    return problem(
        422,
        "invalid-input",
        f"The request is wrong in {places}: {told}{more}.",
        errors=[each.model_dump() for each in broken],
    )


def parse(model: type[Body], raw: bytes | str | None) -> Body:
    """Return a request's body as its model; an empty body counts as `{}`.

    Raises: NotJson; pydantic's ValidationError.
    """
    text = raw or b"{}"
    if len(text) > LARGEST_BODY_BYTES:
        raise InvalidInput(f"The body is larger than {LARGEST_BODY_BYTES:,} bytes.", field="body", rule="at most 6 MB")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise NotJson("The body is not JSON.", field="body", rule="JSON") from exc
    return model.model_validate(told)


def raw_body(content_type: str, data: bytes | str | None) -> RawBody:
    """Return a body as it came, of a type that comes whole. Raises: UnsupportedMediaType; InvalidInput."""
    kind = media_type(content_type)
    if not (kind.startswith("text/") or kind in TEXT_MEDIA_TYPES or kind in BINARY_MEDIA_TYPES):
        raise UnsupportedMediaType(
            f"Bodies of the type {kind[:100]!r} do not come through API Gateway whole. Send it as "
            "application/octet-stream, or upload it to the address that POST /deployments/{name}/inputs gives.",
            supported=["application/json", "text/*", *TEXT_MEDIA_TYPES, *BINARY_MEDIA_TYPES],
        )
    content = data.encode() if isinstance(data, str) else data or b""
    if len(content) > LARGEST_BODY_BYTES:
        raise InvalidInput(f"The body is larger than {LARGEST_BODY_BYTES:,} bytes.", field="body", rule="at most 6 MB")
    return RawBody(content_type=content_type, data=content)


def correlation_id_of(headers: Mapping[str, str] | None, fallback: str) -> str:
    """Return the id that the caller gave, where it is one, or the request's own."""
    given = (headers or {}).get(CORRELATION_HEADER.lower(), "")
    return given if _CORRELATION_ID.fullmatch(given) else fallback


def idempotency_key_of(headers: Mapping[str, str] | None, identity: Mapping[str, Any] | None) -> str | None:
    """Return the key that makes a request unique, or None without one: a caller's key is nobody else's.

    The caller is who signed the request; in the embedded cloud nobody does.
    Raises: InvalidInput for a key that is not 1 to 200 visible ASCII characters.
    """
    given = (headers or {}).get("idempotency-key")
    if given is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        rule = "1 to 200 visible ASCII characters"
        raise InvalidInput(f"The Idempotency-Key must have {rule}.", field="Idempotency-Key", rule=rule)
    signed = identity or {}
    return f"{signed.get('userArn') or signed.get('accountId') or 'local'} {given}"


class Api(Chalice):  # type: ignore[misc]
    """A Chalice application whose every error is problem details, and whose every answer tells its correlation id."""

    def __init__(self, name: str, logger: Callable[[], Logger], now: Callable[[], datetime]) -> None:
        super().__init__(app_name=name, configure_logs=False)
        self._logger = logger
        self._now = now
        self.promises: list[Promise] = []

    @property
    def correlation_id(self) -> str:
        """The correlation id of the request at hand."""
        request = self.current_request
        return correlation_id_of(request.headers, request.context.get("requestId", ""))

    @property
    def idempotency_key(self) -> str | None:
        """The key of the request at hand, told apart by caller. Raises: InvalidInput."""
        request = self.current_request
        return idempotency_key_of(request.headers, request.context.get("identity"))

    @property
    def caller(self) -> str | None:
        """Who signed this request; None in the embedded cloud, where nobody does."""
        signed = self.current_request.context.get("identity") or {}
        return signed.get("userArn") or signed.get("accountId")

    def located(self, path: str) -> str:
        """Return a path of this API as its callers must write it: below the stage, where there is one."""
        event = self.current_request.to_original_event()
        called = str(self.current_request.context.get("path", ""))
        return called.removesuffix(str(event.get("path", ""))) + path if called else path

    def view(
        self,
        method: str,
        path: str,
        *,
        gives: Mapping[HTTPStatus, type[Model] | None],
        takes: type[BaseModel] | None = None,
        passes: bool = False,
        asks: tuple[Parameter, ...] = (),
        refuses: tuple[type[PilotlightError], ...] = (),
    ) -> Callable[[View], View]:
        """Return the decorator of the view of one route, with what the route promises (see `Promise`).

        A view whose route takes a body gets it parsed, as `wanted`; one that passes bodies gets a `RawBody` instead
        where the type is not JSON's.
        """

        def decorate(view: View) -> View:
            summary = (view.__doc__ or "").partition("\n")[0].rstrip(".")
            promise = Promise(method, path, view.__name__, summary, gives, takes, passes, asks, refuses)
            self.promises.append(promise)

            @wraps(view)
            def guarded(**given: Any) -> Response:
                response = self._guarded(view, promise, given)
                response.headers[CORRELATION_HEADER] = self.correlation_id
                response.headers[NOW_HEADER] = self._now().isoformat()
                return response

            # What comes with a request that takes no body is not looked at, whatever it calls itself.
            only_json = ["application/json"] if takes and not passes else []
            self.route(path, methods=[method], content_types=only_json)(guarded)
            return guarded

        return decorate

    def _guarded(self, view: View, promise: Promise, given: dict[str, Any]) -> Response:
        logger = self._logger()
        logger.append_keys(correlation_id=self.correlation_id)
        try:
            request = self.current_request
            kind = media_type(request.headers.get("content-type", JSON))
            if promise.takes and (kind == JSON or not promise.passes):
                given["wanted"] = parse(promise.takes, request.raw_body)
            elif promise.takes:
                given["wanted"] = raw_body(request.headers["content-type"], request.raw_body)
            return view(**given)
        except ValidationError as exc:
            return problem_of_validation(exc)
        except PilotlightError as exc:
            told = logger.error if exc.http_status == HTTPStatus.INTERNAL_SERVER_ERROR else logger.info
            told("a request was refused", extra={"code": exc.code, "http_status": exc.http_status})
            return problem_of(exc)
        except Exception as exc:  # noqa: BLE001 (the API's edge: a caller gets an answer, and no traceback)
            logger.error("a request failed", extra={"error": type(exc).__name__})  # noqa: TRY400 (its text may hold a prompt)
            return problem(500, "internal", "Something went wrong on our side; the log knows this correlation id.")

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event of API Gateway."""
        response: dict[str, Any] = super().__call__(event, context)
        return _rewritten(response, self.correlation_id)


def _rewritten(response: dict[str, Any], correlation_id: str) -> dict[str, Any]:
    """Return a response with Chalice's own errors told as problem details."""
    if response["statusCode"] < HTTPStatus.BAD_REQUEST:
        return response
    headers = {**response.get("headers", {}), **{k: v[-1] for k, v in response.get("multiValueHeaders", {}).items()}}
    if headers.get("Content-Type") == PROBLEM_TYPE:
        return response
    try:
        told = json.loads(response["body"])
    except (ValueError, TypeError):
        told = {}
    code = re.sub(r"(?<!^)(?=[A-Z])", "-", str(told.get("Code", "refused")).removesuffix("Error")).lower()
    rewritten = problem(response["statusCode"], code, str(told.get("Message", "The request was refused.")))
    told_headers = {**rewritten.headers, CORRELATION_HEADER: correlation_id}
    return {**response, "body": rewritten.body, "headers": told_headers, "multiValueHeaders": {}}
