"""Does a file hold what its name promises? Names alone let pickles and archives in, under any name that is allowed.

Nothing here looks for what is forbidden: each name that is staged has a form, and what is not of that form is refused.
A pickle, an archive, or one appended to a sound file, has none of these forms.
"""

import re
from collections.abc import Callable, Mapping

from pilotlight.domain.sentencepiece import is_sentencepiece
from pilotlight.domain.strict_json import UnreadableError, json_object

MIB = 1024 * 1024
TOKENIZER_MODELS = ("tokenizer.model", "spiece.model")

CHECK_LIMITS: Mapping[str, int] = {
    "tokenizer.json": 40 * MIB,
    "tokenizer.model": 16 * MIB,
    "spiece.model": 16 * MIB,
    "special_tokens_map.json": MIB,
    "added_tokens.json": 4 * MIB,
    "vocab.json": 16 * MIB,
    "merges.txt": 16 * MIB,
    "preprocessor_config.json": MIB,
}
"""The staged files that no verdict needs, which are read all the same to see that they are what they are called."""

# A merge is two tokens with one space between; the first line may tell the format's version. Possessive: linear.
_WORD = r"[^ \x00-\x1f\x7f]++"
_MERGE = rf"{_WORD} {_WORD}"
_MERGES = re.compile(rf"(?:#[^\x00-\x1f]*+\r?\n)?+(?:(?:{_MERGE})?+\r?\n)*+(?:{_MERGE})?+")
# The other form that a tokenizer.model has: a token in base64 and its rank.
_RANK = rb"[A-Za-z0-9+/]++={0,2} \d{1,9}"
_RANKS = re.compile(rb"%b(?:\r?\n%b)*+(?:\r?\n)?+" % (_RANK, _RANK))


_POINTER = b"version https://git-lfs.github.com/"


def content_problem(name: str, content: bytes) -> str | None:
    """Return why a file of that name may not be staged, or None; `name` is one of CHECK_LIMITS."""
    if content.startswith(_POINTER):
        return "it is Git LFS's pointer to the file: run `git lfs pull`"
    return _FORMS[name](content)


def _json_problem(content: bytes) -> str | None:
    try:
        json_object(content, unique=False)
    except UnreadableError as exc:
        return str(exc)
    return None


def _merges_problem(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return None if text.strip() and _MERGES.fullmatch(text) else "it is not a list of merges, two tokens on each line"


def _tokenizer_problem(content: bytes) -> str | None:
    if is_sentencepiece(content) or _RANKS.fullmatch(content):
        return None
    return "it is neither a sentencepiece model nor a list of ranked tokens"


_FORMS: Mapping[str, Callable[[bytes], str | None]] = {
    **dict.fromkeys(CHECK_LIMITS, _json_problem),
    **dict.fromkeys(TOKENIZER_MODELS, _tokenizer_problem),
    "merges.txt": _merges_problem,
}
