"""A checkpoint: what its small files say it is, what would be staged of it, and what is wrong with it.

Nothing here reads anything: the listing and the contents of `checkpoint_files.to_read` come in, a `Checkpoint` goes
out. What is wrong is collected and not raised, so that a verdict can name all of it at once.
"""

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from typing import Any

from pilotlight.domain.artifact import ModelFacts, SkippedFile
from pilotlight.domain.chat_templates import ChatTemplate, distinct
from pilotlight.domain.checkpoint_config import (
    LONGEST_TEMPLATE,
    AnyModel,
    GenerationConfig,
    ModelConfig,
    ProcessorConfig,
    TemplateFile,
    TemplateHolder,
    TokenizerConfig,
    WeightIndex,
    derived_tokenizer_config,
    parse,
)
from pilotlight.domain.checkpoint_files import (
    CONFIG,
    FORMAT_LIMITS,
    GENERATION_CONFIG,
    INDEX,
    PROCESSOR_CONFIG,
    READ_LIMITS,
    STAGED_NAMES,
    TEMPLATE_FILES,
    TEMPLATE_JSON,
    TEMPLATE_TEXT,
    TOKENIZER_CONFIG,
    why_skipped,
)
from pilotlight.domain.problems import Problem
from pilotlight.domain.source import Listing, SourceFile
from pilotlight.domain.strict_json import UnreadableError, json_object
from pilotlight.domain.values import Model
from pilotlight.domain.weight_formats import FormatKind, WeightFormat, detect_format
from pilotlight.domain.weights import find_weights

UNKNOWN = "unknown"
_LONGEST_NAME = 80
_BYTES_PER_PARAMETER = {"float16": 2, "bfloat16": 2, "float32": 4}


class DerivedFile(Model):
    """A file that we write ourselves, in place of what it is derived from."""

    path: str
    text: str
    derived_from: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return self.text.encode()


class CheckpointPlan(Model):
    """What staging copies, what it writes itself, and what it leaves behind; no path occurs twice."""

    files: tuple[SourceFile, ...]
    derived: tuple[DerivedFile, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    facts: ModelFacts
    total_bytes: int

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path below the artifact's weights."""
        return tuple(sorted([file.path for file in self.files] + [file.path for file in self.derived]))


class Checkpoint(Model):
    """What a verdict is made of.

    `problems` are those of every backend: what has one is not staged. `irregular` are those of a backend that takes
    transformers' own layout alone.
    """

    plan: CheckpointPlan
    weights: tuple[SourceFile, ...] = ()
    index: WeightIndex | None = None
    model_class: str | None = None
    quantisation: str | None = None
    eos_ids: frozenset[int] = frozenset()
    templates: tuple[ChatTemplate, ...] = ()
    problems: tuple[Problem, ...] = ()
    irregular: tuple[Problem, ...] = ()

    @property
    def format(self) -> WeightFormat:
        """The format of the weights."""
        return self.facts.format or WeightFormat()

    @property
    def facts(self) -> ModelFacts:
        """What the small files tell."""
        return self.plan.facts


class _SmallFiles:
    """The contents of the small files, and what was wrong with them."""

    def __init__(self, listing: Listing, contents: Mapping[str, bytes]) -> None:
        self.contents = contents
        self.problems = list(_oversized(listing))

    def get(self, name: str, model: type[AnyModel]) -> AnyModel | None:
        """Return a file as its model, or None where it is missing or unreadable."""
        content = self.contents.get(name)
        if content is None:
            return None
        try:
            return parse(content, model)
        except UnreadableError as exc:
            self.problems.append(Problem.unreadable(name, str(exc)))
            return None

    def separate_template(self) -> str | None:
        """Return the chat template that lies in a file of its own, or None."""
        if TEMPLATE_TEXT not in self.contents:
            found = self.get(TEMPLATE_JSON, TemplateFile)
            return found.chat_template if found else None
        try:
            template = self.contents[TEMPLATE_TEXT].decode("utf-8-sig")
        except UnicodeDecodeError:
            self.problems.append(Problem.unreadable(TEMPLATE_TEXT, "it is not UTF-8"))
            return None
        if len(template) > LONGEST_TEMPLATE:
            self.problems.append(Problem.unreadable(TEMPLATE_TEXT, f"it is longer than {LONGEST_TEMPLATE} characters"))
            return None
        return template

    @property
    def quantize_configs(self) -> dict[str, Mapping[str, Any]]:
        """Return what quantize_config.json and its like hold, each by its name; what cannot be read is not there."""
        found: dict[str, Mapping[str, Any]] = {}
        for name in FORMAT_LIMITS:
            with suppress(UnreadableError):
                if name in self.contents:
                    found[name] = json_object(self.contents[name])
        return found

    @property
    def separate_place(self) -> str:
        """Return the file that a separate chat template lies in."""
        return TEMPLATE_TEXT if TEMPLATE_TEXT in self.contents else TEMPLATE_JSON


def read_checkpoint(listing: Listing, contents: Mapping[str, bytes]) -> Checkpoint:
    """Return the checkpoint that a listing and the contents of its small files make."""
    small = _SmallFiles(listing, contents)
    config = small.get(CONFIG, ModelConfig) or ModelConfig()
    tokenizer = small.get(TOKENIZER_CONFIG, TokenizerConfig)
    generation = small.get(GENERATION_CONFIG, GenerationConfig) or GenerationConfig()
    index = small.get(INDEX, WeightIndex)
    separate = small.separate_template()
    held = {TOKENIZER_CONFIG: tokenizer, PROCESSOR_CONFIG: small.get(PROCESSOR_CONFIG, ProcessorConfig)}

    beside = small.quantize_configs
    weight_format = detect_format([file.path for file in listing.files], config, next(iter(beside.values()), None))
    named_freely = bool(weight_format.needs_files)
    weights, weight_problems = find_weights(listing, index, by_any_name=named_freely)
    derived = _derived(small, tokenizer, separate)
    files = _staged(listing, weights, derived, weight_format.needs_files & beside.keys())
    facts = _facts(config, tokenizer or TokenizerConfig(), index, separate, weights, weight_format)
    return Checkpoint(
        plan=CheckpointPlan(
            files=files,
            derived=derived,
            skipped=_skipped(listing, files, derived),
            facts=facts,
            total_bytes=sum(file.size_bytes for file in files) + sum(len(file.content) for file in derived),
        ),
        weights=weights,
        index=index,
        model_class=config.architecture,
        quantisation=config.quantisation,
        eos_ids=generation.eos_ids,
        templates=distinct([*_separate(small, separate), *_held_templates(held)]),
        problems=(*small.problems, *weight_problems),
        irregular=find_weights(listing, index)[1] if named_freely and not weight_problems else (),
    )


def _oversized(listing: Listing) -> Iterator[Problem]:
    for name, limit in READ_LIMITS.items():
        file = listing.file(name)
        if file and file.size_bytes > limit:
            yield Problem.unreadable(name, f"it has {file.size_bytes} bytes, and no real one has more than {limit}")


def _derived(small: _SmallFiles, tokenizer: TokenizerConfig | None, separate: str | None) -> tuple[DerivedFile, ...]:
    """Fold a separate chat template into tokenizer_config.json, unless the very same stands in it.

    Bedrock's pages disagree on which of the two wins, so that only one is shipped. Source: see bedrock_support.
    """
    if tokenizer is None or separate is None or tokenizer.chat_template == separate:
        return ()
    content = derived_tokenizer_config(small.contents[TOKENIZER_CONFIG], separate)
    return (
        DerivedFile(
            path=TOKENIZER_CONFIG, text=content.decode(), derived_from=(TOKENIZER_CONFIG, small.separate_place)
        ),
    )


def _separate(small: _SmallFiles, text: str | None) -> Iterator[ChatTemplate]:
    if text is not None:
        yield ChatTemplate(where=small.separate_place, text=text)


def _held_templates(files: Mapping[str, TemplateHolder | None]) -> Iterator[ChatTemplate]:
    """Yield the templates inside files, of several under one roof each with its name."""
    for path, file in files.items():
        for name, text in file.templates if file else ():
            yield ChatTemplate(where=path if name is None else f"{path}, named {name[:_LONGEST_NAME]!r},", text=text)


def _staged(
    listing: Listing, weights: tuple[SourceFile, ...], derived: tuple[DerivedFile, ...], of_format: Set[str]
) -> tuple[SourceFile, ...]:
    wanted = STAGED_NAMES | of_format | {file.path for file in weights}
    written = {file.path for file in derived}
    by_path = {file.path: file for file in listing.files if file.path in wanted - written}
    return tuple(by_path[path] for path in sorted(by_path))


def _skipped(
    listing: Listing, files: tuple[SourceFile, ...], derived: tuple[DerivedFile, ...]
) -> tuple[SkippedFile, ...]:
    taken = {file.path for file in files} | {file.path for file in derived}
    return tuple(
        SkippedFile(path=file.path, size_bytes=file.size_bytes, reason=_reason(file.path, derived))
        for file in sorted(listing.files, key=lambda file: file.path)
        if file.path not in taken
    )


def _reason(path: str, derived: tuple[DerivedFile, ...]) -> str:
    if path not in TEMPLATE_FILES:
        return why_skipped(path)
    folded = any(path in file.derived_from for file in derived)
    return f"folded into {TOKENIZER_CONFIG}" if folded else f"{TOKENIZER_CONFIG} carries the template"


def _facts(
    config: ModelConfig,
    tokenizer: TokenizerConfig,
    index: WeightIndex | None,
    separate: str | None,
    weights: tuple[SourceFile, ...],
    weight_format: WeightFormat,
) -> ModelFacts:
    shape = config.shape
    told_beside = weight_format.kind.value if weight_format.kind in (FormatKind.GPTQ, FormatKind.AWQ) else None
    return ModelFacts(
        architecture=config.architecture or UNKNOWN,
        model_type=config.model_type or UNKNOWN,
        dtype=config.dtype_name,
        context_tokens=config.context_tokens,
        parameter_count=_parameter_count(config, index),
        weight_bytes=sum(file.size_bytes for file in weights),
        tokenizer_class=tokenizer.tokenizer_class or config.tokenizer_class,
        chat_template=separate if separate is not None else tokenizer.template,
        bos_token=tokenizer.bos,
        eos_token=tokenizer.eos,
        layers=shape.layers,
        attention_heads=shape.heads,
        kv_heads=shape.cached_heads,
        head_dim=shape.cached_width,
        hidden_size=shape.width,
        quantisation=config.quantisation or told_beside,
        format=weight_format,
    )


def _parameter_count(config: ModelConfig, index: WeightIndex | None) -> int | None:
    """Return how many parameters the index tells of: directly, or by its bytes where all have one type."""
    if index is None:
        return None
    if index.metadata.total_parameters:
        return int(index.metadata.total_parameters)
    size = _BYTES_PER_PARAMETER.get(config.dtype_name or "")
    if size is None or config.quantisation or not index.metadata.total_size:
        return None
    return int(index.metadata.total_size) // size
