"""ModelScope, or a hub that speaks its API, as a source of checkpoints.

ModelScope documents its Python client and not this API. What follows was read from client code: modelscope 1.29 and
modelscope_hub 0.5 (`get_model_files`, `get_file_download_url`, `list_repo_files`, `http_get_model_file`), Apache 2.0.

- `GET /api/v1/models/{id}/repo/files?Revision=…&Recursive=True` answers `{"Code": 200, "Data": {"Files": […]}}`; a
  file is `{"Path", "Type": "blob" or "tree", "Size", "Sha256", "Revision"}`. More than 3,000 entries are cut off
  without a word.
- `GET /api/v1/models/{id}/repo?Revision=…&FilePath=…` sends a file. A large one is sent by a file server, to which it
  redirects; one that is sent without a redirect comes whole, also when a range of it is asked for.
- A revision is a branch, a tag or a commit; the branch by default is `master`.
- A token goes into `Authorization: Bearer` and into the cookie `m_session_id`.

That `Data.LatestCommitter` tells the commit as `Id`, or its beginning as `ShortId`, and that a file's `Revision` is
the commit that changed it last, was read from answers that other people's code expects. None of it was seen live.
"""

import re
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, StringConstraints, ValidationError

from pilotlight.adapters.hub_ranges import whole
from pilotlight.adapters.hub_reader import MOST_LISTING_BYTES, NamedHub, require_inside
from pilotlight.adapters.hub_refusals import refusal
from pilotlight.adapters.hub_site import HubSettings
from pilotlight.adapters.hub_transport import Answer
from pilotlight.domain.errors import PilotlightError, SourceChanged, SourceRefused, Unavailable
from pilotlight.domain.file_names import LARGEST_FILE_BYTES, MOST_FILES, sound_listing
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.strict_json import UnreadableError, json_object
from pilotlight.domain.values import Model

MODELSCOPE = HubSettings(
    endpoint="MODELSCOPE_ENDPOINT",
    variable="MODELSCOPE_API_TOKEN",
    stored_in="modelscope_token in the hub secret of the stack",
    cookie="m_session_id",
)
MOST_ENTRIES = 3000  # of one listing: what lies behind them is not told
MIB = 1024 * 1024

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BEGINNING = re.compile(r"[0-9a-f]{7,40}")


class _Entry(Model):
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(alias="Path")
    kind: str = Field(alias="Type")
    size_bytes: int | None = Field(default=None, alias="Size", ge=0, le=LARGEST_FILE_BYTES)
    sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] | None = Field(default=None, alias="Sha256")
    revision: str | None = Field(default=None, alias="Revision")


class _Committer(Model):
    id: str | None = Field(default=None, alias="Id")
    short_id: str | None = Field(default=None, alias="ShortId")


class _Tree(Model):
    files: tuple[_Entry, ...] | None = Field(default=None, alias="Files", max_length=MOST_FILES)
    latest: _Committer | None = Field(default=None, alias="LatestCommitter")


class _Told(Model):
    code: int = Field(alias="Code")
    data: _Tree | None = Field(default=None, alias="Data")


class ModelScopeSource(NamedHub):
    """Reads checkpoints from ModelScope."""

    settings = MODELSCOPE
    most_passed_over_bytes = 64 * MIB

    def resolve(self, source: Source) -> Listing:
        """Return all files at the commit that the revision names now.

        Raises: SourceNotFound, SourceGated, SourceChanged, SourceRefused, Throttled, Unavailable.
        """
        revision = quote(source.revision or "master", safe="")
        answer = self._ask(f"{self._model(source)}/repo/files?Revision={revision}&Recursive=True")
        self._require_ok(answer, source, "the model's listing")
        tree = self._tree(source, whole(answer, MOST_LISTING_BYTES, f"The listing of {source}"))
        entries = tree.files or ()
        if len(entries) >= MOST_ENTRIES:
            raise SourceRefused(
                f"{source} has {MOST_ENTRIES} files and folders or more, of which ModelScope lists no more. Copy the "
                "files of one checkpoint to a bucket, and deploy them from there."
            )
        pinned = source.at(self._commit(source, tree.latest or _Committer.model_validate({}), entries))
        return sound_listing(pinned, (_file(pinned, entry) for entry in entries if entry.kind == "blob"))

    def _commit(self, source: Source, latest: _Committer, entries: tuple[_Entry, ...]) -> str:
        """Return the commit of a listing: the one that was asked for, or the one that the listing tells.

        Raises: SourceChanged when another one was asked for; SourceRefused when none is told.
        """
        beginning = next((each for each in (latest.short_id, latest.id) if _BEGINNING.fullmatch(each or "")), "") or ""
        if _COMMIT.fullmatch(source.revision or ""):
            asked = source.revision or ""
            if not asked.startswith(beginning):
                raise SourceChanged(f"The hub lists commit {beginning[:40]} where {source} was asked for.")
            return asked
        told = {each for each in (latest.id, *(entry.revision for entry in entries)) if _COMMIT.fullmatch(each or "")}
        found = {each for each in told if each and beginning and each.startswith(beginning)}
        if len(found) != 1:
            raise SourceRefused(
                f"{self._site.host} does not tell which commit {source} is. Name the commit itself, of 40 characters, "
                f"as ms://{source.location}@commit; see {self._page(source)}."
            )
        return found.pop()

    def _tree(self, source: Source, body: bytes) -> _Tree:
        """Return a listing that is one. Raises: Unavailable, naming the field; SourceRefused, with the hub's code."""
        try:
            told = _Told.model_validate(json_object(body))
        except UnreadableError as exc:
            raise Unavailable(f"{self._site.host} does not list {source} as ModelScope does: {exc}.") from exc
        except ValidationError as exc:
            field = ".".join(str(part) for part in exc.errors(include_input=False)[0]["loc"])
            raise Unavailable(f"{self._site.host} does not list {source} as ModelScope does: see {field!r}.") from exc
        if told.code != 200 or told.data is None:
            raise SourceRefused(
                f"{self._site.host} does not list {source}: it answered code {told.code}. See {self._page(source)}."
            )
        return told.data

    def _model(self, source: Source) -> str:
        return f"{self._site.endpoint}/api/v1/models/{quote(source.location)}"

    def _page(self, source: Source) -> str:
        return f"{self._site.endpoint}/models/{source.location}"

    def _address(self, source: Source, path: str) -> str:
        require_inside(source, path)
        revision = quote(source.revision or "master", safe="")
        return f"{self._model(source)}/repo?Revision={revision}&FilePath={quote(path, safe='')}"

    def _refusal(self, answer: Answer, source: Source, what: str) -> PilotlightError:
        return refusal(answer, source=source, what=what, page=self._page(source), settings=MODELSCOPE)


def _file(source: Source, entry: _Entry) -> SourceFile:
    if entry.size_bytes is None:
        raise SourceRefused(f"The hub lists {entry.path[:200]!r} of {source} without its size.")
    return SourceFile(path=entry.path, size_bytes=entry.size_bytes, sha256=entry.sha256 or None)
