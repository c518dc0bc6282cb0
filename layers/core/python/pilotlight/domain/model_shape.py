"""A model's dimensions, as config.json tells them under one of several names: what sizing and splitting need.

A dimension that is missing or is no sensible number is not known, and never a reason to refuse the file. Source:
Hugging Face transformers, the configurations of Llama, GPT-2, BLOOM, Falcon, T5, BART and DeepSeek.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from pilotlight.domain.values import Model

_LARGEST = 10_000_000


def _count(value: Any) -> int | None:
    """Return a number of things, or None for whatever is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 1 <= value <= _LARGEST and int(value) == value else None


Count = Annotated[int | None, BeforeValidator(_count)]


class ModelShape(Model):
    """The dimensions of a transformer; None for each that config.json does not tell."""

    num_hidden_layers: Count = None
    num_layers: Count = None
    n_layer: Count = None
    decoder_layers: Count = None
    num_attention_heads: Count = None
    num_heads: Count = None
    n_head: Count = None
    decoder_attention_heads: Count = None
    num_key_value_heads: Count = None
    num_kv_heads: Count = None
    multi_query: Any = None
    new_decoder_architecture: Any = None
    head_dim: Count = None
    d_kv: Count = None
    hidden_size: Count = None
    n_embd: Count = None
    d_model: Count = None
    kv_lora_rank: Count = None
    qk_rope_head_dim: Count = None

    @property
    def layers(self) -> int | None:
        """How many layers keep a cache."""
        return self.num_hidden_layers or self.num_layers or self.n_layer or self.decoder_layers

    @property
    def heads(self) -> int | None:
        """How many heads there are to be split among GPUs."""
        return self.num_attention_heads or self.num_heads or self.n_head or self.decoder_attention_heads

    @property
    def width(self) -> int | None:
        """The width of a layer."""
        return self.hidden_size or self.n_embd or self.d_model

    @property
    def cached_heads(self) -> int | None:
        """How many heads the cache holds: fewer than there are, where several share one."""
        if self._latent or (self.multi_query is True and self.new_decoder_architecture is not True):
            return 1
        return self.num_key_value_heads or self.num_kv_heads or self.heads

    @property
    def cached_width(self) -> int | None:
        """The width of a head in the cache.

        A latent cache (DeepSeek's) keeps one vector for keys and values together: as one head of half its width it
        takes as many bytes, and every GPU holds it whole, as it does.
        """
        if self._latent:
            return -(-self._latent // 2)
        if stated := self.head_dim or self.d_kv:
            return stated
        return max(1, self.width // self.heads) if self.width and self.heads else None

    @property
    def _latent(self) -> int:
        return self.kv_lora_rank + (self.qk_rope_head_dim or 0) if self.kv_lora_rank else 0
