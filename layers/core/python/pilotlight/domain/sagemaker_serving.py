"""How a model would be served on an endpoint: by vLLM, by transformers' pipelines, or by what the user brings.

That decides what it needs of an instance, and which options its serving.properties begins with.
"""

from collections.abc import Sequence
from functools import cached_property

from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.instances import Instance, Kind
from pilotlight.domain.sagemaker_support import (
    DEFAULT_CONCURRENCY,
    DEFAULT_CONTEXT_TOKENS,
    is_encoder_decoder,
    task_of,
)
from pilotlight.domain.serving import GENERATING, Dtype, Quantize, RollingBatch, Task
from pilotlight.domain.sizing import Need, need_of
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.weight_formats import BFLOAT_CAPABILITY, DTYPE, HALF_PRECISION, ROLLING_BATCH, WeightFormat

LONGEST_TEXT = "max_model_len"
MOST_DIGITS = 8  # more tokens than any model reads
_TASK = "option.task"
_ASYNCHRONOUS = "option.async_mode"  # by which LMI starts vLLM for what it would give to transformers


class Serving:
    """A model and how a user wants it hosted; `measurements` are what deployments of the same model have found."""

    def __init__(self, facts: ModelFacts, hosting: Hosting, measurements: Sequence[Measurement] = ()) -> None:
        self.facts = facts
        self.measurements = measurements
        self.hosting = hosting
        self.format = facts.format or WeightFormat()

    @cached_property
    def task(self) -> Task | None:
        """What the model does: what the user says, or what its class is for."""
        return self.hosting.serving.task or task_of(self.facts.model_type, self.facts.architecture)

    @property
    def has_own_image(self) -> bool:
        """Whether the user brings the container: then nothing of LMI's holds."""
        return self.hosting.container.image is not None

    @property
    def has_own_code(self) -> bool:
        """Whether the user's own code loads the model: an image, or a handler in LMI's."""
        return self.has_own_image or self.hosting.serving.handler is not None

    @property
    def generates(self) -> bool:
        """Whether the model writes text, for which it keeps a cache; what nobody knows probably does."""
        return self.task is None or self.task in GENERATING or self.task is Task.TEXT2TEXT_GENERATION

    @property
    def by_vllm(self) -> bool:
        """Whether vLLM serves it."""
        if self.has_own_code or not self.format.is_engine_loaded or is_encoder_decoder(self.facts.model_type):
            return False
        if self.task is Task.TEXT_EMBEDDING:
            return True
        stopped = self.hosting.serving.rolling_batch is RollingBatch.DISABLE or self._gathers
        return self.generates and self.task is not Task.TEXT2TEXT_GENERATION and not stopped

    @property
    def keeps_cache(self) -> bool:
        """Whether vLLM keeps what was read and written, for as many texts as are served at once."""
        return self.by_vllm and self.generates

    @property
    def context_tokens(self) -> int:
        """The longest text that is served: what the user says, or what is usual, and never more than the model can."""
        wanted = self.wanted_context_tokens or DEFAULT_CONTEXT_TOKENS
        return min(wanted, self.facts.context_tokens or wanted)

    @property
    def wanted_context_tokens(self) -> int | None:
        """The longest text that the user asks for; what is written into serving.properties goes before."""
        told = self.hosting.serving.options.get(LONGEST_TEXT, "")
        sound = told.isdecimal() and len(told) <= MOST_DIGITS and int(told) > 0
        return int(told) if sound else self.hosting.instance.context_tokens

    @property
    def proposed_kinds(self) -> frozenset[Kind]:
        """What may be proposed: instances without GPU only for models that write no text."""
        return frozenset({Kind.NVIDIA} if self.generates or self.by_vllm else {Kind.NVIDIA, Kind.NONE})

    @property
    def allowed_kinds(self) -> frozenset[Kind]:
        """What the user may name."""
        if self.has_own_image:
            return frozenset(Kind)
        return frozenset({Kind.NVIDIA} if self.by_vllm else {Kind.NVIDIA, Kind.NONE})

    def need(self, kinds: frozenset[Kind]) -> Need:
        """Return what it needs of an instance of these kinds."""
        serving = self.hosting.serving
        need = need_of(
            self.facts,
            context_tokens=self.context_tokens if self.keeps_cache else 0,
            concurrency=self.hosting.instance.concurrency or DEFAULT_CONCURRENCY,
            dtype=serving.dtype,
            quantize=serving.quantize,
            by_vllm=self.by_vllm,
            kinds=kinds,
        )
        if self.has_own_code:  # how it loads and splits the weights is its own affair
            size = self.facts.weight_bytes
            return need.changed(weight_bytes=size, loading_bytes=size, splits=True, least_capability=0.0)
        newer = serving.dtype is Dtype.BF16 or serving.quantize is Quantize.FP8
        return need.changed(least_capability=max(need.least_capability, BFLOAT_CAPABILITY if newer else 0.0))

    def options_on(self, instance: Instance) -> dict[str, str]:
        """Return the lines of serving.properties that the model itself asks for on an instance."""
        if self.has_own_code:
            return {}
        if not self.keeps_cache:
            task = {_TASK: self.task.value} if self.task else {}
            served = {_ASYNCHRONOUS: "true"} if self.by_vllm else {}
            return {ROLLING_BATCH: RollingBatch.DISABLE.value, **served, **task, **self.format.options}
        capability = instance.accelerator.capability if instance.accelerator else 0.0
        halves = {DTYPE: HALF_PRECISION} if capability < BFLOAT_CAPABILITY else {}
        longest = {f"option.{LONGEST_TEXT}": str(self.context_tokens)} if self._may_tell_longest else {}
        return {**halves, **longest, **self.format.options_on(capability)}

    @property
    def _may_tell_longest(self) -> bool:
        return bool(self.facts.context_tokens or self.wanted_context_tokens)

    @property
    def _gathers(self) -> bool:
        return (self.hosting.serving.batch_size or 1) > 1
