"""Write a checkpoint folder as hubs have them: weights in shards, configuration, tokenizer and clutter."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from local.checkpoints import tokenizer, weights

ChatTemplate = Literal["inside", "separate"]

INDEX = "model.safetensors.index.json"

# model_type of config.json, with the class and the tokenizer that come with it. The last two are not
# among the families that Bedrock imports.
_FAMILIES = {
    "llama": ("LlamaForCausalLM", "LlamaTokenizerFast"),
    "mistral": ("MistralForCausalLM", "LlamaTokenizerFast"),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2TokenizerFast"),
    "qwen3": ("Qwen3ForCausalLM", "Qwen2TokenizerFast"),
    "falcon": ("FalconForCausalLM", "PreTrainedTokenizerFast"),
    "mamba2": ("Mamba2ForCausalLM", "GPTNeoXTokenizerFast"),
}
_QUANTISATION = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}


@dataclass(frozen=True)
class Checkpoint:
    """A written checkpoint: `total_size` is the tensors' bytes, as the index states it."""

    folder: Path
    files: tuple[str, ...]
    weights: tuple[str, ...]
    total_size: int
    parameter_count: int

    @property
    def size_bytes(self) -> int:
        """Give the bytes of all its files."""
        return sum((self.folder / name).stat().st_size for name in self.files)


def write_checkpoint(  # noqa: PLR0913 - each keyword is one way in which checkpoints differ
    folder: Path,
    *,
    shards: int = 3,
    shard_bytes: int = 12_000_000,
    architecture: str = "llama",
    chat_template: ChatTemplate | None = "inside",
    single_file: bool = False,
    quantised: bool = False,
    max_position_embeddings: int = 131_072,
    with_tokenizer: bool = True,
    pickle_only: bool = False,
    missing_shard: bool = False,
    clutter: bool = True,
    seed: int = 0,
) -> Checkpoint:
    """Write a small model of `architecture` (a model_type) into the folder and say what was written.

    The weights come to about `shards * shard_bytes`. `pickle_only` writes them as a pickle, which no importer
    takes; `missing_shard` leaves out a shard that the index names.
    """
    shards = 1 if single_file or pickle_only else shards
    shape = weights.Shape.of_about(shards * shard_bytes, shards=shards, vocab_size=tokenizer.vocabulary_size())
    tensors = list(shape.tensors())
    folder.mkdir(parents=True, exist_ok=True)

    config = _config(shape, architecture, max_position_embeddings)
    if quantised:
        config["quantization_config"] = _QUANTISATION
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", _generation_config())

    if pickle_only:
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00." + bytes(1024))
    else:
        _write_weights(folder, tensors, shards, seed, indexed=not single_file, missing_shard=missing_shard)
    if with_tokenizer:
        _write_tokenizer(folder, architecture, chat_template)
    if clutter:
        _write_clutter(folder, seed)
    return _describe(folder, tensors)


def _config(shape: weights.Shape, architecture: str, max_position_embeddings: int) -> dict[str, Any]:
    model_class, _ = _FAMILIES[architecture]
    return {
        "architectures": [model_class],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": tokenizer.token_id(tokenizer.BEGIN),
        "eos_token_id": tokenizer.token_id(tokenizer.END),
        "head_dim": shape.hidden_size // shape.heads,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": max_position_embeddings,
        "mlp_bias": False,
        "model_type": architecture,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.key_value_heads,
        "rms_norm_eps": 1e-05,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.51.3",
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def _generation_config() -> dict[str, Any]:
    return {
        "_from_model_config": True,
        "bos_token_id": tokenizer.token_id(tokenizer.BEGIN),
        "eos_token_id": tokenizer.token_id(tokenizer.END),
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.95,
        "transformers_version": "4.51.3",
    }


def _write_weights(
    folder: Path, tensors: list[weights.Tensor], shards: int, seed: int, *, indexed: bool, missing_shard: bool
) -> None:
    if not indexed:
        weights.write_shard(folder / "model.safetensors", tensors, seed)
        return
    runs = weights.split(tensors, shards)
    names = [_shard_name(number, len(runs)) for number in range(1, len(runs) + 1)]
    for name, run in zip(names, runs, strict=True):
        weights.write_shard(folder / name, run, seed)
    if missing_shard:
        (folder / names[-1]).unlink()
    weight_map = {tensor.name: name for name, run in zip(names, runs, strict=True) for tensor in run}
    total_size = sum(tensor.size_bytes for tensor in tensors)
    _write_json(folder / INDEX, {"metadata": {"total_size": total_size}, "weight_map": weight_map})


def _shard_name(number: int, of: int) -> str:
    """Give a shard's name; no rule holds for all of them, as on hubs, so that readers must use the index."""
    match number % 3:
        case 1:
            return f"model-{number}-of-{of}.safetensors"
        case 2:
            return f"model-{number:05d}-of-{of}.safetensors"
        case _:
            return f"weights-{chr(ord('a') + number - 1)}.safetensors"


def _write_tokenizer(folder: Path, architecture: str, chat_template: ChatTemplate | None) -> None:
    _write_json(folder / "tokenizer.json", tokenizer.tokenizer_json())
    inside = tokenizer.CHAT_TEMPLATE if chat_template == "inside" else None
    config = tokenizer.tokenizer_config(chat_template=inside, tokenizer_class=_FAMILIES[architecture][1])
    _write_json(folder / "tokenizer_config.json", config)
    if chat_template == "separate":
        (folder / "chat_template.jinja").write_text(tokenizer.CHAT_TEMPLATE, encoding="utf-8")


def _write_clutter(folder: Path, seed: int) -> None:
    """Write what model repositories also hold and no importer needs."""
    (folder / "LICENSE").write_text("Made on the spot; take it and do as you like.\n", encoding="utf-8")
    (folder / "README.md").write_text(
        "---\nlicense: other\nlibrary_name: transformers\n---\n\n# A model to try things with\n\n"
        f"Its weights are random numbers (seed {seed}): it fits every format and knows nothing.\n",
        encoding="utf-8",
    )
    (folder / ".gitattributes").write_text(
        "*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.pth filter=lfs diff=lfs merge=lfs -text\n",
        encoding="utf-8",
    )
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "benchmark.png").write_bytes(_png(8, 8))
    (folder / "original").mkdir(exist_ok=True)
    (folder / "original" / "consolidated.00.pth").write_bytes(b"\x80\x02}q\x00.")


def _png(width: int, height: int) -> bytes:
    """Give a valid picture: a grey square."""
    rows = b"".join(b"\x00" + b"\x80" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _describe(folder: Path, tensors: list[weights.Tensor]) -> Checkpoint:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Checkpoint(
        folder=folder,
        files=tuple(files),
        weights=tuple(name for name in files if name.endswith(".safetensors")),
        total_size=sum(tensor.size_bytes for tensor in tensors),
        parameter_count=sum(prod(tensor.shape) for tensor in tensors),
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
