"""How a service says no: each with its own code, status and protocol, and one sentence that all share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core import serialize
from moto.core.errors import ErrorShape
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.s3.exceptions import S3ClientError
from moto.s3.responses import S3Response
from werkzeug.exceptions import HTTPException

from local.authorization.decisions import Decision
from local.seams import replace

_USUALLY = ("AccessDeniedException", 400)
_CODES: Mapping[str, tuple[str, int]] = {
    "bedrock": ("AccessDeniedException", 403),
    "lambda": ("AccessDeniedException", 403),
    "monitoring": ("AccessDenied", 403),
    "s3": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "sqs": ("AccessDenied", 403),
    "sts": ("AccessDenied", 403),
}
_EXPIRED = "The security token included in the request is expired"


def sentence(decision: Decision) -> str:
    """Give the message of a refusal."""
    call = decision.call
    return f"User: {call.caller.arn} is not authorized to perform: {call.action} on resource: {call.resource} " + (
        decision.reason
    )


def refusal(response: BaseResponse, service: str, message: str) -> Exception:
    """Give what a service answers to a call that is not allowed, to be raised inside moto."""
    code, status = _CODES.get(service, _USUALLY)
    return _error(response, code, status, message)


def expired(response: BaseResponse, service: str) -> Exception:
    """Give what a service answers to keys that were good once."""
    code = "ExpiredToken" if _CODES.get(service, _USUALLY)[0] == "AccessDenied" else "ExpiredTokenException"
    return _error(response, code, 400, _EXPIRED)


def install() -> None:
    """Let moto write our errors, which are in no service's model, with the status that each service gives them."""
    replace(serialize, "get_error_model", _modelled)


def _modelled(original: Any) -> Any:
    def get_error_model(error: Exception, service_model: Any) -> Any:
        if not isinstance(error, _RefusedError | _S3RefusedError):
            return original(error, service_model)
        about = {"code": error.code, "httpStatusCode": error.status, "senderFault": True}
        return ErrorShape(error.code, {"type": "structure", "members": {}, "exception": True, "error": about})

    return get_error_model


def _error(response: BaseResponse, code: str, status: int, message: str) -> Exception:
    if isinstance(response, S3Response):
        refused = _S3RefusedError(code, message)
        refused.status = status
        return refused
    error = _RefusedError(code, message)
    error.status = status
    return _Answered(response, error)


class _RefusedError(ServiceException):  # type: ignore[misc]
    """The refusal of any service but S3."""

    status = 400


class _S3RefusedError(S3ClientError):  # type: ignore[misc]
    """S3's refusal, which moto itself makes an answer of."""

    status = 403


class _Answered(HTTPException):
    """An answer that is complete already: moto passes on its body and status, and takes headers from the response."""

    def __init__(self, response: BaseResponse, error: _RefusedError) -> None:
        _, headers, body = response.serialized(ActionResult(error))
        response.response_headers.update(headers)
        super().__init__(description=body.decode() if isinstance(body, bytes) else body)
        self.code = error.status
