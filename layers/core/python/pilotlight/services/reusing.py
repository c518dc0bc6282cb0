"""Taking a file from another artifact that holds the same content, instead of downloading it."""

from collections.abc import Sequence

from pilotlight.domain.artifact import Artifact, Manifest, weight_key
from pilotlight.domain.content import HeldContent, contents_of, gives_no_more, is_looked_for, may_give
from pilotlight.domain.errors import NotFound
from pilotlight.domain.source import SourceFile, StoredObject
from pilotlight.ports import ArtifactBucket, Artifacts, Contents
from pilotlight.services.side_by_side import side_by_side


class Reusing:
    """What sealed artifacts hold, and who may copy it. `at_once` is how many records and objects it asks for at once.

    A copy is taken from what is there when it is planned; the copier asks for just that, and what has gone meanwhile
    comes from its own source.
    """

    def __init__(self, contents: Contents, artifacts: Artifacts, bucket: ArtifactBucket, *, at_once: int) -> None:
        self._contents = contents
        self._artifacts = artifacts
        self._bucket = bucket
        self._at_once = at_once

    def donors(self, files: Sequence[SourceFile]) -> dict[str, StoredObject]:
        """Return by path what those files can be copied from: of sealed artifacts, as S3 has it now.

        What is told of artifacts that are gone is removed.
        """
        wanted = [(file, file.sha256) for file in files if file.sha256 and is_looked_for(file)]
        found = side_by_side(lambda each: self._contents.holders(each[1], each[0].size_bytes), wanted, self._at_once)
        contents = [content for holders in found for content in holders]
        owners = {owner: self._artifact(owner) for owner in sorted({content.artifact_id for content in contents})}
        for content in contents:
            if gives_no_more(owners[content.artifact_id]):
                self._contents.forget(content)
        giving = [[each for each in holders if may_give(owners[each.artifact_id])] for holders in found]
        stored = side_by_side(self._first_stored, giving, self._at_once)
        return {file.path: each for (file, _), each in zip(wanted, stored, strict=True) if each}

    def note(self, manifest: Manifest) -> None:
        """Tell others what an artifact holds. Nobody takes it before the artifact's record says that it is verified."""
        side_by_side(self._contents.note, list(contents_of(manifest)), self._at_once)

    def _artifact(self, artifact_id: str) -> Artifact | None:
        try:
            return self._artifacts.find(artifact_id)
        except NotFound:
            return None  # it cannot be read

    def _first_stored(self, holders: Sequence[HeldContent]) -> StoredObject | None:
        return next((stored for each in holders if (stored := self._stored(each))), None)

    def _stored(self, content: HeldContent) -> StoredObject | None:
        """Return the object of a content, or None where S3 has another one by now."""
        stored = self._bucket.stored(weight_key(content.artifact_id, content.path))
        same = stored and (stored.size_bytes, stored.checksum_crc64nvme) == (
            content.size_bytes,
            content.checksum_crc64nvme,
        )
        return stored.changed(artifact_id=content.artifact_id) if stored and same else None
