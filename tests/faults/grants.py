"""What the template grants to each role, one action on one resource at a time, and which calls would miss it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from moto.iam.models import iam_backends

from local.authorization import Call, Decision, Role, decide
from local.authorization.policies import Effect, Policy, Statement, policy_of
from local.authorization.sources import of_resource
from local.identity import ACCOUNT_ID

_BY_AWS = "arn:aws:iam::aws:policy/"


# What CloudFormation and Secrets Manager add to names, so that no two stacks have the same.
_BIRTH = re.compile(r"-([A-Z0-9]{12}(-\w{6})?|[a-z0-9]{12})(?=/|$)")


@dataclass(frozen=True)
class Grant:
    """One action on one resource that a statement allows one role; of a shared policy, each role has its own."""

    role: str
    policy: str  # the one that roles share and that it stands in, or "" where the role has it alone
    statement: Statement
    action: str
    resource: str

    def __str__(self) -> str:
        asked = "".join(f" if {operator} {key} {list(wanted)}" for operator, key, wanted in self.statement.conditions)
        owner = f"{self.role}, by {self.policy}" if self.policy else self.role
        return f"{owner}: {self.action} on {_BIRTH.sub('', self.resource)}{asked}"

    def is_missed_by(self, call: Call, policies: Sequence[Policy]) -> bool:
        """Say whether a call that was allowed would be refused without the grant."""
        left = [tuple(part for each in policy for part in self._taken_from(each)) for policy in policies]
        resource = of_resource(call)
        return decide(call, policies, resource).allowed and not decide(call, left, resource).allowed

    def _taken_from(self, statement: Statement) -> Iterator[Statement]:
        if statement is not self.statement:
            yield statement
            return
        others = tuple(action for action in statement.actions if action != self.action)
        elsewhere = tuple(resource for resource in statement.resources if resource != self.resource)
        if others:
            yield replace(statement, actions=others)
        if elsewhere:
            yield replace(statement, actions=(self.action,), resources=elsewhere)


def unmissed(seen: Iterable[Decision]) -> list[Grant]:
    """Give every grant of the template whose removal no call of those that were seen would have noticed."""
    calls: dict[str, set[Call]] = defaultdict(set)
    for decision in seen:
        if decision.allowed and isinstance(decision.call.caller, Role):
            calls[decision.call.caller.role_arn].add(decision.call)
    return sorted(
        (grant for role in iam_backends[ACCOUNT_ID]["aws"].get_roles() for grant in _unmissed(role, calls[role.arn])),
        key=str,
    )


def _unmissed(role: Any, calls: set[Call]) -> Iterator[Grant]:
    written = list(_written_for(role))
    policies = [policy for _, policy in written]
    for name, policy in written:
        for grant in _grants(_logical(role.name), name, policy):
            if not any(grant.is_missed_by(call, policies) for call in calls):
                yield grant


def _written_for(role: Any) -> Iterator[tuple[str, Policy]]:
    """Give the policies that the template wrote for a role; AWS' own, which SAM attaches, are AWS' to judge."""
    yield from (("", policy_of(document)) for document in role.policies.values())
    for arn, policy in role.managed_policies.items():
        if not arn.startswith(_BY_AWS):
            (document,) = (version.document for version in policy.versions if version.is_default)
            yield _logical(policy.name), policy_of(document)


def _grants(role: str, name: str, policy: Policy) -> Iterator[Grant]:
    for statement in policy:
        if statement.effect is Effect.ALLOW:
            pairs = product(statement.actions, statement.resources)
            yield from (Grant(role, name, statement, action, resource) for action, resource in pairs)


def _logical(name: str) -> str:
    return _BIRTH.sub("", name).rpartition("-")[2]
