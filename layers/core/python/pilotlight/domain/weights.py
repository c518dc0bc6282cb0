"""Which files hold a checkpoint's weights: what the index names, or the single model.safetensors."""

from pathlib import PurePosixPath

from pilotlight.domain.checkpoint_config import WeightIndex
from pilotlight.domain.checkpoint_files import GGUF, INDEX, PICKLES, SAFETENSORS, SINGLE, is_adapter, name_problem
from pilotlight.domain.problems import Problem, some_of
from pilotlight.domain.source import Listing, SourceFile

Found = tuple[tuple[SourceFile, ...], tuple[Problem, ...]]

SUPPORTED = f"safetensors: {SINGLE}, or the shards that {INDEX} names"
SMALLEST_WEIGHT_BYTES = 1024  # smaller ones are git's pointers to a file, not the file
SAVE_AGAIN = "Save it with transformers' save_pretrained(..., safe_serialization=True), which writes both."


def find_weights(listing: Listing, index: WeightIndex | None, *, by_any_name: bool = False) -> Found:
    """Return the files that hold the weights, and what is wrong with them; an unreadable index is told elsewhere.

    `by_any_name` takes a lone file under whatever name: those who quantise call it after its bits.
    """
    if index is not None:
        return _indexed(listing, index)
    if listing.file(INDEX):
        return (), ()
    single = listing.file(SINGLE) or (_lone(listing) if by_any_name else None)
    if single:
        return (single,), _pointers((single,), total_size=0)
    return (), (_nothing_usable(listing),)


def _lone(listing: Listing) -> SourceFile | None:
    """Return the only safetensors file at the root, or None where there are several or none."""
    found = [
        file
        for file in listing.files
        if "/" not in file.path and not is_adapter(file.path) and _shard_problem(file.path) is None
    ]
    return found[0] if len(found) == 1 else None


def _indexed(listing: Listing, index: WeightIndex) -> Found:
    if hostile := {name: why for name in index.shards if (why := _shard_problem(name))}:
        problem = Problem(
            subject="weights",
            found=f"{INDEX} names {some_of(list(hostile))}: {next(iter(hostile.values()))}",
            supported=SUPPORTED,
            advice=SAVE_AGAIN,
        )
        return (), (problem,)
    by_path = {file.path: file for file in listing.files}
    present = tuple(by_path[name] for name in index.shards if name in by_path)
    missing = [name for name in index.shards if name not in by_path]
    if not missing:
        return present, _pointers(present, total_size=int(index.metadata.total_size or 0))
    problem = Problem(
        subject="weights",
        found=f"{len(missing)} of the {len(index.shards)} shards that {INDEX} names are missing: {some_of(missing)}",
        supported=SUPPORTED,
        advice="Upload the missing shards, or an index that names those that are there.",
    )
    return present, (problem,)


def _shard_problem(name: str) -> str | None:
    if not name.endswith(SAFETENSORS):
        return "that is not a safetensors file"
    if any(part.startswith(".") for part in name.split("/")):
        return "that is a hidden file, or leaves its folder"
    return name_problem(name)


def _pointers(files: tuple[SourceFile, ...], *, total_size: int) -> tuple[Problem, ...]:
    """Return the problem of files too small to hold the weights: those of a clone without Git LFS."""
    held = sum(file.size_bytes for file in files)
    tiny = [file.path for file in files if file.size_bytes < SMALLEST_WEIGHT_BYTES]
    if held >= total_size and not tiny:
        return ()
    found = f"the weights have {held} bytes"
    return (
        Problem(
            subject="weights",
            found=f"{found}; {INDEX} says {total_size}" if held < total_size else f"{found}: {some_of(tiny)} are stubs",
            supported="every shard in full",
            advice="If these are Git LFS pointers, run `git lfs pull` and upload the files again.",
        ),
    )


def _nothing_usable(listing: Listing) -> Problem:
    """Return why there are no weights to stage, by what lies there instead."""
    paths = [file.path for file in listing.files]
    adapters = [path for path in paths if is_adapter(path)]
    others = [path for path in paths if path.endswith(SAFETENSORS) and path not in adapters]
    pickles = [path for path in paths if PurePosixPath(path).suffix.lower() in PICKLES]
    gguf = [path for path in paths if PurePosixPath(path).suffix.lower() in GGUF]
    if adapters:
        return Problem(
            subject="adapter",
            found=f"a LoRA adapter without its base model: {some_of(adapters)}",
            supported="merged weights",
            advice="Merge it first (peft: merge_and_unload(), then save_pretrained) and deploy the merged model.",
        )
    if others:
        found, advice = f"{some_of(others)}, but neither {INDEX} nor {SINGLE}", SAVE_AGAIN
    elif pickles:
        found = f"pickles only: {some_of(pickles)}; they run code when they are loaded"
        advice = "Convert it to safetensors: load it where you trust it, then save_pretrained(safe_serialization=True)."
    elif gguf:
        found = f"GGUF only: {some_of(gguf)}"
        advice = "Convert it to safetensors, or better, take the original model that the GGUF was made from."
    else:
        found, advice = "no weights at all", "Name the repository or folder that holds the model's files."
    return Problem(subject="weights", found=found, supported=SUPPORTED, advice=advice)
