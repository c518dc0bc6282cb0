"""Which instance to run a model on: those that it fits, best first, each with its price, its speed and its why."""

import math
from collections.abc import Iterable, Sequence

from pilotlight.domain.hosting import OptimizeFor
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.instances import GIB, INSTANCES, Instance
from pilotlight.domain.sizing import FOUR_BITS, Fit, Need, all_fits
from pilotlight.domain.throughput import (
    Measurement,
    speed_of,
    usd_per_million_tokens,
)
from pilotlight.domain.values import Basis, Model

MOST_ALTERNATIVES = 3
_UNITS = ((GIB, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
DEAREST_RATIO = 10
"""How many times the price of the cheapest an instance may have to be proposed for its speed: nobody who asks for a
fast answer of a small model means the dearest machine that there is."""


class Alternative(Model):
    """Another instance that would do."""

    instance_type: str
    tensor_parallel_degree: int
    usd_per_hour: float
    tokens_per_second: float | None = None
    usd_per_million_tokens: float | None = None


class Proposal(Alternative):
    """An instance for a model: how it is split, what it costs, how fast it probably is, and why it is this one.

    `usd_per_million_tokens` is that of an instance that is busy throughout. `seconds_per_token` is what a lone caller
    waits for. `context_tokens` is the longest text that is served, None where there is no such limit.
    """

    hardware: str
    accelerator: str | None = None
    price_confirmed: bool
    price_source: str
    speed_basis: Basis = Basis.ESTIMATED
    speed_source: str = ""
    seconds_per_token: float
    needed_gib: float
    usable_gib: float
    context_tokens: int | None = None
    concurrency: int = 1
    options: dict[str, str] = {}
    why: str = ""
    alternatives: tuple[Alternative, ...] = ()

    def __str__(self) -> str:
        """Return the proposal as one sentence."""
        split = f" with tensor parallel {self.tensor_parallel_degree}" if self.tensor_parallel_degree > 1 else ""
        return f"runs on {self.instance_type}{split}, {in_usd(self.usd_per_hour)} an hour, because {self.why}"


def propose(
    need: Need,
    region: str,
    optimize_for: OptimizeFor = OptimizeFor.COST,
    *,
    degree: int | None = None,
    measurements: Sequence[Measurement] = (),
    instances: Iterable[Instance] = INSTANCES,
) -> list[Proposal]:
    """Return the instances that a model fits, best first; none where it fits nowhere, which `remedies` tell about."""
    found = [proposal_of(fit, need, region, measurements) for fit in all_fits(need, degree, instances)]
    cheapest = min((each.usd_per_hour for each in found), default=0.0)
    if optimize_for is not OptimizeFor.COST:
        found = [each for each in found if each.usd_per_hour <= DEAREST_RATIO * cheapest]
    ranked = sorted(found, key=lambda each: _rank(each, optimize_for))
    return [
        each.changed(why=_why(each, ranked[:place], need, optimize_for, len(found)))
        for place, each in enumerate(ranked)
    ]


def with_alternatives(proposal: Proposal, others: Iterable[Proposal]) -> Proposal:
    """Return the proposal with the first few others."""
    different = [each for each in others if each.instance_type != proposal.instance_type]
    alternatives = tuple(Alternative(**each.model_dump()) for each in different[:MOST_ALTERNATIVES])
    return proposal.changed(alternatives=alternatives)


def proposal_of(fit: Fit, need: Need, region: str, measurements: Sequence[Measurement] = ()) -> Proposal:
    """Return an instance, as a model fits it, with its price and its speed, and no reason yet."""
    instance, degree = fit.instance, fit.tensor_parallel_degree
    rate = rate_of(instance.type, region)
    speed = speed_of(instance, degree, need.weight_bytes, measurements)
    tokens = speed.tokens_per_second
    return Proposal(
        instance_type=instance.type,
        tensor_parallel_degree=degree,
        usd_per_hour=rate.usd_per_hour,
        tokens_per_second=tokens,
        usd_per_million_tokens=round(usd_per_million_tokens(rate.usd_per_hour, tokens), 4) if tokens else None,
        hardware=instance.hardware,
        accelerator=instance.accelerator.name if instance.accelerator else None,
        price_confirmed=rate.confirmed,
        price_source=f"{rate.source}, {rate.as_of}",
        speed_basis=speed.basis,
        speed_source=speed.source,
        seconds_per_token=round(speed.seconds_per_token, 5),
        needed_gib=in_gib(fit.needed_bytes),
        usable_gib=in_gib(fit.usable_bytes),
        context_tokens=need.context_tokens if need.cache_bytes_per_token else None,
        concurrency=need.concurrency,
    )


def remedies(need: Need, region: str, *, is_quantised: bool, degree: int | None = None) -> str:
    """Return what is the largest there is, and what would make a model fit that fits nowhere: fewer bits, less context.

    Each remedy is told only where it helps.
    """
    largest = max(
        (each for each in INSTANCES if each.kind in need.kinds), key=lambda each: each.shares * each.share_gib
    )
    told = [f"The largest there is is {largest.type} ({largest.hardware})"]
    if not is_quantised and (found := propose(_in_four_bits(need), region, degree=degree)):
        told.append(f"quantised to 4 bits (AWQ or GPTQ) it would fit {told_price(found[0])}")
    shorter = need
    while shorter.cache_bytes and shorter.context_tokens > 1 and not propose(shorter, region, degree=degree):
        shorter = shorter.changed(context_tokens=shorter.context_tokens // 2)
    if shorter != need and (found := propose(shorter, region, degree=degree)):
        told.append(f"with a context of {shorter.context_tokens} tokens it would fit {told_price(found[0])}")
    return "; ".join(told) + "."


def told_price(proposal: Alternative) -> str:
    """Return an instance and its price for a sentence: `ml.g5.12xlarge (tensor parallel 4, $7.09 an hour)`."""
    split = f"tensor parallel {proposal.tensor_parallel_degree}, " if proposal.tensor_parallel_degree > 1 else ""
    return f"{proposal.instance_type} ({split}{in_usd(proposal.usd_per_hour)} an hour)"


def in_gib(size_bytes: float) -> float:
    """Return bytes in GiB, to a tenth."""
    return round(size_bytes / GIB, 1)


def as_size(size_bytes: float) -> str:
    """Return a size for a sentence, to a tenth of the unit that it fits: GiB, MiB or KiB."""
    unit, name = next(((unit, name) for unit, name in _UNITS if size_bytes >= unit / 10), _UNITS[-1])
    return f"{size_bytes / unit:.1f} {name}"


def in_usd(usd: float) -> str:
    """Return a price for a sentence: to the cent, or below a dollar to its tenth."""
    return f"${usd:.2f}" if usd >= 1 else f"${usd:.3f}"


def _in_four_bits(need: Need) -> Need:
    """Return the need of the same model in four bits."""
    size = int(need.weight_bytes * FOUR_BITS)
    return need.changed(weight_bytes=size, loading_bytes=size)


def _rank(proposal: Proposal, optimize_for: OptimizeFor) -> tuple[float, float]:
    match optimize_for:
        case OptimizeFor.COST:
            return proposal.usd_per_hour, proposal.seconds_per_token
        case OptimizeFor.LATENCY:
            return proposal.seconds_per_token, proposal.usd_per_hour
        case OptimizeFor.THROUGHPUT:
            return -(proposal.tokens_per_second or 0.0), proposal.usd_per_hour


def why_it_fits(proposal: Proposal, need: Need) -> str:
    """Return of what the memory of an instance is taken up."""
    holds = f"{as_size(need.weight_bytes)} of weights"
    if need.cache_bytes:
        holds += f" and {as_size(need.cache_bytes)} of cache for {need.concurrency} × {need.context_tokens} tokens"
    where = f"{'each' if proposal.tensor_parallel_degree > 1 else 'the'} {proposal.accelerator or 'machine'}"
    return f"{holds} take {in_usable(proposal.needed_gib)} of the {proposal.usable_gib} usable GiB of {where}"


def in_usable(needed_gib: float) -> str:
    """Return how much of the usable GiB is needed, for a sentence: what rounds to nothing is still something."""
    return str(needed_gib) if needed_gib else "less than 0.1"


def _why(proposal: Proposal, better: Sequence[Proposal], need: Need, optimize_for: OptimizeFor, count: int) -> str:
    """Return in one clause why an instance is proposed."""
    place = "the" if not better else f"number {len(better) + 1} of the"
    match optimize_for:
        case OptimizeFor.COST:
            best = f"it is {place} cheapest by the hour"
        case OptimizeFor.LATENCY:
            best = f"it is {place} fastest for one caller, about {_rounded(1 / proposal.seconds_per_token)} tokens/s,"
        case OptimizeFor.THROUGHPUT:
            best = f"it gives {place} most tokens, about {_rounded(proposal.tokens_per_second or 0)}/s in all,"
    ratio = "" if optimize_for is OptimizeFor.COST else f" for at most {DEAREST_RATIO} times the cheapest price"
    among = f" of the {count} that hold it{ratio}" if count > 1 else ", and the only one that holds it"
    return f"{best}{among}: {why_it_fits(proposal, need)}"


def _rounded(value: float) -> str:
    """Return a number to two digits: more would be a promise."""
    if value <= 0:
        return "an unknown number of"
    digits = 1 - math.floor(math.log10(value))
    return f"{round(value, digits):,g}"
