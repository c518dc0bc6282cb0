"""Checkpoints whose files have odd names and odd sizes are staged byte for byte, or refused with the reason."""

import json
from pathlib import Path

import pytest

from tests.factories import a_checkpoint
from tests.workflows.world import PART_MIB, World, eventually

PART_BYTES = int(PART_MIB) * 1024 * 1024
SHARDS = {
    "nested/deeper/first.of-three.safetensors": 2 * PART_BYTES,  # two whole parts
    "Model_(2)'!*.SAFE.safetensors": PART_BYTES,  # a file of exactly one part
    "3.safetensors": PART_BYTES + 1,  # the second part has one byte
    "-.safetensors": 2048,
}


def a_file(number: int, size_bytes: int) -> bytes:
    return bytes([number]) * size_bytes


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    shards = {name: a_file(number, size) for number, (name, size) in enumerate(SHARDS.items())}
    return a_checkpoint(shards=shards)


def published(world: World, folder: Path, files: dict[str, bytes]) -> str:
    """Give the source of a model that has these files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    repository = f"acme/{folder.name}"
    world.hub.add(repository, folder)
    return f"hf://{repository}"


def test_odd_names_and_odd_sizes_are_staged_byte_for_byte(
    world: World, tmp_path: Path, files: dict[str, bytes]
) -> None:
    name = world.deploy(source=published(world, tmp_path, files))
    told = lambda: str(world.deployment(name))  # noqa: E731
    artifact_id = eventually(lambda: str(world.deployment(name).get("artifact_id", "")), "its artifact", but=told)
    verified = lambda: "verified_at" in world.record(f"ARTIFACT#{artifact_id}")  # noqa: E731
    eventually(verified, "its weights to be verified", but=told)

    s3, bucket, prefix = world.cloud.client("s3"), world.artifact_bucket, f"artifacts/{artifact_id}/"
    stored = {
        key.removeprefix(f"{prefix}weights/"): s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in world.objects(f"{prefix}weights/")
    }
    assert stored == files
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=f"{prefix}manifest.json")["Body"].read())
    parts = {file["path"]: file["parts"] for file in manifest["files"]}
    assert [parts[shard] for shard in SHARDS] == [2, 1, 2, 1]


def test_a_file_without_a_byte_or_with_one_is_refused_with_what_it_should_be(world: World, tmp_path: Path) -> None:
    files = {**a_checkpoint(), "merges.txt": b"", "vocab.json": b"1"}

    view = world.failed(source=published(world, tmp_path, files))

    assert "merges.txt cannot be read: it is not a list of merges" in view["failure"]["reason"]
    assert "vocab.json cannot be read: it is not a JSON object" in view["failure"]["reason"]


@pytest.mark.parametrize("name", ["gewicht-größe.safetensors", "重み.safetensors", "a b.safetensors"])
def test_a_name_that_the_backend_would_not_read_is_refused_with_the_reason(
    world: World, tmp_path: Path, name: str
) -> None:
    source = published(world, tmp_path, a_checkpoint(shards={name: a_file(1, 300)}))

    view = world.failed(source=source)

    assert view["failure"]["during"] in ("REQUESTED", "STAGING")
    assert name in view["failure"]["reason"]
    assert "characters other than letters, digits and" in view["failure"]["reason"]
