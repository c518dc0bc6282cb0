"""What sealed artifacts hold, by content: so that a file which is here already is not downloaded again.

A file's SHA-256 is what its source tells. S3 proves what it can: size, ETag and CRC64NVME of what it copies.
"""

from collections.abc import Iterator

from pydantic import Field

from pilotlight.domain.artifact import LARGEST_VERIFIED_BYTES, Artifact, ArtifactStatus, Manifest
from pilotlight.domain.source import SourceFile
from pilotlight.domain.spans import is_multipart
from pilotlight.domain.values import Model


class HeldContent(Model):
    """A file of an artifact by its content: `sha256` in hex, `checksum_crc64nvme` in base64."""

    sha256: str
    size_bytes: int = Field(ge=0)
    checksum_crc64nvme: str
    artifact_id: str
    path: str


_GIVES_NO_MORE = {ArtifactStatus.QUARANTINED, ArtifactStatus.DELETING, ArtifactStatus.GONE}


def is_looked_for(file: SourceFile) -> bool:
    """Say whether it is worth asking for a file's content.

    A small one is downloaded sooner than it is looked for; one that is too large to be verified is nobody's to give.
    """
    return file.sha256 is not None and is_multipart(file.size_bytes) and file.size_bytes <= LARGEST_VERIFIED_BYTES


def contents_of(manifest: Manifest) -> Iterator[HeldContent]:
    """Yield the files of a manifest that others may be copied from: what was verified, with S3's checksum."""
    for file in manifest.files:
        if file.sha256 and file.checksum_crc64nvme and file.is_to_be_verified:
            yield HeldContent(
                sha256=file.sha256,
                size_bytes=file.size_bytes,
                checksum_crc64nvme=file.checksum_crc64nvme,
                artifact_id=manifest.artifact_id,
                path=file.path,
            )


def may_give(artifact: Artifact | None) -> bool:
    """Say whether files may be copied from an artifact: from one that is sealed, and seen to be what its source has."""
    return artifact is not None and artifact.status is ArtifactStatus.SEALED and not artifact.is_worked_on


def gives_no_more(artifact: Artifact | None) -> bool:
    """Say whether what is told of an artifact's files is no longer true, whatever becomes of it."""
    return artifact is None or artifact.status in _GIVES_NO_MORE
