"""A container's plan leaves nothing open, fits what CreateModel takes, and says no where the image could not run it."""

import gzip
import io
import tarfile

import botocore.session
import pytest
from botocore.validate import ParamValidator
from pilotlight.domain.broken_rules import broken_rules
from pilotlight.domain.containers import (
    CHANNELS_PATH,
    LARGEST_ENVIRONMENT_BYTES,
    LONGEST_IMAGE,
    LONGEST_VARIABLE_BYTES,
    MODEL_PATH,
    MOST_VARIABLES,
    WEIGHTS_PATH,
    ContainerPlan,
    ContainerSettings,
    place_of_weights,
    plan_container,
)
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.lmi_images import HOST_OF_CUDA_12, HOST_OF_CUDA_13
from pilotlight.domain.serving import ServingSettings, WeightsPlace
from pydantic import ValidationError

HERE = "us-west-2"
VLLM = f"123456789012.dkr.ecr.{HERE}.amazonaws.com/vllm:0.26.0-gpu-py312-cu130-ubuntu22.04-sagemaker"
TENSORRT = f"763104351884.dkr.ecr.{HERE}.amazonaws.com/djl-inference:0.33.0-tensorrtllm0.21.0-cu128"
DIGEST = "@sha256:" + "0" * 64
HANDLER = "def handle(inputs):\n    return None\n"


def plan(serving: dict | None = None, *, degree: int | None = None, facts: dict | None = None, **more) -> ContainerPlan:
    options = {"region": HERE, "weights": WEIGHTS_PATH, "accelerator": "nvidia"}
    options |= {name: more.pop(name) for name in options if name in more}
    return plan_container(
        ServingSettings.model_validate(serving or {}),
        ContainerSettings.model_validate(more),
        facts_options=facts or {},
        tensor_parallel_degree=degree,
        **options,
    )


def refusal(**fields) -> str:
    with pytest.raises(ValidationError) as caught:
        ContainerSettings.model_validate(fields)
    return "; ".join(map(str, broken_rules(caught.value, "container")))


def properties(planned: ContainerPlan) -> list[str]:
    return planned.files["serving.properties"].splitlines()


def test_a_plan_with_nothing_said_is_lmi_with_a_bundle_beside_the_weights():
    planned = plan(degree=4, facts={"dtype": "bf16"})

    assert planned.image == f"763104351884.dkr.ecr.{HERE}.amazonaws.com/djl-inference:0.36.0-lmi27.0.0-cu130"
    assert planned.version == "0.36.0-lmi27.0.0-cu130"
    assert planned.inference_ami_version == HOST_OF_CUDA_13
    assert (planned.health_check_timeout_seconds, planned.download_timeout_seconds) == (3600, 1800)
    assert planned.network_isolation
    assert planned.environment == {}
    assert properties(planned) == [
        "engine=Python",
        "option.dtype=bf16",
        f"option.model_id={CHANNELS_PATH}/weights",
        "option.model_loading_timeout=1800",
        "option.tensor_parallel_degree=4",
    ]
    assert planned.model_source.dump() == {
        "bundle_path": "/opt/ml/model",
        "weights_path": f"{CHANNELS_PATH}/weights",
        "weights_channel": "weights",
    }


def test_a_bundle_holds_the_users_files_and_the_properties_at_its_root():
    planned = plan({"files": {"model.py": HANDLER, "labels.json": "{}"}})

    with tarfile.open(fileobj=io.BytesIO(planned.bundle() or b""), mode="r:gz") as tar:
        assert tar.getnames() == ["labels.json", "model.py", "serving.properties"]
    assert planned.bundle() == plan({"files": {"labels.json": "{}", "model.py": HANDLER}}).bundle()


def test_the_users_degree_goes_before_the_instances():
    assert "option.tensor_parallel_degree=2" in properties(plan({"tensor_parallel_degree": 2}, degree=4))


def test_weights_that_are_packed_lie_where_the_bundle_does():
    planned = plan({"weights": "packed"}, weights=place_of_weights(ServingSettings(weights=WeightsPlace.PACKED)))

    assert f"option.model_id={MODEL_PATH}" in properties(planned)
    assert planned.model_source.dump() == {"bundle_path": MODEL_PATH, "weights_path": MODEL_PATH}


def test_a_model_without_weights_of_ours_has_no_channel():
    planned = plan(weights=None)

    assert not any(line.startswith("option.model_id") for line in properties(planned))
    assert planned.model_source.dump() == {"bundle_path": "/opt/ml/model"}


def test_an_image_of_another_server_finds_the_weights_alone_and_its_environment_unchanged():
    planned = plan(image=VLLM, environment={"SM_VLLM_MAX_MODEL_LEN": "8192"}, degree=4, facts={"dtype": "bf16"})

    assert planned.image == VLLM
    assert planned.version is None
    assert planned.environment == {"SM_VLLM_MAX_MODEL_LEN": "8192"}
    assert (planned.files, planned.bundle()) == ({}, None)
    assert planned.model_source.dump() == {"weights_path": MODEL_PATH}


@pytest.mark.parametrize(
    ("serving", "image"),
    [
        ({"files": {"model.py": HANDLER}}, VLLM.replace("vllm:", "mine:")),
        ({"engine": "Python", "dtype": "fp16"}, VLLM.replace("vllm:", "mine:")),
        ({}, TENSORRT),
        ({"network_isolation": False}, TENSORRT),
    ],
)
def test_an_own_image_of_djl_serving_gets_a_bundle(serving, image):
    planned = plan(serving, image=image)

    assert f"option.model_id={WEIGHTS_PATH}" in properties(planned)
    assert planned.model_source.bundle_path == MODEL_PATH


def test_an_own_image_stays_without_a_bundle_where_only_its_task_and_the_network_are_spoken_of():
    planned = plan({"network_isolation": False, "task": "feature-extraction"}, image=VLLM)

    assert (planned.files, planned.network_isolation) == ({}, False)


@pytest.mark.parametrize("told", [{"dtype": "fp16"}, {"batch_size": 8}, {"options": {"max_model_len": "8192"}}])
def test_settings_that_an_own_image_would_never_be_told_are_refused_with_who_tells_it(told):
    with pytest.raises(InvalidInput, match=r"container\.environment") as caught:
        plan(told, image=VLLM)

    assert "set serving.engine" in caught.value.message


def test_weights_that_are_in_the_image_already_have_no_channel():
    planned = plan(weights="/opt/model")

    assert planned.model_source.dump() == {"bundle_path": MODEL_PATH, "weights_path": "/opt/model"}


@pytest.mark.parametrize(
    ("image", "host"),
    [
        (VLLM, HOST_OF_CUDA_13),
        (TENSORRT, HOST_OF_CUDA_12),
        (VLLM.replace("-cu130", ""), None),
        (f"123456789012.dkr.ecr.{HERE}.amazonaws.com/mine{DIGEST}", None),
    ],
)
def test_an_own_image_is_put_on_the_host_that_its_tag_asks_for(image, host):
    assert plan(image=image).inference_ami_version == host


def test_a_host_that_the_user_names_stands():
    assert plan(image=VLLM, inference_ami_version=HOST_OF_CUDA_12).inference_ami_version == HOST_OF_CUDA_12


def test_an_instance_without_gpus_gets_no_host_of_gpus_and_no_rolling_batches():
    planned = plan(accelerator="none", degree=None)

    assert planned.inference_ami_version is None
    assert "option.rolling_batch=disable" in properties(planned)
    assert plan(image=VLLM, accelerator="none").inference_ami_version is None


def test_an_own_image_for_another_accelerator_shares_the_model_among_its_cores():
    planned = plan(image=TENSORRT.replace("-cu128", ""), accelerator="neuron", degree=8)

    assert "option.tensor_parallel_degree=8" in properties(planned)
    assert not any("rolling_batch" in line for line in properties(planned))
    assert planned.inference_ami_version is None


@pytest.mark.parametrize(
    ("serving", "more", "field", "words"),
    [
        ({}, {"version": "9.9.9"}, "container.version", "0.36.0-lmi27.0.0-cu130"),
        ({}, {"region": "mars-north-1"}, "region", "us-west-2"),
        ({}, {"image": VLLM, "region": "us-east-1"}, "container.image", "push it to a registry in us-east-1"),
        ({}, {"inference_ami_version": "al2023-ami"}, "container.inference_ami_version", HOST_OF_CUDA_13),
        ({}, {"accelerator": "neuron"}, "container.image", "image of your own"),
        ({"rolling_batch": "trtllm"}, {}, "serving.rolling_batch", "write vllm"),
        ({"rolling_batch": "lmi-dist"}, {}, "serving.rolling_batch", "write vllm"),
        ({"rolling_batch": "auto"}, {"accelerator": "none"}, "serving.rolling_batch", "write disable"),
        (
            {"model_loading_timeout": 1800},
            {"health_check_timeout_seconds": 900},
            "container.health_check_timeout_seconds",
            "at least 1800",
        ),
    ],
)
def test_what_the_image_the_region_or_the_instance_cannot_do_is_refused_with_what_would_work(
    serving, more, field, words
):
    with pytest.raises(InvalidInput) as caught:
        plan(serving, **more)

    assert caught.value.detail["field"] == field
    assert words in caught.value.message


def test_an_own_image_may_have_the_batches_that_lmi_no_longer_has():
    assert "option.rolling_batch=trtllm" in properties(plan({"rolling_batch": "trtllm"}, image=TENSORRT))


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("OPTION_DTYPE", "serving.dtype"),
        ("OPTION_MODEL_LOADING_TIMEOUT", "serving.model_loading_timeout"),
        ("SERVING_MIN_WORKERS", "serving.minWorkers"),
        ("SERVING_BATCH_SIZE", "serving.batch_size"),
        ("TENSOR_PARALLEL_DEGREE", "serving.tensor_parallel_degree"),
        ("OPTION_TENSOR_PARALLEL_DEGREE", "serving.tensor_parallel_degree"),
        ("HF_MODEL_ID", "the deployment's source"),
        ("OPTION_MODEL_ID", "the deployment's source"),
        ("OPTION_ENGINE", "serving.engine"),
        ("OPTION_MAX_MODEL_LEN", "serving.max_model_len"),
    ],
)
def test_a_variable_that_the_file_makes_void_is_refused_with_the_setting_that_counts(variable, place):
    told = {"dtype": "fp16", "minWorkers": 1, "batch_size": 2, "options": {"max_model_len": "4096"}}

    with pytest.raises(InvalidInput, match="no effect") as caught:
        plan(told, degree=4, environment={variable: "1"})

    assert place in caught.value.message


def test_a_variable_that_the_file_says_nothing_of_is_passed_on():
    told = {"OPTION_MAX_MODEL_LEN": "8192", "SERVING_MAX_IDLE_TIME": "600", "VLLM_LOGGING_LEVEL": "INFO"}

    assert plan(environment=told).environment == told


@pytest.mark.parametrize(
    "image",
    [
        VLLM,
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/model-server@sha256:" + "a" * 64,
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/tgi:3",
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/triton:25.01",
        "public.ecr.aws/deep-learning-containers/vllm:0.26",
    ],
)
def test_an_image_in_ecr_with_a_tag_or_a_digest_is_taken(image):
    assert ContainerSettings(image=image).image == image


@pytest.mark.parametrize(
    "image",
    [
        "vllm/vllm-openai:latest",
        "docker.io/vllm/vllm-openai:latest",
        VLLM.rpartition(":")[0],
        VLLM + "\n",
        VLLM.replace("123456789012", "1234"),
        VLLM.replace("amazonaws.com", "example.com"),
        VLLM.replace("amazonaws.com", "amazonaws.com.evil.example"),
        "evil.example/" + VLLM,
        VLLM.replace("/vllm", "/../vllm"),
        VLLM.replace("/vllm", "/vllm$(id)"),
        "public.ecr.aws/vllm:1",
        f"123456789012.dkr.ecr.{HERE}.amazonaws.com/{'a' * 250}:1",
        f"123456789012.dkr.ecr.{HERE}.amazonaws.com/mine@sha256:abc",
        "",
    ],
)
def test_what_is_no_image_in_ecr_is_refused_with_the_form_of_one(image):
    assert "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>" in refusal(image=image)


def test_a_repository_of_many_parts_is_judged_at_once():
    assert refusal(image=f"123456789012.dkr.ecr.{HERE}.amazonaws.com/" + "a-" * 60 + "!")


def test_an_own_image_and_a_version_of_lmi_exclude_each_other():
    assert "leave one of them out" in refusal(image=VLLM, version="0.36.0")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"1A": "x"}, "not beginning with a digit"),
        ({"A-B": "x"}, "letters, digits and _"),
        ({"A\n": "x"}, "letters, digits and _"),
        ({"": "x"}, "letters, digits and _"),
        ({"A": "x" * (LONGEST_VARIABLE_BYTES + 1)}, "at most 1,024"),
        ({"A": "ü" * 600}, "at most 1,024 bytes"),
        ({"A" * (LONGEST_VARIABLE_BYTES + 1): "x"}, "letters, digits and _"),
        ({f"A{number}": "x" for number in range(MOST_VARIABLES + 1)}, "at most 100 items"),
        ({f"A{number}": "x" * 1000 for number in range(40)}, "32,768"),
        ({"HF_TOKEN": "hf_x"}, "the container needs none"),
        ({"aws_secret_access_key": "x"}, "the container needs none"),
    ],
)
def test_a_variable_that_sagemaker_or_a_secret_forbids_is_refused(environment, words):
    assert words in refusal(environment=environment)


def test_a_refused_secret_is_not_repeated():
    assert "hf_x" not in refusal(environment={"HF_TOKEN": "hf_x"})


@pytest.mark.parametrize("name", ["health_check_timeout_seconds", "download_timeout_seconds"])
@pytest.mark.parametrize("seconds", [59, 3601])
def test_a_timeout_that_sagemaker_does_not_take_is_refused(name, seconds):
    assert "must be at" in refusal(**{name: seconds})


def test_a_record_with_a_version_that_nobody_knows_any_more_is_still_readable():
    settings = ContainerSettings.model_validate({"version": "0.29.0-lmi11.0.0-cu124", "inference_ami_version": "al9"})

    assert ContainerSettings.model_validate(settings.dump()) == settings


def test_a_plan_is_read_from_its_record_as_it_was_written():
    planned = plan({"files": {"model.py": HANDLER}}, environment={"A": "b"}, degree=2)

    assert ContainerPlan.model_validate(planned.dump()) == planned
    assert ContainerPlan.model_validate(planned.dump()).bundle() == planned.bundle()


@pytest.fixture(scope="module")
def sagemaker():
    return botocore.session.get_session().get_service_model("sagemaker")


@pytest.mark.parametrize("more", [{}, {"image": VLLM}])
def test_a_plan_fits_what_create_model_and_an_endpoints_variant_take(sagemaker, more):
    planned = plan({}, degree=1, environment={"A": "b"}, **more)
    weights = {"S3Uri": "s3://bucket/weights/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    bundle = {"S3Uri": "s3://bucket/model.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    channel = planned.model_source.weights_channel
    container = {
        "Image": planned.image,
        "Environment": planned.environment,
        "ModelDataSource": {"S3DataSource": bundle if planned.files else weights},
        **({"AdditionalModelDataSources": [{"ChannelName": channel, "S3DataSource": weights}]} if channel else {}),
    }
    model = {"ModelName": "m", "PrimaryContainer": container, "EnableNetworkIsolation": planned.network_isolation}
    variant = {
        "VariantName": "main",
        "InferenceAmiVersion": planned.inference_ami_version,
        "ModelDataDownloadTimeoutInSeconds": planned.download_timeout_seconds,
        "ContainerStartupHealthCheckTimeoutInSeconds": planned.health_check_timeout_seconds,
    }

    for told, shape in ((model, "CreateModelInput"), (variant, "ProductionVariant")):
        assert not ParamValidator().validate(told, sagemaker.shape_for(shape)).has_errors()
    assert planned.inference_ami_version in sagemaker.shape_for("ProductionVariantInferenceAmiVersion").enum


@pytest.mark.parametrize(
    ("shape", "limit", "ours"),
    [
        ("ContainerImage", "max", LONGEST_IMAGE),
        ("EnvironmentMap", "max", MOST_VARIABLES),
        ("EnvironmentKey", "max", LONGEST_VARIABLE_BYTES),
        ("EnvironmentValue", "max", LONGEST_VARIABLE_BYTES),
        ("EnvironmentKey", "pattern", "[a-zA-Z_][a-zA-Z0-9_]*"),
        ("ProductionVariantContainerStartupHealthCheckTimeoutInSeconds", "max", 3600),
        ("ProductionVariantModelDataDownloadTimeoutInSeconds", "min", 60),
    ],
)
def test_our_limits_are_the_services(sagemaker, shape, limit, ours):
    assert sagemaker.shape_for(shape).metadata[limit] == ours


def test_the_environments_together_are_bounded_as_the_service_says(sagemaker):
    told = sagemaker.shape_for("ContainerDefinition").members["Environment"].documentation

    assert "32 KB" in told
    assert LARGEST_ENVIRONMENT_BYTES == 32 * 1024


def test_a_bundle_is_gzip_that_sagemaker_can_unpack():
    assert gzip.decompress(plan().bundle() or b"")
