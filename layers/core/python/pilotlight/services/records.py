"""Changing a record that others change too: read, decide, write if nobody wrote in between, else decide again."""

from collections.abc import Callable

from pilotlight.domain.artifact import Artifact
from pilotlight.domain.deployment import Change, Deployment
from pilotlight.domain.errors import ConcurrentChange
from pilotlight.ports import Artifacts, Deployments

TRIES = 8


def amend(deployments: Deployments, name: str, decide: Callable[[Deployment], Change | None]) -> Deployment:
    """Return the deployment after `decide` changed it, or as it is where `decide` returns None.

    `decide` may run several times and must have no effect of its own.
    Raises: NotFound; ConcurrentChange when others kept writing; whatever `decide` raises.
    """
    for tries_left in reversed(range(TRIES)):
        before = deployments.get(name)
        decision = decide(before)
        if decision is None:
            return before
        try:
            return deployments.save(before, decision)
        except ConcurrentChange:
            if not tries_left:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def amend_artifact(
    artifacts: Artifacts, artifact_id: str, decide: Callable[[Artifact | None], Artifact | None]
) -> Artifact | None:
    """Return the artifact after `decide` changed it, or as it is where `decide` returns None; None if there is none.

    `decide` may run several times and must have no effect of its own.
    """
    for tries_left in reversed(range(TRIES)):
        before = artifacts.find(artifact_id)
        after = decide(before)
        if after is None or after == before:
            return before
        try:
            return artifacts.save(before, after)
        except ConcurrentChange:
            if not tries_left:
                raise
    raise AssertionError("unreachable: the last try returns or raises")
