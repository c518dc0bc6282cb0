"""Telling somebody's server that an invocation is over: where to, how it is signed, and how often it is tried.

The signature is that of the body at a moment: whoever checks it should refuse moments that are long ago.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from pilotlight.domain.values import Model, Moment, backoff

SIGNATURE_HEADER = "Pilotlight-Signature"
ADDRESS_PATTERN = r"^[!-~]+$"
HTTPS_PORT = 443
FIRST_UNRESERVED_PORT = 1024
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(hours=1)
MOST_ATTEMPTS = 14
"""Over five hours: after 10, 20, 40 s … an hour. The queue's `maxReceiveCount` is the same number."""

NOT_OVER_SECONDS = 5  # until a notice that came before the end of its invocation comes again


def _an_address_that_may_be_called(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port or HTTPS_PORT
    except ValueError as exc:
        raise ValueError("write a whole address: https://example.com/hooks") from exc
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("write an https address: what is sent tells what a model said")
    if parts.username is not None or parts.password is not None:
        raise ValueError("write no name or password into the address: it is signed, and that is what proves it ours")
    if parts.fragment:
        raise ValueError("write no fragment (#…): it is never sent")
    if port != HTTPS_PORT and port < FIRST_UNRESERVED_PORT:
        raise ValueError("its port must be 443, or above 1023")
    return text


WebhookUrl = Annotated[
    str,
    StringConstraints(min_length=9, max_length=2048, pattern=ADDRESS_PATTERN),
    AfterValidator(_an_address_that_may_be_called),
    Field(json_schema_extra={"pattern": "^https://[!-~]+$"}),
]


class WebhookStatus(StrEnum):
    """Whether somebody's server has been told."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(Model):
    """What became of telling somebody's server; its address lies with the request, and not here."""

    status: WebhookStatus = WebhookStatus.PENDING
    attempts: int = 0
    reason: str | None = None
    at: Moment | None = None

    def delivered(self, now: datetime, attempts: int) -> "Webhook":
        """Return it as told."""
        return Webhook(status=WebhookStatus.DELIVERED, attempts=attempts, at=now)

    def failed(self, now: datetime, attempts: int, reason: str, *, final: bool) -> "Webhook":
        """Return it after an attempt that failed, for good or until the next one."""
        status = WebhookStatus.FAILED if final else WebhookStatus.PENDING
        return Webhook(status=status, attempts=attempts, reason=reason, at=now)


def signature(secret: str, body: bytes, at: datetime) -> str:
    """Return the value of the header that proves a body ours: HMAC-SHA256 over the moment, a full stop and the body."""
    moment = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def retry_seconds(attempts: int) -> int:
    """Return how long to wait after so many attempts."""
    return int(backoff(attempts, FIRST_RETRY, LONGEST_RETRY).total_seconds())


def is_accepted(status: int) -> bool:
    """Say whether an answer takes a notice: any 2xx. A redirect is not followed, and takes nothing."""
    return 200 <= status < 300


def is_refused_for_good(status: int) -> bool:
    """Say whether an answer asks never to be called again: 410 Gone."""
    return status == 410
