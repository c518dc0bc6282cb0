"""Judge a staged checkpoint as the service does: what it holds, or why it cannot be imported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import Any

from local.bedrock.staged import Staged, UnimportableError

INDEX = "model.safetensors.index.json"
LARGEST_WEIGHTS_BYTES = 200 * 10**9
LARGEST_HEADER_BYTES = 100_000_000  # the format's own limit
LONGEST_CONTEXT = 131_072

# Source: Bedrock user guide, "Import a customized model": families, and for Qwen3 the classes.
ARCHITECTURES = (
    "llama",
    "mistral",
    "mixtral",
    "t5",
    "mllama",
    "gpt_bigcode",
    "poolside",
    "qwen2",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3",
    "qwen3_moe",
    "gpt_oss",
)
_CLASSES = {"qwen3": "Qwen3ForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM"}
_NOT_INSTRUCT = frozenset({"qwen2", "qwen2_vl", "qwen2_5_vl", "gpt_oss"})
_NUMBER_TYPES = frozenset({"float16", "bfloat16", "float32"})
_TOKENIZERS = frozenset({"T5", "Llama", "CodeLlama", "GPT2", "GPTNeoX", "PreTrained", "Qwen2"})


@dataclass(frozen=True)
class Inspection:
    """What an importable checkpoint is."""

    architecture: str
    parameter_count: int
    instruct: bool  # Converse would work
    reasons: bool  # its chat template opens a reasoning before the answer

    @property
    def units(self) -> int:
        """Give the custom model units of one copy: 2 for 8 B parameters, 8 for 70 B; between them 4 is a guess."""
        if self.parameter_count < 10e9:
            return 2
        return 4 if self.parameter_count < 35e9 else 8


def inspect(staged: Staged) -> Inspection:
    """Read configuration, tokenizer and the headers of all weights. Raises: UnimportableError."""
    if not staged.objects:
        raise UnimportableError(f"No files were found at {staged.s3_uri}.")
    config = staged.json("config.json")
    architecture = _architecture(config)
    _check_numbers(config, architecture)
    shards = _shards(staged)
    parameter_count = sum(_parameters_of(staged, shard, names) for shard, names in shards.items())
    if sum(staged.size(shard) for shard in shards) >= LARGEST_WEIGHTS_BYTES:
        raise UnimportableError("The model's weights exceed the maximum supported size of 200 GB.")
    template = _chat_template(staged)
    return Inspection(
        architecture=architecture,
        parameter_count=parameter_count,
        instruct=bool(template) and architecture not in _NOT_INSTRUCT,
        reasons="<think>" in template,
    )


def _architecture(config: dict[str, Any]) -> str:
    found = str(config.get("model_type"))
    classes = config.get("architectures") or []
    wanted = _CLASSES.get(found)
    if found not in ARCHITECTURES or (wanted and wanted not in classes):
        raise UnimportableError(
            f"Amazon Bedrock does not support the architecture ({found}) of the model that you are importing. "
            f"Supported architectures: [{', '.join(ARCHITECTURES)}]."
        )
    return found


def _check_numbers(config: dict[str, Any], architecture: str) -> None:
    quantised = config.get("quantization_config")
    if quantised and not (architecture == "gpt_oss" and quantised.get("quant_method") == "mxfp4"):
        raise UnimportableError("Quantized models are not supported: config.json has a quantization_config.")
    number_type = config.get("torch_dtype") or config.get("dtype") or "bfloat16"
    if number_type not in _NUMBER_TYPES:
        raise UnimportableError(f"The data type {number_type} is not supported. Use FP32, FP16 or BF16.")
    context = config.get("max_position_embeddings") or 0
    if context > LONGEST_CONTEXT:
        raise UnimportableError(f"The context length {context} exceeds the maximum of {LONGEST_CONTEXT} tokens.")


def _shards(staged: Staged) -> dict[str, set[str]]:
    """Give each file of weights with the tensors that the index expects in it (none where there is no index)."""
    if INDEX not in staged.objects:
        names = [name for name in staged.objects if name.endswith(".safetensors") and "/" not in name]
        if not names:
            raise UnimportableError("No model weights were found. Weights must be in the safetensors format.")
        return {name: set() for name in names}
    shards: dict[str, set[str]] = {}
    for tensor, shard in staged.json(INDEX).get("weight_map", {}).items():
        shards.setdefault(shard, set()).add(tensor)
    missing = sorted(shards.keys() - staged.objects.keys())
    if missing or not shards:
        raise UnimportableError(f"Files named in {INDEX} were not found: {', '.join(missing) or 'it names none'}.")
    return shards


def _parameters_of(staged: Staged, shard: str, expected: set[str]) -> int:
    """Give how many numbers a shard holds, if it is whole."""
    length = int.from_bytes(staged.start_of(shard, 8), "little")
    if not 2 <= length <= min(LARGEST_HEADER_BYTES, staged.size(shard) - 8):
        raise UnimportableError(f"The file {shard} is not a valid safetensors file.")
    try:
        header: dict[str, Any] = json.loads(staged.start_of(shard, length, offset=8))
        header.pop("__metadata__", None)
        ends = max(tensor["data_offsets"][1] for tensor in header.values())
        parameters: int = sum(prod(tensor["shape"]) for tensor in header.values())
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise UnimportableError(f"The header of the file {shard} is not valid safetensors.") from exc
    if staged.size(shard) != 8 + length + ends:
        raise UnimportableError(
            f"The file {shard} has {staged.size(shard)} bytes; its header says {8 + length + ends}."
        )
    if absent := expected - header.keys():
        raise UnimportableError(f"The file {shard} lacks tensors that the index expects in it, as {min(absent)}.")
    return parameters


def _chat_template(staged: Staged) -> str:
    staged.json("tokenizer.json")
    config = staged.json("tokenizer_config.json")
    name = str(config.get("tokenizer_class"))
    if name.removesuffix("Fast").removesuffix("Tokenizer") not in _TOKENIZERS:
        raise UnimportableError(f"The tokenizer class {name} is not supported.")
    return str(config.get("chat_template") or "")
