"""A checkpoint's small JSON files as models: lenient in what they carry, strict in size and depth.

Source: Hugging Face transformers, `PretrainedConfig`, `PreTrainedTokenizerBase` and `GenerationConfig`.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from pilotlight.domain.broken_rules import broken_rules
from pilotlight.domain.model_shape import ModelShape
from pilotlight.domain.strict_json import UnreadableError, json_object
from pilotlight.domain.values import Model

DEFAULT_TEMPLATE = "default"
LONGEST_TEMPLATE = 128 * 1024  # the largest in use have a quarter of it, and it is kept in the artifact's record

Short = Annotated[str, StringConstraints(max_length=200)]
Template = Annotated[str, StringConstraints(max_length=LONGEST_TEMPLATE)]


class _TextConfig(ModelShape):
    """The language model inside a multimodal configuration."""

    dtype: Short | None = None
    torch_dtype: Short | None = None
    max_position_embeddings: int | None = None


class ModelConfig(ModelShape):
    """config.json: what the model is."""

    model_type: Short = ""
    architectures: tuple[Short, ...] | None = None
    dtype: Short | None = None
    torch_dtype: Short | None = None
    max_position_embeddings: int | None = None
    n_positions: int | None = None
    text_config: _TextConfig | None = None
    quantization_config: dict[str, Any] | None = None
    compression_config: dict[str, Any] | None = None
    tokenizer_class: Short | None = None
    neuron: Any = None

    @property
    def architecture(self) -> str | None:
        """The class of the model, as transformers names it."""
        return self.architectures[0] if self.architectures else None

    @property
    def dtype_name(self) -> str | None:
        """The weights' type, such as `bfloat16`; newer files say `dtype`, older ones `torch_dtype`."""
        text = self.text_config or _TextConfig()
        found = self.dtype or self.torch_dtype or text.dtype or text.torch_dtype
        return found.removeprefix("torch.") if found else None

    @property
    def context_tokens(self) -> int | None:
        """How many tokens the model attends to."""
        text = self.text_config or _TextConfig()
        return self.max_position_embeddings or text.max_position_embeddings or self.n_positions

    @property
    def shape(self) -> ModelShape:
        """The dimensions of what generates: of a multimodal model its language model."""
        return self.text_config if self.text_config and self.layers is None else self

    @property
    def quantisation_settings(self) -> Mapping[str, Any]:
        """How the weights are quantised; empty where they are not."""
        return self.quantization_config or self.compression_config or {}

    @property
    def quantisation(self) -> str | None:
        """The method that the weights are quantised with, or None where they are not."""
        found = self.quantisation_settings
        return str(found.get("quant_method", "an unnamed method"))[:80] if found else None


class _Token(Model):
    content: Short


class _NamedTemplate(Model):
    name: Short
    template: Template


class TemplateHolder(Model):
    """A file that may hold a chat template, or several by name."""

    chat_template: Template | tuple[_NamedTemplate, ...] | None = None

    @property
    def templates(self) -> tuple[tuple[str | None, str], ...]:
        """Every chat template, each with its name where it has one."""
        if isinstance(self.chat_template, tuple):
            return tuple((each.name, each.template) for each in self.chat_template)
        return () if self.chat_template is None else ((None, self.chat_template),)


class ProcessorConfig(TemplateHolder):
    """processor_config.json, of multimodal models."""


class TokenizerConfig(TemplateHolder):
    """tokenizer_config.json: a token may be a string or an object with `content`."""

    tokenizer_class: Short | None = None
    bos_token: Short | _Token | None = None
    eos_token: Short | _Token | None = None

    @property
    def template(self) -> str | None:
        """The chat template; of several, the one named "default"."""
        if isinstance(self.chat_template, tuple):
            return next((each.template for each in self.chat_template if each.name == DEFAULT_TEMPLATE), None)
        return self.chat_template

    @property
    def bos(self) -> str | None:
        """The token that begins a text."""
        return _text_of(self.bos_token)

    @property
    def eos(self) -> str | None:
        """The token that ends a text."""
        return _text_of(self.eos_token)


class GenerationConfig(Model):
    """generation_config.json."""

    eos_token_id: int | tuple[int, ...] | None = None

    @property
    def eos_ids(self) -> frozenset[int]:
        """Every token that ends a text."""
        match self.eos_token_id:
            case None:
                return frozenset()
            case int() as one:
                return frozenset({one})
            case several:
                return frozenset(several)


class _IndexMetadata(Model):
    total_size: float | None = Field(default=None, ge=0, allow_inf_nan=False)  # some tools write it as 1.6e10
    total_parameters: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class WeightIndex(Model):
    """model.safetensors.index.json: which shard holds which tensor."""

    metadata: _IndexMetadata = _IndexMetadata()
    weight_map: dict[str, str] = Field(min_length=1)

    @property
    def shards(self) -> tuple[str, ...]:
        """The shards, each once, by name: nothing else tells how many there are or what they are called."""
        return tuple(sorted(set(self.weight_map.values())))


class TemplateFile(TemplateHolder):
    """chat_template.json, as processors of multimodal models have it."""

    chat_template: Template


AnyModel = TypeVar("AnyModel", bound=Model)


def parse(content: bytes, model: type[AnyModel]) -> AnyModel:
    """Return a file as its model.

    Raises: UnreadableError, saying which field breaks which rule.
    """
    try:
        return model.model_validate(json_object(content))
    except ValidationError as exc:
        broken = broken_rules(exc)[0]
        raise UnreadableError(f"its field {broken.field!r} is wrong: {broken.message}") from exc


def derived_tokenizer_config(tokenizer_config: bytes, template: str) -> bytes:
    """Return tokenizer_config.json with that chat template inside; everything else stays, in its order."""
    document = json_object(tokenizer_config) | {"chat_template": template}
    return (json.dumps(document, indent=2) + "\n").encode()


def _text_of(token: str | _Token | None) -> str | None:
    return token.content if isinstance(token, _Token) else token
