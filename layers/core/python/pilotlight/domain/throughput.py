"""How many tokens a second a model gives on an instance: an estimate, until a deployment of ours has measured it.

What is known are three GPUs at their hourly prices of a GPU cloud: the application's own figures of a comparison of
cost, without the model's name. They are taken to be those of seven billion parameters in 16 bits, many callers at once.
Generating a token reads all weights, so other GPUs are scaled by the bandwidth of their memory, other models by the
bytes of their weights, and every doubling of GPUs loses a tenth to their talking to one another. Good for putting
instances in an order, not for a promise.
"""

import math
from collections.abc import Iterable
from datetime import date

from pydantic import Field

from pilotlight.domain.instances import A10G, A100, T4, Accelerator, Instance, Kind
from pilotlight.domain.values import Basis, Model, Moment

REFERENCE_BYTES = 14_000_000_000
LARGEST_GAIN = 8.0  # of a small model: beyond, something else than memory is the limit
KEPT_BY_DOUBLING = 0.9
STEP_SECONDS = 0.004  # of each token, whatever is read: kernels are launched, GPUs exchange what they found


class Benchmark(Model):
    """One GPU's throughput as somebody published it, and what that GPU cost there by the hour."""

    accelerator: Accelerator
    tokens_per_second: float
    usd_per_hour: float
    source: str = "the application's comparison of GPUs by cost per token"
    as_of: date = date(2026, 11, 20)

    @property
    def usd_per_million_tokens(self) -> float:
        """What a million tokens cost there."""
        return usd_per_million_tokens(self.usd_per_hour, self.tokens_per_second)


BENCHMARKS = (
    Benchmark(accelerator=T4, tokens_per_second=1200, usd_per_hour=0.35),
    Benchmark(accelerator=A10G, tokens_per_second=3200, usd_per_hour=0.98),
    Benchmark(accelerator=A100, tokens_per_second=8500, usd_per_hour=3.06),
)


class Measurement(Model):
    """What a deployment of ours measured of its model on an instance: the tokens a second that one caller gets."""

    instance_type: str
    tensor_parallel_degree: int = Field(ge=1)
    tokens_per_second: float = Field(gt=0)
    measured_at: Moment
    deployment: str


class Speed(Model):
    """How many tokens a second an instance gives to all callers, and how long one waits for each token.

    None where there is nothing to estimate from.
    """

    tokens_per_second: float | None
    seconds_per_token: float
    basis: Basis = Basis.ESTIMATED
    source: str


def estimated_speed(instance: Instance, degree: int, weight_bytes: int) -> Speed:
    """Return the speed of all callers together, of a model in `degree` shares, whose weights have that many bytes."""
    alone = seconds_per_token(instance, degree, weight_bytes)
    if instance.accelerator is None or instance.kind is not Kind.NVIDIA:
        source = f"no figure is known of {instance.hardware}"
        return Speed(tokens_per_second=None, seconds_per_token=alone, source=source)
    nearest = _nearest(instance.accelerator)
    by_bandwidth = instance.accelerator.bandwidth_gb_per_second / nearest.accelerator.bandwidth_gb_per_second
    by_size = min(LARGEST_GAIN, REFERENCE_BYTES / max(weight_bytes, 1))
    several = degree * KEPT_BY_DOUBLING ** math.log2(degree)
    return Speed(
        tokens_per_second=round(nearest.tokens_per_second * by_bandwidth * by_size * several, 1),
        seconds_per_token=alone,
        source=f"{nearest.source}, {nearest.as_of}: {nearest.accelerator.name}, scaled by memory and size",
    )


def with_measurement(
    speed: Speed, instance_type: str, degree: int, measurements: Iterable[Measurement] | None = None
) -> Speed:
    """Return what was measured last of the same model, on that instance in as many shares, or the speed as it is.

    One caller is what is measured; what all get together is estimated to be faster or slower by as much.
    """
    same = [
        each
        for each in measurements or ()
        if each.instance_type == instance_type and each.tensor_parallel_degree == degree
    ]
    if not same:
        return speed
    latest = max(same, key=lambda each: each.measured_at)
    ratio = latest.tokens_per_second * speed.seconds_per_token
    together = speed.tokens_per_second
    return Speed(
        tokens_per_second=None if together is None else round(together * ratio, 1),
        seconds_per_token=1 / latest.tokens_per_second,
        basis=Basis.MEASURED,
        source=f"measured with one caller of {latest.deployment} on {latest.measured_at:%Y-%m-%d}",
    )


def seconds_per_token(instance: Instance, degree: int, weight_bytes: int) -> float:
    """Return how long a single caller waits for each token: for all weights to be read once, in `degree` shares."""
    reading = weight_bytes / degree / (instance.share_gb_per_second * 10**9)
    return reading + STEP_SECONDS * (1 + math.log2(degree) / 10)


def usd_per_million_tokens(usd_per_hour: float, tokens_per_second: float) -> float:
    """Return what a million tokens cost on an instance that is busy throughout."""
    return usd_per_hour * 1_000_000 / (tokens_per_second * 3600)


def _nearest(accelerator: Accelerator) -> Benchmark:
    """Return the benchmark of the GPU whose memory is about as fast."""

    def distance(benchmark: Benchmark) -> float:
        other = benchmark.accelerator.bandwidth_gb_per_second
        return abs(math.log(accelerator.bandwidth_gb_per_second / other))

    return min(BENCHMARKS, key=distance)
