"""The bucket of weights: multipart uploads that can be taken up again, small objects, whole prefixes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.archive_upload import MISSING, ArchiveUpload, crc32
from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.adapters.crc64nvme import decoded, encoded, joined
from pilotlight.adapters.part_upload import UPLOAD_GONE, PartUpload
from pilotlight.adapters.server_side_copy import ServerSideCopy
from pilotlight.domain.archive import Entry, packed_bytes
from pilotlight.domain.errors import BodyCutShort, NotFound
from pilotlight.domain.source import Piece, StoredObject
from pilotlight.domain.spans import Part, UploadedPart

CHECKSUM = "CRC64NVME"
CHECKSUM_TYPE = "FULL_OBJECT"
PART_REPLACED = "InvalidPart"
MOST_DELETES = 1000  # of one DeleteObjects call. Source: Amazon S3 API reference


class S3ArtifactBucket:
    """Implements `ports.ArtifactBucket`."""

    def __init__(self, client: Any, part_client: Any, bucket: str) -> None:
        self._client = client
        self._parts = PartUpload(part_client, bucket)
        self._copies = ServerSideCopy(client, bucket)
        self._bucket = bucket

    def start_upload(self, key: str) -> str:
        """Return the id of a multipart upload of that key: the oldest one under way, or a fresh one.

        One that was begun with another checksum, by an older version, cannot be completed by us, and is aborted.
        """
        under_way = [each for each in self._uploads(key) if each["Key"] == key]
        for upload in under_way:
            if not _is_ours(upload):
                self.abort_upload(key, upload["UploadId"])
        if ours := [each for each in under_way if _is_ours(each)]:
            return str(min(ours, key=lambda upload: upload["Initiated"])["UploadId"])
        with translated(f"starting the upload of {key}"):
            upload = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ChecksumAlgorithm=CHECKSUM, ChecksumType=CHECKSUM_TYPE
            )
        return str(upload["UploadId"])

    def parts(self, key: str, upload_id: str) -> dict[int, UploadedPart]:
        """Return the parts that S3 holds, by number. Raises: NotFound when the upload is gone."""
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
        with translated(f"listing the parts of {key}"):
            try:
                return {
                    part["PartNumber"]: UploadedPart(
                        number=part["PartNumber"],
                        size_bytes=part["Size"],
                        etag=part["ETag"],
                        checksum_crc64nvme=part.get("ChecksumCRC64NVME"),
                    )
                    for page in pages
                    for part in page.get("Parts", [])
                }
            except ClientError as exc:
                if code_of(exc) == UPLOAD_GONE:
                    raise NotFound(f"The upload of {key} is over or was aborted.", key=key) from exc
                raise

    def upload_part(self, key: str, upload_id: str, number: int, size_bytes: int, pieces: Iterable[Piece]) -> None:
        """Upload one part as its pieces come, with its CRC64NVME, which S3 checks.

        Raises: NotFound when the upload is gone; what `pieces` raises.
        """
        self._parts.send(key, upload_id, number, size_bytes, pieces)

    def copy_part(self, key: str, upload_id: str, part: Part, stored: StoredObject) -> None:
        """Let S3 copy a part from where it lies, and work out its CRC64NVME.

        Raises: NotFound when the upload is gone; SourceChanged, SourceNotFound, SourceGated, SourceRefused.
        """
        self._copies.copy_part(key, upload_id, part, stored)

    def copy(self, key: str, stored: StoredObject) -> None:
        """Let S3 copy a small object. Raises: SourceChanged, SourceNotFound, SourceGated, SourceRefused."""
        self._copies.copy(key, stored, CHECKSUM)

    def stored(self, key: str) -> StoredObject | None:
        """Return what S3 tells of an object, with its CRC64NVME; None where there is none."""
        with translated(f"looking at {key}"):
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    return None
                raise
        return StoredObject(
            bucket=self._bucket,
            key=key,
            size_bytes=head["ContentLength"],
            etag=head["ETag"].strip('"'),
            checksum_crc64nvme=head.get("ChecksumCRC64NVME"),
        )

    def checksum_of(self, key: str, parts: Sequence[UploadedPart]) -> str:
        """Return the CRC64NVME of the object that parts make. Raises: BodyCutShort where S3 tells none of a part."""
        in_order = sorted(parts, key=lambda part: part.number)
        return encoded(joined((_crc_of(part, key), part.size_bytes) for part in in_order))

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> str:
        """Join the parts to an object with the CRC64NVME that these make, which S3 checks; return it.

        Raises: NotFound when the upload is gone; BodyCutShort where S3 tells no checksum of a part, or where a part
        was replaced since it was listed: a copy of it that lost its race may land late, with an ETag of its own.
        """
        in_order = sorted(parts, key=lambda part: part.number)
        checksum = self.checksum_of(key, parts)
        listed = [
            {"PartNumber": part.number, "ETag": part.etag, "ChecksumCRC64NVME": part.checksum_crc64nvme}
            for part in in_order
        ]
        with translated(f"completing the upload of {key}"):
            try:
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                    ChecksumCRC64NVME=checksum,
                    ChecksumType=CHECKSUM_TYPE,
                    MpuObjectSize=sum(part.size_bytes for part in in_order),
                )
            except ClientError as exc:
                if code_of(exc) == UPLOAD_GONE:
                    raise NotFound(f"The upload of {key} is over or was aborted.", key=key) from exc
                if code_of(exc) == PART_REPLACED:
                    raise BodyCutShort(f"A part of {key} was replaced since it was listed; list them again.") from exc
                raise
        return checksum

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload; one that is over is a success."""
        with translated(f"aborting the upload of {key}"):
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
            except ClientError as exc:
                if code_of(exc) != UPLOAD_GONE:
                    raise

    def abort_uploads(self, prefix: str) -> int:
        """Abort every upload below a prefix; return how many there were."""
        uploads = list(self._uploads(prefix))
        for upload in uploads:
            self.abort_upload(upload["Key"], upload["UploadId"])
        return len(uploads)

    def put(self, key: str, body: bytes) -> None:
        """Write a small object with its CRC32, which S3 checks."""
        with translated(f"writing {key}"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ChecksumCRC32=crc32(body))

    def put_archive(self, key: str, entries: Sequence[Entry]) -> None:
        """Write a tar.gz of contents and of other objects of this bucket, unless it is there whole already.

        Raises: BodyCutShort, NotFound for an object that is not there; nothing of an upload that failed stays.
        """
        if self.sizes(key).get(key) != packed_bytes(entries):
            ArchiveUpload(self._client, self._bucket).write(key, entries)

    def get(self, key: str) -> bytes | None:
        """Return a small object, or None."""
        with translated(f"reading {key}"):
            try:
                body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    return None
                raise
        return body

    def read(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Return that many bytes of an object. Raises: NotFound; BodyCutShort where it has fewer."""
        with translated(f"reading {key}"):
            try:
                byte_range = f"bytes={offset}-{offset + size_bytes - 1}"
                body: bytes = self._client.get_object(Bucket=self._bucket, Key=key, Range=byte_range)["Body"].read()
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    raise NotFound(f"There is no {key}.", key=key) from exc
                raise
        if len(body) != size_bytes:
            raise BodyCutShort(f"{key} gave {len(body)} of {size_bytes} bytes from {offset}.", key=key)
        return body

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return key and size in bytes of every object below a prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with translated(f"listing {prefix}"):
            return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}

    def delete(self, prefix: str) -> int:
        """Delete every object below a prefix; return how many there were.

        Raises: Terminal when S3 keeps one of them.
        """
        keys = list(self.sizes(prefix))
        for start in range(0, len(keys), MOST_DELETES):
            chunk = [{"Key": key} for key in keys[start : start + MOST_DELETES]]
            with translated(f"deleting {prefix}"):
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": chunk, "Quiet": True})
                for error in answer.get("Errors", [])[:1]:
                    raise ClientError({"Error": error}, "DeleteObjects")
        return len(keys)

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
        with translated(f"listing the uploads below {prefix}"):
            for page in pages:
                yield from page.get("Uploads", [])


def _is_ours(upload: dict[str, Any]) -> bool:
    """Say whether parts with our checksum fit into an upload, and make an object with one checksum of the whole."""
    return (upload.get("ChecksumAlgorithm"), upload.get("ChecksumType")) == (CHECKSUM, CHECKSUM_TYPE)


def _crc_of(part: UploadedPart, key: str) -> int:
    if part.checksum_crc64nvme is None:
        raise BodyCutShort(f"S3 tells no CRC64NVME of part {part.number} of {key}.", key=key)
    return decoded(part.checksum_crc64nvme)
