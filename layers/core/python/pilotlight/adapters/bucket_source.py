"""A prefix of an S3 bucket as a source of checkpoints.

S3 keeps no commits: the revision is a hash over names, ETags and sizes, and every later read says `If-Match`.
A revision cannot be asked for again: what lies there now either has it, or the source has changed.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from botocore.response import StreamingBody

from pilotlight.adapters.bucket_refusals import translated_refusal
from pilotlight.domain.cutting import Cutting
from pilotlight.domain.errors import BodyCutShort, SourceChanged, SourceNotFound, SourceRefused
from pilotlight.domain.file_names import MOST_FILES, sound_listing
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.upload import ROOT, version_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

PIECE_BYTES = 1024 * 1024

_UPLOADED_FOLDER = re.compile(rf"{ROOT}[^/]+/")


class BucketSource:
    """Reads checkpoints from S3 with the role that the client carries.

    That role may read what its callers may not: invocations' bodies and other people's weights lie in the artifact
    bucket, which is no source; of the upload bucket only a folder of uploads is one.
    """

    def __init__(self, s3_client: "S3Client", artifact_bucket: str = "", upload_bucket: str = "") -> None:
        self._s3 = s3_client
        self._artifact_bucket = artifact_bucket
        self._upload_bucket = upload_bucket
        self._listings: dict[str, Listing] = {}

    def resolve(self, source: Source) -> Listing:
        """Return all files below the prefix at the revision that they have now.

        Raises: SourceChanged when the source names another revision; SourceNotFound, SourceGated, SourceRefused.
        """
        self._require_a_source(source)
        files = self._list(source)
        if not files:
            raise SourceNotFound(
                f"There is nothing below s3://{source.location}. Check the bucket, the prefix and the region."
            )
        revision = version_of(files)
        if source.revision and source.revision != revision:
            raise SourceChanged(
                f"s3://{source.location} has changed: it is at {revision} now, {source.revision} was asked for. "
                "Deploy the present content without naming a revision."
            )
        listing = sound_listing(source.at(revision), files)
        self._listings = {str(listing.source): listing}
        return listing

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned source.

        Raises: SourceNotFound; SourceRefused when it is larger than the limit; SourceChanged.
        """
        file = self._file(source, path)
        if file.size_bytes > limit_bytes:
            raise SourceRefused(f"{path} of {source} is larger than the {limit_bytes} bytes that such a file may have.")
        return b"".join(self.stream(source, file, offset=0, size_bytes=file.size_bytes))

    def stream(
        self,
        source: Source,
        file: SourceFile,
        *,
        offset: int,
        size_bytes: int,
        cutting: Cutting | None = None,  # noqa: ARG002
    ) -> Iterator[bytes]:
        """Yield exactly that range of a file of a pinned source; S3 ends what is cut by its own timeout.

        Raises: BodyCutShort, SourceChanged, SourceGated, Throttled, Unavailable.
        """
        self._require_a_source(source)
        if size_bytes == 0:
            return
        etag = file.etag or self._file(source, file.path).etag
        with translated_refusal(source.location):
            answer = self._s3.get_object(
                Bucket=source.bucket,
                Key=source.prefix + file.path,
                IfMatch=f'"{etag}"',
                Range=f"bytes={offset}-{offset + size_bytes - 1}",
            )
        left = size_bytes
        for piece in _pieces(answer["Body"], file.path):
            yield piece[:left]
            left -= len(piece)
        if left > 0:
            raise BodyCutShort(f"{file.path}: {size_bytes - left} of {size_bytes} bytes arrived. Try again.")

    def _require_a_source(self, source: Source) -> None:
        """Pass what anybody may name. Raises: SourceRefused for our own buckets."""
        if source.bucket == self._artifact_bucket:
            raise SourceRefused(
                f"s3://{source.bucket} is Pilotlight's own, of artifacts and of invocations' bodies, and is no source. "
                "Deploy from where the artifact came from."
            )
        if source.bucket == self._upload_bucket and not _UPLOADED_FOLDER.fullmatch(source.prefix):
            raise SourceRefused(
                f"Of s3://{source.bucket} only an uploaded folder, s3://{source.bucket}/{ROOT}NAME/, is a source."
            )

    def _list(self, source: Source) -> list[SourceFile]:
        files: list[SourceFile] = []
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=source.bucket, Prefix=source.prefix)
        with translated_refusal(source.location):
            for page in pages:
                files += [_source_file(source, each) for each in page.get("Contents", []) if not _is_folder(each)]
                if len(files) > MOST_FILES:
                    raise SourceRefused(
                        f"s3://{source.location} holds more than {MOST_FILES} files. Name the folder of one checkpoint."
                    )
        return files

    def _file(self, source: Source, path: str) -> SourceFile:
        """Return a file of the pinned source; what lies there is looked at again where this reader has not seen it."""
        listing = self._listings.get(str(source)) or self.resolve(source)
        if file := listing.file(path):
            return file
        raise SourceNotFound(f"{source} has no file {path}.")


def _is_folder(found: "ObjectTypeDef") -> bool:
    """Say whether an object is the empty "folder" that consoles make."""
    return found["Key"].endswith("/")


def _source_file(source: Source, found: "ObjectTypeDef") -> SourceFile:
    return SourceFile(
        path=found["Key"].removeprefix(source.prefix),
        size_bytes=found["Size"],
        etag=found["ETag"].strip('"'),
        modified_at=found["LastModified"],
    )


def _pieces(body: StreamingBody, path: str) -> Iterator[bytes]:
    try:
        with closing(body):
            yield from body.iter_chunks(PIECE_BYTES)
    except BotoCoreError as exc:
        raise BodyCutShort(f"The connection to S3 broke within {path}: {type(exc).__name__}. Try again.") from exc
