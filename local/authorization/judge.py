"""The one who is asked: may this caller do that? Every answer can be watched, and every refusal is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import ClassVar

from local.authorization import sources
from local.authorization.callers import Caller
from local.authorization.calls import Call, Facts
from local.authorization.decisions import Decision, decide
from local.authorization.encryption import uses_of_keys
from local.authorization.refusals import sentence

_SECONDS_BETWEEN_REPEATS = 10.0
_LOG = logging.getLogger(__name__)
_watchers: list[Callable[[Decision], None]] = []


class RefusedError(PermissionError):
    """A caller may not do what it asked for."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(sentence(decision))
        self.decision = decision


class _Law:
    """Whether policies hold at all, and when each refusal was last told of."""

    in_force = False
    told: ClassVar[dict[tuple[str, str, str], float]] = {}


def enforce(in_force: bool) -> None:
    """Let policies hold from now on, or no longer: a moto without a cloud around it asks nobody."""
    _Law.in_force = in_force
    _Law.told.clear()


def is_enforced() -> bool:
    """Say whether policies hold."""
    return _Law.in_force


def require(call: Call) -> None:
    """Return if a call is allowed, with what it does with KMS keys. Raises: RefusedError, logged already."""
    if not _Law.in_force:
        return
    for each in (call, *uses_of_keys(call)):
        decision = decide(each, sources.of_caller(each.caller), sources.of_resource(each))
        for watch in list(_watchers):
            watch(decision)
        if not decision.allowed:
            _tell(decision)
            raise RefusedError(decision)


def may(caller: Caller, action: str, resource: str, facts: Facts | None = None) -> bool:
    """Say whether a caller may do something."""
    try:
        require(Call.of(caller, action, resource, facts))
    except RefusedError:
        return False
    return True


@contextmanager
def watching() -> Iterator[list[Decision]]:
    """Give a list that grows by every decision while the context lasts."""
    seen: list[Decision] = []
    _watchers.append(seen.append)
    try:
        yield seen
    finally:
        _watchers.remove(seen.append)


def _tell(decision: Decision) -> None:
    """Log a refusal; one that is repeated all the time, as by a poller, only now and then."""
    call = decision.call
    what = (call.caller.name, call.action, call.resource)
    if monotonic() > _Law.told.get(what, 0.0):
        _Law.told[what] = monotonic() + _SECONDS_BETWEEN_REPEATS
        _LOG.warning("Refused: %s may not %s on %s: %s", *what, decision.reason)
