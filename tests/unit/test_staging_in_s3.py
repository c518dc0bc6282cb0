"""What lies in S3 already is copied by S3: a bucket's checkpoint, and files that another sealed artifact holds."""

import pytest
from pilotlight.domain.artifact import (
    LARGEST_VERIFIED_BYTES,
    ArtifactStatus,
    Manifest,
    ModelFacts,
    StagedFile,
    manifest_key,
    weight_key,
)
from pilotlight.domain.content import contents_of, is_looked_for
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import SourceChanged, SourceGated, SourceNotFound
from pilotlight.domain.source import SourceFile
from pilotlight.domain.spans import COPIED_PARTS, MIB, MOST_PARTS, SpanLimits, part_bytes_for

from tests.factories import NOON, a_checkpoint
from tests.world import ARTIFACT_BUCKET

LARGE, OTHER, SMALL = "model-1.safetensors", "model-2.safetensors", "model-3.safetensors"
FOLDER = "weights/llama/"
SHARDS = {LARGE: b"\1" * (22 * MIB), OTHER: b"\2" * (5 * MIB + 1), SMALL: b"\3" * 2048}
FILES = a_checkpoint(shards=SHARDS)
TUNED = a_checkpoint(shards={**SHARDS, SMALL: b"\4" * 2048})


def weights(world, artifact):
    prefix = f"artifacts/{artifact}/weights/"
    return {key.removeprefix(prefix): body for key, body in world.bucket.objects.items() if key.startswith(prefix)}


def manifest(world, artifact):
    return Manifest.model_validate_json(world.bucket.get(manifest_key(artifact)))


def planned(world, task):
    """Return the spans; of what is read from the source, only what comes after them is remembered."""
    spans = world.plan(task)
    world.source.ranges.clear()
    return spans


def copy(world, spans):
    for span in spans:
        world.span_copying.copy(span)


def streamed(world):
    return {path for path, _, _ in world.source.ranges}


def copied_bytes(world):
    return sum(size for _, size in world.bucket.copied)


@pytest.fixture
def from_bucket(world):
    world.source.upload(FOLDER, FILES)
    world.bring(Status.STAGING, source=f"s3://{FOLDER}")
    return world.staging_task()


def test_a_checkpoint_in_a_bucket_is_copied_by_s3_and_no_byte_of_it_streamed(world, from_bucket):
    copy(world, planned(world, from_bucket))
    world.staging.seal(from_bucket)

    assert weights(world, from_bucket.artifact_id) == FILES
    assert streamed(world) == set()
    assert copied_bytes(world) == sum(map(len, FILES.values()))


def test_parts_that_s3_copies_are_larger_than_those_that_pass_us(world, from_bucket):
    world.run_staging()

    assert [size for place, size in world.bucket.copied if place.endswith(LARGE)] == [20 * MIB, 2 * MIB]
    told = manifest(world, from_bucket.artifact_id)
    assert {file.path: file.parts for file in told.files if file.path in SHARDS} == {LARGE: 2, OTHER: 1, SMALL: 1}
    assert {file.copied_from for file in told.files} == {None}


@pytest.mark.parametrize("part_mib", [5, 128, 256, 2048, 5120])
@pytest.mark.parametrize("size_bytes", [6 * MIB, 50 * 10**9, 5 << 40])
def test_no_file_has_more_parts_than_s3_takes_nor_a_part_that_takes_it_longer_than_a_client_waits(size_bytes, part_mib):
    limits = SpanLimits(part_bytes=part_mib * MIB)

    part_bytes = part_bytes_for(size_bytes, limits, copied_by_s3=True)

    assert -(-size_bytes // part_bytes) <= MOST_PARTS
    assert part_bytes <= max(min(COPIED_PARTS * limits.part_bytes, 1 << 30), size_bytes / MOST_PARTS + MIB)


@pytest.mark.parametrize("path", [LARGE, "config.json"])
def test_a_file_that_is_replaced_after_the_plan_is_noticed_and_not_taken_from_anywhere_else(world, from_bucket, path):
    spans = planned(world, from_bucket)
    world.source.upload(FOLDER, {path: b"z" * len(FILES[path])})

    with pytest.raises(SourceChanged, match="replaced"):
        copy(world, spans)

    assert path not in weights(world, from_bucket.artifact_id)
    assert streamed(world) == set()


def test_a_refused_copy_is_told_and_not_streamed_behind_anybodys_back(world, from_bucket):
    spans = planned(world, from_bucket)

    def refuse(*_args):
        raise SourceGated("Our role may not read it.")

    world.bucket.copy_part = refuse

    with pytest.raises(SourceGated):
        copy(world, spans)
    code, reason = world.artifacts.trouble(from_bucket.artifact_id, 1)

    assert (code, streamed(world)) == ("source-gated", set())
    assert "may not read" in reason


def test_progress_of_what_s3_copies_is_told_when_it_has_landed(world, from_bucket):
    copy(world, planned(world, from_bucket))

    marks = world.artifacts.span_marks(from_bucket.artifact_id, 1)
    assert sum(mark.copied_bytes for mark in marks) == sum(map(len, FILES.values()))


# ---- what another artifact holds -------------------------------------------------------------------------------------


@pytest.fixture
def donor(world):
    """Stage a model and give its artifact's id."""
    world.source.push("acme/llama-8b", FILES)
    world.bring(Status.STAGING)
    world.run_staging()
    return world.artifact().id


@pytest.fixture
def task(world, donor):
    """Begin another model, which shares its shards with the first one."""
    world.source.push("acme/llama-8b-tuned", TUNED)
    world.bring(Status.STAGING, name="tuned", source="hf://acme/llama-8b-tuned")
    return world.staging_task("tuned")


def run(world, task):
    copy(world, planned(world, task))
    world.staging.seal(task)
    world.verify("tuned")
    return world.artifact("tuned")


def test_a_file_that_another_artifact_holds_is_copied_from_there(world, donor, task):
    artifact = run(world, task)

    assert weights(world, artifact.id) == TUNED
    assert not {LARGE, OTHER} & streamed(world)
    assert {place for place, _ in world.bucket.copied} == {
        f"{ARTIFACT_BUCKET}/{weight_key(donor, path)}" for path in (LARGE, OTHER)
    }
    told = {file.path: file.copied_from for file in manifest(world, artifact.id).files if file.copied_from}
    assert told == {LARGE: donor, OTHER: donor}
    assert artifact.reused_bytes == len(FILES[LARGE]) + len(FILES[OTHER])


@pytest.mark.parametrize("goes", ["donor", "copy"])
def test_a_holder_that_goes_leaves_the_others(world, donor, task, goes):
    copied = run(world, task).id
    gone, left = (donor, copied) if goes == "donor" else (copied, donor)
    world.artifacts.shelf.patch(gone, status=ArtifactStatus.GONE)
    world.source.push("acme/llama-8b-again", TUNED)
    world.bring(Status.STAGING, name="again", source="hf://acme/llama-8b-again")
    world.bucket.copied.clear()

    copy(world, planned(world, world.staging_task("again")))

    places = {f"{ARTIFACT_BUCKET}/{weight_key(left, path)}" for path in (LARGE, OTHER)}
    assert {place for place, _ in world.bucket.copied} == places
    assert {held.artifact_id for held in world.contents.held.values()} == {left}


@pytest.mark.parametrize("status", [status for status in ArtifactStatus if status is not ArtifactStatus.SEALED])
def test_nothing_is_taken_from_an_artifact_that_is_not_sealed(world, donor, task, status):
    world.artifacts.shelf.patch(donor, status=status)

    run(world, task)

    assert world.bucket.copied == []
    assert {LARGE, OTHER} <= streamed(world)


def test_nothing_is_taken_from_an_artifact_that_is_not_verified_yet(world, donor, task):
    world.artifacts.shelf.patch(donor, unverified=1)

    run(world, task)

    assert world.bucket.copied == []


@pytest.mark.parametrize("gone", [ArtifactStatus.QUARANTINED, ArtifactStatus.DELETING, ArtifactStatus.GONE])
def test_what_is_told_of_an_artifact_that_is_gone_is_removed(world, donor, task, gone):
    world.artifacts.shelf.patch(donor, status=gone)

    world.plan(task)

    assert world.contents.held == {}


@pytest.mark.parametrize("other", [b"\7" * len(FILES[LARGE]), b"\1", None])
def test_an_object_that_is_not_what_was_sealed_is_not_taken(world, donor, task, other):
    key = weight_key(donor, LARGE)
    if other is None:
        del world.bucket.objects[key]
    else:
        world.bucket.objects[key] = other

    artifact = run(world, task)

    assert weights(world, artifact.id)[LARGE] == FILES[LARGE]
    assert LARGE in streamed(world)


def test_a_donor_that_vanishes_midway_is_replaced_by_the_files_own_source(world, donor, task):
    spans = planned(world, task)
    world.bucket.delete(f"artifacts/{donor}/")

    copy(world, spans)
    world.staging.seal(task)
    artifact = world.artifact("tuned")

    assert weights(world, artifact.id) == TUNED
    assert {LARGE, OTHER} <= streamed(world)


def test_a_file_that_does_not_become_what_its_donor_held_is_never_sealed_and_copied_anew(world, donor, task):
    spans = planned(world, task)
    world.source.rewrite(
        "acme/llama-8b-tuned", world.artifacts.get(task.artifact_id).revision, {LARGE: b"!" * 22 * MIB}
    )
    world.bucket.delete(weight_key(donor, LARGE))
    copy(world, spans)

    with pytest.raises(SourceChanged, match=f"not what artifact {donor} holds under the same SHA-256"):
        world.staging.seal(task)

    assert LARGE not in weights(world, task.artifact_id)
    assert [upload for upload in world.bucket.uploads.values() if upload.key.endswith(LARGE)] == []


def test_a_file_whose_source_tells_no_sha256_is_not_looked_for(world, donor):
    world.source.upload(FOLDER, FILES)
    world.bring(Status.STAGING, name="tuned", source=f"s3://{FOLDER}")

    run(world, world.staging_task("tuned"))

    assert all(place.startswith(FOLDER) for place, _ in world.bucket.copied)


def test_what_a_repeated_seal_finds_joined_keeps_its_checksum_and_can_be_given(world):
    world.source.push("acme/llama-8b", FILES)
    world.bring(Status.STAGING)
    task = world.staging_task()
    copy(world, planned(world, task))
    world.artifacts.shelf.meanwhile.append(lambda: (_ for _ in ()).throw(SourceNotFound("lost")))
    with pytest.raises(SourceNotFound):
        world.staging.seal(task)

    world.staging.seal(task)
    assert world.contents.held == {}
    world.verify()

    assert {file.path for file in manifest(world, task.artifact_id).files if file.checksum_crc64nvme} == {LARGE, OTHER}
    assert len(world.contents.held) == 2


def test_a_file_that_is_too_large_to_be_verified_is_neither_given_nor_looked_for():
    told = {"path": LARGE, "sha256": "a" * 64, "checksum_crc64nvme": "AAAAAAAAAAA="}
    files = [StagedFile(**told, size_bytes=LARGEST_VERIFIED_BYTES + more) for more in (0, 1)]
    manifest = Manifest(
        artifact_id="a0",
        source="hf://a/b",
        revision="c",
        files=files,
        facts=ModelFacts(architecture="L", model_type="l"),
        total_bytes=1,
        sealed_at=NOON,
    )

    assert [held.size_bytes for held in contents_of(manifest)] == [LARGEST_VERIFIED_BYTES]
    looked_for = [
        is_looked_for(SourceFile(path=LARGE, size_bytes=file.size_bytes, sha256=file.sha256)) for file in files
    ]
    assert looked_for == [True, False]
