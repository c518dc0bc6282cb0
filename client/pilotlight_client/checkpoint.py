"""Is a folder a checkpoint that Pilotlight would take? Judged on this machine, before a byte is sent.

Only what can be told at a glance is looked at: the files that must be there, by their exact names, the shards that the
index names, and whether each file of weights begins as safetensors do. The preflight looks at the rest.
"""

import json
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath

from pilotlight_client.errors import NotACheckpoint
from pilotlight_client.uploading import Folder, LocalFile

CONFIG = "config.json"
NEEDED = (CONFIG, "tokenizer.json", "tokenizer_config.json")
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SETTINGS = "pilotlight.json"
WEIGHTS = f"{SINGLE} (or {INDEX} and its shards)"
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt"})
MOST_FILES = 10_000
LONGEST_KEY_BYTES = 1024
LARGEST_JSON_BYTES = 20 * 1024 * 1024
LENGTH_BYTES = 8  # a safetensors file begins with the length of its header. Source: the format's own description
MOST_TOLD = 10
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})  # controls, directions, halves of pairs, separators


def require_checkpoint(folder: Folder, there: Collection[str] = ()) -> None:
    """Let a folder pass that makes a checkpoint together with what its bucket holds already.

    Raises: NotACheckpoint, saying everything that is missing or wrong, with what is missing and the links left out.
    """
    files = {file.path: file for file in folder.files}
    missing = list(_missing(files, there))
    wrong = [*_advice(files, missing), *_wrong_contents(files), *_wrong_names(files)]
    if missing or wrong:
        lacks = [f"it lacks {_some(missing)}"] if missing else []
        raise NotACheckpoint("; ".join([*lacks, *wrong[:MOST_TOLD]]), missing, folder.links, folder.advice())


def _missing(files: Mapping[str, LocalFile], there: Collection[str]) -> Iterator[str]:
    present = {*files, *there}
    yield from (name for name in NEEDED if name not in present)
    if INDEX in files:
        yield from (shard for shard in _shards(files[INDEX]) if shard not in present)
    elif not present & {INDEX, SINGLE}:
        yield WEIGHTS


def _shards(index: LocalFile) -> tuple[str, ...]:
    """Return the shards that an index names, each once; none where it cannot be read, which is told apart."""
    named = (_object(index) or {}).get("weight_map")
    return tuple(sorted(set(map(str, named.values())))) if isinstance(named, dict) else ()


def _advice(files: Mapping[str, LocalFile], missing: Collection[str]) -> Iterator[str]:
    """Yield what may explain that something is missing: another format, an adapter, the folder below."""
    if WEIGHTS in missing and any(PurePosixPath(path).suffix in PICKLES for path in files):
        yield "its weights are pickles, which are never loaded: save them again with safe_serialization=True"
    if "adapter_config.json" in files and "config.json" in missing:
        yield "it is a LoRA adapter: merge it into its base model and save that"
    below = [path for path in files if "/" in path and PurePosixPath(path).name == "config.json"]
    if "config.json" in missing and below:
        yield f"the checkpoint seems to be in {PurePosixPath(below[0]).parent}/: upload that folder"


def _wrong_contents(files: Mapping[str, LocalFile]) -> Iterator[str]:
    for path in (*NEEDED, INDEX, SETTINGS):
        if path in files and files[path].size_bytes <= LARGEST_JSON_BYTES and _object(files[path]) is None:
            yield f"{path} does not hold a JSON object"
    if INDEX in files and not _shards(files[INDEX]):
        yield f"{INDEX} names no shards in its weight_map"
    for path, file in files.items():
        if path.endswith(".safetensors") and not _begins_as_safetensors(file):
            yield f"{path} is not a safetensors file: cut short, or the pointer of a large file that git-lfs left there"


def _wrong_names(files: Mapping[str, LocalFile]) -> Iterator[str]:
    if len(files) > MOST_FILES:
        yield f"it holds {len(files):,} files, and {MOST_FILES:,} are taken at most: upload the folder of one model"
    for path in files:
        hides = any(unicodedata.category(character) in _UNSEEN for character in path)
        if hides or "\\" in path or len(path.encode("utf-8", "replace")) > LONGEST_KEY_BYTES:
            yield f"{path[:80]!r} cannot be uploaded under that name: rename it"


def _object(file: LocalFile) -> dict[str, object] | None:
    """Return the JSON object that a file holds, or None."""
    try:
        told = json.loads(file.location.read_bytes())
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _begins_as_safetensors(file: LocalFile) -> bool:
    with file.location.open("rb") as opened:
        length = int.from_bytes(opened.read(LENGTH_BYTES), "little")
        begins = opened.read(1)
    return begins == b"{" and 0 < length <= file.size_bytes - LENGTH_BYTES


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    return ", ".join(names[:MOST_TOLD]) + more
