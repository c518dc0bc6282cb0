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


# What CloudFormation adds to names, so that no two stacks have the same.
_BIRTH = re.compile(r"pilotlight-(\w+)-[A-Z0-9]{12}$")


@dataclass(frozen=True)
class Grant:
    """One action on one resource that a statement allows: as it stands once in the template, whoever it is for."""

    owner: str  # the policy that several roles share, or the role that has it alone
    statement: Statement
    action: str
    resource: str

    def __str__(self) -> str:
        asked = "".join(f" if {operator} {key} {list(wanted)}" for operator, key, wanted in self.statement.conditions)
        return f"{self.owner}: {self.action} on {self.resource}{asked}"

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
    missed: dict[Grant, bool] = defaultdict(bool)
    for role in iam_backends[ACCOUNT_ID]["aws"].get_roles():
        written = list(_written_for(role))
        policies = [policy for _, policy in written]
        for owner, policy in written:
            for grant in _grants(owner, policy):
                missed[grant] |= any(grant.is_missed_by(call, policies) for call in calls[role.arn])
    return sorted((grant for grant, noticed in missed.items() if not noticed), key=str)


def _written_for(role: Any) -> Iterator[tuple[str, Policy]]:
    """Give the policies that the template wrote for a role; AWS' own, which SAM attaches, are AWS' to judge."""
    yield from ((_logical(role.name), policy_of(document)) for document in role.policies.values())
    for arn, policy in role.managed_policies.items():
        if not arn.startswith(_BY_AWS):
            (document,) = (version.document for version in policy.versions if version.is_default)
            yield _logical(policy.name), policy_of(document)


def _grants(owner: str, policy: Policy) -> Iterator[Grant]:
    for statement in policy:
        if statement.effect is Effect.ALLOW:
            pairs = product(statement.actions, statement.resources)
            yield from (Grant(owner, statement, action, resource) for action, resource in pairs)


def _logical(name: str) -> str:
    return _BIRTH.sub(r"\1", name)
