"""A revision is all that an endpoint is made of, known by its digest: the same wish of the same weights is the same."""

import pytest
from pilotlight.domain.artifact import weights_prefix
from pilotlight.domain.endpoint import REVISIONS_KEPT, Mount, RevisionStatus
from pilotlight.domain.errors import InvalidInput, NotFound, SourceGated
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.jumpstart_manifest import Buckets
from pilotlight.domain.jumpstart_spec import read_spec
from pilotlight.domain.lmi_images import HOST_OF_CUDA_13
from pilotlight.domain.values import Backend

from tests.endpoint_world import ARTIFACT_BUCKET, REGION
from tests.factories import a_deployment, a_proposal

ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME
ARTIFACT = "a0123456789abcdef012"  # pragma: allowlist secret (an id)
WEIGHTS = f"s3://{ARTIFACT_BUCKET}/{weights_prefix(ARTIFACT)}"
HANDLER = {"files": {"model.py": "def handle(inputs):\n    return None\n"}}
IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/djl-inference:0.34.0-lmi16.0.0-cu128"


def a_record(backend=ASYNC, **fields):
    return a_deployment(backend=backend, **{"artifact_id": ARTIFACT, "proposal": a_proposal(), **fields})


def revise(world, deployment=None, proposal=None, **sections):
    deployment = deployment or a_record()
    hosting = Hosting.model_validate(sections)
    return world.revising.of(deployment, hosting, proposal or deployment.proposal, reason="as it was asked for")


def jumpstart(world, *, gated=False, variables=(), **fields):
    """Put a JumpStart model into the catalogue, and return the record of a deployment of it."""
    spec = {
        "default_inference_instance_type": "ml.g5.xlarge",
        "supported_inference_instance_types": ["ml.g5.xlarge", "ml.g5.12xlarge"],
        "hosting_prepacked_artifact_key": "text/prepack/v1/",
        "gated_bucket": gated,
        "hosting_instance_type_variants": {
            "regional_aliases": {REGION: {"gpu": IMAGE}},
            "variants": {"g5": {"regional_properties": {"image_uri": "$gpu"}}},
        },
        "inference_environment_variables": [
            {"name": name, "default": value, "scope": "container", "required_for_model_class": True}
            for name, value in variables
        ],
        **({"hosting_eula_key": "terms/eula.txt"} if gated else {}),
        **fields,
    }
    buckets = Buckets.of(REGION)
    world.jumpstart.models["text-small"] = read_spec(spec, model_id="text-small", version="2.1.0", buckets=buckets)
    return a_deployment(backend=REALTIME, source="jumpstart://text-small", revision="2.1.0")


# ---- the same and another -----------------------------------------------------------------------------------------


def test_the_same_wish_of_the_same_weights_is_the_same_revision(world):
    first = revise(world)
    world.clock.advance(hours=1)

    again = revise(world)

    assert (again, again.number, again.created_at) == (first, 1, first.created_at)


@pytest.mark.parametrize(
    "sections",
    [
        {"container": {"environment": {"A": "b"}}},
        {"container": {"version": "0.33.0-lmi15.0.0-cu128"}},
        {"container": {"health_check_timeout_seconds": 2400}},
        {"serving": {"max_rolling_batch_size": 8}},
        {"serving": HANDLER},
        {"serving": {"network_isolation": False}},
        {"instance": {"concurrency": 2}},
        {"scaling": {"concurrent_invocations": 2}},
    ],
    ids=str,
)
def test_any_other_wish_is_the_next_revision_with_names_of_its_own(world, sections):
    first = revise(world)

    second = revise(world, **sections)

    assert (first.number, second.number) == (1, 2)
    assert second.digest != first.digest
    assert (second.model_name, second.config_name) == ("pilotlight-llama-g1-v2", "pilotlight-llama-g1-v2")


@pytest.mark.parametrize(
    "fields",
    [{"artifact_id": "afffffffffffffffffff"}, {"proposal": a_proposal("ml.g5.2xlarge")}],
    ids=["other weights", "another instance"],
)
def test_other_weights_and_another_instance_are_another_revision(world, fields):
    first = revise(world)

    assert revise(world, a_record(**fields)).number == first.number + 1


def test_another_price_or_another_sentence_is_no_other_revision(world):
    first = revise(world)

    again = revise(world, a_record(proposal=a_proposal(usd_per_hour=9.99, needed_gib=1.0)))

    assert again.number == first.number


def test_the_file_that_was_changed_makes_another_revision_and_a_bundle_of_its_own(world):
    first = revise(world, serving=HANDLER)
    second = revise(world, serving={"files": {"model.py": "def handle(inputs):\n    return 1\n"}})

    assert second.number == 2
    assert world.bucket.get(first.bundle_key) != world.bucket.get(second.bundle_key)


def test_revisions_of_another_generation_are_not_found_again(world):
    revise(world)

    other = revise(world, a_record(generation=2))

    assert (other.number, other.model_name) == (1, "pilotlight-llama-g2-v1")


# ---- what it is made of --------------------------------------------------------------------------------------------


def test_weights_without_a_bundle_are_the_models_own_data_uncompressed_below_a_prefix(world):
    revision = revise(world, container={"image": f"123456789012.dkr.ecr.{REGION}.amazonaws.com/mine:1"})

    assert revision.mounts == (Mount(uri=WEIGHTS),)
    assert revision.mounts[0].uri.endswith("/")
    assert (revision.bundle_key, revision.network_isolation) == (None, True)


def test_a_bundle_is_the_models_own_data_and_the_weights_lie_beside_it(world):
    revision = revise(world, serving=HANDLER)

    bundle, weights = revision.mounts
    assert (bundle.uri, bundle.compressed, bundle.channel) == (
        f"s3://{ARTIFACT_BUCKET}/{revision.bundle_key}",
        True,
        None,
    )
    assert (weights.uri, weights.compressed, weights.channel is not None) == (WEIGHTS, False, True)
    assert world.bucket.get(revision.bundle_key)[:2] == b"\x1f\x8b", "it is a gzip"


@pytest.mark.parametrize(
    ("instance_type", "volume_gib"),
    [("ml.g5.xlarge", None), ("ml.g4dn.xlarge", None), ("ml.m5.4xlarge", 30 + 2 * 37)],
)
def test_weights_have_room_where_an_instance_has_no_disks_of_its_own(world, instance_type, volume_gib):
    proposal = a_proposal(instance_type=instance_type, needed_gib=36.5)

    assert revise(world, a_record(proposal=proposal)).volume_gib == volume_gib


def test_times_of_download_and_health_check_are_the_longest_ones_unless_others_are_asked_for(world):
    usual = revise(world)
    times = {"health_check_timeout_seconds": 900, "download_timeout_seconds": 600}
    asked = revise(world, container=times, serving={"model_loading_timeout": 900})

    assert (usual.download_timeout_seconds, usual.health_check_timeout_seconds) == (1800, 3600)
    assert (asked.download_timeout_seconds, asked.health_check_timeout_seconds) == (600, 900)


def test_an_image_of_cuda_13_gets_the_host_without_which_it_dies_without_a_word(world):
    old = revise(world, container={"version": "0.33.0-lmi15.0.0-cu128"})
    new = revise(world, container={"version": "0.36.0-lmi27.0.0-cu130"})

    assert old.inference_ami_version != HOST_OF_CUDA_13
    assert new.inference_ami_version == HOST_OF_CUDA_13 == "al2023-ami-sagemaker-inference-gpu-4-1"


def test_a_handler_behind_an_asynchronous_endpoint_may_take_an_hour(world):
    asynchronous = revise(world, serving=HANDLER)
    real_time = revise(world, a_record(REALTIME, name="other"), serving=HANDLER)

    assert b"option.predict_timeout=3600" in world.bucket.get(asynchronous.bundle_key)
    assert b"predict_timeout" not in world.bucket.get(real_time.bundle_key)


def test_what_the_checkpoint_asks_for_tells_revisions_apart_though_only_the_bundle_says_it(world):
    """A bundle that is put again must be the same: instances that come later are given it, too."""
    first = revise(world)
    before = world.bucket.get(first.bundle_key)

    second = revise(world, a_record(proposal=a_proposal(options={"max_model_len": "4096"})))

    assert second.number == 2
    assert world.bucket.get(first.bundle_key) == before
    assert b"option.max_model_len=4096" in world.bucket.get(second.bundle_key)


def test_the_tensors_are_spread_over_as_many_accelerators_as_were_proposed(world):
    revision = revise(world, a_record(proposal=a_proposal("ml.g5.12xlarge", tensor_parallel_degree=4)))

    assert (revision.instance_type, revision.tensor_parallel_degree) == ("ml.g5.12xlarge", 4)


def test_bounds_of_the_backend_are_filled_in(world):
    assert (revise(world).scaling.min, revise(world).scaling.max) == (0, 1)
    assert revise(world, a_record(REALTIME, name="other")).scaling.min == 1


@pytest.mark.parametrize("fields", [{"artifact_id": None}, {"proposal": None}], ids=["no weights", "no instance"])
def test_a_record_that_tells_too_little_says_what_to_do(world, fields):
    with pytest.raises(NotFound, match="delete it, and deploy it again"):
        revise(world, a_record(**fields))

    assert world.revisions.held == {}


def test_an_image_that_there_is_not_is_refused_before_a_revision_is_written(world):
    with pytest.raises(InvalidInput):
        revise(world, container={"version": "0.1.0-lmi1.0.0-cu1"})

    assert world.revisions.held == {}


# ---- JumpStart ---------------------------------------------------------------------------------------------------


def test_weights_of_a_jumpstart_model_stay_where_aws_keeps_them(world):
    revision = revise(world, jumpstart(world))

    assert revision.mounts == (Mount(uri=f"s3://jumpstart-cache-prod-{REGION}/text/prepack/v1/"),)
    assert (revision.image, revision.instance_type, revision.bundle_key) == (IMAGE, "ml.g5.xlarge", None)


def test_gated_weights_are_mounted_for_who_accepted_the_terms_and_for_nobody_else(world):
    deployment = jumpstart(world, gated=True)

    with pytest.raises(SourceGated):
        revise(world, deployment)
    revision = revise(world, deployment, accept_eula=True)

    assert [mount.gated for mount in revision.mounts] == [True]
    assert revision.mounts[0].uri.startswith("s3://jumpstart-private-cache-prod-")


@pytest.mark.parametrize(
    ("variables", "instance", "degree"),
    [
        ([("OPTION_TENSOR_PARALLEL_DEGREE", "2")], "ml.g5.12xlarge", 2),
        ([("SM_VLLM_TENSOR_PARALLEL_SIZE", "4")], "ml.g5.12xlarge", 4),
        ([("TENSOR_PARALLEL_DEGREE", "max")], "ml.g5.12xlarge", 4),
        ([], "ml.g5.xlarge", 1),
    ],
    ids=str,
)
def test_a_jumpstart_models_degree_is_what_its_variables_tell_or_all_that_its_instance_has(
    world, variables, instance, degree
):
    revision = revise(world, jumpstart(world, variables=variables), instance={"type": instance})

    assert (revision.instance_type, revision.tensor_parallel_degree) == (instance, degree)


def test_a_jumpstart_model_keeps_its_version_whatever_is_newest_meanwhile(world):
    deployment = jumpstart(world)
    asked = []
    resolve = world.jumpstart.resolve
    world.jumpstart.resolve = lambda source: asked.append(source) or resolve(source)

    revise(world, deployment)

    assert [source.revision for source in asked] == ["2.1.0"]


# ---- keeping -----------------------------------------------------------------------------------------------------


def test_a_revision_that_is_not_kept_is_not_found_and_those_that_are_are_named(world):
    deployment = a_record()
    revise(world, deployment)
    revise(world, deployment, container={"environment": {"A": "b"}})

    with pytest.raises(NotFound, match=r"keeps no revision 9; it keeps 1, 2\."):
        world.revising.find(deployment, 9)
    with pytest.raises(NotFound, match="it keeps none"):
        world.revising.find(a_record(generation=5), 1)


def test_what_is_beyond_the_last_ten_is_to_be_forgotten_without_what_is_spared(world):
    deployment = a_record()
    for value in range(14):
        revise(world, deployment, container={"environment": {"A": str(value)}})

    old = world.revising.to_forget(deployment, 2, None)

    assert len(world.revising.kept(deployment)) - len(old) == REVISIONS_KEPT + 1
    assert [each.number for each in old] == [4, 3, 1]


def test_a_revision_that_is_forgotten_takes_its_bundle_along_and_no_other(world):
    deployment = a_record()
    first = revise(world, deployment, serving=HANDLER)
    for value in range(9):
        files = {"files": {"model.py": f"def handle(inputs):\n    return {value}\n"}}
        last = revise(world, deployment, serving=files)

    world.revising.forget(first)

    assert world.bucket.get(first.bundle_key) is None
    assert world.bucket.get(last.bundle_key), "v1 is also how v10 begins"
    assert world.revisions.find("llama", 1, 1) is None


def test_a_mark_that_is_there_already_is_not_written_again(world):
    revision = revise(world)
    world.revising.mark(revision, RevisionStatus.RETIRED)
    world.revisions.put = None

    world.revising.mark(revision.changed(status=RevisionStatus.RETIRED), RevisionStatus.RETIRED)
