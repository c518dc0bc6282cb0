"""Weights are packed with the bundle's files where that is asked for, up to a limit, and once for each revision."""

import io
import tarfile

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.archive import Entry
from pilotlight.domain.artifact import Manifest, ModelFacts, StagedFile, manifest_key, weight_key, weights_prefix
from pilotlight.domain.deployment import Status
from pilotlight.domain.endpoint import Mount
from pilotlight.domain.errors import InvalidInput, NotFound, PreflightRefused, Superseded
from pilotlight.domain.packing import LARGEST_PACKED_BYTES, entries_to_pack
from pilotlight.domain.values import Backend

from tests.endpoint_world import ARTIFACT_BUCKET, REGION
from tests.factories import NOON, a_request
from tests.unit.test_revising import HANDLER, a_record, jumpstart, revise

PACKED = {"weights": "packed"}
BESIDE = "/opt/ml/additional-model-data-sources/weights"
OWN_IMAGE = {"image": f"123456789012.dkr.ecr.{REGION}.amazonaws.com/mine:1"}
KEY = "bundles/llama-g1/v1/model.tar.gz"
REALTIME = Backend.SAGEMAKER_REALTIME


def unpacked(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def a_manifest(**sizes):
    files = tuple(StagedFile(path=path, size_bytes=size) for path, size in sizes.items())
    facts = ModelFacts(architecture="LlamaForCausalLM", model_type="llama")
    total = sum(sizes.values())
    return Manifest(
        artifact_id="a1", source="hf://a/b", revision="c", files=files, facts=facts, total_bytes=total, sealed_at=NOON
    )


def weights_of(world):
    """Give the staged files, by the path that they have below the artifact's weights."""
    prefix = weights_prefix(world.deployment().artifact_id)
    return {key.removeprefix(prefix): body for key, body in world.bucket.objects.items() if key.startswith(prefix)}


# ---- what a revision is -------------------------------------------------------------------------------------------


def test_packed_weights_are_the_models_only_data_and_are_told_where_they_are(world):
    revision = revise(world, a_record(REALTIME), serving={**PACKED, **HANDLER})

    assert revision.mounts == (Mount(uri=f"s3://{ARTIFACT_BUCKET}/{KEY}", compressed=True),)
    assert (revision.bundle_key, revision.packs_weights) == (KEY, True)
    assert KEY not in world.bucket.objects, "it is written with the model"


def test_an_image_of_another_server_has_an_archive_of_weights_alone(world):
    revision = revise(world, serving=PACKED, container=OWN_IMAGE)

    assert revision.mounts == (Mount(uri=f"s3://{ARTIFACT_BUCKET}/{KEY}", compressed=True),)


def test_packing_the_same_weights_is_another_revision(world):
    beside = revise(world)
    packed = revise(world, serving=PACKED)
    again = revise(world, serving=PACKED)

    assert (beside.number, packed.number, again.number) == (1, 2, 2)
    assert beside.digest != packed.digest


# ---- the archive ----------------------------------------------------------------------------------------------------


def test_the_archive_holds_the_weights_and_the_files_at_its_root_before_the_model_is_created(world):
    world.host(Status.STAGING, serving={**PACKED, **HANDLER})
    assert KEY not in world.bucket.objects

    world.creating.start(world.task())

    held = unpacked(world.bucket.objects[KEY])
    properties = held.pop("serving.properties").decode()
    assert held.pop("model.py").decode() == HANDLER["files"]["model.py"]
    assert held == weights_of(world)
    assert "option.model_id=/opt/ml/model\n" in properties
    assert "config.json" in held


def test_a_start_that_is_repeated_packs_nothing_again(world):
    world.host(Status.STAGING, serving=PACKED)
    world.creating.start(world.task())
    written = world.bucket.written[KEY]
    world.clock.advance(minutes=5)

    world.creating.start(world.task())

    assert world.bucket.written[KEY] == written


def test_an_archive_that_was_written_before_a_crash_is_the_models(world):
    world.host(Status.STAGING, serving=PACKED)
    create = world.endpoints.create_model
    world.endpoints.create_model = _crash
    with pytest.raises(KeyboardInterrupt):
        world.creating.start(world.task())
    written = world.bucket.written[KEY]
    world.clock.advance(minutes=5)
    world.endpoints.create_model = create

    assert world.creating.start(world.task()).done

    assert world.bucket.written[KEY] == written
    assert list(world.endpoints.models) == ["pilotlight-llama-g1-v1"]


def _crash(*_told):
    raise KeyboardInterrupt


def test_an_update_to_packed_weights_packs_them_with_its_model_and_not_while_somebody_waits(world):
    world.host(backend=REALTIME)
    world.updating.update("llama", UpdateRequest.model_validate({"serving": PACKED}))
    key = "bundles/llama-g1/v2/model.tar.gz"
    assert key not in world.bucket.objects

    world.run_update()

    assert set(weights_of(world)) < set(unpacked(world.bucket.objects[key]))
    assert (world.endpoint().revision, world.endpoint().exists) == (2, True)


def test_weights_that_are_not_sealed_are_not_packed(world):
    world.host(Status.STAGING, serving=PACKED)
    del world.bucket.objects[manifest_key(world.deployment().artifact_id)]

    with pytest.raises(NotFound, match="is not sealed"):
        world.creating.start(world.task())

    assert world.endpoints.models == {}


def test_a_deployment_that_was_torn_down_while_its_weights_were_packed_leaves_nothing(world):
    world.host(Status.STAGING, serving=PACKED)
    put = world.bucket.put_archive

    def packed_meanwhile(key, entries):
        put(key, entries)
        before = world.deployment()
        gone = before.changed(status=Status.TEARING_DOWN)
        world.deployments.shelf.write("llama", gone, before.version + 1)

    world.bucket.put_archive = packed_meanwhile
    with pytest.raises(Superseded):
        world.creating.start(world.task())

    assert (KEY in world.bucket.objects, world.endpoints.models, world.revisions.held) == (False, {}, {})


def test_a_revision_that_is_forgotten_takes_its_archive_along(world):
    world.host(serving=PACKED)
    assert KEY in world.bucket.objects

    world.revising.forget(world.revisions.find("llama", 1, 1))

    assert KEY not in world.bucket.objects


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_entries_name_the_artifacts_objects_by_the_paths_that_they_have():
    found = entries_to_pack(a_manifest(**{"onnx/a.json": 2}), {"serving.properties": b"x"})

    assert found == [
        Entry(path="serving.properties", size_bytes=1, content=b"x"),
        Entry(path="onnx/a.json", size_bytes=2, key=weight_key("a1", "onnx/a.json")),
    ]


def test_as_much_as_the_limit_is_packed_and_a_byte_more_is_refused_with_what_was_found():
    entries_to_pack(a_manifest(**{"model.safetensors": LARGEST_PACKED_BYTES}), {})

    with pytest.raises(InvalidInput) as caught:
        entries_to_pack(a_manifest(**{"model.safetensors": LARGEST_PACKED_BYTES + 1}), {})

    assert caught.value.http_status == 422
    assert caught.value.detail["field"] == "serving.weights"
    for told in ("2,147,483,649 bytes in 1 files", "2,147,483,648 bytes (2 GiB)", "Leave serving.weights out"):
        assert told in caught.value.message


def test_what_could_not_be_packed_is_refused_before_a_name_is_taken(world):
    files = {"files": {"config.json": "{}"}}
    request = a_request("llama", backend=REALTIME, serving={**PACKED, **files})

    with pytest.raises(PreflightRefused, match=r"'config\.json' in serving\.files and in the weights") as caught:
        world.requesting.request(request, correlation_id="c-1")

    assert caught.value.http_status == 422
    assert world.deployments.find("llama") is None


def test_weights_of_a_jumpstart_model_are_not_packed(world):
    jumpstart(world)
    request = a_request("llama", backend=REALTIME, source="jumpstart://text-small", serving=PACKED)

    with pytest.raises(InvalidInput, match=r"stay in AWS's bucket.*leave serving\.weights out"):
        world.requesting.request(request, correlation_id="c-1")


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"container": {**OWN_IMAGE, "environment": {"MODEL": BESIDE}}}, "container.environment"),
        ({"serving": {"options": {"tokenizer": f"{BESIDE}/x"}}}, "serving.options"),
    ],
    ids=["environment", "options"],
)
def test_a_container_that_is_sent_where_nothing_lies_is_told_where_it_does(world, sections, field):
    wanted = {**sections, "serving": {**PACKED, **sections.get("serving", {})}}

    with pytest.raises(InvalidInput, match="write /opt/ml/model") as caught:
        revise(world, **wanted)

    assert caught.value.detail["field"] == field
