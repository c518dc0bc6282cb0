"""Every role may do what its function does: an account refuses what the embedded cloud lets pass."""

from collections.abc import Iterator

import pytest

from tests.workflows.calls import Call, Watch, allowed, watching
from tests.workflows.world import World, eventually

# Whoever calls no service of AWS but the table is of no interest here; these have rights of their own.
MUST_BE_SEEN = {
    "PlanStaging", "CopySpan", "SealArtifact", "StartStaging", "CheckStaging", "StartImport", "CheckImport",
    "StartWarmUp", "MarkServing", "MarkFailed", "RunInvocation", "ProbeDeployment", "Sweep", "NoteUpload",
    "StopExecutions", "DeleteModel", "ReleaseArtifact", "MarkGone", "Api", "ApiInvoke",
}  # fmt: skip


@pytest.fixture
def watch() -> Iterator[Watch]:
    with watching() as seen:
        yield seen


def test_no_call_of_a_whole_life_would_have_been_refused(world: World, watch: Watch) -> None:
    name = world.serving(source=world.publish(shards=2, shard_bytes=6_000_000))
    world.go_cold(name)
    asked = world.invoke(name, parameters={"max_tokens": 400})
    world.answered(asked.json()["id"])
    world.invoke(name, wait=25)
    world.failed(source=world.publish(quantised=True))
    world.http.post("/preflight", json={"source": "hf://acme/small-llama"})
    folder = uploaded(world)
    world.until(folder, "SERVING")
    world.tear_down(name)
    world.tear_down(folder)

    assert watch.refused() == []
    seen = {role.removeprefix("pilotlight-").partition("Role")[0] for role in watch.roles}
    assert MUST_BE_SEEN - seen == set()


def uploaded(world: World) -> str:
    """Give the name of a folder that was uploaded whole, once it has become a deployment."""
    folder = world.name()
    client = world.cloud.client("s3")
    for file in (path for path in world.checkpoint.rglob("*") if path.is_file()):
        key = f"uploads/{folder}/{file.relative_to(world.checkpoint).as_posix()}"
        client.put_object(Bucket=world.upload_bucket, Key=key, Body=file.read_bytes())
    client.put_object(Bucket=world.upload_bucket, Key=f"uploads/{folder}/_COMPLETE", Body=b"")
    eventually(lambda: world.record(f"DEPLOYMENT#{folder}"), f"{folder} to be a deployment")
    return folder


LISTS = {
    "Effect": "Allow",
    "Action": ["s3:ListBucket"],
    "Resource": "arn:aws:s3:::b",
    "Condition": {"StringLike": {"s3:prefix": "a/*"}},
}
READS = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}
NEVER = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/secret/*"}


@pytest.mark.parametrize(
    ("action", "resource", "context", "is_allowed"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/a", {}, True),
        ("s3:GetObject", "arn:aws:s3:::b/secret/a", {}, False),
        ("s3:GetObject", "arn:aws:s3:::other/a", {}, False),
        ("s3:PutObject", "arn:aws:s3:::b/a", {}, False),
        ("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": "a/b"}, True),
        ("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": "c/"}, False),
        ("s3:ListBucket", "arn:aws:s3:::b", {}, False),
    ],
)
def test_policies_are_read_as_an_account_would(action: str, resource: str, context: dict, is_allowed: bool) -> None:
    call = Call("role", action, resource, tuple(context.items()))

    assert allowed(call, [LISTS, READS, NEVER]) is is_allowed
