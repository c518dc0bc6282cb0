"""A hub that speaks the Hugging Face hub's HTTP API, as a source of checkpoints.

Source: Hugging Face hub documentation, "Hub API Endpoints" (model info with blobs) and "Download files" (resolve).
"""

import re
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, StringConstraints, ValidationError

from pilotlight.adapters.hub_ranges import whole
from pilotlight.adapters.hub_reader import MOST_LISTING_BYTES, NamedHub, require_inside
from pilotlight.adapters.hub_refusals import refusal
from pilotlight.adapters.hub_transport import Answer
from pilotlight.domain.errors import PilotlightError, SourceChanged, SourceRefused, Unavailable
from pilotlight.domain.file_names import LARGEST_FILE_BYTES, MOST_FILES, sound_listing
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.strict_json import UnreadableError, json_object
from pilotlight.domain.values import Model

PUBLIC_HUB = "https://huggingface.co"

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class _Blob(Model):
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: int = Field(ge=0, le=LARGEST_FILE_BYTES)


class _Sibling(Model):
    rfilename: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    size: int | None = Field(default=None, ge=0, le=LARGEST_FILE_BYTES)
    blob_id: str | None = Field(default=None, alias="blobId")
    lfs: _Blob | None = None


class _ModelInfo(Model):
    sha: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40,64}$")]
    siblings: tuple[_Sibling, ...] = Field(default=(), max_length=MOST_FILES)


class HubSource(NamedHub):
    """Reads checkpoints from a hub."""

    def resolve(self, source: Source) -> Listing:
        """Return all files at the commit that the revision names now.

        Raises: SourceNotFound, SourceGated, SourceRefused, Throttled, Unavailable.
        """
        revision = quote(source.revision or "main", safe="")
        url = f"{self._site.endpoint}/api/models/{quote(source.location)}/revision/{revision}?blobs=true"
        answer = self._ask(url)
        self._require_ok(answer, source, "the model's listing")
        info = self._info(source, whole(answer, MOST_LISTING_BYTES, f"The listing of {source}"))
        if _COMMIT.fullmatch(source.revision or "") and info.sha != source.revision:
            raise SourceChanged(f"The hub lists commit {info.sha[:40]} where {source} was asked for. Deploy it again.")
        pinned = source.at(info.sha)
        return sound_listing(pinned, (_file(pinned, sibling) for sibling in info.siblings))

    def _info(self, source: Source, body: bytes) -> _ModelInfo:
        """Return a listing that is one. Raises: Unavailable, naming the field that is not as hubs write it."""
        try:
            return _ModelInfo.model_validate(json_object(body))
        except UnreadableError as exc:
            raise Unavailable(f"{self._site.host} does not list {source} as a hub does: {exc}.") from exc
        except ValidationError as exc:
            field = ".".join(str(part) for part in exc.errors(include_input=False)[0]["loc"])
            raise Unavailable(f"{self._site.host} does not list {source} as a hub does: see {field!r}.") from exc

    def _address(self, source: Source, path: str) -> str:
        require_inside(source, path)
        revision = quote(source.revision or "main", safe="")
        return f"{self._site.endpoint}/{quote(source.location)}/resolve/{revision}/{quote(path)}"

    def _refusal(self, answer: Answer, source: Source, what: str) -> PilotlightError:
        return refusal(answer, source=source, what=what, page=f"{self._site.endpoint}/{source.location}")


def _file(source: Source, sibling: _Sibling) -> SourceFile:
    size_bytes = sibling.lfs.size if sibling.lfs else sibling.size
    if size_bytes is None:
        raise SourceRefused(
            f"The hub lists {sibling.rfilename[:200]!r} of {source} without its size. A mirror must answer ?blobs=true."
        )
    return SourceFile(
        path=sibling.rfilename,
        size_bytes=size_bytes,
        sha256=sibling.lfs.sha256 if sibling.lfs else None,
        etag=sibling.blob_id,
    )
