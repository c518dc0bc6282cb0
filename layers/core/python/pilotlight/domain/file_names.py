"""Is a listing one that an honest source can have made? Names and sizes are claims of a stranger.

Two kinds of strange names exist. Those that lead somewhere else, or read as something else, make the whole listing a
lie, and it is refused. Those that are merely not ours to stage (a picture, a name in Chinese) are left where they are,
and told: see `checkpoint_files.why_skipped`.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from urllib.parse import unquote

from pilotlight.domain.errors import SourceRefused
from pilotlight.domain.problems import Problem, some_of
from pilotlight.domain.source import Listing, Source, SourceFile

LONGEST_KEY_BYTES = 1024  # Source: Amazon S3, "Naming Amazon S3 objects"
LARGEST_FILE_BYTES = 5 * 1024**4  # Source: Amazon S3 multipart upload limits
MOST_FILES = 10_000  # a checkpoint has hundreds at most: more is a whole bucket named by mistake, or a flood

_LEAVING = frozenset({"", ".", ".."})
_DECEIVING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})  # controls, directions, halves of pairs, separators


def sound_listing(source: Source, files: Iterable[SourceFile]) -> Listing:
    """Return the listing of these files at a pinned source.

    Raises: SourceRefused, naming the first files that no honest source has.
    """
    found = tuple(files)
    if len(found) > MOST_FILES:
        raise SourceRefused(
            f"{source} holds more than {MOST_FILES} files. Name the repository or folder of one checkpoint."
        )
    for file in found:
        if why := deceit(file.path):
            raise SourceRefused(f"{source} lists {file.path[:120]!r}: {why}. Nothing of it is staged.")
        if file.size_bytes > LARGEST_FILE_BYTES:
            raise SourceRefused(f"{source} lists {file.path[:120]!r} with more bytes than S3 can hold.")
    if twice := [path for path, times in Counter(file.path for file in found).items() if times > 1]:
        raise SourceRefused(f"{source} lists {some_of(twice)} more than once. Nothing of it is staged.")
    return Listing(source=source, files=found)


def deceit(path: str) -> str | None:
    """Return why no honest source lists that name, or None.

    The name is looked at as it is, as it reads once percent-decoded (twice, too), and as Unicode's compatible form
    writes it: somebody after us may do any of these.
    """
    if len(path.encode("utf-8", "replace")) > LONGEST_KEY_BYTES:
        return f"the name is longer than the {LONGEST_KEY_BYTES} bytes of an S3 key"
    if any(unicodedata.category(character) in _DECEIVING for character in path):
        return "the name has characters that cannot be seen"
    once = unquote(path)
    for reading in (path, once, unquote(once)):
        for form in (reading, unicodedata.normalize("NFKC", reading)):
            if _leaves(form):
                return "the name leaves its folder"
    return None


def mistakable(listing: Listing, staged: Iterable[str]) -> tuple[Problem, ...]:
    """Return the problem of files that some reader of ours may take for a staged one of nearly the same name."""
    names = {_as_mistaken(path): path for path in staged}
    others = [file.path for file in listing.files if names.get(_as_mistaken(file.path), file.path) != file.path]
    if not others:
        return ()
    return (
        Problem(
            subject="files",
            found=f"{some_of(others)} beside {some_of([names[_as_mistaken(path)] for path in others])}",
            supported="names that differ by more than case, Unicode's form, and dots or spaces at their end",
            advice="Remove those that are not the model's.",
        ),
    )


def _as_mistaken(path: str) -> str:
    return unicodedata.normalize("NFKC", path).casefold().rstrip(". ")


def _leaves(path: str) -> bool:
    drive = path[1:2] == ":" and path[:1].isalpha()
    return drive or "\\" in path or "\x00" in path or any(segment in _LEAVING for segment in path.split("/"))
