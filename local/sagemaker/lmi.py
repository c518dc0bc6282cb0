"""What an LMI container makes of its settings when it starts: it loads a model, or it says why not and is ill.

Source: DJL Serving's and LMI's documentation, "Serving properties" and "LMI environment variable instructions".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.sagemaker.instances import InstanceType
from local.sagemaker.model_data import ROOT, Files, NoDataError, under
from local.sagemaker.places import Place
from local.sagemaker.resources import Container, Serves

REPOSITORY = "djl-inference"
PROPERTIES = "serving.properties"
REQUIREMENTS = "requirements.txt"
HANDLER = "model.py"

# Each CUDA that the default machine image is too old for, with the image that it needs. Without it: no log at all.
NEEDED_AMI: Mapping[int, str] = {130: "al2023-ami-sagemaker-inference-gpu-4-1"}
# Keys that stand in serving.properties by themselves. Written as option.* they are nothing, as are others without it.
TOP_LEVEL = frozenset({"engine", "minWorkers", "maxWorkers", "batch_size", "max_batch_delay", "job_queue_size"})

_WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")
_CUDA = re.compile(r"[-_]cu(\d{3})\b")
_EMBEDS = frozenset({"feature-extraction", "text-embedding"})
_ENVIRONMENT = {"HF_MODEL_ID": "model_id", "TENSOR_PARALLEL_DEGREE": "tensor_parallel_degree", "HF_TASK": "task"}


class IllError(Exception):
    """The container does not come up; `log` is what it says."""

    def __init__(self, *log: str) -> None:
        super().__init__(log[-1] if log else "it says nothing")
        self.log = log


@dataclass(frozen=True)
class Surroundings:
    """Where a container finds itself."""

    image: str
    environment: Mapping[str, str]
    mounts: Mapping[str, Files]
    instance: InstanceType
    gpus: int  # that it has to itself
    ami: str | None
    is_isolated: bool
    role_arn: str
    place: Place
    weights_scale: float
    hub_model_bytes: float


@dataclass(frozen=True)
class Loaded:
    """A model that a container has loaded."""

    container: Container
    bytes_fetched: float  # by the container itself
    weights_bytes: float
    log: tuple[str, ...] = field(default=())


def is_lmi(image: str) -> bool:
    """Say whether an image is one of LMI's, by its repository."""
    return image.partition("/")[2].partition("@")[0].partition(":")[0].rpartition("/")[2] == REPOSITORY


def properties_of(text: str) -> dict[str, str]:
    """Give the keys and values of a serving.properties."""
    found: dict[str, str] = {}
    for line in text.replace("\\\n", "").splitlines():
        stripped = line.strip()
        if stripped and stripped[0] not in "#!":
            key, _, value = re.sub(r"(?<!\\)\s*[=:]\s*", "\0", stripped, count=1).partition("\0")
            found[_unescaped(key.strip())] = _unescaped(value.strip())
    return found


def options_of(environment: Mapping[str, str], properties: Mapping[str, str]) -> dict[str, str]:
    """Give the options that hold: those of the file win over those of the environment."""
    options = {name: environment[key] for key, name in _ENVIRONMENT.items() if key in environment}
    for key, value in environment.items():
        if key.startswith("OPTION_"):
            options[key.removeprefix("OPTION_").lower()] = value
    for key, value in properties.items():
        name = key.removeprefix("option.")
        if name != key and name not in TOP_LEVEL:
            options[name] = value
    return options


def start(around: Surroundings) -> Loaded:
    """Give the model that a container loads. Raises: IllError."""
    root = around.mounts.get(ROOT) or Files({}, lambda _: b"")
    _check_cuda(around)
    options = options_of(around.environment, properties_of(root.text(PROPERTIES) or ""))
    if REQUIREMENTS in root.sizes and around.is_isolated:
        raise IllError(
            f"INFO  PyEnv pip install -r {ROOT}/{REQUIREMENTS}",
            "WARN  PyEnv Retrying after connection broken: Temporary failure in name resolution",
            f"ERROR PyEnv pip install failed with error code: 1, {ROOT}/{REQUIREMENTS} could not be installed.",
        )
    gpus = _parallel(options, around)
    model, fetched = _model(options, root, around)
    weights = sum(size for name, size in model.sizes.items() if name.endswith(_WEIGHTS)) * around.weights_scale
    weights = weights or fetched
    if around.gpus and weights > around.instance.gpu_bytes(gpus):
        raise IllError(
            f"INFO  ModelServer Loading model {options.get('model_id', ROOT)} with tensor_parallel_degree={gpus}",
            f"ERROR PyProcess torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {weights / 2**30:.2f} GiB. "
            f"GPU 0 has a total capacity of {around.instance.gpu_memory_gib}.00 GiB.",
            "ERROR ModelServer Failed to initialize model: worker died.",
        )
    container = Container(_serves(options, root), options.get("model_id", ROOT), _reasons(model))
    log = (
        f"INFO  ModelServer Loading model {container.model_id} with tensor_parallel_degree={gpus}",
        "INFO  ModelServer Initialize BOTH server with: EpollServerSocketChannel.",
        "INFO  ModelServer BOTH API bind to: http://0.0.0.0:8080",
    )
    return Loaded(container, fetched, weights, log)


def _check_cuda(around: Surroundings) -> None:
    found = _CUDA.search(around.image.rpartition(":")[2])
    if not found:
        return
    needed = NEEDED_AMI.get(int(found[1]))
    if needed is not None and around.ami != needed:
        raise IllError
    if not around.instance.gpus:
        raise IllError("ERROR PyProcess RuntimeError: No CUDA GPUs are available")


def _parallel(options: Mapping[str, str], around: Surroundings) -> int:
    """Give the GPUs that the model is spread over. All of them where nothing is said."""
    asked = options.get("tensor_parallel_degree", "max")
    if asked in ("max", ""):
        return max(around.gpus, 1)
    if not asked.isdigit() or int(asked) < 1:
        raise IllError(f"ERROR PyProcess ValueError: invalid tensor_parallel_degree: {asked!r}")
    if int(asked) > max(around.gpus, 1):
        raise IllError(
            f"ERROR ModelServer java.lang.IllegalArgumentException: GPU devices are not enough to run {asked} "
            f"partitions: {around.gpus} found."
        )
    return int(asked)


def _model(options: Mapping[str, str], root: Files, around: Surroundings) -> tuple[Files, float]:
    """Give a model's files, and the bytes that the container fetches by itself."""
    model_id = options.get("model_id")
    if model_id is None:
        if "config.json" not in root.sizes and HANDLER not in root.sizes:
            raise IllError(
                "ERROR ModelServer ai.djl.repository.zoo.ModelNotFoundException: No model found in the folder."
            )
        return root, 0.0
    if model_id.startswith("/"):
        return _mounted(model_id, around), 0.0
    if model_id.startswith("s3://"):
        try:
            files = under(model_id, around.role_arn, around.place)
        except NoDataError as exc:
            raise IllError(
                f"ERROR ModelServer Failed to download {model_id} from S3: fatal error (403 or 404)."
            ) from exc
        return files, files.size_bytes * around.weights_scale
    if around.is_isolated or around.environment.get("HF_HUB_OFFLINE") == "1":
        raise IllError(
            f"ERROR PyProcess OSError: We couldn't connect to 'https://huggingface.co' to load {model_id}, and it is "
            "not the path of a folder with a config.json."
        )
    return Files({}, lambda _: b""), around.hub_model_bytes


def _mounted(path: str, around: Surroundings) -> Files:
    for mount, files in around.mounts.items():
        if path == mount or path.startswith(f"{mount}/"):
            found = files.below(path.removeprefix(mount))
            if "config.json" in found.sizes:
                return found
    raise IllError(f"ERROR PyProcess OSError: {path} does not appear to have a file named config.json.")


def _serves(options: Mapping[str, str], root: Files) -> Serves:
    task = options.get("task")
    if task in _EMBEDS or (task is None and HANDLER in root.sizes):
        return Serves.FEATURES
    return Serves.TEXT


def _reasons(model: Files) -> bool:
    try:
        config: Any = json.loads(model.text("tokenizer_config.json") or "{}")
    except ValueError:
        return False
    return isinstance(config, dict) and "<think>" in str(config.get("chat_template") or "")


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text).replace("\\", "")
