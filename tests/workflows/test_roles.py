"""A permission that is taken from a role of a running cloud is missed at once.

Which grants there have to be is judged in process, where every call comes each time: tests/faults/test_roles.py.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.authorization import Decision, watching
from tests.workflows.world import World, eventually


@pytest.fixture
def watch() -> Iterator[list[Decision]]:
    with watching() as seen:
        yield seen


# What a deployment needs on its way, of different roles; which of them are tried is drawn with a seed.
ON_THE_WAY = [
    ("Api", "states:StartExecution"),
    ("StartStaging", "states:StartExecution"),
    ("StageArtifactMachine", "lambda:InvokeFunction"),
    ("PlanStaging", "s3:PutObject"),
    ("SealArtifact", "s3:GetObject"),
    ("StartImport", "iam:PassRole"),
    ("StartImport", "bedrock:TagResource"),
    ("Import", "s3:GetObject"),
    ("DeployMachine", "lambda:InvokeFunction"),
]


@pytest.mark.parametrize(("role", "action"), random.Random(4).sample(ON_THE_WAY, 4))
def test_a_permission_that_is_taken_from_a_role_is_missed_at_once(
    world: World, watch: list[Decision], role: str, action: str
) -> None:
    source = world.publish()

    with without(world, role, action):
        world.http.post("/deployments", json={"name": world.name(), "source": source})
        eventually(lambda: (role, action) in refused(watch), f"{role} to miss {action}")


@contextmanager
def without(world: World, role: str, action: str) -> Iterator[None]:
    """Take an action out of every policy that a role has alone, and give it back."""
    iam = world.cloud.client("iam")
    name = world.cloud.resources[f"{role}Role"]
    documents = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    }
    assert action in str(documents), f"{role} has no {action} of its own."
    for policy, document in documents.items():
        text = json.dumps(document).replace(f'"{action}"', '"sts:GetCallerIdentity"')
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
    try:
        yield
    finally:
        for policy, document in documents.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def refused(watch: list[Decision]) -> set[tuple[str, str]]:
    """Give which roles were refused what."""
    calls = [decision.call for decision in watch if not decision.allowed]
    return {(call.caller.name.removeprefix("pilotlight-").rpartition("Role-")[0], call.action) for call in calls}
