"""Whether a call is allowed, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local.authorization.callers import Account, Role
from local.authorization.calls import Call
from local.authorization.policies import Effect, Named, Policy


@dataclass(frozen=True)
class Decision:
    """What became of a call; `reason` completes "because …" where it was refused."""

    call: Call
    allowed: bool
    reason: str = ""


def decide(call: Call, identity: Iterable[Policy], resource: Policy | None) -> Decision:
    """Decide by the policies of the caller's role and by the policy of the resource, if it has one."""
    own = [statement for policy in identity for statement in policy if statement.speaks_of(call)]
    theirs = [(each.names(call.caller), each) for each in resource or () if each.speaks_of(call)]
    if any(each.effect is Effect.DENY for each in own):
        return Decision(call, False, "with an explicit deny in an identity-based policy")
    if any(each.effect is Effect.DENY and named is not Named.NOT for named, each in theirs):
        return Decision(call, False, "with an explicit deny in a resource-based policy")
    by_identity = bool(own) or isinstance(call.caller, Account)
    named = {named for named, each in theirs if each.effect is Effect.ALLOW}
    if call.action.startswith("kms:"):
        return _of_a_key(call, by_identity, named)
    if by_identity or Named.ITSELF in named:
        return Decision(call, True)
    kind = "identity" if isinstance(call.caller, Role) else "resource"
    return Decision(call, False, f"because no {kind}-based policy allows the {call.action} action")


def _of_a_key(call: Call, by_identity: bool, named: set[Named]) -> Decision:
    """A key's policy decides who may use it; it may leave that to the account, which is to the roles' policies."""
    if Named.ITSELF in named or (Named.ITS_ACCOUNT in named and by_identity):
        return Decision(call, True)
    kind = "identity" if Named.ITS_ACCOUNT in named else "resource"
    return Decision(call, False, f"because no {kind}-based policy allows the {call.action} action")
