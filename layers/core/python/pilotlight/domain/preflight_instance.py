"""On which instance would a model run? What is wrong with the one that the user names, and which one is proposed."""

from collections.abc import Iterator, Sequence

from pilotlight.domain.checks import Check, passed, refused
from pilotlight.domain.instances import INSTANCES, Instance, Kind, in_order, instance_of, near_matches
from pilotlight.domain.proposals import (
    Proposal,
    as_size,
    in_gib,
    in_usable,
    in_usd,
    proposal_of,
    propose,
    remedies,
    told_price,
    why_it_fits,
    with_alternatives,
)
from pilotlight.domain.sagemaker_serving import Serving
from pilotlight.domain.sizing import Fit, Misfit, Need, best_fit, possible_degrees

Judged = tuple[tuple[Check, ...], Proposal | None]

_DEGREE = "serving.tensor_parallel_degree"
_OF_INSTANCE = frozenset({Misfit.ACCELERATOR, Misfit.CAPABILITY})


def judge_instance(serving: Serving, region: str) -> Judged:
    """Return the checks on instance, size, tensor parallel degree and context, and the instance to run on.

    Where the user's own cannot be had, what is proposed is what would do instead; None where nothing would.
    """
    return _Question(serving, region).answer()


class _Question:
    """One model, how it is wanted, and the instances that would hold it."""

    def __init__(self, serving: Serving, region: str) -> None:
        self.serving = serving
        self.region = region
        self.settings = serving.hosting.instance
        self.named = instance_of(self.settings.type or "")
        self.need = serving.need(serving.proposed_kinds)
        self.wrong_degree = self._degree_refused()
        self.degree = None if self.wrong_degree else serving.hosting.serving.tensor_parallel_degree
        self.others = propose(
            self.need,
            region,
            self.settings.optimize_for,
            degree=self.degree,
            measurements=serving.measurements,
        )

    def answer(self) -> Judged:
        """Return checks and proposal."""
        if self.settings.type is None:
            return self._chosen_for_the_user()
        if self.named is None:
            return self._unknown(self.settings.type)
        return self._named(self.named)

    def _chosen_for_the_user(self) -> Judged:
        if not self.others:
            return self._fits_nowhere()
        best = self._with_options(self.others[0])
        instance = instance_of(best.instance_type)
        fit = best_fit(instance, self.need, self.degree) if instance else None
        found = f"none named: {best.instance_type} is proposed, {self._price(best)}"
        checks = [passed("instance", found, f"{len(self.others)} of the {len(INSTANCES)} known instances would do")]
        return (*checks, *(self._sound(fit) if fit else ())), with_alternatives(best, self.others)

    def _fits_nowhere(self) -> Judged:
        advice = remedies(self.need, self.region, is_quantised=self._has_few_bits, degree=self.degree)
        without_cache = self.need.changed(context_tokens=0)
        if self.need.cache_bytes and propose(without_cache, self.region, degree=self.degree):
            check = refused("context", self._cache(), "what an instance holds beside the weights", advice)
        else:
            check = refused("size", self._weights(), "what an instance holds", advice)
        return (check, *self._degree_checks(None)), None

    def _unknown(self, named: str) -> Judged:
        near = near_matches(named)
        known = ", ".join(in_order(near or (each.type for each in INSTANCES)))
        meant = f"Did you mean {near[0]}? " if near else ""
        advice = meant + (f"Choose {told_price(self.others[0])}, which it fits." if self.others else "Choose another.")
        check = refused("instance", f"{named}, which is not known", known, advice)
        return (check, *self._degree_checks(None)), self._instead()

    def _named(self, instance: Instance) -> Judged:
        need = self.serving.need(self.serving.allowed_kinds)
        fit = best_fit(instance, need, self.degree)
        if fit.misfit in _OF_INSTANCE:
            return (self._unsuited(fit), *self._degree_checks(None)), self._instead()
        proposal = self._with_options(proposal_of(fit, need, self.region, self.serving.measurements))
        found = f"{instance.type}: {instance.hardware}, {self._price(proposal)}"
        instance_check = passed("instance", found, f"the {len(INSTANCES)} instances that Pilotlight knows")
        if fit.misfit is None:
            told = proposal.changed(why=f"it was asked for: {why_it_fits(proposal, need)}")
            return (instance_check, *self._sound(fit)), with_alternatives(told, self.others)
        broken = self._weights_refused(fit) if fit.misfit is Misfit.WEIGHTS else self._cache_refused(fit, need)
        return (instance_check, broken, *self._degree_checks(fit)), self._instead()

    def _instead(self) -> Proposal | None:
        """Return what would do instead of what was asked for."""
        return with_alternatives(self._with_options(self.others[0]), self.others) if self.others else None

    def _with_options(self, proposal: Proposal) -> Proposal:
        instance = instance_of(proposal.instance_type)
        return proposal.changed(options=self.serving.options_on(instance)) if instance else proposal

    def _sound(self, fit: Fit) -> Iterator[Check]:
        """Yield what is to be said of a model that fits."""
        usable = f"{in_gib(fit.usable_bytes)} usable GiB"
        where = f"{usable} on each of {fit.tensor_parallel_degree} GPUs" if fit.tensor_parallel_degree > 1 else usable
        needed = in_usable(in_gib(fit.needed_bytes))
        yield passed("size", self._weights(), f"{where} of {fit.instance.type}, {needed} of them needed")
        yield from self._degree_checks(fit)
        if self.serving.keeps_cache:
            yield self._context(fit)

    def _context(self, fit: Fit) -> Check:
        """Return the check of a context for which there is memory: the model itself may attend to less."""
        most, wanted = self.serving.facts.context_tokens, self.serving.wanted_context_tokens
        if most and wanted and wanted > most:
            advice = f"Set instance.context_tokens to at most {most}, or leave it out."
            return refused("context", f"{wanted} tokens", f"{most} tokens, which config.json tells", advice)
        longest = f"{fit.context_tokens} tokens, as many at once, by the memory of {fit.instance.type}"
        told = f"{most} by config.json" if most else "config.json does not tell how many the model attends to"
        return passed("context", self._texts(), f"{longest}; {told}")

    def _unsuited(self, fit: Fit) -> Check:
        instance = fit.instance
        found = f"{instance.type}, with {instance.hardware}"
        if fit.misfit is Misfit.CAPABILITY:
            supported = f"GPUs of CUDA's compute capability {self.need.least_capability:g} or newer"
            advice = f"It is too old for this format or type of weights. {self._fitting()}"
            return refused("instance", found, supported, advice)
        if instance.kind is Kind.NEURON:
            supported = "NVIDIA's GPUs, for LMI's images"
            return refused(
                "instance", found, supported, f"Name an image for Neuron in container.image. {self._fitting()}"
            )
        return refused("instance", found, "instances with GPUs, for vLLM in LMI's images", self._fitting())

    def _weights_refused(self, fit: Fit) -> Check:
        degree = fit.tensor_parallel_degree
        each = f" on each of {degree} GPUs" if degree > 1 else ""
        supported = f"{in_gib(fit.usable_bytes)} usable GiB{each} of {fit.instance.type}"
        return refused("size", f"{self._weights()}: {in_gib(fit.needed_bytes)} GiB{each}", supported, self._fitting())

    def _cache_refused(self, fit: Fit, need: Need) -> Check:
        supported = f"{fit.context_tokens} tokens, {need.concurrency} at once, on {fit.instance.type}"
        shorter = f"Set instance.context_tokens to at most {fit.context_tokens}. " if fit.context_tokens else ""
        return refused("context", self._cache(), supported, shorter + self._fitting())

    def _fitting(self) -> str:
        """Return which instances a model does fit, with their prices, or what would make it fit one."""
        if not self.others:
            return remedies(self.need, self.region, is_quantised=self._has_few_bits, degree=self.degree)
        return f"It fits {' or '.join(told_price(each) for each in self.others[:2])}."

    def _degree_refused(self) -> Check | None:
        """Return the refusal of a degree that the model, or the instance, cannot have."""
        wanted = self.serving.hosting.serving.tensor_parallel_degree
        if wanted is None:
            return None
        need = self.serving.need(self.serving.allowed_kinds)
        usable = [each for each in ([self.named] if self.named else INSTANCES) if each.kind in need.kinds]
        possible = _all_degrees(need, usable)
        if wanted in possible or not possible:
            return None
        supported = ", ".join(map(str, possible))
        largest = f"Set {_DEGREE} to {possible[-1]}, or leave it out."
        cheapest = f"Leave {_DEGREE} out for the cheapest that fits, or set it to one of these."
        advice = largest if self.named else cheapest
        if not need.splits:
            return refused("tensor parallel", f"{wanted} shares of weights that are not split", supported, advice)
        if not need.may_have(wanted):
            heads = f"{need.attention_heads or 'an unknown number of'} heads, {need.kv_heads or 'as many'} in the cache"
            return refused("tensor parallel", f"{wanted} shares of {heads}", supported, advice)
        where = f"{usable[0].type} has {usable[0].shares}" if self.named else "no instance has so many"
        more = propose(need, self.region, self.settings.optimize_for, degree=wanted) if self.named else []
        larger = f" Or choose {told_price(more[0])}." if more else ""
        return refused("tensor parallel", f"{wanted} GPUs, and {where}", supported, advice + larger)

    def _degree_checks(self, fit: Fit | None) -> Iterator[Check]:
        if self.wrong_degree:
            yield self.wrong_degree
        elif fit and fit.instance.kind is not Kind.NONE:
            possible = possible_degrees(self.need, fit.instance)
            supported = f"{', '.join(map(str, possible))} on {fit.instance.type}"
            yield passed("tensor parallel", str(fit.tensor_parallel_degree), supported)

    def _price(self, proposal: Proposal) -> str:
        sure = "" if proposal.price_confirmed else f" ({proposal.price_source})"
        return f"{in_usd(proposal.usd_per_hour)} an hour{sure}"

    def _weights(self) -> str:
        served = as_size(self.need.weight_bytes)
        stored = as_size(self.serving.facts.weight_bytes)
        return f"{served} of weights" + (f", of {stored} in files" if served != stored else "")

    def _cache(self) -> str:
        return f"{as_size(self.need.cache_bytes)} of cache for {self._texts()}"

    def _texts(self) -> str:
        return f"{self.serving.context_tokens} tokens, {self.need.concurrency} at once"

    @property
    def _has_few_bits(self) -> bool:
        return self.serving.format.is_quantised or self.serving.hosting.serving.quantize is not None


def _all_degrees(need: Need, instances: Sequence[Instance]) -> tuple[int, ...]:
    return tuple(sorted({degree for each in instances for degree in possible_degrees(need, each)}))
