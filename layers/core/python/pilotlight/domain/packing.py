"""Weights that are packed: one archive of them and of the bundle's files, for containers that know one place alone.

A function packs them while it creates the model, within its 75 seconds. 2 GiB take 36 s at 60 MB a second, a rate that
is assumed and not measured. What is more stays beside the bundle, where nothing is packed.
"""

from collections.abc import Iterable, Mapping, Sequence

from pilotlight.domain.archive import Entry
from pilotlight.domain.artifact import Manifest, weight_key
from pilotlight.domain.bundle import PROPERTIES_FILE, entries_of
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.problems import Problem, some_of

LARGEST_PACKED_BYTES = 2 * 2**30
SUBJECT = "packing"
SUPPORTED = (
    f"at most {LARGEST_PACKED_BYTES:,} bytes (2 GiB) of weights, and no name twice among them and the bundle's files"
)
_BESIDE = "Leave serving.weights out, or write beside: the weights then stay in S3 as they are, of any size."


def in_words(paths: Sequence[str], total_bytes: int) -> str:
    """Return how much is to be packed, for a sentence."""
    return f"{total_bytes:,} bytes in {len(paths)} files"


def problem_with_packing(paths: Sequence[str], total_bytes: int, files: Iterable[str]) -> Problem | None:
    """Return why weights at these paths cannot be packed with `files`, by name; None where they can."""
    if total_bytes > LARGEST_PACKED_BYTES:
        return Problem(subject=SUBJECT, found=in_words(paths, total_bytes), supported=SUPPORTED, advice=_BESIDE)
    if twice := sorted({PROPERTIES_FILE, *files} & set(paths)):
        found = f"{some_of(twice)} in serving.files and in the weights"
        advice = f"Give the files other names. {_BESIDE}"
        return Problem(subject=SUBJECT, found=found, supported=SUPPORTED, advice=advice)
    return None


def entries_to_pack(manifest: Manifest, files: Mapping[str, bytes]) -> list[Entry]:
    """Return what an archive of sealed weights and the bundle's `files` holds.

    Raises: InvalidInput where these weights cannot be packed.
    """
    if problem := problem_with_packing([each.path for each in manifest.files], manifest.total_bytes, files):
        rule = f"found {problem.found}; supported: {problem.supported}. {problem.advice}"
        raise InvalidInput(f"The weights cannot be packed: {rule}", field="serving.weights", rule=rule)
    staged = [
        Entry(path=each.path, size_bytes=each.size_bytes, key=weight_key(manifest.artifact_id, each.path))
        for each in manifest.files
    ]
    return [*entries_of(files), *staged]
