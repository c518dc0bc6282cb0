"""Would Bedrock's custom model import take this model? Its checks, from the small files and the region's quota."""

from collections.abc import Iterator

from pilotlight.domain import bedrock_support as bedrock
from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.checkpoint import UNKNOWN, Checkpoint
from pilotlight.domain.checkpoint_files import GENERATION_CONFIG
from pilotlight.domain.checks import Check, Places, chat_template, left_out, of_problem, passed, refused, warned
from pilotlight.domain.pricing import Tariff, rate_in
from pilotlight.domain.values import iso


def bedrock_checks(
    checkpoint: Checkpoint, region: str, places: Places | None, own_model_name: str | None
) -> Iterator[Check]:
    """Yield every check of Bedrock's; `places` is None where nobody could be asked."""
    family = bedrock.family_of(checkpoint.facts.model_type)
    yield _architecture(checkpoint, family)
    yield _dtype(checkpoint.facts)
    yield _quantisation(checkpoint, family)
    yield _size(checkpoint.facts, family)
    if checkpoint.facts.parameter_count:
        yield _cost(checkpoint.facts.parameter_count, region)
    yield _context(checkpoint.facts)
    yield _tokenizer(checkpoint.facts)
    yield chat_template(checkpoint)
    yield _required_files(checkpoint)
    yield from left_out(checkpoint, "imported")
    for problem in (*checkpoint.problems, *checkpoint.irregular):
        yield of_problem(problem)
    if family and family.eos_ids:
        yield _eos_ids(checkpoint, family)
    yield _region(region, family)
    if places is not None:
        yield _quota(places, own_model_name, region)


def _architecture(checkpoint: Checkpoint, family: bedrock.Family | None) -> Check:
    facts = checkpoint.facts
    found = f"{facts.model_type} ({facts.architecture})"
    if family is None:
        names = ", ".join(f"{each.name} ({each.model_type})" for each in bedrock.FAMILIES)
        advice = "Choose a model of one of these families, or a fine-tune of one."
        if facts.model_type == UNKNOWN:
            found, advice = "no model_type in config.json", "Name a complete repository in transformers' format."
        return refused("architecture", found, names, advice)
    supported = f"{family.name}: {family.architecture}"
    if checkpoint.model_class is None:
        return warned("architecture", f"{found}: config.json names no class", supported, "Add `architectures` to it.")
    if checkpoint.model_class != family.architecture:
        return refused(
            "architecture", found, supported, "Deploy the generating model: other heads and variants are not imported."
        )
    return passed("architecture", found, supported)


def _dtype(facts: ModelFacts) -> Check:
    supported = ", ".join(bedrock.DTYPES)
    if facts.dtype is None:
        return warned("dtype", "no torch_dtype in config.json", supported, "State the weights' type in config.json.")
    if facts.dtype not in bedrock.DTYPES:
        return refused("dtype", facts.dtype, supported, "Convert the weights: model.to(torch.bfloat16), save it again.")
    return passed("dtype", facts.dtype, supported)


def _quantisation(checkpoint: Checkpoint, family: bedrock.Family | None) -> Check:
    allowed = family.quantisations if family else ()
    supported = " or ".join(("none", *allowed))
    if checkpoint.quantisation is None or checkpoint.quantisation in allowed:
        return passed("quantisation", checkpoint.quantisation or "none", supported)
    return refused(
        "quantisation", checkpoint.quantisation, supported, "Deploy the model that this one was quantised from."
    )


def _size(facts: ModelFacts, family: bedrock.Family | None) -> Check:
    limit = family.largest_bytes if family else bedrock.LARGEST_TEXT_BYTES
    found, supported = _amount(facts.weight_bytes), f"less than {_amount(limit)}"
    if facts.weight_bytes < limit:
        return passed("size", found, supported)
    advice = "Take a smaller model of the family, or save the weights in bfloat16 if they are float32."
    return refused("size", found, supported, advice)


def _cost(parameter_count: int, region: str) -> Check:
    """Return what the model may cost: a check that refuses nothing. Bedrock tells its units after the import."""
    units = bedrock.units_of(parameter_count)
    hour = Tariff(rate=rate_in(region), units=units).hour.usd
    found = f"{parameter_count:,} parameters, some {units} custom model units: ${hour:.2f} for an hour that is warm"
    return passed("cost", found, "an estimate; Bedrock tells the units after the import")


def _context(facts: ModelFacts) -> Check:
    limit = bedrock.LONGEST_CONTEXT_TOKENS
    supported = f"at most {limit} tokens"
    if facts.context_tokens is None:
        return warned("context", "no max_position_embeddings in config.json", supported, "State it in config.json.")
    if facts.context_tokens > limit:
        advice = f"Set max_position_embeddings in config.json to {limit} or less, if shorter texts are enough for you."
        return refused("context", f"{facts.context_tokens} tokens", supported, advice)
    return passed("context", f"{facts.context_tokens} tokens", supported)


def _tokenizer(facts: ModelFacts) -> Check:
    supported = ", ".join(bedrock.TOKENIZERS) + " (each also with Fast)"
    if facts.tokenizer_class is None:
        return warned(
            "tokenizer", "no tokenizer_class in tokenizer_config.json", supported, "State it in tokenizer_config.json."
        )
    if not bedrock.takes_tokenizer(facts.tokenizer_class):
        advice = (
            "If tokenizer.json holds the whole tokenizer, set tokenizer_class to PreTrainedTokenizerFast; transformers "
            f"{bedrock.TRANSFORMERS} must be able to load it."
        )
        return refused("tokenizer", facts.tokenizer_class, supported, advice)
    return passed("tokenizer", facts.tokenizer_class, supported)


def _required_files(checkpoint: Checkpoint) -> Check:
    missing = [name for name in bedrock.REQUIRED_FILES if name not in checkpoint.plan.paths]
    supported = ", ".join(bedrock.REQUIRED_FILES)
    if not missing:
        return passed("files", supported, supported)
    return refused(
        "files",
        f"no {', no '.join(missing)}",
        supported,
        "Write them with transformers: save_pretrained() of the model, and of AutoTokenizer.from_pretrained(...).",
    )


def _eos_ids(checkpoint: Checkpoint, family: bedrock.Family) -> Check:
    supported = f"{GENERATION_CONFIG} with the eos_token_id {_numbers(family.eos_ids)}"
    found = f"eos_token_id {_numbers(checkpoint.eos_ids) or 'missing'}"
    if family.eos_ids <= checkpoint.eos_ids:
        return passed("generation config", found, supported)
    return refused("generation config", found, supported, "Put all of them into eos_token_id: answers would not end.")


def _region(region: str, family: bedrock.Family | None) -> Check:
    regions = family.regions if family else bedrock.REGIONS
    supported = ", ".join(regions)
    if region in regions:
        return passed("region", region, supported)
    whose = f"{family.name} is" if family and region in bedrock.REGIONS else "Models are"
    return refused("region", region, supported, f"{whose} imported in these regions only: deploy the stack there.")


def _quota(places: Places, own_model_name: str | None, region: str) -> Check:
    supported = f"{places.quota} imported models in {region} (quota {bedrock.MODEL_QUOTA_CODE})"
    if own_model_name and any(holder.name == own_model_name for holder in places.holders):
        return passed("quota", f"{own_model_name} holds its place already", supported)
    found = f"{len(places.holders)} of {places.quota} places taken"
    if len(places.holders) < places.quota:
        return passed("quota", found, supported)
    named = ", ".join(
        f"{holder.name} (since {iso(holder.created_at)})" if holder.created_at else holder.name
        for holder in places.holders
    )
    advice = (
        "Tear down one of these deployments (or delete the imported model, where it is not ours), or ask Service "
        f"Quotas to raise {bedrock.MODEL_QUOTA_CODE} in {region}."
    )
    return refused("quota", f"{found}, by {named or 'nobody: the quota is zero'}", supported, advice)


def _amount(size_bytes: int) -> str:
    return f"{size_bytes / bedrock.GB:.1f} GB" if size_bytes >= bedrock.GB / 10 else f"{size_bytes / bedrock.MB:.1f} MB"


def _numbers(ids: frozenset[int]) -> str:
    return ", ".join(str(each) for each in sorted(ids))
