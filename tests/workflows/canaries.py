"""Canaries: texts that must not come out anywhere, found again in whatever form they were left."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

_GZIP = re.compile(rb"\x1f\x8b\x08")
_GZIP_AS_BASE64 = re.compile(rb"H4sI[A-Za-z0-9+/_-]{16,}={0,2}")
_DEEPEST = 3


@dataclass(frozen=True)
class Canary:
    """A text around a core of letters and digits alone, which no way of escaping changes."""

    core: str

    @property
    def text(self) -> str:
        """Give the text: it is longer and has other forms when it is escaped."""
        return f'{self.core} "why"\n{self.core}/é?&=%'

    def is_in(self, blob: bytes) -> bool:
        """Say whether the core is in it: as it is, escaped, in base64 or hex, or packed."""
        return any(needle in part for part in _unpacked(blob, _DEEPEST) for needle in self._needles())

    def _needles(self) -> Iterator[bytes]:
        core = self.core.encode()
        yield core
        yield core.hex().encode()
        for lead in range(3):
            # the letters at both ends depend on what stands beside the core
            inner = base64.b64encode(b"x" * lead + core)[4 if lead else 0 : -4]
            yield inner


def _unpacked(blob: bytes, depth: int) -> Iterator[bytes]:
    """Yield the bytes, and what is packed in them, by gzip or by gzip and base64."""
    yield blob
    if not depth:
        return
    for found in _GZIP.finditer(blob):
        yield from _opened(blob[found.start() :], depth)
    for text in _GZIP_AS_BASE64.finditer(blob):
        padded = text[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        yield from _opened(base64.b64decode(padded + b"=" * (-len(padded) % 4)), depth)


def _opened(packed: bytes, depth: int) -> Iterator[bytes]:
    """Yield what a gzip stream holds, as far as it goes; what only begins like one holds nothing."""
    try:
        yield from _unpacked(zlib.decompressobj(wbits=31).decompress(packed), depth - 1)
    except zlib.error:
        return


FORMS = {
    "plain": lambda text: text,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 behind one byte": lambda text: base64.b64encode(f"x{text}".encode()).decode(),
    "base64 behind two bytes": lambda text: base64.b64encode(f"xy{text}".encode()).decode(),
    "url-encoded": lambda text: quote(text, safe=""),
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps({"a": text})),
    "hex": lambda text: text.encode().hex(),
    "gzip, as base64": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
}
