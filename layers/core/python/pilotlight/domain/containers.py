"""Which container runs a model, and what it finds where: the `container` section, and the plan that comes of it.

Two kinds of containers exist here. DJL Serving's are told everything by a bundle (serving.properties and the user's few
files): it is the model's data, at /opt/ml/model, and the weights are a channel beside it, which option.model_id names.
Any other server's (vLLM's own, TGI, Triton) finds the weights alone, at /opt/ml/model, and is told by its environment,
which passes unchanged: AWS's vLLM images look there by themselves, TGI wants HF_MODEL_ID=/opt/ml/model. Weights that
are packed lie at /opt/ml/model with the bundle's files, whoever serves them. An image of the
user's own counts as DJL Serving's where its repository is called djl-inference, or `serving` names an engine or files.

Limits, from botocore's service model of CreateModel: an image's name 255 characters; 100 variables, names and values of
1,024 bytes, together 32 KB; five channels beside the model's data, each mounted at
/opt/ml/additional-model-data-sources/<channel> (so the SageMaker Python SDK places draft models); S3Object with Gzip is
unpacked, S3Prefix ends with "/" and stays as it is. An image lies in ECR in the region of its endpoint.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from pilotlight.domain.bundle import PROPERTIES_FILE, pack
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.lmi_images import (
    INFERENCE_AMI_VERSIONS,
    NO_ACCELERATOR,
    NVIDIA,
    REPOSITORY,
    LmiImage,
    cuda_of,
    host_of,
    image_of,
)
from pilotlight.domain.serving import OPTION, RollingBatch, ServingSettings, properties_of, written
from pilotlight.domain.values import Model, Request

MODEL_PATH = "/opt/ml/model"
CHANNELS_PATH = "/opt/ml/additional-model-data-sources"
WEIGHTS_PATH = f"{CHANNELS_PATH}/weights"

MOST_VARIABLES = 100
LONGEST_VARIABLE_BYTES = 1024
LARGEST_ENVIRONMENT_BYTES = 32 * 1024
LONGEST_IMAGE = 255

_REPOSITORY = r"[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*"
_REFERENCE = r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})"
_REGISTRY = r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9])\.amazonaws\.(?:com|com\.cn|eu)"
_IMAGE = re.compile(
    rf"(?:{_REGISTRY}|public\.ecr\.aws/[a-z0-9][a-z0-9-]{{0,49}})/(?P<repository>{_REPOSITORY})(?P<reference>{_REFERENCE})"
)
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SECRETS = frozenset(
    {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "HF_API_TOKEN", "OPENAI_API_KEY", "WANDB_API_KEY"}
    | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
)
_OF_OTHER_IMAGES = {
    RollingBatch.TRTLLM: "name an image of TensorRT-LLM in container.image, or write vllm",
    RollingBatch.LMI_DIST: "it ended with LMI 14; write vllm, or name an image of LMI 14 in container.image",
}


def _an_image(uri: str) -> str:
    if len(uri) > LONGEST_IMAGE or not _IMAGE.fullmatch(uri):
        raise ValueError(
            "write an image in ECR with its tag or digest: "
            "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>, "
            f"or public.ecr.aws/<alias>/<repository>:<tag>; at most {LONGEST_IMAGE} characters"
        )
    return uri


def _a_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name) or len(name) > LONGEST_VARIABLE_BYTES:
        raise ValueError("write a variable's name in letters, digits and _, not beginning with a digit")
    if name.upper() in _SECRETS:
        raise ValueError(
            f"{name} would be told to everybody who may describe the model: the weights are staged with the token that "
            "the stack keeps, and the container needs none"
        )
    return name


def _a_value(text: str) -> str:
    if len(text.encode()) > LONGEST_VARIABLE_BYTES:
        raise ValueError(
            f"a variable holds at most {LONGEST_VARIABLE_BYTES:,} bytes: larger text belongs to serving.files"
        )
    return text


def _fits(environment: dict[str, str]) -> dict[str, str]:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in environment.items())
    if size > LARGEST_ENVIRONMENT_BYTES:
        raise ValueError(f"the variables hold {size:,} bytes together, and may hold {LARGEST_ENVIRONMENT_BYTES:,}")
    return environment


Image = Annotated[str, AfterValidator(_an_image), Field(json_schema_extra={"maxLength": LONGEST_IMAGE})]
LMI_VERSION_PATTERN = r"^[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)*$"
HOST_VERSION_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
LmiVersion = Annotated[str, StringConstraints(pattern=LMI_VERSION_PATTERN, max_length=64)]
HostVersion = Annotated[str, StringConstraints(pattern=HOST_VERSION_PATTERN, max_length=64)]
VariableName = Annotated[str, AfterValidator(_a_variable)]
VariableValue = Annotated[str, StringConstraints(max_length=LONGEST_VARIABLE_BYTES), AfterValidator(_a_value)]
Environment = Annotated[
    dict[VariableName, VariableValue],
    Field(max_length=MOST_VARIABLES, json_schema_extra={"propertyNames": {"pattern": f"^{_VARIABLE.pattern}$"}}),
    AfterValidator(_fits),
]
TimeoutSeconds = Annotated[int, Field(ge=60, le=3600)]


class ContainerSettings(Request):
    """The `container` section: an image of the user's own or a version of LMI, its variables, and how long it may take.

    Which versions and hosts exist is data that grows, so it is judged by `plan_container` and not here: a record that
    names an old one must still be readable.
    """

    image: Image | None = None
    version: LmiVersion | None = None
    environment: Environment = {}
    health_check_timeout_seconds: TimeoutSeconds = 3600
    download_timeout_seconds: TimeoutSeconds = 1800
    inference_ami_version: HostVersion | None = None

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        if self.image and self.version:
            raise ValueError("image is an image of your own and version one of LMI's: leave one of them out")
        return self


class ModelSource(Model):
    """What is mounted where: the bundle at `bundle_path`, the weights at `weights_path`.

    Weights have a channel of their own beside a bundle; without one they are the model's data themselves. Both paths
    are the same where the two are packed into one archive.
    """

    bundle_path: str | None = None
    weights_path: str | None = None
    weights_channel: str | None = None


class ContainerPlan(Model):
    """A container with nothing left open: what CreateModel and the endpoint's variant are to be told.

    `files` are the bundle's, by name; there is no bundle without any. `version` is LMI's, `confirmed` whether its image
    was looked up twice.
    """

    image: str
    version: str | None = None
    confirmed: bool = True
    environment: dict[str, str] = {}
    files: dict[str, str] = {}
    network_isolation: bool = True
    health_check_timeout_seconds: int
    download_timeout_seconds: int
    inference_ami_version: str | None = None
    model_source: ModelSource

    def bundle(self) -> bytes | None:
        """Return the model.tar.gz of the files alone, or None where there are none."""
        return pack(self.contents()) if self.files else None

    def contents(self) -> dict[str, bytes]:
        """Return the bundle's files as they are written."""
        return {name: text.encode() for name, text in self.files.items()}


def place_of_weights(serving: ServingSettings) -> str:
    """Return where weights are to be mounted: in a channel, or where the model's data is if they are packed."""
    return MODEL_PATH if serving.packs_weights else WEIGHTS_PATH


def plan_container(
    serving: ServingSettings,
    container: ContainerSettings,
    *,
    region: str,
    weights: str | None,
    facts_options: Mapping[str, str],
    tensor_parallel_degree: int | None,
    accelerator: str = NVIDIA,
) -> ContainerPlan:
    """Return the container of a model whose weights are to be mounted at `weights`, on an instance with `accelerator`s.

    `facts_options` are what the checkpoint itself asks for, `tensor_parallel_degree` what its instance does; the user's
    settings go before both.
    Raises: InvalidInput for what the image, the region or the instance cannot do, saying what could.
    """
    image = _image(container, region, accelerator)
    is_djl = _is_djl(serving, container)
    if serving.packs_weights:
        _require_no_channel(container.environment, serving.options)
    properties: dict[str, str] = {}
    if is_djl:
        _require_what_the_image_can(serving, container, accelerator)
        defaults = {**facts_options, **_of_the_instance(tensor_parallel_degree, accelerator)}
        properties = properties_of(serving, model_id=weights, defaults=defaults)
        _require_no_shadows(container.environment, properties)
    return ContainerPlan(
        image=image.uri,
        version=image.version or None,
        confirmed=image.confirmed,
        environment=container.environment,
        files={**serving.files, PROPERTIES_FILE: written(properties)} if is_djl else {},
        network_isolation=serving.network_isolation,
        health_check_timeout_seconds=container.health_check_timeout_seconds,
        download_timeout_seconds=container.download_timeout_seconds,
        inference_ami_version=_host(container, image, accelerator),
        model_source=_mounted(weights, is_djl),
    )


def _image(container: ContainerSettings, region: str, accelerator: str) -> LmiImage:
    if container.image is None:
        return image_of(container.version, region, accelerator)
    found = _IMAGE.fullmatch(container.image)
    home = found["region"] if found else None
    if home and home != region:
        raise _wrong(
            "container.image",
            f"the image lies in {home} and the endpoint in {region}: push it to a registry in {region}",
        )
    cuda = cuda_of(found["reference"]) if found else None
    return LmiImage(uri=container.image, version="", cuda=cuda, inference_ami_version=host_of(cuda))


def _host(container: ContainerSettings, image: LmiImage, accelerator: str) -> str | None:
    told = container.inference_ami_version
    if told is None:
        return image.inference_ami_version if accelerator == NVIDIA else None
    if told not in INFERENCE_AMI_VERSIONS:
        raise _wrong("container.inference_ami_version", f"write one of {', '.join(INFERENCE_AMI_VERSIONS)}")
    return told


def _is_djl(serving: ServingSettings, container: ContainerSettings) -> bool:
    """Say whether the image is one of DJL Serving's; its owner says so where its name does not.

    Raises: InvalidInput for settings that would be told to nobody.
    """
    if container.image is None or serving.engine or serving.files:
        return True
    found = _IMAGE.fullmatch(container.image)
    if found and found["repository"].rpartition("/")[2] == REPOSITORY:
        return True
    if serving.says_how:
        raise _wrong(
            "serving",
            "an image of your own is told by container.environment alone; where it is one of DJL Serving's, set "
            "serving.engine to Python",
        )
    return False


def _mounted(weights: str | None, is_djl: bool) -> ModelSource:
    if not is_djl:
        return ModelSource(weights_path=MODEL_PATH if weights else None)
    is_channel = weights is not None and weights.startswith(f"{CHANNELS_PATH}/")
    channel = weights.removeprefix(f"{CHANNELS_PATH}/") if weights and is_channel else None
    return ModelSource(bundle_path=MODEL_PATH, weights_path=weights, weights_channel=channel)


def _of_the_instance(tensor_parallel_degree: int | None, accelerator: str) -> dict[str, str]:
    """Return what an instance asks for: how many accelerators share the model, and no vLLM where there is none."""
    if accelerator == NO_ACCELERATOR:
        return {"rolling_batch": RollingBatch.DISABLE.value}
    return {"tensor_parallel_degree": str(tensor_parallel_degree)} if tensor_parallel_degree else {}


def _require_what_the_image_can(serving: ServingSettings, container: ContainerSettings, accelerator: str) -> None:
    loading, allowed = serving.model_loading_timeout, container.health_check_timeout_seconds
    if loading > allowed:
        raise _wrong(
            "container.health_check_timeout_seconds",
            f"SageMaker gives up after {allowed} s and the model may load for {loading} s: make it at least "
            f"{loading}, or serving.model_loading_timeout at most {allowed}",
        )
    if container.image is None and (other := _OF_OTHER_IMAGES.get(serving.rolling_batch or RollingBatch.AUTO)):
        raise _wrong("serving.rolling_batch", f"the LMI images of today have no {serving.rolling_batch}: {other}")
    if accelerator == NO_ACCELERATOR and serving.rolling_batch not in (None, RollingBatch.DISABLE):
        raise _wrong(
            "serving.rolling_batch", "rolling batches need a GPU: write disable, or choose an instance with GPUs"
        )


def _require_no_shadows(environment: Mapping[str, str], properties: Mapping[str, str]) -> None:
    """Raise InvalidInput for a variable that serving.properties makes void: the file wins."""
    for key in properties:
        name = key.removeprefix(OPTION)
        start = "OPTION_" if key.startswith(OPTION) else "SERVING_"
        shadowed = {f"{start}{_snake(name)}", *_OTHER_NAMES.get(name, ())} & environment.keys()
        if shadowed:
            place = "the deployment's source" if name == "model_id" else f"serving.{name}"
            raise _wrong(
                "container.environment", f"{min(shadowed)} has no effect, for {PROPERTIES_FILE} has {key}: set {place}"
            )


def _require_no_channel(environment: Mapping[str, str], options: Mapping[str, str]) -> None:
    """Raise InvalidInput for what tells a container to look for its weights beside an archive that holds them."""
    for field, told in (("container.environment", environment), ("serving.options", options)):
        for name, value in told.items():
            if value.startswith(WEIGHTS_PATH):
                raise _wrong(
                    field, f"{name} is {value}, where nothing lies with serving.weights packed: write {MODEL_PATH}"
                )


_OTHER_NAMES = {
    "engine": ("OPTION_ENGINE",),
    "model_id": ("HF_MODEL_ID",),
    "tensor_parallel_degree": ("TENSOR_PARALLEL_DEGREE", "SM_NUM_GPUS"),
    "quantize": ("HF_MODEL_QUANTIZE",),
    "max_rolling_batch_size": ("MAX_BATCH_SIZE",),
    "job_queue_size": ("MAX_CONCURRENT_REQUESTS",),
}
"""Variables by which LMI knows the same, too. Source: its starting guide, and its images' entry point."""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace(".", "_").upper()


def _wrong(field: str, rule: str) -> InvalidInput:
    return InvalidInput(f"{field}: {rule}.", field=field, rule=rule)
