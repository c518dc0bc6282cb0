"""A notice is signed so that its receiver can prove it, and is tried for hours, ever more seldom."""

import hashlib
import hmac
from datetime import timedelta

import pytest
from pilotlight.domain.webhook import (
    MOST_ATTEMPTS,
    Webhook,
    WebhookStatus,
    is_accepted,
    is_refused_for_good,
    retry_seconds,
    signature,
)

from tests.factories import NOON


def test_a_receiver_proves_a_notice_with_the_secret_alone():
    body = b'{"id": "i-1"}'

    told = dict(part.split("=") for part in signature("a secret", body, NOON).split(","))

    expected = hmac.new(b"a secret", told["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert told == {"t": str(int(NOON.timestamp())), "v1": expected}


@pytest.mark.parametrize(
    ("secret", "body", "at"),
    [
        ("another", b"body", NOON),
        ("a secret", b"body.", NOON),
        ("a secret", b"body", NOON + timedelta(seconds=1)),
    ],
)
def test_another_secret_body_or_moment_has_another_signature(secret, body, at):
    assert signature(secret, body, at) != signature("a secret", b"body", NOON)


def test_it_is_tried_for_hours_ever_more_seldom():
    waits = [retry_seconds(attempts) for attempts in range(1, MOST_ATTEMPTS)]

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (10, 3600)
    assert timedelta(hours=5) < timedelta(seconds=sum(waits)) < timedelta(hours=12)


@pytest.mark.parametrize(
    ("status", "accepted", "for_good"),
    [
        (200, True, False),
        (204, True, False),
        (301, False, False),
        (404, False, False),
        (410, False, True),
        (500, False, False),
    ],
)
def test_only_a_success_takes_a_notice_and_only_gone_refuses_it_for_good(status, accepted, for_good):
    assert (is_accepted(status), is_refused_for_good(status)) == (accepted, for_good)


def test_what_became_of_it_is_kept_without_its_address():
    pending = Webhook().failed(NOON, 1, "it was answered with status 500", final=False)
    given_up = pending.failed(NOON, 14, "it was answered with status 500", final=True)

    assert (pending.status, given_up.status) == (WebhookStatus.PENDING, WebhookStatus.FAILED)
    assert pending.delivered(NOON, 2).dump() == {"status": "delivered", "attempts": 2, "at": "2026-11-20T12:00:00Z"}
