"""What somebody may have meant by a source that is none: the one that is nearest, or what to do instead."""

import re

_NAME = r"[\w.-]{1,96}/[\w.-]{1,96}"
_BARE = re.compile(rf"(?P<repository>{_NAME})(@(?P<revision>[\w./-]{{1,128}}))?", re.ASCII)
_PAGE = re.compile(
    rf"https?://(?:www\.)?(?P<host>huggingface\.co|hf\.co|modelscope\.cn|modelscope\.ai)/(?:models/)?"
    rf"(?P<repository>{_NAME})(?:/(?:tree|resolve|blob)/(?P<revision>[\w.-]{{1,128}}))?(?:[/?#].*)?",
    re.ASCII,
)
_ARN = re.compile(r"arn:aws[\w-]*:s3:::(?P<place>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/\S*)?)", re.ASCII)
_FOLDER = re.compile(r"(?:/|\./|\.\./|~|file:|[A-Za-z]:\\).*", re.DOTALL)
_SCHEME = re.compile(r"(?P<scheme>hf|ms|s3|https|jumpstart)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def hint_for(text: str) -> str | None:
    """Return a sentence that says what to write or do instead, or None where nothing is near."""
    if _FOLDER.fullmatch(text):
        return "A folder on your machine is brought in by `pilotlight upload FOLDER`."
    if page := _PAGE.fullmatch(text):
        kind = "ms" if page["host"].startswith("modelscope") else "hf"
        return _meant(f"{kind}://{page['repository']}", page["revision"])
    if bare := _BARE.fullmatch(text):
        return _meant(f"hf://{bare['repository']}", bare["revision"])
    if arn := _ARN.fullmatch(text):
        return f"Did you mean {'s3://' + arn['place'].rstrip('/') + '/'!r}?"
    if (scheme := _SCHEME.fullmatch(text)) and scheme["scheme"] != scheme["scheme"].lower():
        return f"Did you mean {scheme['scheme'].lower() + '://' + scheme['rest']!r}?"
    if text.startswith("http://"):
        return "A list of files is read by https alone."
    if text.startswith("https://") and ("?" in text or "@" in text.partition("://")[2].partition("/")[0]):
        return "Leave user and query out: a source is shown to everybody who may see the deployment."
    return None


def _meant(source: str, revision: str | None) -> str:
    return f"Did you mean {source + (f'@{revision}' if revision else '')!r}?"
