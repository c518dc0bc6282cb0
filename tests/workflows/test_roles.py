"""Every role does what its function does under its own policies, and nothing on its way is refused."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.authorization import Decision, watching
from tests.workflows.grants import unmissed
from tests.workflows.world import World, eventually

# Grants that no test drives, each with the reason why it stands all the same.
UNSEEN = {
    "MachineLogPolicy: logs:": "Step Functions delivers logs of machines; the embedded cloud has no such delivery.",
    "CopySpanRole: s3:ListBucket": "asked only where an upload was completed by a run of `seal` that came in between.",
    "ApiInvokeRole: s3:ListBucket": "asked only where a body expires while its caller is being held.",
    "RunInvocationRole: s3:ListBucket": "asked only where a body expires while its call is queued.",
    "StartWarmUpRole: states:DescribeExecution": "asked only where a retried deployment meets a former wake.",
    "RunInvocationRole: states:": "whoever comes first of several starts a wake, or looks after it.",
    "ApiInvokeRole: states:": "whoever comes first of several starts a wake, or looks after it.",
    "ApiRole: states:DescribeExecution": "whoever comes first of several starts a wake, or looks after it.",
    "SweepRole: states:DescribeExecution": "asked only where a look meets what is still under way.",
    "ReconcileRole: ": "finds what nobody owns: integration and fault tests make that, and a whole life does not.",
    "CheckStagingRole: states:": "asked only where a staging died without a word, which the sweep may see first.",
}

WHAT_TO_DO = (
    "Nobody used these grants, so removing them would go unnoticed. Drive the call that needs each of them here, "
    "take it out of template.yaml, or say in UNSEEN why it stands without a test:"
)


@pytest.fixture
def watch() -> Iterator[list[Decision]]:
    with watching() as seen:
        yield seen


def test_nothing_is_refused_and_nothing_is_granted_that_nobody_would_miss(world: World, watch: list[Decision]) -> None:
    one_life(world)
    everything_that_goes_wrong(world)

    assert [str(decision.call) for decision in watch if not decision.allowed] == []
    left = [str(grant) for grant in unmissed(watch) if not str(grant).startswith((*UNSEEN,))]
    assert not left, "\n  ".join([WHAT_TO_DO, *left])


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


def one_life(world: World) -> None:
    """Deploy, wake, ask, upload and take down."""
    name = world.serving(source=world.publish(shards=2, shard_bytes=6_000_000))
    world.go_cold(name)
    asked = world.invoke(name, parameters={"max_tokens": 400})
    world.answered(asked.json()["id"])
    world.go_cold(name)
    world.invoke(name, wait=25)
    world.failed(source=world.publish(quantised=True))
    with world.unreachable("sweep"):  # which would be quicker than the event that tells of the folder
        folder = uploaded(world)
    resting = uploaded(world, marked=False)
    own = world.serving(
        source=world.publish(), import_role_arn=own_role(world), keep_warm={"policy": "always", "windows": []}
    )
    world.bedrock.evict(world.deployment(own)["model_arn"])
    eventually(lambda: len(world.executions("warm", own)) > 1, "the sweep to wake what is always wanted")
    world.until(folder, "SERVING")
    world.until(resting, "SERVING")
    for each in (name, folder, resting, own):
        world.tear_down(each)
    for is_on in (True, False):
        world.http.post("/kill-switch", json={"on": is_on, "reason": "to see that one can"})


def own_role(world: World) -> str:
    """Give the ARN of a role of the user's own that Bedrock may read weights with."""
    iam = world.cloud.client("iam")
    ours = iam.get_role(RoleName=world.cloud.resources["ImportRole"])["Role"]
    trust = json.dumps(ours["AssumeRolePolicyDocument"])
    made = iam.create_role(RoleName="pilotlight-import-own", AssumeRolePolicyDocument=trust)["Role"]
    for name in iam.list_role_policies(RoleName=ours["RoleName"])["PolicyNames"]:
        document = json.dumps(iam.get_role_policy(RoleName=ours["RoleName"], PolicyName=name)["PolicyDocument"])
        iam.put_role_policy(RoleName=made["RoleName"], PolicyName=name, PolicyDocument=document)
    return str(made["Arn"])


def everything_that_goes_wrong(world: World) -> None:
    """Fail at each step that has a function of its own for it."""
    name = world.serving()
    with world.unreachable("plan_staging"):
        world.failed(source=world.publish())
    with world.unreachable("plan_staging"), world.unreachable("mark_artifact_failed"):
        world.failed(source=world.publish())
    with world.unreachable("mark_failed"):
        world.failed(source=world.publish(quantised=True))
    with world.unreachable("check_import"):
        imported = world.failed(source=world.publish())["name"]
    world.http.post(f"/deployments/{imported}/retry")
    world.until(imported, "SERVING")
    world.go_cold(name)
    ask_a_model_that_does_not_wake(world, name)
    take_down_while_it_is_staged(world)
    with world.unreachable("delete_model"):
        world.http.delete(f"/deployments/{name}")
        eventually(lambda: "MarkTeardownFailed" in rounds(world, name), "a round of teardown to fail")
    world.until_gone(name)
    lose_events(world)


def ask_a_model_that_does_not_wake(world: World, name: str) -> None:
    """See a wake fail, one joined, a question of it waiting and given up, and a body that has expired."""
    with world.unreachable("probe_deployment"):
        world.http.post(f"/deployments/{name}/warm-up")
        eventually(lambda: world.path("warm", world.executions("warm", name)[-1])[-1:] != (), "a wake")
        eventually(lambda: world.deployment(name)["warmth"]["state"] == "COLD", "the wake to fail")
    world.bedrock.knobs.never_ready = True
    for _ in range(2):
        world.http.post(f"/deployments/{name}/warm-up")
    asked = [world.invoke(name).json(), world.invoke(name, wait=1).json()]
    world.bedrock.knobs.never_ready = False
    for each in asked:
        world.answered(each["id"])
    s3 = world.cloud.client("s3")
    for key in world.objects("invocations/"):
        s3.delete_object(Bucket=world.artifact_bucket, Key=key)
    world.http.get(f"/invocations/{asked[0]['id']}")
    world.go_cold(name)
    with world.unreachable("run_invocation"):
        told = world.invoke(name).json()
        letter = json.dumps({"invocation_id": told["id"], "correlation_id": told["correlation_id"]})
        world.cloud.client("sqs").send_message(QueueUrl=world.cloud.resources["DeadInvocations"], MessageBody=letter)
        world.answered(told["id"])


def take_down_while_it_is_staged(world: World) -> None:
    """End executions that run, and uploads that nobody finished."""
    world.hub.faults.slow_start(1.0, times=4, path="/repos/")
    name = world.deploy(source=world.publish(shards=2, shard_bytes=6_000_000))
    artifact = eventually(lambda: world.deployment(name).get("artifact_id"), "staging to begin")
    eventually(lambda: world.unfinished_uploads(f"artifacts/{artifact}/"), "an upload to begin")
    world.tear_down(name)


def lose_events(world: World) -> None:
    """Let events end in the queue of what no function took."""
    call = {"InvocationType": "Event", "Payload": b"{}"}
    lost = world.cloud.client("sqs")
    for function in ("note_upload", "fail_execution"):
        with world.crashing(function):
            before = dead(world)
            world.cloud.client("lambda").invoke(FunctionName=f"pilotlight-{function.replace('_', '-')}", **call)
            eventually(lambda: dead(world) > before, f"an event that {function} did not take")  # noqa: B023
    lost.purge_queue(QueueUrl=world.cloud.resources["LostEvents"])


def dead(world: World) -> int:
    """Give how many events no function took."""
    asked = {"QueueUrl": world.cloud.resources["LostEvents"], "AttributeNames": ["ApproximateNumberOfMessages"]}
    return int(world.cloud.client("sqs").get_queue_attributes(**asked)["Attributes"]["ApproximateNumberOfMessages"])


def rounds(world: World, name: str) -> set[str]:
    """Give the states that any round of a teardown has entered."""
    return {state for each in world.executions("teardown", name) for state in world.path("teardown", each)}


def uploaded(world: World, *, marked: bool = True) -> str:
    """Give the name of a folder that was uploaded whole, once it has become a deployment."""
    folder = world.name()
    client = world.cloud.client("s3")
    for file in (path for path in world.checkpoint.rglob("*") if path.is_file()):
        key = f"uploads/{folder}/{file.relative_to(world.checkpoint).as_posix()}"
        client.put_object(Bucket=world.upload_bucket, Key=key, Body=file.read_bytes())
    if marked:
        client.put_object(Bucket=world.upload_bucket, Key=f"uploads/{folder}/_COMPLETE", Body=b"")
    eventually(lambda: world.record(f"DEPLOYMENT#{folder}"), f"{folder} to be a deployment")
    return folder
