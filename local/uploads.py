"""Multipart uploads: what S3 checks before an upload becomes an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import xmltodict  # type: ignore[import-untyped]
from moto.s3.exceptions import EntityTooSmall, InvalidPart, InvalidPartOrder, NoSuchUpload, S3ClientError
from moto.s3.models import FakeKey, FakeMultipart

from local.checksums import ALGORITHMS, Checksum, composite, full_object

_SMALLEST_PART = 5 * 1024 * 1024


class BadDigestError(S3ClientError):  # type: ignore[misc]
    """The bytes that came are not those that the checksum describes."""

    code = "BadDigest"

    def __init__(self, checksum: Checksum) -> None:
        super().__init__(
            f"The {checksum.algorithm} you specified did not match the calculated checksum: {checksum.value}."
        )


class InvalidChecksumRequestError(S3ClientError):  # type: ignore[misc]
    """The request's checksums are not those that the upload was created for."""

    code = "InvalidRequest"


@dataclass(frozen=True)
class DeclaredPart:
    """A part as CompleteMultipartUpload names it."""

    number: int
    etag: str
    checksums: tuple[Checksum, ...]


def find_upload(bucket: Any, upload_id: str, key_name: str) -> FakeMultipart:
    """Give an upload. Raises: NoSuchUpload for one that was aborted, completed or never created; moto: a 500."""
    upload = bucket.multiparts.get(upload_id)
    if upload is None or upload.key_name != key_name:
        raise NoSuchUpload(upload_id=upload_id)
    return upload


def algorithm_of(upload: FakeMultipart) -> str | None:
    """Give the algorithm that an upload was created with."""
    return upload.metadata.get("x-amz-checksum-algorithm") or None


def is_composite(upload: FakeMultipart) -> bool:
    """Give whether the object's checksum is made of the parts' checksums; only CRC64NVME is never."""
    kind = upload.metadata.get("x-amz-checksum-type")
    return bool(kind == "COMPOSITE" if kind else algorithm_of(upload) != "CRC64NVME")


def require_algorithm(upload: FakeMultipart, given: Checksum | None) -> None:
    """Refuse a part whose checksum is of another algorithm than the upload's, or is missing where it must be."""
    wanted = algorithm_of(upload)
    if wanted is None or (given is None and not is_composite(upload)):
        return
    found = given.algorithm.lower() if given else "null"
    if given is None or given.algorithm != wanted:
        raise InvalidChecksumRequestError(
            f"Checksum Type mismatch occurred, expected checksum Type: {wanted.lower()}, actual checksum Type: {found}"
        )


def declared_parts(body: bytes) -> list[DeclaredPart]:
    """Give the parts that a CompleteMultipartUpload names, in its order."""
    parts = []
    document = xmltodict.parse(body, force_list=("Part",))["CompleteMultipartUpload"] or {}
    for said in document.get("Part", []):
        checksums = tuple(Checksum(name, said[f"Checksum{name}"]) for name in ALGORITHMS if f"Checksum{name}" in said)
        parts.append(DeclaredPart(int(said["PartNumber"]), said["ETag"].strip('"'), checksums))
    return parts


def check_parts(upload: FakeMultipart, declared: Sequence[DeclaredPart]) -> list[FakeKey]:
    """Give the parts of an upload that are to become the object.

    Raises: InvalidPartOrder, InvalidPart (an unknown part, or another ETag or checksum than it was uploaded with),
    InvalidRequest (a composite checksum needs each part's), EntityTooSmall (under 5 MiB and not the last).
    """
    numbers = [part.number for part in declared]
    if numbers != sorted(set(numbers)):
        raise InvalidPartOrder
    algorithm = algorithm_of(upload)
    parts = []
    for said in declared:
        part = upload.parts.get(said.number)
        if part is None or part.etag.strip('"') != said.etag:
            raise InvalidPart
        kept = part_checksum(part)
        if any(kept is None or checksum != kept for checksum in said.checksums):
            raise InvalidPart
        if algorithm and is_composite(upload) and not said.checksums:
            raise InvalidChecksumRequestError(
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {said.number} in the request."
            )
        parts.append(part)
    if any(part.size < _SMALLEST_PART for part in parts[:-1]):
        raise EntityTooSmall
    return parts


def part_checksum(part: FakeKey) -> Checksum | None:
    """Give the checksum that a part was uploaded with."""
    found: Checksum | None = getattr(part, "given_checksum", None)
    return found


def object_checksum(upload: FakeMultipart, parts: Sequence[FakeKey]) -> Checksum | None:
    """Give the checksum of the object that the parts make; None if not all of them have one of the same kind."""
    given = [part_checksum(part) for part in parts]
    known = [checksum for checksum in given if checksum is not None]
    if not known or len(known) < len(given) or len({checksum.algorithm for checksum in known}) > 1:
        return None
    if is_composite(upload):
        return composite(known)
    return full_object([(checksum, part.size) for checksum, part in zip(known, parts, strict=True)])


def joined(parts: Sequence[FakeKey]) -> tuple[bytes, str]:
    """Give the object's bytes and its ETag: the MD5 of the parts' MD5s, and their number.

    The gap: moto holds an upload's bytes four times while it completes, and checksums them with the wrong CRC.
    """
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    etag = f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    return b"".join(part.value for part in parts), etag
