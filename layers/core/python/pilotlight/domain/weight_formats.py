"""In which format weights lie, by config.json, quantize_config.json and the names of files; nothing is loaded.

Whether a format is served, and with which options, is about the LMI images with vLLM. Bedrock has rules of its own.
Source: DJL Serving's vLLM user guide (checkpoints of Hugging Face's form only; weights quantised beforehand need no
option, and naming plain awq or gptq turns Marlin's faster kernels off) and vLLM's list of quantisation methods in
versions 0.10 to 0.28: HQQ left it early in 2026, GGUF with 0.24, to a plugin that the images do not have; ExLlama's
formats and RWKV were never in it; bitsandbytes is being given up, and its weights are not split among GPUs. Looked up
2026-11-28.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from pilotlight.domain.checkpoint_config import ModelConfig
from pilotlight.domain.checkpoint_files import GGUF, PICKLES, QUANTIZE_FILES, SAFETENSORS, is_adapter
from pilotlight.domain.problems import Problem, some_of
from pilotlight.domain.values import Model

SERVED = "safetensors, plain or quantised as GPTQ, AWQ, FP8, compressed-tensors, bitsandbytes, MXFP4 or by ModelOpt"
QUANTIZE = "option.quantize"
DTYPE = "option.dtype"
ROLLING_BATCH = "option.rolling_batch"
HALF_PRECISION = "fp16"
BFLOAT_CAPABILITY = 8.0  # older GPUs compute neither bfloat16 nor with Marlin's kernels
_MARLIN = "_marlin"
_MARLIN_GROUPS = (-1, 32, 64, 128)
_MOST_BITS = 64
_AGAIN = "Deploy its AWQ or GPTQ quantisation, which is as small, or the model that it was made from."


class FormatKind(StrEnum):
    """A format of weights."""

    SAFETENSORS = "safetensors"
    GPTQ = "gptq"
    AWQ = "awq"
    FP8 = "fp8"
    COMPRESSED_TENSORS = "compressed-tensors"
    BITSANDBYTES = "bitsandbytes"
    MXFP4 = "mxfp4"
    MODELOPT = "modelopt"
    GGUF = "gguf"
    EXL2 = "exl2"
    HQQ = "hqq"
    RWKV = "rwkv"
    NEURON = "neuron"
    OTHER = "other"


_METHODS: Mapping[str, FormatKind] = {
    "gptq": FormatKind.GPTQ,
    "awq": FormatKind.AWQ,
    "fp8": FormatKind.FP8,
    "compressed-tensors": FormatKind.COMPRESSED_TENSORS,
    "compressed_tensors": FormatKind.COMPRESSED_TENSORS,
    "bitsandbytes": FormatKind.BITSANDBYTES,
    "mxfp4": FormatKind.MXFP4,
    "modelopt": FormatKind.MODELOPT,
    "exl2": FormatKind.EXL2,
    "exl3": FormatKind.EXL2,
    "hqq": FormatKind.HQQ,
}
"""`quant_method` of config.json → the format."""

# The oldest GPU that computes with each, in CUDA's compute capability; FP8 and MXFP4 with weights alone below 8.9.
_CAPABILITIES: Mapping[FormatKind, float] = {
    FormatKind.FP8: 8.0,
    FormatKind.COMPRESSED_TENSORS: 8.0,
    FormatKind.MXFP4: 8.0,
    FormatKind.MODELOPT: 8.9,
}
_BITS: Mapping[FormatKind, float] = {FormatKind.FP8: 8, FormatKind.MXFP4: 4}


class WeightFormat(Model):
    """What the weights are: `bits` of each where they are quantised, the options that serve them, or what is wrong.

    `options` are lines of serving.properties, for a GPU that computes all of them; see `options_on`.
    """

    kind: FormatKind = FormatKind.SAFETENSORS
    bits: float | None = None
    options: dict[str, str] = {}
    problem: Problem | None = None

    @property
    def is_quantised(self) -> bool:
        """Whether a weight takes fewer bits than the model computes with."""
        return self.kind not in (FormatKind.SAFETENSORS, FormatKind.RWKV, FormatKind.NEURON)

    @property
    def splits(self) -> bool:
        """Whether the weights can be split among GPUs."""
        return self.kind not in (FormatKind.BITSANDBYTES, FormatKind.RWKV)

    @property
    def is_engine_loaded(self) -> bool:
        """Whether vLLM loads it, and not transformers."""
        return self.kind is not FormatKind.RWKV

    @property
    def least_capability(self) -> float:
        """The CUDA compute capability below which a GPU does not compute with it."""
        return _CAPABILITIES.get(self.kind, 0.0)

    @property
    def needs_files(self) -> frozenset[str]:
        """The files that are staged beside the usual ones, where the repository has them."""
        return QUANTIZE_FILES if self.kind in (FormatKind.GPTQ, FormatKind.AWQ) else frozenset()

    def options_on(self, capability: float) -> dict[str, str]:
        """Return the options for a GPU of that compute capability: older ones do without Marlin and bfloat16."""
        quantize = self.options.get(QUANTIZE, "")
        if capability >= BFLOAT_CAPABILITY or not quantize.endswith(_MARLIN):
            return dict(self.options)
        return {**self.options, QUANTIZE: quantize.removesuffix(_MARLIN), DTYPE: HALF_PRECISION}

    def __str__(self) -> str:
        """Return the format for a sentence: `AWQ, 4 bits`."""
        name = self.kind.value if self.kind in (FormatKind.SAFETENSORS, FormatKind.OTHER) else self.kind.value.upper()
        return f"{name}, {self.bits:g} bits" if self.bits else name


def detect_format(
    paths: Iterable[str], config: ModelConfig, quantize_config: Mapping[str, Any] | None = None
) -> WeightFormat:
    """Return the format of a repository's weights.

    `quantize_config` is quantize_config.json (or AWQ's quant_config.json), which older repositories have beside a
    config.json that tells nothing of it.
    """
    names = tuple(paths)
    settings = config.quantisation_settings or quantize_config or {}
    method = _method(settings)
    if config.neuron:
        return _neuron()
    if config.model_type.startswith("rwkv") or (not config.model_type and any(map(_is_rwkv, names))):
        return _rwkv(config)
    if settings:
        return _quantised(method, settings)
    if not any(path.endswith(SAFETENSORS) and not is_adapter(path) for path in names):
        return _without_safetensors(names)
    return _exl2(names) or WeightFormat()


def _method(settings: Mapping[str, Any]) -> str:
    """Return the method that settings name; quantize_config.json tells GPTQ's bits and AWQ's under other names."""
    if named := settings.get("quant_method"):
        return str(named)[:80].lower()
    if "w_bit" in settings or "q_group_size" in settings:
        return FormatKind.AWQ
    return FormatKind.GPTQ if "bits" in settings and "group_size" in settings else ""


def _quantised(method: str, settings: Mapping[str, Any]) -> WeightFormat:
    kind = _METHODS.get(method, FormatKind.OTHER)
    bits = _bits(settings) or _BITS.get(kind)
    match kind:
        case FormatKind.GPTQ:
            return _gptq(bits, settings)
        case FormatKind.AWQ:
            return _awq(bits, settings)
        case FormatKind.BITSANDBYTES:
            return WeightFormat(kind=kind, bits=bits, options={QUANTIZE: "bitsandbytes"})
        case FormatKind.EXL2:
            return _refused(kind, "ExLlama's format, which only ExLlama loads", _AGAIN, bits)
        case FormatKind.HQQ:
            advice = "Deploy the model that it was made from with serving.quantize set to bitsandbytes, or its AWQ."
            return _refused(kind, "HQQ, which vLLM no longer has", advice, bits)
        case FormatKind.OTHER:
            return _refused(kind, f"quantised with {method or 'an unnamed method'}", _AGAIN, bits)
        case _:  # vLLM reads the rest from config.json
            return WeightFormat(kind=kind, bits=bits)


def _gptq(bits: float | None, settings: Mapping[str, Any]) -> WeightFormat:
    kind = FormatKind.GPTQ
    if bits not in (2, 3, 4, 8):
        return _refused(kind, f"GPTQ with {_told(bits)}", "Deploy a GPTQ quantisation of 4 or 8 bits.", bits)
    plain = settings.get("checkpoint_format") in (None, "gptq")
    marlin = bits in (4, 8) and settings.get("sym", True) is True and _group(settings) in _MARLIN_GROUPS and plain
    return WeightFormat(kind=kind, bits=bits, options={QUANTIZE: "gptq_marlin" if marlin else "gptq"})


def _awq(bits: float | None, settings: Mapping[str, Any]) -> WeightFormat:
    kind = FormatKind.AWQ
    if bits != 4:
        return _refused(kind, f"AWQ with {_told(bits)}", "Deploy an AWQ quantisation of 4 bits.", bits)
    gemm = str(settings.get("version", "gemm")).lower() == "gemm"
    if gemm and settings.get("zero_point") is True and _group(settings) in _MARLIN_GROUPS:
        return WeightFormat(kind=kind, bits=bits, options={QUANTIZE: "awq_marlin"})
    return WeightFormat(kind=kind, bits=bits, options={QUANTIZE: "awq", DTYPE: HALF_PRECISION})


def _neuron() -> WeightFormat:
    advice = "Deploy the model that it was compiled from, on an instance with GPUs."
    return _refused(FormatKind.NEURON, "compiled for Neuron, which the LMI images for GPUs do not run", advice)


def _rwkv(config: ModelConfig) -> WeightFormat:
    """Return RWKV's: only the version that transformers itself has is served, by transformers and not by vLLM."""
    if config.architecture == "RwkvForCausalLM":
        return WeightFormat(kind=FormatKind.RWKV, options={ROLLING_BATCH: "disable", "option.task": "text-generation"})
    found = f"RWKV ({config.model_type or 'pickles'}), which neither vLLM nor transformers has"
    advice = "Deploy RWKV-4 in transformers' form (RwkvForCausalLM), or a model of another family."
    return _refused(FormatKind.RWKV, found, advice)


def _without_safetensors(names: tuple[str, ...]) -> WeightFormat:
    if gguf := [path for path in names if PurePosixPath(path).suffix.lower() in GGUF]:
        found = f"GGUF only: {some_of(gguf)}; the LMI images load folders of Hugging Face's form"
        return _refused(FormatKind.GGUF, found, _AGAIN)
    if any(PurePosixPath(path).suffix in (".neuron", ".neff") or path == "neuron_config.json" for path in names):
        return _neuron()
    if "qmodel.pt" in names:
        return _refused(FormatKind.HQQ, "HQQ in a pickle, qmodel.pt", _AGAIN)
    return WeightFormat()  # that there are no weights at all is told by `weights`


def _is_rwkv(path: str) -> bool:
    name = PurePosixPath(path)
    return name.name.upper().startswith("RWKV") and name.suffix in {SAFETENSORS, *PICKLES}


def _exl2(names: tuple[str, ...]) -> WeightFormat | None:
    """Return ExLlama's format where its converter's files lie there: older ones left config.json as it was."""
    if not any(path.startswith("output") and path.endswith(SAFETENSORS) for path in names):
        return None
    return _refused(FormatKind.EXL2, "ExLlama's format, which only ExLlama loads", _AGAIN)


def _refused(kind: FormatKind, found: str, advice: str, bits: float | None = None) -> WeightFormat:
    problem = Problem(subject="format", found=found, supported=SERVED, advice=advice)
    return WeightFormat(kind=kind, bits=bits, problem=problem)


def _told(bits: float | None) -> str:
    return f"{bits:g} bits" if bits else "no number of bits"


def _bits(settings: Mapping[str, Any]) -> float | None:
    """Return how many bits a weight has, under the name that each method gives it."""
    for name in ("bits", "w_bit", "nbits", "weight_bits"):
        if (bits := _number(settings.get(name))) is not None:
            return bits
    if settings.get("load_in_4bit") is True:
        return 4
    if settings.get("load_in_8bit") is True:
        return 8
    return _bits_of_groups(settings.get("config_groups"))


def _bits_of_groups(groups: Any) -> float | None:
    """Return the most bits of compressed-tensors' groups."""
    if not isinstance(groups, dict):
        return None
    weights = [group.get("weights") for group in groups.values() if isinstance(group, dict)]
    found = [_number(each.get("num_bits")) for each in weights if isinstance(each, dict)]
    return max((bits for bits in found if bits is not None), default=None)


def _group(settings: Mapping[str, Any]) -> Any:
    return settings.get("group_size", settings.get("q_group_size"))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value <= _MOST_BITS else None
