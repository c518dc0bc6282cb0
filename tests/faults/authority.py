"""Policies in force in a stack: each function and machine acts as its own role, and every decision is seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from moto.core import serialize
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import BaseResponse
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response

from local import authorization
from local.authorization import Caller, Decision, seam, watching
from tests.faults.replacing import keep, replace
from tests.faults.stack import Stack

_REPLACED_BY_ENFORCING = (
    (ActionAuthenticatorMixin, "_authenticate_and_authorize_action"),
    (FakeBucket, "get_permission"),
    (S3Response, "_bucket_response_delete_keys"),
    (serialize, "get_error_model"),
)


@contextmanager
def enforced(stack: Stack) -> Iterator[list[Decision]]:
    """Let every call be judged while the context lasts, and give a list that grows by each decision."""
    for owner, name in _REPLACED_BY_ENFORCING:
        keep(owner, name)

    def signed_by(original: Any) -> Any:
        def _signer(response: BaseResponse) -> tuple[Caller, str]:
            caller, service = original(response)
            return stack.lambdas.caller or caller, service

        return _signer

    stack.seam.asks_moto = True  # so that it is asked whether the caller may
    with ExitStack() as closing:
        authorization.install(closing)
        replace(seam, "_signer", signed_by)
        yield closing.enter_context(watching())
