"""The upload bucket: what it holds of a folder, and addresses at which parts are put without any rights of one's own.

Each address is signed with the part's length and CRC32, which S3 checks as the bytes come.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.archive_upload import MISSING
from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.adapters.part_upload import UPLOAD_GONE
from pilotlight.domain.errors import ConcurrentChange, InvalidInput, NotFound
from pilotlight.domain.folder_upload import HeldFile, HeldPart, PartToUpload, SignedPut

CHECKSUM, OF_THE_WHOLE = "CRC32", "FULL_OBJECT"
PUT_WITHIN = timedelta(hours=1)
_PUT_AGAIN = "InvalidPart"  # a part is not, or no more, as it was listed
_OTHER_BYTES = frozenset({"BadDigest", "InvalidRequest", "EntityTooSmall"})


class S3UploadBucket:
    """Implements `ports.UploadBucket`."""

    def __init__(self, client: Any, bucket: str, signer: Callable[[], Any], now: Callable[[], datetime]) -> None:
        """Take a client; `signer` makes one that signs addresses, when the first is asked for."""
        self._client = client
        self.bucket = bucket
        self._signer = signer
        self._now = now

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return key and size in bytes of every object below a prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated(f"listing {prefix}"):
            return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}

    def held(self, key: str) -> HeldFile | None:
        """Return an object's size and CRC32, or None."""
        with translated(f"looking at {key}"):
            try:
                told = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    return None
                raise
        whole = told.get("ChecksumType", OF_THE_WHOLE) == OF_THE_WHOLE
        return HeldFile(size_bytes=told["ContentLength"], checksum_crc32=told.get("ChecksumCRC32") if whole else None)

    def unfinished(self, prefix: str) -> dict[str, str]:
        """Return the newest upload of ours that is under way for each key below a prefix, by its id."""
        kind = (CHECKSUM, OF_THE_WHOLE)  # tools ask for a composite CRC32, which no CRC32 of a whole file compares with
        found = self._under_way(prefix)
        ours = [each for each in found if (each.get("ChecksumAlgorithm"), each.get("ChecksumType")) == kind]
        return {each["Key"]: str(each["UploadId"]) for each in sorted(ours, key=lambda each: each["Initiated"])}

    def begun(self, prefix: str) -> tuple[datetime, ...]:
        """Return when each upload that is under way below a prefix began, whoever began it."""
        return tuple(each["Initiated"] for each in self._under_way(prefix))

    def start(self, key: str) -> str:
        """Return the id of a fresh multipart upload, whose parts and whole have a CRC32."""
        with translated(f"starting the upload of {key}"):
            upload = self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ChecksumAlgorithm=CHECKSUM, ChecksumType=OF_THE_WHOLE
            )
        return str(upload["UploadId"])

    def parts(self, key: str, upload_id: str) -> tuple[HeldPart, ...]:
        """Return the parts that S3 holds, in order. Raises: NotFound when the upload is gone."""
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload_id)
        with translated(f"listing the parts of {key}"):
            try:
                return tuple(_held(part) for page in pages for part in page.get("Parts", []))
            except ClientError as exc:
                if code_of(exc) == UPLOAD_GONE:
                    raise _gone(key) from exc
                raise

    def address(self, key: str, upload_id: str | None, part: PartToUpload) -> SignedPut:
        """Return where a part, or a file that is none of parts, may be put within an hour."""
        given = {
            "Bucket": self.bucket,
            "Key": key,
            "ContentLength": part.size_bytes,
            "ChecksumCRC32": part.checksum_crc32,
        }
        if upload_id is not None:
            given |= {"UploadId": upload_id, "PartNumber": part.number}
        within = int(PUT_WITHIN.total_seconds())
        with translated(f"signing an address of {key}"):
            url = self._signer().generate_presigned_url(
                "upload_part" if upload_id is not None else "put_object", Params=given, ExpiresIn=within
            )
        return SignedPut(
            url=str(url),
            headers={"Content-Length": str(part.size_bytes), "x-amz-checksum-crc32": part.checksum_crc32},
            expires_at=self._now() + PUT_WITHIN,
        )

    def join(self, key: str, upload_id: str, parts: Sequence[HeldPart], checksum_crc32: str) -> None:
        """Make one object of parts, whose CRC32 S3 works out of theirs and compares with this one.

        Raises: InvalidInput where it is another; NotFound when the upload is gone; ConcurrentChange where a part was
        put again since it was listed.
        """
        listed = [
            {"PartNumber": part.number, "ETag": part.etag, "ChecksumCRC32": part.checksum_crc32} for part in parts
        ]
        with translated(f"completing the upload of {key}"):
            try:
                self._client.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                    ChecksumCRC32=checksum_crc32,
                    ChecksumType=OF_THE_WHOLE,
                    MpuObjectSize=sum(part.size_bytes for part in parts),
                )
            except ClientError as exc:
                if code_of(exc) == _PUT_AGAIN:
                    raise ConcurrentChange(
                        f"A part of {key} was put again while its parts were joined. Ask again: they are listed anew.",
                        key=key,
                    ) from exc
                if code_of(exc) in _OTHER_BYTES:
                    raise InvalidInput(
                        f"The parts of {key} do not make the file that was told: S3 says {code_of(exc)}. It may have "
                        "changed while it was uploaded; upload it again.",
                        field="checksum_crc32",
                        rule="the CRC32 of the whole file",
                    ) from exc
                if code_of(exc) == UPLOAD_GONE:
                    raise _gone(key) from exc
                raise

    def _under_way(self, prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated(f"listing the uploads below {prefix}"):
            return [each for page in pages for each in page.get("Uploads", [])]


def _held(part: dict[str, Any]) -> HeldPart:
    return HeldPart(
        number=part["PartNumber"],
        size_bytes=part["Size"],
        checksum_crc32=part.get("ChecksumCRC32"),
        etag=part["ETag"],
    )


def _gone(key: str) -> NotFound:
    return NotFound(f"The upload of {key} is over or was aborted. Begin it again.", key=key)
