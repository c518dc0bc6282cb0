"""Would the backend take this model? A verdict from the small files alone, before any byte of weights moves."""

from collections.abc import Iterator
from enum import StrEnum
from typing import assert_never

from pilotlight.domain import bedrock_support as bedrock
from pilotlight.domain.artifact import ModelFacts, SkippedFile
from pilotlight.domain.checkpoint import UNKNOWN, Checkpoint
from pilotlight.domain.checkpoint_files import GENERATION_CONFIG, NEVER
from pilotlight.domain.problems import some_of
from pilotlight.domain.values import Backend, Model, Moment, iso


class Holder(Model):
    """Somebody who holds a place of a quota."""

    name: str
    arn: str
    created_at: Moment | None = None


class Places(Model):
    """The places for imported models in an account and region, and who holds them."""

    quota: int
    holders: tuple[Holder, ...] = ()


class Outcome(StrEnum):
    """What one check found."""

    PASSED = "passed"
    WARNED = "warned"
    REFUSED = "refused"


class Check(Model):
    """One check: what was found, what is supported, and what to do where it is refused."""

    name: str
    outcome: Outcome
    found: str
    supported: str
    advice: str | None = None

    def __str__(self) -> str:
        """Return the check as one sentence or two."""
        return f"{self.name}: found {self.found}; supported: {self.supported}." + (
            f" {self.advice}" if self.advice else ""
        )


class Verdict(Model):
    """Every check, what the checkpoint is, and what would be staged and skipped."""

    accepted: bool
    checks: tuple[Check, ...]
    facts: ModelFacts
    staged: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    total_bytes: int = 0

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that refused."""
        return tuple(check for check in self.checks if check.outcome is Outcome.REFUSED)


def judge(
    checkpoint: Checkpoint,
    backend: Backend,
    *,
    region: str,
    places: Places | None = None,
    own_model_name: str | None = None,
) -> Verdict:
    """Return the verdict on a checkpoint: every check is made, and all refusals are told at once.

    `places` is None where nobody could be asked; a model named `own_model_name` takes no further place.
    """
    match backend:
        case Backend.BEDROCK:
            checks = tuple(_bedrock_checks(checkpoint, region, places, own_model_name))
        case _:
            assert_never(backend)
    plan = checkpoint.plan
    return Verdict(
        accepted=all(check.outcome is not Outcome.REFUSED for check in checks),
        checks=checks,
        facts=plan.facts,
        staged=plan.paths,
        skipped=plan.skipped,
        total_bytes=plan.total_bytes,
    )


def _bedrock_checks(
    checkpoint: Checkpoint, region: str, places: Places | None, own_model_name: str | None
) -> Iterator[Check]:
    family = bedrock.family_of(checkpoint.facts.model_type)
    yield _architecture(checkpoint, family)
    yield _dtype(checkpoint.facts)
    yield _quantisation(checkpoint, family)
    yield _size(checkpoint.facts, family)
    yield _context(checkpoint.facts)
    yield _tokenizer(checkpoint.facts)
    yield _chat_template(checkpoint)
    yield _required_files(checkpoint)
    yield from _left_out(checkpoint)
    for problem in checkpoint.problems:
        yield Check(name=problem.subject, outcome=Outcome.REFUSED, **problem.model_dump(exclude={"subject"}))
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
        return _refused("architecture", found, names, advice)
    supported = f"{family.name}: {family.architecture}"
    if checkpoint.model_class is None:
        return _warned("architecture", f"{found}: config.json names no class", supported, "Add `architectures` to it.")
    if checkpoint.model_class != family.architecture:
        return _refused(
            "architecture", found, supported, "Deploy the generating model: other heads and variants are not imported."
        )
    return _passed("architecture", found, supported)


def _dtype(facts: ModelFacts) -> Check:
    supported = ", ".join(bedrock.DTYPES)
    if facts.dtype is None:
        return _warned("dtype", "no torch_dtype in config.json", supported, "State the weights' type in config.json.")
    if facts.dtype not in bedrock.DTYPES:
        return _refused(
            "dtype", facts.dtype, supported, "Convert the weights: model.to(torch.bfloat16), save it again."
        )
    return _passed("dtype", facts.dtype, supported)


def _quantisation(checkpoint: Checkpoint, family: bedrock.Family | None) -> Check:
    allowed = family.quantisations if family else ()
    supported = " or ".join(("none", *allowed))
    if checkpoint.quantisation is None or checkpoint.quantisation in allowed:
        return _passed("quantisation", checkpoint.quantisation or "none", supported)
    return _refused(
        "quantisation", checkpoint.quantisation, supported, "Deploy the model that this one was quantised from."
    )


def _size(facts: ModelFacts, family: bedrock.Family | None) -> Check:
    limit = family.largest_bytes if family else bedrock.LARGEST_TEXT_BYTES
    found, supported = _amount(facts.weight_bytes), f"less than {_amount(limit)}"
    if facts.weight_bytes < limit:
        return _passed("size", found, supported)
    advice = "Take a smaller model of the family, or save the weights in bfloat16 if they are float32."
    return _refused("size", found, supported, advice)


def _context(facts: ModelFacts) -> Check:
    limit = bedrock.LONGEST_CONTEXT_TOKENS
    supported = f"at most {limit} tokens"
    if facts.context_tokens is None:
        return _warned("context", "no max_position_embeddings in config.json", supported, "State it in config.json.")
    if facts.context_tokens > limit:
        advice = f"Set max_position_embeddings in config.json to {limit} or less, if shorter texts are enough for you."
        return _refused("context", f"{facts.context_tokens} tokens", supported, advice)
    return _passed("context", f"{facts.context_tokens} tokens", supported)


def _tokenizer(facts: ModelFacts) -> Check:
    supported = ", ".join(bedrock.TOKENIZERS) + " (each also with Fast)"
    if facts.tokenizer_class is None:
        return _warned(
            "tokenizer", "no tokenizer_class in tokenizer_config.json", supported, "State it in tokenizer_config.json."
        )
    if not bedrock.takes_tokenizer(facts.tokenizer_class):
        advice = (
            "If tokenizer.json holds the whole tokenizer, set tokenizer_class to PreTrainedTokenizerFast; transformers "
            f"{bedrock.TRANSFORMERS} must be able to load it."
        )
        return _refused("tokenizer", facts.tokenizer_class, supported, advice)
    return _passed("tokenizer", facts.tokenizer_class, supported)


def _chat_template(checkpoint: Checkpoint) -> Check:
    supported = "chat_template inside tokenizer_config.json"
    if not checkpoint.facts.chat_template:
        advice = "Invoke it with raw prompts, or add the model's chat template: messages cannot be rendered."
        return _warned("chat template", "none", supported, advice)
    if folded := checkpoint.plan.derived:
        found = f"a separate {folded[0].derived_from[-1]}"
        return _warned("chat template", found, supported, "It is folded into a derived tokenizer_config.json.")
    return _passed("chat template", "one inside tokenizer_config.json", supported)


def _required_files(checkpoint: Checkpoint) -> Check:
    missing = [name for name in bedrock.REQUIRED_FILES if name not in checkpoint.plan.paths]
    supported = ", ".join(bedrock.REQUIRED_FILES)
    if not missing:
        return _passed("files", supported, supported)
    return _refused(
        "files",
        f"no {', no '.join(missing)}",
        supported,
        "Write them with transformers: save_pretrained() of the model, and of AutoTokenizer.from_pretrained(...).",
    )


def _left_out(checkpoint: Checkpoint) -> Iterator[Check]:
    """Say what is not staged although somebody may believe that it is part of the model."""
    left = [file for file in checkpoint.plan.skipped if file.reason.startswith(NEVER)]
    if left:
        supported = "safetensors, tokenizer and configuration files of known names"
        found = f"{some_of([file.path for file in left])} ({left[0].reason})"
        yield _warned("left out", found, supported, "The model is imported without them; see skipped for each reason.")


def _eos_ids(checkpoint: Checkpoint, family: bedrock.Family) -> Check:
    supported = f"{GENERATION_CONFIG} with the eos_token_id {_numbers(family.eos_ids)}"
    found = f"eos_token_id {_numbers(checkpoint.eos_ids) or 'missing'}"
    if family.eos_ids <= checkpoint.eos_ids:
        return _passed("generation config", found, supported)
    return _refused("generation config", found, supported, "Put all of them into eos_token_id: answers would not end.")


def _region(region: str, family: bedrock.Family | None) -> Check:
    regions = family.regions if family else bedrock.REGIONS
    supported = ", ".join(regions)
    if region in regions:
        return _passed("region", region, supported)
    whose = f"{family.name} is" if family and region in bedrock.REGIONS else "Models are"
    return _refused("region", region, supported, f"{whose} imported in these regions only: deploy the stack there.")


def _quota(places: Places, own_model_name: str | None, region: str) -> Check:
    supported = f"{places.quota} imported models in {region} (quota {bedrock.MODEL_QUOTA_CODE})"
    if own_model_name and any(holder.name == own_model_name for holder in places.holders):
        return _passed("quota", f"{own_model_name} holds its place already", supported)
    found = f"{len(places.holders)} of {places.quota} places taken"
    if len(places.holders) < places.quota:
        return _passed("quota", found, supported)
    named = ", ".join(
        f"{holder.name} (since {iso(holder.created_at)})" if holder.created_at else holder.name
        for holder in places.holders
    )
    advice = (
        "Tear down one of these deployments (or delete the imported model, where it is not ours), or ask Service "
        f"Quotas to raise {bedrock.MODEL_QUOTA_CODE} in {region}."
    )
    return _refused("quota", f"{found}, by {named or 'nobody: the quota is zero'}", supported, advice)


def _passed(name: str, found: str, supported: str) -> Check:
    return Check(name=name, outcome=Outcome.PASSED, found=found, supported=supported)


def _warned(name: str, found: str, supported: str, advice: str) -> Check:
    return Check(name=name, outcome=Outcome.WARNED, found=found, supported=supported, advice=advice)


def _refused(name: str, found: str, supported: str, advice: str) -> Check:
    return Check(name=name, outcome=Outcome.REFUSED, found=found, supported=supported, advice=advice)


def _amount(size_bytes: int) -> str:
    return f"{size_bytes / bedrock.GB:.1f} GB" if size_bytes >= bedrock.GB / 10 else f"{size_bytes / bedrock.MB:.1f} MB"


def _numbers(ids: frozenset[int]) -> str:
    return ", ".join(str(each) for each in sorted(ids))
