"""Secrets: the hubs' tokens, from the environment on a laptop or from Secrets Manager; that of webhooks, from there."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.errors import Terminal

FIRST_TOKEN = "token"  # noqa: S105 - the name that a token has in the secret
MODELSCOPE_TOKEN = "modelscope_token"  # noqa: S105 - likewise
KEPT = timedelta(minutes=1)  # whoever is told to set the token, and does, tries again at once


class HubToken:
    """Gives the token, read again after a minute; None where there is none. It is in no repr, log or error.

    The secret is JSON, the token under `name`; a secret that is none is the token of the first of the hubs.
    """

    def __init__(
        self,
        *,
        local: str | None,
        secret_arn: str | None,
        client: Any,
        now: Callable[[], datetime],
        name: str = FIRST_TOKEN,
    ) -> None:
        self._local = local
        self._secret_arn = secret_arn
        self._client = client
        self._now = now
        self._name = name
        self._read: str | None = None
        self._read_at: datetime | None = None

    def __call__(self) -> str | None:
        """Return the token, or None."""
        if self._local:
            return self._local
        now = self._now()
        if self._secret_arn and (self._read_at is None or now - self._read_at >= KEPT):
            self._read, self._read_at = self._from_secret(), now
        return self._read or None

    def _from_secret(self) -> str:
        """Return what is under the name; the template makes an empty secret, to be filled, which is no token."""
        with translated("reading the hub's token"):
            try:
                text = str(self._client().get_secret_value(SecretId=self._secret_arn).get("SecretString", ""))
            except ClientError as exc:
                if code_of(exc) == "ResourceNotFoundException":
                    return ""
                raise
        try:
            told = json.loads(text)
        except ValueError:
            return text.strip() if self._name == FIRST_TOKEN else ""
        return str(told.get(self._name, "")) if isinstance(told, dict) else ""


class SigningSecret:
    """Implements `ports.WebhookSecret`: the stack's own, made with it; read again after a minute."""

    def __init__(self, *, secret_arn: str, client: Any, now: Callable[[], datetime]) -> None:
        self._secret_arn = secret_arn
        self._client = client
        self._now = now
        self._read = ""
        self._read_at: datetime | None = None

    def __call__(self) -> str:
        """Return the secret: what is under `secret` where it is JSON. Raises: Terminal where there is none."""
        now = self._now()
        if self._read_at is None or now - self._read_at >= KEPT:
            with translated("reading the secret of webhooks"):
                text = str(self._client().get_secret_value(SecretId=self._secret_arn).get("SecretString", ""))
            self._read, self._read_at = _under("secret", text), now
        if not self._read:
            raise Terminal("The secret with which webhooks are signed is empty; put a random one into it.")
        return self._read


def _under(name: str, text: str) -> str:
    try:
        told = json.loads(text)
    except ValueError:
        return text.strip()
    if not isinstance(told, dict):
        return text.strip()
    found = told.get(name)
    return found if isinstance(found, str) else ""
