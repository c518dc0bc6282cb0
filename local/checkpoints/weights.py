"""Weights of a Llama of a wanted size, written in the safetensors format.

Source of the format: huggingface/safetensors, README "Format": eight bytes with the header's length (little
endian), a JSON header naming dtype, shape and data_offsets of each tensor, then the data without gaps.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

BF16_BYTES = 2
CHUNK_BYTES = 4 << 20

# Wide enough to look like a Llama, narrow enough that a test's checkpoint can be a few hundred kilobytes.
_WIDTHS = ((32, 88), (64, 176), (128, 344), (256, 688), (512, 1376), (1024, 2752))

# The high byte of a bf16 holds sign and most of the exponent. These eight give finite numbers between
# 0.0005 and 0.1, as trained weights are; random bytes alone would contain NaN and infinity.
_HIGH_BYTES = bytes((0x3A, 0x3B, 0x3C, 0x3D, 0xBA, 0xBB, 0xBC, 0xBD)) * 32


@dataclass(frozen=True)
class Tensor:
    """A named tensor of bf16 numbers."""

    name: str
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Give the bytes that the tensor takes in a shard."""
        return prod(self.shape) * BF16_BYTES


@dataclass(frozen=True)
class Shape:
    """The dimensions of a Llama, as its config.json states them."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int

    @classmethod
    def of_about(cls, total_bytes: int, *, shards: int, vocab_size: int) -> Shape:
        """Give the dimensions whose weights come closest to the bytes, with a layer for each shard."""
        hidden, intermediate = _WIDTHS[0]
        for width in _WIDTHS:
            if _layer_bytes(*width) * shards * 2 <= total_bytes:
                hidden, intermediate = width
        outside = 2 * vocab_size * hidden * BF16_BYTES
        layers = round((total_bytes - outside) / _layer_bytes(hidden, intermediate))
        heads = hidden // 16
        return cls(vocab_size, hidden, intermediate, max(shards, layers), heads, heads // 2)

    def tensors(self) -> Iterator[Tensor]:
        """Give every tensor of the model, in the order in which a trainer saves them."""
        hidden, kv = self.hidden_size, self.hidden_size // 2
        yield Tensor("model.embed_tokens.weight", (self.vocab_size, hidden))
        for layer in range(self.layers):
            for name, shape in _layer_tensors(hidden, kv, self.intermediate_size):
                yield Tensor(f"model.layers.{layer}.{name}.weight", shape)
        yield Tensor("model.norm.weight", (hidden,))
        yield Tensor("lm_head.weight", (self.vocab_size, hidden))


def _layer_tensors(hidden: int, kv: int, intermediate: int) -> list[tuple[str, tuple[int, ...]]]:
    return [
        ("input_layernorm", (hidden,)),
        ("mlp.down_proj", (hidden, intermediate)),
        ("mlp.gate_proj", (intermediate, hidden)),
        ("mlp.up_proj", (intermediate, hidden)),
        ("post_attention_layernorm", (hidden,)),
        ("self_attn.k_proj", (kv, hidden)),
        ("self_attn.o_proj", (hidden, hidden)),
        ("self_attn.q_proj", (hidden, hidden)),
        ("self_attn.v_proj", (kv, hidden)),
    ]


def _layer_bytes(hidden: int, intermediate: int) -> int:
    return sum(prod(shape) for _, shape in _layer_tensors(hidden, hidden // 2, intermediate)) * BF16_BYTES


def split(tensors: list[Tensor], shards: int) -> list[list[Tensor]]:
    """Give the tensors in as many runs of about the same bytes as there are shards."""
    total = sum(tensor.size_bytes for tensor in tensors)
    runs: list[list[Tensor]] = [[] for _ in range(shards)]
    before = 0
    for tensor in tensors:
        runs[min(shards - 1, before * shards // total)].append(tensor)
        before += tensor.size_bytes
    return [run for run in runs if run]


def write_shard(path: Path, tensors: list[Tensor], seed: int) -> None:
    """Write one safetensors file; the same seed gives the same bytes."""
    header = _header(tensors)
    remaining = sum(tensor.size_bytes for tensor in tensors)
    source = random.Random(f"{seed}/{path.name}")  # the same weights each time # nosec B311
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        while remaining:
            size = min(CHUNK_BYTES, remaining)
            file.write(_numbers(source, size))
            remaining -= size


def _header(tensors: list[Tensor]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.size_bytes
        entries[tensor.name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)  # the data is to begin at a multiple of eight bytes


def _numbers(source: random.Random, size: int) -> bytes:
    block = bytearray(source.randbytes(size))
    block[1::2] = block[1::2].translate(_HIGH_BYTES)
    return bytes(block)
