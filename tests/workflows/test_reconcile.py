"""What a crash, a zombie and a lost event leave is found and set right; what others own stays as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.workflows.world import STACK, World, eventually

UNKNOWN = "artifacts/a00000000000000000ff/weights/model.safetensors"
LATE = "weights/late.json"
THEIRS = "artifacts/somebodys-notes/notes.txt"


def test_exactly_what_nobody_owns_is_removed(world: World) -> None:
    keeper, gone = world.serving(), world.serving(source=world.publish(shards=1, shard_bytes=6_000_000))
    kept, former = (world.deployment(name)["artifact_id"] for name in (keeper, gone))
    world.tear_down(gone)
    orphan = a_model(world, "orphan", kept, ours(gone, 1))
    live = a_model(world, "live", kept, ours(keeper, 1))
    foreign = a_model(world, "foreign", kept, {**ours(gone, 1), "pilotlight:stack": "another"})
    untagged = a_model(world, "untagged", kept, {})
    unknown = a_model(world, "unknown", kept, ours("nobody-knows", 1))
    put(world, UNKNOWN, f"artifacts/{former}/{LATE}", THEIRS)
    begin_upload(world, f"artifacts/{former}/weights/model.safetensors")
    begin_upload(world, f"artifacts/{kept}/weights/model.safetensors")
    weights = world.objects(f"artifacts/{kept}/")
    forget_look(world, keeper)

    eventually(
        lambda: f"artifacts/{former}/{LATE}" not in world.objects("artifacts/"),
        "what nobody owns to be removed",
        but=lambda: str(world.http.get("/orphans").json()),
    )
    eventually(lambda: orphan not in models(world), "the orphan to be deleted")
    eventually(lambda: world.unfinished_uploads("artifacts/") == [], "uploads begun twice to be aborted")
    eventually(lambda: "next_look_at" in world.record(f"DEPLOYMENT#{keeper}"), "the record to be looked at")

    assert {live, foreign, untagged, unknown} <= models(world)
    assert {THEIRS, UNKNOWN} <= {*world.objects("artifacts/")}
    assert world.objects(f"artifacts/{kept}/") == weights
    assert world.deployment(keeper)["status"] == "SERVING"
    assert world.invoke(keeper, wait=25).status_code in (200, 202)
    strange = THEIRS.removesuffix("notes.txt")
    looked_at = live, unknown, UNKNOWN.removesuffix("weights/model.safetensors"), strange
    eventually(lambda: told(world, *looked_at) == ["look"] * 4, "what has no record to be old enough to be told of")
    clean_up(world, live, foreign, untagged, unknown)


def told(world: World, *resources: str) -> list[str | None]:
    """Give what the newest whole pass decided on some resources."""
    newest = world.http.get("/orphans").json()
    decided = {item["resource"]: item["decision"] for item in newest["items"] if newest["complete"]}
    return [decided.get(each) for each in resources]


def test_a_folder_whose_every_event_was_lost_is_found_and_started(world: World) -> None:
    folder = world.name()
    client = world.cloud.client("s3")
    with without_events(world):
        for file in (path for path in world.checkpoint.rglob("*") if path.is_file()):
            key = f"uploads/{folder}/{file.relative_to(world.checkpoint).as_posix()}"
            client.put_object(Bucket=world.upload_bucket, Key=key, Body=file.read_bytes())

    world.until(folder, "SERVING")


@contextmanager
def without_events(world: World) -> Iterator[None]:
    """Let the upload bucket tell nobody of new objects."""
    client, bucket = world.cloud.client("s3"), world.upload_bucket
    client.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        told = {"EventBridgeConfiguration": {}}
        client.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)


def ours(name: str, generation: int) -> dict[str, str]:
    return {
        "pilotlight:stack": STACK,
        "pilotlight:deployment": name,
        "pilotlight:generation": str(generation),
    }


def a_model(world: World, name: str, artifact_id: str, tags: dict[str, str]) -> str:
    """Import a model past the product, as a zombie or a stranger does; give its ARN."""
    bedrock = world.cloud.client("bedrock")
    full = f"pilotlight-{world.name()}-{name}-g1"
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    job = bedrock.create_model_import_job(
        jobName=f"{full}-job",
        importedModelName=full,
        roleArn=import_role(world),
        modelDataSource={"s3DataSource": {"s3Uri": f"s3://{world.artifact_bucket}/artifacts/{artifact_id}/weights/"}},
        importedModelTags=listed,
    )["jobArn"]

    def look() -> str | None:
        found = bedrock.get_model_import_job(jobIdentifier=job)
        assert found["status"] != "Failed", found
        return found.get("importedModelArn") if found["status"] == "Completed" else None

    return str(eventually(look, f"{full} to be imported"))


def import_role(world: World) -> str:
    roles = world.cloud.client("iam").list_roles()["Roles"]
    return next(str(role["Arn"]) for role in roles if role["RoleName"].startswith(f"{STACK}-ImportRole"))


def models(world: World) -> set[str]:
    pages = world.cloud.client("bedrock").get_paginator("list_imported_models").paginate()
    return {model["modelArn"] for page in pages for model in page["modelSummaries"]}


def put(world: World, *keys: str) -> None:
    for key in keys:
        world.cloud.client("s3").put_object(Bucket=world.artifact_bucket, Key=key, Body=b"{}")


def begin_upload(world: World, key: str) -> None:
    world.cloud.client("s3").create_multipart_upload(Bucket=world.artifact_bucket, Key=key)


def forget_look(world: World, name: str) -> None:
    """Take a record out of the index of what is due, as no write of ours would."""
    key: dict[str, Any] = {"pk": {"S": f"DEPLOYMENT#{name}"}, "sk": {"S": "META"}}
    world.cloud.client("dynamodb").update_item(
        TableName=world.cloud.outputs["TableName"], Key=key, UpdateExpression="REMOVE next_look_at, next_step"
    )


def clean_up(world: World, *arns: str) -> None:
    for arn in arns:
        world.cloud.client("bedrock").delete_imported_model(modelIdentifier=arn)
    for key in (THEIRS, UNKNOWN):
        world.cloud.client("s3").delete_object(Bucket=world.artifact_bucket, Key=key)
