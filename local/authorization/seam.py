"""Every call that reaches moto over HTTP is judged here, before anything happens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import BaseResponse
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response

from local.authorization import refusals, requests, s3_requests, sessions
from local.authorization.callers import Account, Caller
from local.authorization.calls import Call
from local.authorization.judge import RefusedError, enforce, is_enforced, may, require
from local.seams import replace

_SIGNED = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
_EVERYBODY = frozenset({"sts:GetCallerIdentity"})  # needs no permission, and none can forbid it
_UNKNOWN = "The embedded cloud does not know what {} needs: say so in local/authorization/requests.py."

_deleting: ContextVar[Caller | None] = ContextVar("deleting", default=None)


def install(closing: ExitStack) -> None:
    """Judge every call from now on, until `closing` ends it; keys of former clouds are forgotten."""
    sessions.forget()
    enforce(True)
    closing.callback(enforce, False)
    refusals.install()
    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", lambda _: _authorize)
    replace(FakeBucket, "get_permission", _judging)
    replace(S3Response, "_bucket_response_delete_keys", _each_by_itself)


def _authorize(response: BaseResponse, _: type, resource: str = "*") -> None:
    """Stand in for moto's check, which knows neither resources nor conditions."""
    if not is_enforced():
        return
    caller, service = _signer(response)
    if isinstance(caller, Account) and service != "s3":
        return
    try:
        for call in _calls(response, caller, service, resource):
            require(call)
    except RefusedError as exc:
        raise refusals.refusal(response, service, str(exc)) from exc
    except requests.UnknownRequestError as exc:
        if not isinstance(caller, Account):
            raise refusals.refusal(response, service, _UNKNOWN.format(exc)) from exc


def _signer(response: BaseResponse) -> tuple[Caller, str]:
    signed = _SIGNED.search(response.headers.get("Authorization") or unquote(response.uri))
    service = signed[2] if signed else "s3" if isinstance(response, S3Response) else ""
    try:
        return sessions.caller_of(signed[1] if signed else None), service
    except sessions.ExpiredError as exc:
        raise refusals.expired(response, service) from exc


def _calls(response: BaseResponse, caller: Caller, service: str, resource: str) -> Iterator[Call]:
    if isinstance(response, S3Response):
        needed = s3_requests.needed_by(response, resource)
    else:
        path, headers = unquote(response.parsed_url.path), response.headers
        asked = requests.Asked(service, response._get_action(), path, _told(response), headers)
        if f"{service}:{asked.action}" in _EVERYBODY:
            return
        needed = requests.needed_by(asked)
    for action, target, facts in needed:
        yield Call.of(caller, action, target, facts)


def _told(response: BaseResponse) -> dict[str, Any]:
    """Give a request's members: of its JSON, or of its form where the protocol is older."""
    body = response.raw_body
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    if text.startswith("{"):
        with suppress(ValueError):  # a body that a model shall read may begin like JSON
            return dict(json.loads(text))
    return {name: values[0] for name, values in response.querystring.items() if isinstance(values, list)}


def _judging(original: Any) -> Any:
    """moto reads bucket policies without their conditions; ours has judged a call by the time that it is asked.

    Only the keys of a DeleteObjects are still to be judged, one by one.
    """

    def get_permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
        if not is_enforced():
            return original(bucket, action, resource)
        caller = _deleting.get()
        return PermissionResult.NEUTRAL if caller is None or may(caller, action, resource) else PermissionResult.DENIED

    return get_permission


def _each_by_itself(original: Any) -> Any:
    """DeleteObjects deletes what it may and reports the rest."""

    def _bucket_response_delete_keys(response: S3Response, bucket_name: str, authenticated: bool = True) -> Any:
        caller, _ = _signer(response)
        token = _deleting.set(caller)
        try:
            return original(response, bucket_name, authenticated)
        finally:
            _deleting.reset(token)

    return _bucket_response_delete_keys
