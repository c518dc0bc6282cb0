"""A permission that is taken from a role of a running cloud is missed at once, and none is missed by a whole life.

Which grants there have to be is judged in process, where every call comes each time: tests/faults/test_roles.py.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.authorization import Decision, watching
from tests.workflows.hosted import ASYNC, LONG, REALTIME, hosted, told, until_at_zero, until_updated
from tests.workflows.world import SMALL, World, eventually

pytestmark = pytest.mark.slow


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

# Likewise, of a model that instances host.
ON_THE_WAY_TO_AN_ENDPOINT = [
    ("CreateEndpoint", "sagemaker:CreateModel"),
    ("CreateEndpoint", "sagemaker:CreateEndpointConfig"),
    ("CreateEndpoint", "sagemaker:CreateEndpoint"),
    ("CreateEndpoint", "iam:PassRole"),
    ("CreateEndpoint", "s3:PutObject"),
    ("Hosting", "s3:GetObject"),
    ("Hosting", "s3:ListBucket"),
    ("Hosting", "ecr:GetAuthorizationToken"),
    ("Hosting", "logs:CreateLogStream"),
]

# Of each backend, what a life has beside a deployment, an answer and a teardown.
BOUNDS = {ASYNC: {"min": 0, "max": 1, "scale_in": "immediate"}, REALTIME: {"min": 1, "max": 1}}


@pytest.mark.parametrize(("role", "action"), random.Random(4).sample(ON_THE_WAY, 4))
def test_a_permission_that_is_taken_from_a_role_is_missed_at_once(
    world: World, watch: list[Decision], role: str, action: str
) -> None:
    source = world.publish()

    with without(world, role, action):
        world.http.post("/deployments", json={"name": world.name(), "source": source})
        eventually(lambda: (role, action) in refused(watch), f"{role} to miss {action}")


@pytest.mark.parametrize(("role", "action"), random.Random(9).sample(ON_THE_WAY_TO_AN_ENDPOINT, 4))
def test_a_permission_that_hosting_lacks_is_missed_at_once(
    world: World, staged: str, watch: list[Decision], role: str, action: str
) -> None:
    with without(world, role, action):
        world.deploy(backend=ASYNC, source=SMALL, lease=LONG)
        eventually(lambda: (role, action) in refused(watch), f"{role} to miss {action}")


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
def test_a_whole_life_on_instances_is_refused_nothing(
    world: World, staged: str, watch: list[Decision], backend: str
) -> None:
    name = hosted(world, backend, scaling=BOUNDS[backend])

    told(world, name)
    world.http.patch(f"/deployments/{name}", json={"serving": {"options": {"max_model_len": "4096"}}})
    until_updated(world, name)
    world.http.post(f"/deployments/{name}/rollback", json={})
    until_updated(world, name)
    world.http.post(f"/deployments/{name}/scale-down")
    until_at_zero(world, name)
    told(world, name)
    world.tear_down(name)

    assert refused(watch) == set()
    assert {"CreateEndpoint", "NoteEndpoint", "StartUpdate", "FinishUpdate", "DeleteEndpoint", "Sweep"} <= asking(watch)


def asking(watch: list[Decision]) -> set[str]:
    """Give the roles that asked for something."""
    return {role_of(decision) for decision in watch}


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
    return {(role_of(decision), decision.call.action) for decision in watch if not decision.allowed}


def role_of(decision: Decision) -> str:
    """Give the role of the template that asked."""
    return decision.call.caller.name.removeprefix("pilotlight-").rpartition("Role-")[0]
