"""Is an uploaded folder whole? What is missing is named, so that its owner can upload just that."""

from pilotlight.domain.checkpoint_config import WeightIndex
from pilotlight.domain.checkpoint_files import INDEX, SINGLE, TOKENIZER_CONFIG
from pilotlight.domain.source import Listing

NEEDED = ("config.json", "tokenizer.json", TOKENIZER_CONFIG)
NAMED = 20


def missing_files(listing: Listing, index: WeightIndex | None) -> tuple[str, ...]:
    """Return the files that a folder lacks to be a checkpoint, the first twenty of them."""
    present = {file.path for file in listing.files}
    missing = [name for name in NEEDED if name not in present]
    if index is not None:
        missing += [name for name in index.shards if name not in present]
    elif not present & {INDEX, SINGLE}:
        missing.append(f"{SINGLE} (or {INDEX} and its shards)")
    return tuple(missing[:NAMED])
