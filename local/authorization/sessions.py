"""Keys of those who call: issued for a role or a service, known by their id, and good for twelve hours.

The hours are the wall's, as Lambda's timeouts are: what uses the keys computes, and its time is not scaled.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from moto.sts.models import sts_backends

from local.authorization.callers import ACCOUNT, Caller, Role, Service
from local.identity import ACCOUNT_ID, REGION, Credentials

SESSION_SECONDS = 12 * 3600
_RENEWED_SECONDS_BEFORE = 3600
_LONGEST_NAME = 64


class ExpiredError(Exception):
    """The keys were good once."""


@dataclass(frozen=True)
class Session:
    """Keys, whose they are, and until when (the wall's time)."""

    caller: Caller
    credentials: Credentials
    expires_at: float

    def lasts(self, seconds: float) -> bool:
        """Say whether the keys are still good so many seconds from now."""
        return time.time() + seconds < self.expires_at


class Keyring:
    """Keys that are kept, and renewed in time: for services that call as long as the cloud lives."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: dict[tuple[str, str], Session] = {}

    def of_role(self, role_arn: str, name: str) -> Session:
        """Give good keys of a role."""
        return self._renewed((role_arn, name), of_role)

    def of_service(self, principal: str, source_arn: str) -> Session:
        """Give good keys of a service that acts for a resource."""
        return self._renewed((principal, source_arn), of_service)

    def _renewed(self, who: tuple[str, str], issue: Callable[[str, str], Session]) -> Session:
        with self._guard:
            kept = self._kept.get(who)
            if kept is None or not kept.lasts(_RENEWED_SECONDS_BEFORE):
                kept = self._kept[who] = issue(*who)
            return kept


_sessions: dict[str, Session] = {}


def forget() -> None:
    """Know no keys any more: those of a former cloud are nobody's."""
    _sessions.clear()


def of_role(role_arn: str, name: str) -> Session:
    """Give new keys of a role, issued by moto's STS, so that GetCallerIdentity names it."""
    name = name[:_LONGEST_NAME]
    assumed = sts_backends[ACCOUNT_ID]["aws"].assume_role(REGION, name, role_arn, None, SESSION_SECONDS, None)
    credentials = Credentials(assumed.access_key_id, assumed.secret_access_key, assumed.session_token)
    return _issued(Role(role_arn, name), credentials)


def of_service(principal: str, source_arn: str) -> Session:
    """Give new keys of a service that acts for a resource."""
    credentials = Credentials(f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(40))
    return _issued(Service(principal, source_arn), credentials)


def caller_of(access_key_id: str | None) -> Caller:
    """Give whose keys these are; keys that nobody was given are the account's. Raises: ExpiredError."""
    session = _sessions.get(access_key_id or "")
    if session is None:
        return _assumed(access_key_id or "")
    if not session.lasts(0):
        raise ExpiredError
    return session.caller


def _assumed(access_key_id: str) -> Caller:
    """Give the role behind keys that somebody got from AssumeRole itself."""
    assumed = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key_id)
    return ACCOUNT if assumed is None else Role(assumed.role_arn, assumed.session_name)


def _issued(caller: Caller, credentials: Credentials) -> Session:
    session = Session(caller, credentials, time.time() + SESSION_SECONDS)
    _sessions[credentials.access_key_id] = session
    return session
