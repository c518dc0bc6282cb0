"""Weights that lie in S3 already, copied by S3 itself: across buckets, accounts and regions, and no byte passes us.

Every copy asks for the ETag that was listed. The client is that of our own bucket's region, whichever the source's.
Source: Amazon S3 API reference, UploadPartCopy and CopyObject.
"""

from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of
from pilotlight.adapters.bucket_refusals import translated_refusal
from pilotlight.adapters.part_upload import UPLOAD_GONE
from pilotlight.domain.errors import NotFound
from pilotlight.domain.source import StoredObject
from pilotlight.domain.spans import Part


class ServerSideCopy:
    """Lets S3 copy objects, whole or in parts, into one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def copy(self, key: str, stored: StoredObject, checksum_algorithm: str) -> None:
        """Copy an object of up to 5 GB without its metadata and tags, which nobody here reads.

        Raises: SourceChanged when it has another ETag; SourceNotFound, SourceGated, SourceRefused, Throttled,
        Unavailable.
        """
        with translated_refusal(f"{stored.bucket}/{stored.key}"):
            self._client.copy_object(
                Bucket=self._bucket,
                Key=key,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                ChecksumAlgorithm=checksum_algorithm,
                **_source(stored),
            )

    def copy_part(self, key: str, upload_id: str, part: Part, stored: StoredObject) -> None:
        """Copy a range as a part of an upload, whose checksum of that part S3 works out itself.

        Raises: NotFound when the upload is gone; SourceChanged when it has another ETag;
        SourceNotFound, SourceGated, SourceRefused, Throttled, Unavailable.
        """
        last = part.offset + part.size_bytes - 1
        with translated_refusal(f"{stored.bucket}/{stored.key}"):
            try:
                self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=part.number,
                    CopySourceRange=f"bytes={part.offset}-{last}",
                    **_source(stored),
                )
            except ClientError as exc:
                if code_of(exc) == UPLOAD_GONE:
                    raise NotFound(f"The upload of {key} is over or was aborted.", key=key) from exc
                raise


def _source(stored: StoredObject) -> dict[str, Any]:
    return {
        "CopySource": {"Bucket": stored.bucket, "Key": stored.key},
        "CopySourceIfMatch": f'"{stored.etag}"',
    }
