"""One source of checkpoints made of several: each kind of source has its own reader."""

from collections.abc import Iterator, Mapping

from pilotlight.domain.cutting import Cutting
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.source import SUPPORTED_FORMS, Listing, Piece, Source, SourceFile, SourceKind
from pilotlight.ports import ModelSource


class Sources:
    """Reads every kind of source by handing it to its reader."""

    def __init__(self, by_kind: Mapping[SourceKind, ModelSource]) -> None:
        self._by_kind = by_kind

    def resolve(self, source: Source) -> Listing:
        """Return all files at a pinned revision."""
        return self._reader(source).resolve(source)

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned source."""
        return self._reader(source).read(source, path, limit_bytes=limit_bytes)

    def stream(
        self, source: Source, file: SourceFile, *, offset: int, size_bytes: int, cutting: Cutting | None = None
    ) -> Iterator[Piece]:
        """Yield exactly that range of a file of a pinned source."""
        return self._reader(source).stream(source, file, offset=offset, size_bytes=size_bytes, cutting=cutting)

    def _reader(self, source: Source) -> ModelSource:
        try:
            return self._by_kind[source.kind]
        except KeyError as exc:
            raise InvalidInput(
                f"This stack does not read {source.kind}:// sources.", field="source", rule=SUPPORTED_FORMS
            ) from exc
