"""Does a model fit an instance, and which instance suits it best? Estimates, on the safe side, and each with its why.

A share of the model lies on each GPU. It holds its part of the weights, its part of the cache of keys and values, and
what the GPU needs for itself:

    needed   = weights / shares + cache × context × concurrency / shares + overhead
    cache    = 2 × layers × heads × width × bytes                     for each token; see `model_shape`
    usable   = nine tenths of the GPU's memory

Source: vLLM's documentation ("Conserving Memory", "Parallelism and Scaling": gpu_memory_utilization is 0.9, heads must
be divisible by the degree, heads of the cache are split, or copied where there are fewer) and DJL Serving's "Instance
Type Selection" for the formula; looked up 2026-11-28. The overhead is ours: CUDA's context, graphs and activations.
"""

from collections.abc import Iterable
from enum import StrEnum

from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.instances import GIB, INSTANCES, Instance, Kind
from pilotlight.domain.values import Model
from pilotlight.domain.weight_formats import WeightFormat

USABLE = 0.9
OVERHEAD_BYTES = 3 * GIB // 2
OVERHEAD_OF_SHARING_BYTES = GIB // 2  # buffers by which GPUs exchange what they computed
USABLE_WITHOUT_GPU = 0.8
OVERHEAD_WITHOUT_GPU_BYTES = 2 * GIB  # the model server, Python, and what torch takes before it has read anything
LOADED_TWICE = 1.3  # of main memory: parts of the file and of the model side by side
CACHE_BYTES_PER_VALUE = 2
UNKNOWN_CACHE_SHARE = 131_072  # a token's cache, as a part of the weights, where the dimensions are not known

DTYPE_BYTES = {"float32": 4, "fp32": 4, "float16": 2, "fp16": 2, "bfloat16": 2, "bf16": 2}
KEPT_BY_QUANTIZING = {"fp8": 0.55, "bitsandbytes": 0.32, "bitsandbytes4": 0.32, "bitsandbytes8": 0.55}
"""What is left of 16 bits when vLLM quantises as it loads: embeddings and norms stay as they are."""
FULL_WHILE_QUANTIZING = frozenset({"fp8"})  # the whole model is loaded first
FOUR_BITS = 0.28  # of 16 bits, with scales and what stays


class Misfit(StrEnum):
    """Why a model does not fit an instance."""

    ACCELERATOR = "accelerator"
    CAPABILITY = "capability"
    MORE_THAN_THERE_ARE = "more-than-there-are"
    DOES_NOT_DIVIDE = "does-not-divide"
    NOT_SPLIT = "not-split"
    WEIGHTS = "weights"
    CACHE = "cache"


class Need(Model):
    """What a model needs of an instance.

    `loading_bytes` are needed while it loads, more than `weight_bytes` where it is quantised afterwards. `splits` is
    whether its weights can be shared by several GPUs, `kinds` what it can be computed on.
    """

    weight_bytes: int
    loading_bytes: int
    cache_bytes_per_token: int = 0
    context_tokens: int = 0
    concurrency: int = 1
    attention_heads: int | None = None
    kv_heads: int | None = None
    least_capability: float = 0.0
    splits: bool = True
    kinds: frozenset[Kind] = frozenset({Kind.NVIDIA})

    @property
    def cache_bytes(self) -> int:
        """The cache of as many of the longest texts as are served at once."""
        return self.cache_bytes_per_token * self.context_tokens * self.concurrency

    def may_have(self, degree: int) -> bool:
        """Say whether the heads can be split into so many shares; unknown ones into powers of two."""
        if degree == 1:
            return True
        if not self.splits:
            return False
        if self.attention_heads is None:
            return degree & (degree - 1) == 0
        cached = self.kv_heads or self.attention_heads
        return self.attention_heads % degree == 0 and (cached % degree == 0 or degree % cached == 0)

    def cache_shares(self, degree: int) -> int:
        """Return among how many shares the cache is split: every one holds at least one of its heads."""
        return min(degree, self.kv_heads or self.attention_heads or degree)


class Fit(Model):
    """Whether a model fits an instance in so many shares: bytes are those of one share.

    `context_tokens` is the longest text that the memory left by the weights would hold, as often as is served at once;
    None where a model keeps no cache.
    """

    instance: Instance
    tensor_parallel_degree: int
    misfit: Misfit | None = None
    needed_bytes: int = 0
    usable_bytes: int = 0
    context_tokens: int | None = None

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.misfit is None


def need_of(
    facts: ModelFacts,
    *,
    context_tokens: int,
    concurrency: int,
    dtype: str | None = None,
    quantize: str | None = None,
    by_vllm: bool = True,
    kinds: frozenset[Kind] = frozenset({Kind.NVIDIA}),
) -> Need:
    """Return what a model needs where it is served as `dtype`, quantised on loading by `quantize`, by vLLM or not.

    What is not vLLM (transformers' pipelines, a handler of the user's own) keeps the whole model on one GPU, and in
    32 bits unless it is told otherwise.
    """
    weight_format = facts.format or WeightFormat()
    loading, resident = _weight_bytes(facts, weight_format, dtype, quantize, by_vllm)
    return Need(
        weight_bytes=resident,
        loading_bytes=loading,
        cache_bytes_per_token=cache_bytes_per_token(facts) if by_vllm else 0,
        context_tokens=context_tokens,
        concurrency=concurrency,
        attention_heads=facts.attention_heads,
        kv_heads=facts.kv_heads,
        least_capability=weight_format.least_capability,
        splits=by_vllm and weight_format.splits,
        kinds=kinds,
    )


def cache_bytes_per_token(facts: ModelFacts) -> int:
    """Return the bytes of keys and values that one token leaves in all layers, a guess where dimensions are unknown."""
    if facts.layers and facts.kv_heads and facts.head_dim:
        return 2 * facts.layers * facts.kv_heads * facts.head_dim * CACHE_BYTES_PER_VALUE
    return facts.weight_bytes // UNKNOWN_CACHE_SHARE


def _weight_bytes(
    facts: ModelFacts, weight_format: WeightFormat, dtype: str | None, quantize: str | None, by_vllm: bool
) -> tuple[int, int]:
    """Return the weights' bytes while they are loaded, and afterwards."""
    size = facts.weight_bytes
    if weight_format.is_quantised:
        return size, size
    stored = DTYPE_BYTES.get(facts.dtype or "", 2)
    served = DTYPE_BYTES.get(dtype or "", 2 if by_vllm else 4)
    loaded = size * served // stored
    kept = KEPT_BY_QUANTIZING.get(quantize or "")
    if kept is None or not by_vllm:
        return loaded, loaded
    resident = int(size * 2 / stored * kept)
    return (loaded if quantize in FULL_WHILE_QUANTIZING else resident), resident


def possible_degrees(need: Need, instance: Instance) -> tuple[int, ...]:
    """Return into how many shares the model can be split on an instance, the fewest first."""
    return tuple(degree for degree in range(1, instance.shares + 1) if need.may_have(degree))


def fits(instance: Instance, need: Need, tensor_parallel_degree: int) -> Fit:
    """Return whether a model fits an instance in that many shares, and if not, the first reason why."""
    degree = tensor_parallel_degree
    overhead = OVERHEAD_BYTES + (OVERHEAD_OF_SHARING_BYTES if degree > 1 else 0)
    usable, weights, loading = (
        instance.share_gib * GIB * USABLE,
        need.weight_bytes / degree,
        need.loading_bytes / degree,
    )
    if instance.kind is Kind.NONE:
        overhead, usable = OVERHEAD_WITHOUT_GPU_BYTES, instance.share_gib * GIB * USABLE_WITHOUT_GPU
        weights, loading = weights * LOADED_TWICE, loading * LOADED_TWICE
    left = usable - overhead - weights
    cache = need.cache_bytes / need.cache_shares(degree)
    return Fit(
        instance=instance,
        tensor_parallel_degree=degree,
        misfit=_unsuited(instance, need, degree) or _too_large(usable - overhead - max(weights, loading), left - cache),
        needed_bytes=int(overhead + max(weights + cache, loading)),
        usable_bytes=int(usable),
        context_tokens=_longest(need, degree, left),
    )


def best_fit(instance: Instance, need: Need, degree: int | None = None) -> Fit:
    """Return how a model fits an instance best: in that many shares, or in the most that fit, or in the most."""
    if degree is not None:
        return fits(instance, need, degree)
    tried = [fits(instance, need, each) for each in reversed(possible_degrees(need, instance))]
    return next((fit for fit in tried if fit.fits), tried[0])


def all_fits(need: Need, degree: int | None = None, instances: Iterable[Instance] = INSTANCES) -> list[Fit]:
    """Return every instance on which the model fits."""
    return [fit for fit in (best_fit(each, need, degree) for each in instances) if fit.fits]


def _unsuited(instance: Instance, need: Need, degree: int) -> Misfit | None:
    if instance.kind not in need.kinds:
        return Misfit.ACCELERATOR
    if instance.accelerator and 0 < instance.accelerator.capability < need.least_capability:
        return Misfit.CAPABILITY
    if degree > instance.shares:
        return Misfit.MORE_THAN_THERE_ARE
    if not need.may_have(degree):
        return Misfit.DOES_NOT_DIVIDE if need.splits else Misfit.NOT_SPLIT
    return None


def _too_large(left_by_weights: float, left_by_all: float) -> Misfit | None:
    if left_by_weights < 0:
        return Misfit.WEIGHTS
    return Misfit.CACHE if left_by_all < 0 else None


def _longest(need: Need, degree: int, left: float) -> int | None:
    """Return the longest text that memory holds, as often as texts are served at once."""
    if not need.cache_bytes_per_token:
        return None
    each = need.cache_bytes_per_token * need.concurrency / need.cache_shares(degree)
    return max(0, int(left / each))
