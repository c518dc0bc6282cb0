"""Every role does what its function does under its own policies, and nothing on its way is refused."""

from collections.abc import Iterator

import pytest

from local.authorization import Decision, Role, watching
from tests.workflows.world import World, eventually

# Whoever calls no service of AWS but the table is of no interest here; these have rights of their own.
MUST_BE_SEEN = {
    "PlanStaging", "CopySpan", "SealArtifact", "StartStaging", "CheckStaging", "StartImport", "CheckImport",
    "StartWarmUp", "MarkServing", "MarkFailed", "RunInvocation", "ProbeDeployment", "Sweep", "NoteUpload",
    "StopExecutions", "DeleteModel", "ReleaseArtifact", "MarkGone", "Api", "ApiInvoke",
}  # fmt: skip


@pytest.fixture
def watch() -> Iterator[list[Decision]]:
    with watching() as seen:
        yield seen


def test_no_call_of_a_whole_life_is_refused(world: World, watch: list[Decision]) -> None:
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

    assert [decision for decision in watch if not decision.allowed] == []
    roles = {decision.call.caller.name for decision in watch if isinstance(decision.call.caller, Role)}
    assert MUST_BE_SEEN - {role.removeprefix("pilotlight-").partition("Role")[0] for role in roles} == set()


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
