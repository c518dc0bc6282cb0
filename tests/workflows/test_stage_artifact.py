"""`stage_artifact`: a checkpoint sealed in our bucket byte for byte, or an artifact's record that says why not."""

import json
from pathlib import Path
from typing import Any

import pytest
from pilotlight.domain.spans import COPIED_PARTS

from tests.file_server import serving
from tests.workflows.world import PART_MIB, World, eventually

PART_BYTES = int(PART_MIB) * 1024 * 1024
WEIGHTS = "/repos/"  # only weights are redirected to the hub's file server


def staged(world: World, name: str) -> str:
    """Give the id of a deployment's artifact once it is sealed."""
    artifact_id = artifact_of(world, name)
    sealed = lambda: world.record(f"ARTIFACT#{artifact_id}")["status"] == "SEALED"  # noqa: E731
    eventually(sealed, f"artifact {artifact_id} to be sealed", but=lambda: str(world.deployment(name)))
    return artifact_id


def artifact_of(world: World, name: str) -> str:
    return eventually(lambda: str(world.deployment(name).get("artifact_id", "")), f"the artifact of {name}")


def failed_maps(world: World, execution: str) -> list[int]:
    """Give the numbers of the events with which a Map of an execution failed."""
    arn = world.execution_arn("stage_artifact", execution)
    pages = world.cloud.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event["id"] for page in pages for event in page["events"] if event["type"] == "MapRunFailed"]


def content(world: World, key: str) -> bytes:
    return world.cloud.client("s3").get_object(Bucket=world.artifact_bucket, Key=key)["Body"].read()


@pytest.fixture(autouse=True)
def nothing_is_held(world: World) -> None:
    world.forget_contents()


def test_what_is_sealed_is_byte_for_byte_what_the_hub_has(world: World) -> None:
    artifact_id = staged(world, world.deploy(source=world.publish()))

    prefix = f"artifacts/{artifact_id}/weights/"
    stored = {key.removeprefix(prefix): content(world, key) for key in world.objects(prefix)}
    assert stored == {path: (world.checkpoint / path).read_bytes() for path in stored}
    assert {path for path in stored if path.endswith(".safetensors")} == {
        path.name for path in world.checkpoint.glob("*.safetensors")
    }
    assert {"config.json", "tokenizer.json", "tokenizer_config.json"} <= set(stored)
    assert world.unfinished_uploads(prefix) == []
    execution = world.only_execution("stage_artifact", artifact_id)
    assert execution.status == "SUCCEEDED"
    assert (execution.path[0], *execution.path[-2:]) == ("SealedBefore?", "MarkVerified", "Verified")


def test_what_modelscope_has_is_sealed_at_its_commit_byte_for_byte(world: World) -> None:
    artifact_id = staged(world, world.deploy(source=world.publish().replace("hf://", "ms://")))

    sealed = json.loads(content(world, f"artifacts/{artifact_id}/manifest.json"))
    assert sealed["source"].startswith("ms://")
    assert sealed["revision"] == next(reversed(world.hub.repositories.values())).names["main"]
    for file in sealed["files"]:
        stored = content(world, f"artifacts/{artifact_id}/weights/{file['path']}")
        assert stored == (world.checkpoint / file["path"]).read_bytes()


def test_what_a_list_of_files_names_is_sealed_byte_for_byte(world: World) -> None:
    world.publish()
    files = {path.name: path.read_bytes() for path in world.checkpoint.iterdir() if path.is_file()}
    with serving(world.certificate) as server:
        server.publish(files)
        artifact_id = staged(world, world.deploy(source=server.source))

    sealed = json.loads(content(world, f"artifacts/{artifact_id}/manifest.json"))
    assert sealed["source"] == server.source
    assert len([file for file in sealed["files"] if file["path"].endswith(".safetensors")]) > 1
    for file in sealed["files"]:
        assert content(world, f"artifacts/{artifact_id}/weights/{file['path']}") == files[file["path"]]


def test_the_manifest_lies_beside_the_weights_and_names_what_was_skipped(world: World) -> None:
    artifact_id = staged(world, world.deploy(source=world.publish(chat_template="separate")))

    manifest = json.loads(content(world, f"artifacts/{artifact_id}/manifest.json"))
    assert {"LICENSE", "original/consolidated.00.pth"} <= {skipped["path"] for skipped in manifest["skipped"]}
    derived = next(file for file in manifest["files"] if file["path"] == "tokenizer_config.json")
    assert derived["derived_from"] == ["tokenizer_config.json", "chat_template.jinja"]
    folded = json.loads(content(world, f"artifacts/{artifact_id}/weights/tokenizer_config.json"))
    assert "<think>" in folded["chat_template"]


def held_ranges(world: World, prefix: str) -> set[tuple[str, str]]:
    """Give the parts that S3 holds of unfinished uploads, as file and range."""
    s3, bucket = world.cloud.client("s3"), world.artifact_bucket
    held = set()
    for upload in s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", ()):
        parts = s3.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", ())
        for part in parts:
            start = (part["PartNumber"] - 1) * PART_BYTES
            held.add((upload["Key"].rpartition("/")[2], f"bytes={start}-{start + part['Size'] - 1}"))
    return held


def test_two_deployments_of_one_source_stage_it_once(world: World) -> None:
    source = world.publish()
    first, second = world.deploy(source=source), world.deploy(source=source)

    artifact_id = staged(world, first)

    assert artifact_of(world, second) == artifact_id
    assert world.executions("stage_artifact", artifact_id) == [f"{artifact_id}-a1"]


def manifest_of(world: World, artifact_id: str) -> dict[str, Any]:
    """Give the shards of an artifact's manifest, by name."""
    told = json.loads(content(world, f"artifacts/{artifact_id}/manifest.json"))
    return {file["path"]: file for file in told["files"] if file["path"].endswith(".safetensors")}


def weights_are_those_of_the_checkpoint(world: World, artifact_id: str) -> bool:
    shards = world.checkpoint.glob("*.safetensors")
    return all(content(world, f"artifacts/{artifact_id}/weights/{path.name}") == path.read_bytes() for path in shards)


def test_what_another_artifact_holds_is_copied_from_there_and_not_downloaded(world: World) -> None:
    world.forget_contents()
    first = staged(world, world.deploy(source=world.publish()))
    eventually(lambda: world.record(f"ARTIFACT#{first}").get("verified_at"), f"{first} to be verified")
    again = world.publish()
    world.hub.requests.clear()

    second = staged(world, world.deploy(source=again))

    assert {file["copied_from"] for file in manifest_of(world, second).values()} == {first}
    assert weights_are_those_of_the_checkpoint(world, second)
    ranges = [str(each.range).removeprefix("bytes=").split("-") for each in world.hub.requests if each.range]
    assert max(int(last) - int(first) for first, last in ranges) < 1_000_000  # headers of shards, and no shard
    sizes = sum(path.stat().st_size for path in world.checkpoint.glob("*.safetensors"))
    assert int(world.record(f"ARTIFACT#{second}")["reused_bytes"]) == sizes


def test_a_checkpoint_in_a_bucket_is_copied_by_s3_in_larger_parts(world: World) -> None:
    name, s3 = world.name(), world.cloud.client("s3")
    for path in sorted(world.checkpoint.iterdir()):
        if path.is_file():
            s3.upload_file(str(path), world.upload_bucket, f"uploads/{name}/{path.name}")
    s3.put_object(Bucket=world.upload_bucket, Key=f"uploads/{name}/_COMPLETE", Body=b"")
    eventually(lambda: world.record(f"DEPLOYMENT#{name}"), f"{name} to be asked for")

    artifact_id = staged(world, name)

    shards = manifest_of(world, artifact_id)
    assert {path: file["parts"] for path, file in shards.items()} == {
        path: -(-file["size_bytes"] // (COPIED_PARTS * PART_BYTES)) for path, file in shards.items()
    }
    assert all(file["checksum_crc64nvme"] for file in shards.values())
    assert weights_are_those_of_the_checkpoint(world, artifact_id)


def test_a_body_that_is_cut_short_is_asked_for_again(world: World) -> None:
    world.hub.faults.cut_after(1_000_000, times=2, path=WEIGHTS)

    artifact_id = staged(world, world.deploy(source=world.publish()))

    assert world.only_execution("stage_artifact", artifact_id).status == "SUCCEEDED"


def test_a_body_that_is_always_cut_short_fails_with_its_reason_and_a_retry_copies_only_the_rest(world: World) -> None:
    broken = next(path.name for path in world.checkpoint.glob("*.safetensors"))
    world.hub.faults.cut_after(1_000_000, times=1000, path=f"name={broken}")
    view = world.failed(source=world.publish())
    name, artifact_id = view["name"], view["artifact_id"]

    assert view["failure"]["code"] == "source-refused"
    assert view["failure"]["reason"].startswith(f"{broken}: The connection to 127.0.0.1 broke")
    assert world.record(f"ARTIFACT#{artifact_id}")["failure_code"] == "body-cut-short"
    execution = world.execution("stage_artifact", f"{artifact_id}-a1")
    assert (execution.status, execution.error) == ("FAILED", "StagingFailed")
    assert execution.path[-2:] == ("MarkArtifactFailed", "StagingFailed")

    held = held_ranges(world, f"artifacts/{artifact_id}/")
    world.hub.faults.clear()
    world.hub.requests.clear()
    world.http.post(f"/deployments/{name}/retry")
    staged(world, name)
    asked = {(each.path.partition("name=")[2].partition("&")[0], each.range) for each in world.hub.requests}
    assert not held & asked
    assert content(world, f"artifacts/{artifact_id}/weights/{broken}") == (world.checkpoint / broken).read_bytes()


@pytest.mark.parametrize("step", ["plan_staging", "seal_artifact"])
def test_a_step_that_cannot_be_made_fails_the_artifact_and_with_it_the_deployment(world: World, step: str) -> None:
    with world.unreachable(step):
        view = world.failed(source=world.publish())

    state = "".join(word.capitalize() for word in step.split("_"))
    execution = world.execution("stage_artifact", f"{view['artifact_id']}-a1")
    assert (execution.status, execution.path[-3:]) == ("FAILED", (state, "MarkArtifactFailed", "StagingFailed"))
    assert world.record(f"ARTIFACT#{view['artifact_id']}")["failure_code"] == "Lambda.TooManyRequestsException"
    assert view["failure"]["during"] == "STAGING"


def test_spans_that_all_failed_are_copied_when_a_source_takes_calls_again(world: World) -> None:
    with world.unreachable("copy_span"):
        artifact_id = artifact_of(world, world.deploy(source=world.publish()))
        eventually(lambda: failed_maps(world, f"{artifact_id}-a1"), "the first Map to fail")

    execution = world.only_execution("stage_artifact", artifact_id)
    assert execution.status == "SUCCEEDED"
    assert {"CopySpans", "SealArtifact"} < set(execution.path)


def test_a_span_that_will_never_be_copied_is_not_waited_for(world: World) -> None:
    source = world.publish()
    with world.unreachable("copy_span"):
        name = world.deploy(source=source)
        artifact_id = artifact_of(world, name)
        eventually(lambda: failed_maps(world, f"{artifact_id}-a1"), "the first Map to fail")
        del world.hub.repositories[source.removeprefix("hf://")]

    world.until(name, "FAILED")

    execution = world.only_execution("stage_artifact", artifact_id)
    assert execution.path[-4:] == ("SpansRefused?", "CopyRefused", "MarkArtifactFailed", "StagingFailed")
    assert world.record(f"ARTIFACT#{artifact_id}")["failure_code"] == "source-not-found"
    assert len(failed_maps(world, execution.name)) == 1


def test_what_is_whole_already_is_only_sealed(world: World) -> None:
    with world.unreachable("seal_artifact"):
        view = world.failed(source=world.publish())
    artifact_id = view["artifact_id"]
    for shard in world.checkpoint.glob("*.safetensors"):  # as if sealing had joined its parts and ended then
        key = f"artifacts/{artifact_id}/weights/{shard.name}"
        world.cloud.client("s3").put_object(Bucket=world.artifact_bucket, Key=key, Body=shard.read_bytes())

    world.http.post(f"/deployments/{view['name']}/retry")
    staged(world, view["name"])

    assert "CopySpans" not in world.execution("stage_artifact", f"{artifact_id}-a2").path


def test_a_step_that_can_be_made_again_in_time_is_retried_and_succeeds(world: World) -> None:
    with world.unreachable("plan_staging"):
        artifact_id = artifact_of(world, world.deploy(source=world.publish()))
        eventually(lambda: world.path("stage_artifact", f"{artifact_id}-a1"), "staging to begin")

    assert world.only_execution("stage_artifact", artifact_id).status == "SUCCEEDED"


def test_a_model_that_leaves_the_hub_while_it_is_staged_is_said_to_be_gone(world: World) -> None:
    source = world.publish()
    with world.unreachable("plan_staging"):
        name = world.deploy(source=source)
        artifact_of(world, name)
        del world.hub.repositories[source.removeprefix("hf://")]

    view = world.until(name, "FAILED")

    assert world.record(f"ARTIFACT#{view['artifact_id']}")["failure_code"] == "source-not-found"
    assert "The hub has no model" in view["failure"]["reason"]


def test_a_staging_that_dies_without_a_word_is_started_again_a_few_times_only(world: World) -> None:
    with world.unreachable("plan_staging"), world.unreachable("mark_artifact_failed"):
        view = world.failed(source=world.publish())

    assert "died 4 times without saying why" in view["failure"]["reason"]
    runs = world.executions("stage_artifact", view["artifact_id"])
    assert runs == [f"{view['artifact_id']}-a{attempt}" for attempt in (1, 2, 3, 4)]
    assert {world.execution("stage_artifact", run).path[-1] for run in runs} == {"StagingFailed"}


def test_what_a_failed_staging_left_is_removed_with_its_deployment(world: World, tmp_path: Path) -> None:
    world.hub.faults.cut_after(1_000_000, times=1000, path=WEIGHTS)
    view = world.failed(source=world.publish())
    assert world.left_behind(view["name"], view["artifact_id"]) != []

    world.tear_down(view["name"])

    assert world.left_behind(view["name"], view["artifact_id"]) == []


def test_what_was_sealed_is_verified_while_others_go_on(world: World) -> None:
    name = world.serving(source=world.publish())

    artifact_id = world.deployment(name)["artifact_id"]
    record = world.record(f"ARTIFACT#{artifact_id}")
    assert (record["unverified"], record["status"]) == ("0", "SEALED")
    assert record["verified_at"] > record["updated_at"]
    assert "VerifyFiles" in world.execution("stage_artifact", f"{artifact_id}-a1").path


def test_weights_that_are_not_what_their_source_lists_are_quarantined_and_serve_nowhere(world: World) -> None:
    world.hub.faults.other_bytes(at_least=1024 * 1024, times=1000, path=WEIGHTS)
    view = world.failed(source=(source := world.publish()))

    assert "is quarantined" in view["failure"]["reason"]
    assert view["failure"]["during"] in ("STAGING", "WARMING")  # whoever looks first
    assert world.record(f"ARTIFACT#{view['artifact_id']}")["status"] == "QUARANTINED"
    assert world.executions("warm", view["name"]) == []

    world.hub.faults.clear()
    other = world.serving(source=source)
    assert world.deployment(other)["artifact_id"] != view["artifact_id"]
    world.tear_down(view["name"])
    assert world.left_behind(view["name"], view["artifact_id"]) == []


def test_a_verification_that_died_is_begun_again_and_copies_nothing(world: World) -> None:
    with world.unreachable("mark_verified"), world.unreachable("mark_artifact_failed"):
        name = world.deploy(source=world.publish())
        artifact_id = artifact_of(world, name)
        eventually(lambda: world.execution("stage_artifact", f"{artifact_id}-a1").status == "FAILED", "it to die")
        world.hub.requests.clear()

    world.until(name, "SERVING")

    again = world.execution("stage_artifact", f"{artifact_id}-a2")
    assert (again.status, again.path[1]) == ("SUCCEEDED", "FilesToVerify?")
    assert not [each for each in world.hub.requests if WEIGHTS in each.path]
