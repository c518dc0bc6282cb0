"""How many tokens a second a model gives on an instance: an estimate, until a deployment of ours has measured it.

What is known are three GPUs at their hourly prices of a GPU cloud: the application's own figures of a comparison of
cost, without the model's name. They are taken to be those of seven billion parameters in 16 bits, many callers at once.
Generating a token reads all weights, so other GPUs are scaled by the bandwidth of their memory, other models by the
bytes of their weights, and every doubling of GPUs loses a tenth to their talking to one another. Good for putting
instances in an order, not for a promise.
"""

import math
from collections.abc import Iterable
from datetime import date, datetime

from pydantic import Field

from pilotlight.domain.instances import A10G, A100, T4, Accelerator, Instance, Kind, instance_of
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


def speed_of(instance: Instance, degree: int, weight_bytes: int, measurements: Iterable[Measurement] = ()) -> Speed:
    """Return the speed of a model: as it was measured last on that instance in as many shares, else as estimated.

    One caller is what is measured, from the question to the end of the answer, which takes longer than the reading of
    weights that estimates count. So by as much as that is slower, or faster, than its estimate, all that is estimated
    of the same model is taken to be: what was measured and what was not can be compared.
    """
    estimate = estimated_speed(instance, degree, weight_bytes)
    latest = _closest(measurements, instance, degree)
    measured_on = instance_of(latest.instance_type) if latest else None
    if latest is None or measured_on is None:
        return estimate
    ratio = latest.tokens_per_second * seconds_per_token(measured_on, latest.tensor_parallel_degree, weight_bytes)
    together = estimate.tokens_per_second
    is_here = _is_of(latest, instance, degree)
    measured = f"measured with one caller of {latest.deployment} on {latest.measured_at:%Y-%m-%d}"
    return Speed(
        tokens_per_second=None if together is None else round(together * ratio, 1),
        seconds_per_token=1 / latest.tokens_per_second if is_here else estimate.seconds_per_token / ratio,
        basis=Basis.MEASURED if is_here else Basis.ESTIMATED,
        source=measured if is_here else f"{estimate.source}, and by what was {measured}, {latest.instance_type}",
    )


def _closest(measurements: Iterable[Measurement], instance: Instance, degree: int) -> Measurement | None:
    """Return the measurement that says most of an instance: its own, else one of the same GPU, else any; the latest."""

    def worth(each: Measurement) -> tuple[bool, bool, datetime]:
        other = instance_of(each.instance_type)
        same = other is not None and other.accelerator == instance.accelerator
        return _is_of(each, instance, degree), same, each.measured_at

    return max(measurements, key=worth, default=None)


def _is_of(measured: Measurement, instance: Instance, degree: int) -> bool:
    return (measured.instance_type, measured.tensor_parallel_degree) == (instance.type, degree)


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
