"""How DJL Serving serves a model: the `serving` section, and the serving.properties that it becomes.

A key of serving.properties is the model server's (`engine`, `minWorkers`, `batch_size`) or, as `option.<key>`, that of
whatever loads the model (`option.dtype`). The server overlooks what is on the wrong side, or misspelt, without a word;
so every key has one place here, and what stands in another is refused with the place where it goes. The file wins over
the environment.

Sources, looked up 2026-11-28: DJL Serving's documentation at 0.36 ("Model Configuration", "LMI: Container and Model
Configurations", "vLLM Engine User Guide", "LMI Breaking Changes"), and its model server's code where they are brief.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from pilotlight.domain.bundle import (
    HANDLER_FILE,
    LARGEST_FILES_BYTES,
    LONGEST_NAME,
    MOST_FILES,
    PROPERTIES_FILE,
    REQUIREMENTS_FILE,
    problem_with_name,
)
from pilotlight.domain.values import Request

OPTION = "option."
DEFAULT_LOADING_TIMEOUT_SECONDS = 1800
LONGEST_SHOWN = 60
LARGEST_OPTIONS_BYTES = 32 * 1024  # together, in the record of the deployment and of each revision
LONGEST_OPTION = 4096  # a few are whole objects in JSON: option.speculative_config


class Engine(StrEnum):
    """Which engine of DJL Serving runs the model: Python for everything that LMI itself brings."""

    PYTHON = "Python"
    MPI = "MPI"
    ONNX = "OnnxRuntime"
    PYTORCH = "PyTorch"
    RUST = "Rust"


class Task(StrEnum):
    """What the model is asked to do, in transformers' words where they have one."""

    TEXT_GENERATION = "text-generation"
    TEXT2TEXT_GENERATION = "text2text-generation"
    FEATURE_EXTRACTION = "feature-extraction"
    TEXT_EMBEDDING = "text-embedding"
    TEXT_CLASSIFICATION = "text-classification"
    TOKEN_CLASSIFICATION = "token-classification"  # noqa: S105 (a token of text)
    ZERO_SHOT_CLASSIFICATION = "zero-shot-classification"
    QUESTION_ANSWERING = "question-answering"
    FILL_MASK = "fill-mask"
    GENERATE = "generate"
    CLASSIFY = "classify"
    AUTO = "auto"


GENERATING = frozenset({Task.TEXT_GENERATION, Task.GENERATE, Task.AUTO})
"""What vLLM's continuous batches are for; other tasks are served by transformers' pipelines."""


class WeightsPlace(StrEnum):
    """Where a container finds the weights: uncompressed beside the bundle, or in one archive with its files."""

    BESIDE = "beside"
    PACKED = "packed"


class Dtype(StrEnum):
    """What the weights are loaded as; the short names, which vLLM and transformers' pipelines both take."""

    AUTO = "auto"
    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"


class Quantize(StrEnum):
    """How weights are, or are to be, quantised: fp8 and bitsandbytes while they load, the others before.

    A quantised checkpoint says so in its config.json, and vLLM then chooses the fastest kernel that the GPU has; naming
    `awq` or `gptq` takes that choice from it.
    """

    FP8 = "fp8"
    BITSANDBYTES = "bitsandbytes"
    BITSANDBYTES4 = "bitsandbytes4"
    BITSANDBYTES8 = "bitsandbytes8"
    AWQ = "awq"
    AWQ_MARLIN = "awq_marlin"
    GPTQ = "gptq"
    GPTQ_MARLIN = "gptq_marlin"
    COMPRESSED_TENSORS = "compressed-tensors"
    FBGEMM_FP8 = "fbgemm_fp8"
    MODELOPT = "modelopt"
    MXFP4 = "mxfp4"
    GGUF = "gguf"
    HQQ = "hqq"
    TORCHAO = "torchao"
    SMOOTHQUANT = "smoothquant"


class RollingBatch(StrEnum):
    """Who batches while it generates. `trtllm` is in images of TensorRT-LLM alone, `lmi-dist` in LMI up to 14."""

    AUTO = "auto"
    VLLM = "vllm"
    TRTLLM = "trtllm"
    LMI_DIST = "lmi-dist"
    DISABLE = "disable"


SERVER_FIELDS = ("engine", "minWorkers", "maxWorkers", "batch_size", "max_batch_delay", "job_queue_size")
"""Our fields that are keys of the model server."""

SERVER_KEYS = (
    *("load_on_devices", "translatorFactory", "max_dynamic_batch_size", "max_idle_time", "log_request_metric"),
    *("metrics_aggregation", "gpu.minWorkers", "gpu.maxWorkers", "cpu.minWorkers", "cpu.maxWorkers"),
    *(
        "required_memory_mb",
        "gpu.required_memory_mb",
        "reserved_memory_mb",
        "gpu.reserved_memory_mb",
        "retry_threshold",
    ),
)
"""The model server's other keys."""

OPTION_FIELDS = (
    *("task", "tensor_parallel_degree", "dtype", "quantize", "rolling_batch", "max_rolling_batch_size"),
    "model_loading_timeout",
)
"""Our fields that are options."""

_ALIASES = {
    "quantization": "quantize",
    "tensor_parallel_size": "tensor_parallel_degree",
    "max_num_seqs": "max_rolling_batch_size",
}
"""vLLM's names of options that LMI has under its own: it ends where both are given."""

_OUTSIDE = ("http://", "https://", "s3://", "hf://", "djl://")
_OPTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_HANDLER = re.compile(r"^(?P<is_async>async[ \t]+)?def[ \t]+handle[ \t]*\(", re.MULTILINE)


def _an_option(name: str) -> str:
    if not _OPTION_NAME.fullmatch(name):
        raise ValueError("write an option's name in letters, digits and . _ - only")
    if name.startswith(OPTION):
        raise ValueError(f"leave {OPTION!r} out of names in options: write {name.removeprefix(OPTION)!r}")
    if name == "model_id":
        raise ValueError("model_id is where the deployment's source is mounted: name another source instead")
    if field := _ALIASES.get(name):
        raise ValueError(f"{name!r} is vLLM's name of serving.{field}: write it there")
    if place := _place_of(name):
        raise ValueError(f"{name!r} is no option: {place}")
    if near := get_close_matches(name, OPTION_FIELDS, n=1, cutoff=0.9):
        raise ValueError(f"{name!r} would be overlooked: did you mean serving.{near[0]}?")
    return name


def _place_of(name: str) -> str | None:
    """Return where a key goes that is no option of its own, or None."""
    if name in SERVER_FIELDS or name in OPTION_FIELDS:
        return f"write it as serving.{name}"
    if name in SERVER_KEYS:
        variable = f"SERVING_{name.replace('.', '_').upper()}"
        return f"it is the model server's; set {variable} in container.environment"
    return None


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("say what the option is to be, or leave it out")
    return text


def _a_file_at_the_root(name: str) -> str:
    if name == PROPERTIES_FILE:
        raise ValueError(f"{PROPERTIES_FILE} is written from the serving section: use its fields and serving.options")
    if problem := problem_with_name(name):
        raise ValueError(problem)
    return name


def _few(options: dict[str, str]) -> dict[str, str]:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in options.items())
    if size > LARGEST_OPTIONS_BYTES:
        raise ValueError(f"the options hold {size:,} bytes together, and may hold {LARGEST_OPTIONS_BYTES:,}")
    return options


def _small(files: dict[str, str]) -> dict[str, str]:
    size = sum(len(text.encode()) for text in files.values())
    if size > LARGEST_FILES_BYTES:
        raise ValueError(
            f"the files hold {size:,} bytes together, and may hold {LARGEST_FILES_BYTES:,}: weights and data belong to "
            "the source, which is staged beside them"
        )
    return files


OptionName = Annotated[str, AfterValidator(_an_option)]
OptionValue = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_OPTION), AfterValidator(_not_empty)]
FileName = Annotated[str, AfterValidator(_a_file_at_the_root)]
Options = Annotated[
    dict[OptionName, OptionValue],
    Field(max_length=64, json_schema_extra={"propertyNames": {"pattern": f"^{_OPTION_NAME.pattern}$"}}),
    AfterValidator(_few),
]
FileText = Annotated[str, StringConstraints(max_length=LARGEST_FILES_BYTES)]
Files = Annotated[
    dict[FileName, FileText],
    Field(
        max_length=MOST_FILES,
        json_schema_extra={"propertyNames": {"pattern": r"\.(py|txt|json)$", "maxLength": LONGEST_NAME}},
    ),
    AfterValidator(_small),
]
Degree = Annotated[int, Field(ge=1, le=64)]
Workers = Annotated[int, Field(ge=1, le=256)]


class ServingSettings(Request):
    """The `serving` section: what is to be in serving.properties, and the files beside it.

    `options` are passed on as `option.<name>`; `model_loading_timeout` is in seconds, `max_batch_delay` in
    milliseconds. In network isolation the container reaches nothing: not the hub, not S3, no package index.
    """

    engine: Engine | None = None
    task: Task | None = None
    tensor_parallel_degree: Degree | None = None
    dtype: Dtype | None = None
    quantize: Quantize | None = None
    rolling_batch: RollingBatch | None = None
    max_rolling_batch_size: int | None = Field(default=None, ge=1, le=4096)
    model_loading_timeout: int = Field(default=DEFAULT_LOADING_TIMEOUT_SECONDS, ge=60, le=3600)
    minWorkers: Workers | None = None  # noqa: N815 (the model server's own spelling)
    maxWorkers: Workers | None = None  # noqa: N815
    batch_size: int | None = Field(default=None, ge=1, le=1024)
    max_batch_delay: int | None = Field(default=None, ge=0, le=60_000)
    job_queue_size: int | None = Field(default=None, ge=1, le=100_000)
    options: Options = {}
    files: Files = {}
    weights: WeightsPlace = WeightsPlace.BESIDE
    network_isolation: bool = True

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, told: Any) -> Any:
        for key in told if isinstance(told, Mapping) else ():
            if key not in cls.model_fields:
                raise ValueError(_unknown(str(key), tuple(cls.model_fields)))
        return told

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for problem in (self._workers(), self._batches(), self._engines(), self._network()):
            if problem:
                raise ValueError(problem)
        return self

    @property
    def says_how(self) -> bool:
        """Whether anything is set that only serving.properties can tell a container.

        The task is not, nor where the weights are, nor the network.
        """
        told = {"task": self.task, "weights": self.weights, "network_isolation": self.network_isolation}
        return self != ServingSettings.model_validate(told)

    @property
    def packs_weights(self) -> bool:
        """Whether the weights and the bundle's files are one archive."""
        return self.weights is WeightsPlace.PACKED

    def _workers(self) -> str | None:
        if self.minWorkers and self.maxWorkers and self.minWorkers > self.maxWorkers:
            return f"minWorkers is {self.minWorkers} and maxWorkers {self.maxWorkers}: minWorkers must not be more"
        return None

    def _batches(self) -> str | None:
        if (self.batch_size or 1) == 1:
            return None
        if self.rolling_batch not in (None, RollingBatch.DISABLE):
            return (
                f"batch_size {self.batch_size} gathers whole requests, and the server then drops rolling_batch "
                f"{self.rolling_batch}: leave batch_size out and set max_rolling_batch_size, or set rolling_batch to "
                "disable"
            )
        if self.max_rolling_batch_size:
            return "max_rolling_batch_size is of rolling batches, and batch_size of the other kind: leave one out"
        return None

    def _engines(self) -> str | None:
        engine = self.engine or Engine.PYTHON
        if engine not in (Engine.PYTHON, Engine.MPI) and (self.handler or self.rolling_batch or self.quantize):
            return f"model.py, rolling_batch and quantize are the engine Python's; {engine} has none of them"
        if engine is Engine.MPI and self.rolling_batch is RollingBatch.VLLM:
            return "vLLM starts its own processes: write engine Python with rolling_batch vllm, and leave MPI out"
        return None

    def _network(self) -> str | None:
        if not self.network_isolation:
            return None
        if REQUIREMENTS_FILE in self.files:
            return (
                f"{REQUIREMENTS_FILE} cannot be installed in network isolation: put the modules' own .py files into "
                "serving.files, or set serving.network_isolation to false, or name an image that holds them"
            )
        outside = [name for name, value in self.options.items() if value.startswith(_OUTSIDE)]
        if outside:
            return f"options.{outside[0]} is fetched from the network: set serving.network_isolation to false for that"
        return None

    @property
    def handler(self) -> str | None:
        """The text of model.py."""
        return self.files.get(HANDLER_FILE)


def properties_of(settings: ServingSettings, *, model_id: str | None, defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the keys and values of serving.properties; `defaults` (with or without `option.`) give way to settings."""
    told = {f"{OPTION}{name}": getattr(settings, name) for name in OPTION_FIELDS}
    told |= {name: getattr(settings, name) for name in SERVER_FIELDS}
    if settings.minWorkers and not settings.maxWorkers:
        told["maxWorkers"] = settings.minWorkers  # with GPUs the server has one worker unless it is told the most
    return {
        "engine": Engine.PYTHON.value,
        **{_key(name): value for name, value in defaults.items()},
        **_ways_of_batching(settings),
        **{name: str(value) for name, value in told.items() if value is not None},
        **{f"{OPTION}{name}": value for name, value in settings.options.items()},
        **({f"{OPTION}model_id": model_id} if model_id else {}),
    }


def to_properties(settings: ServingSettings, *, model_id: str | None, defaults: Mapping[str, str]) -> str:
    """Return the text of serving.properties, sorted, as java.util.Properties reads it."""
    return written(properties_of(settings, model_id=model_id, defaults=defaults))


def written(properties: Mapping[str, str]) -> str:
    """Return keys and values as a file of java.util.Properties: ISO 8859-1, with everything else escaped."""
    return "".join(f"{_escaped(key, ' =:#!')}={_escaped(value)}\n" for key, value in sorted(properties.items()))


def _ways_of_batching(settings: ServingSettings) -> dict[str, str]:
    """Return what the server is to be told of batches where the user said nothing.

    From LMI 17 on it starts vLLM in asynchronous mode for every architecture that generates, whatever the task; a
    `handle` that is no coroutine cannot be run there, and BART for features is such an architecture.
    Source: DJL Serving 0.36, LmiConfigRecommender; its page "Modes" for the two kinds of handlers.
    """
    batches = {f"{OPTION}rolling_batch": RollingBatch.DISABLE.value}
    if found := _HANDLER.search(settings.handler or ""):
        return {**batches, f"{OPTION}async_mode": "true" if found["is_async"] else "false"}
    gathers = (settings.batch_size or 1) > 1
    return batches if gathers or (settings.task and settings.task not in GENERATING) else {}


def _key(name: str) -> str:
    is_whole = name.startswith(OPTION) or name in SERVER_FIELDS or name in SERVER_KEYS
    return name if is_whole else f"{OPTION}{name}"


def _unknown(key: str, fields: tuple[str, ...]) -> str:
    key = key[:LONGEST_SHOWN]  # a stranger's: neither compared nor repeated at length
    shown, name = repr(key), key.removeprefix(OPTION)
    if name != key:
        return f"{shown} is not written here: write {name!r}" + ("" if name in fields else " in options")
    if key == "model_id":
        return f"{shown} is where the deployment's source is mounted: name another source instead"
    if place := _place_of(key):
        return f"{shown} is not set here: {place}"
    if near := get_close_matches(_ALIASES.get(key, key), fields, n=1, cutoff=0.6):
        return f"{shown} is not known: did you mean {near[0]!r}? What LMI or vLLM know beyond these goes into options"
    return f"{shown} is not known: what LMI or vLLM know beyond these fields goes into options"


def _escaped(text: str, special: str = "") -> str:
    """Return text with what would be read otherwise escaped: backslashes, controls, blanks at edges, other scripts."""
    named = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\\": "\\\\"}
    edge = len(text) - len(text.rstrip(" "))
    escaped: list[str] = []
    for place, character in enumerate(text):
        is_edge = character == " " and (place == 0 or place >= len(text) - edge)
        if character in named:
            escaped.append(named[character])
        elif is_edge or character in special:
            escaped.append(f"\\{character}")
        elif " " <= character <= "~":
            escaped.append(character)
        else:
            escaped.append(_as_utf16(character))
    return "".join(escaped)


def _as_utf16(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
