"""S3: checksums verified and kept, uploads that end, conditional writes that exclude one another."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from moto.core.responses import ActionResult
from moto.s3.exceptions import MalformedXML
from moto.s3.models import FakeKey, FakeMultipart
from moto.s3.responses import S3Response

from local import object_events
from local.checksums import ALGORITHMS, Checksum, checksum_of
from local.clock import ScaledClock
from local.copied_objects import copied_object, require_range
from local.seams import replace
from local.uploads import (
    BadDigestError,
    algorithm_of,
    check_parts,
    declared_parts,
    find_upload,
    is_composite,
    joined,
    object_checksum,
    part_checksum,
    require_algorithm,
)

_OWNER = {"ID": "0" * 64, "DisplayName": "local"}
_TRAILER = re.compile(rb"x-amz-checksum-(\w+):([A-Za-z0-9+/=]+)\s*$")
_writing = threading.RLock()


def install(clock: ScaledClock) -> None:
    """Take over S3's seams; a second call swaps the clock."""
    object_events.install()
    replace(FakeKey, "__init__", lambda original: _stamping(original, clock, "last_modified"))
    replace(FakeMultipart, "__init__", lambda original: _stamping(original, clock, "initiated"))
    replace(FakeMultipart, "complete", lambda _: _join)
    replace(S3Response, "put_object", _putting)
    replace(S3Response, "upload_part", _uploading)
    replace(S3Response, "upload_part_copy", _copying_part)
    replace(S3Response, "copy_object", _copying)
    replace(S3Response, "_key_response_post", _completing)
    replace(S3Response, "list_parts", lambda _: _list_parts)
    replace(S3Response, "list_multipart_uploads", lambda _: _list_uploads)
    replace(S3Response, "head_object", _heading)


def _stamping(original: Any, clock: ScaledClock, name: str) -> Any:
    """Objects and uploads are as old as the simulated clock says; moto's uploads are all of 2010."""

    def __init__(item: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(item, *args, **kwargs)
        setattr(item, name, clock.now().replace(tzinfo=None))

    return __init__


def _given(response: S3Response) -> Checksum | None:
    """Give the checksum that a request carries in a header, or behind an aws-chunked body."""
    for algorithm in ALGORITHMS:
        if value := response.headers.get(f"x-amz-checksum-{algorithm.lower()}"):
            return Checksum(algorithm, value)
    if "x-amz-trailer" in response.headers and (found := _TRAILER.search(response.raw_body[-512:])):
        return Checksum(found[1].decode().upper(), found[2].decode())
    return None


def _verified(response: S3Response) -> Checksum | None:
    """Give a request's checksum. Raises: BadDigestError when the body has another; moto believes any."""
    given = _given(response)
    if given is not None and not given.matches(response.body or b""):
        raise BadDigestError(given)
    return given


def _putting(original: Any) -> Any:
    """The gap: moto keeps a wrong checksum, forgets one given by its header alone, and lets two of two conditional
    writers win. S3 sends one event for a Put, whatever tags came with it.
    """

    def put_object(response: S3Response) -> Any:
        checksum = _verified(response)
        conditional = "If-None-Match" in response.headers or "If-Match" in response.headers
        with _writing if conditional else nullcontext(), object_events.telling_only(*object_events.PUT):
            status, headers, body = original(response)
            if checksum is not None:
                key = response.backend.get_object(response.bucket_name, response.parse_key_name())
                _keep(key, checksum, "FULL_OBJECT", 1)
        return status, headers | _headers(checksum), body

    return put_object


def _uploading(original: Any) -> Any:
    """The gap: moto answers an unknown upload with a 500, believes any checksum, and forgets it."""

    def upload_part(response: S3Response) -> Any:
        upload = _upload(response)
        checksum = _verified(response)
        require_algorithm(upload, checksum)
        status, headers, body = original(response)
        upload.parts[response._get_int_param("partNumber")].given_checksum = checksum
        return status, headers | _headers(checksum), body

    return upload_part


def _copying_part(original: Any) -> Any:
    """The gap: moto copies what is not what was asked for, shortens a range that reaches too far, and tells no
    checksum; S3 works out that of the upload's algorithm.
    """

    def upload_part_copy(response: S3Response) -> Any:
        upload = _upload(response)
        source = copied_object(response)
        require_range(response.headers.get("x-amz-copy-source-range"), source.size)
        status, headers, _ = original(response)
        part = upload.parts[response._get_int_param("partNumber")]
        algorithm = algorithm_of(upload)
        part.given_checksum = checksum_of(algorithm, part.value) if algorithm else None
        _, named, document = response.serialized(ActionResult({"CopyPartResult": _part(part)}))
        return status, headers | named | {"content-length": str(len(document))}, document

    return upload_part_copy


def _copying(original: Any) -> Any:
    """The gap: moto's CopyObject ignores `x-amz-copy-source-if-match`, and checksums CRC64NVME with the wrong CRC.

    The copy is an object of one part, whatever its source was made of, with an ETag of its own. S3 sends one event for
    it, whatever became of tags.
    """

    def copy_object(response: S3Response) -> Any:
        source = copied_object(response)
        algorithm = response.headers.get("x-amz-checksum-algorithm") or source.checksum_algorithm
        with object_events.telling_only(object_events.COPY):
            status, headers, _ = original(response)
        headers.pop("Checksum", None)  # no header of S3's, and no text
        key = response.backend.get_object(response.bucket_name, response.parse_key_name())
        key.multipart, key._etag = None, None
        if algorithm and (checksum := checksum_of(algorithm, key.value)):
            _keep(key, checksum, "FULL_OBJECT", 1)
        told = {"ETag": key.etag, "LastModified": key.last_modified_ISO8601, **_checksum_fields(key)}
        _, named, document = response.serialized(ActionResult({"CopyObjectResult": told}))
        return status, headers | named | {"content-length": str(len(document))}, document

    return copy_object


def _upload(response: S3Response) -> FakeMultipart:
    bucket = response.backend.get_bucket(response.bucket_name)
    return find_upload(bucket, response._get_param("uploadId"), response.parse_key_name())


def _join(upload: FakeMultipart, body: Iterator[tuple[int, str]]) -> tuple[bytes, str, None]:
    """Stand in for moto's FakeMultipart.complete; the parts have been checked by then."""
    value, etag = joined([upload.parts[number] for number, _ in body])
    return value, etag, None


def _completing(original: Any) -> Any:
    """The gap: moto ignores checksums and the parts' order, answers a lost upload with a 500, and tells no checksum.

    Repeating the call that made the object gives the same answer, as S3 does.
    """

    def _key_response_post(
        response: S3Response, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str
    ) -> Any:
        if not query.get("uploadId"):
            return original(response, request, body, bucket_name, query, key_name)
        with _writing:
            checksum = None
            bucket = response.backend.get_bucket(bucket_name)
            upload_id = query["uploadId"][0]
            made = bucket.keys.get(key_name)
            repeated = getattr(getattr(made, "multipart", None), "id", None) == upload_id
            if not repeated:
                upload = find_upload(bucket, upload_id, key_name)
                checksum = _checked(upload, body, _given(response))
            status, headers, _ = original(response, request, body, bucket_name, query, key_name)
            key = bucket.keys.get(key_name)
            if checksum is not None:
                kind = "COMPOSITE" if is_composite(upload) else "FULL_OBJECT"
                _keep(key, checksum, kind, len(upload.parts))
        told = {"Location": response.uri, "Bucket": bucket_name, "Key": key_name, "ETag": key.etag}
        told |= _checksum_fields(key)
        _, named, document = response.serialized(ActionResult(told))
        return status, headers | named, document

    return _key_response_post


def _checked(upload: FakeMultipart, body: bytes, expected: Checksum | None) -> Checksum | None:
    """Give the checksum of the object to be, after everything that S3 refuses has been looked for."""
    declared = declared_parts(body)
    if not declared:
        raise MalformedXML
    parts = check_parts(upload, declared)
    found = object_checksum(upload, parts)
    same = expected is None or found is None or found.value.split("-")[0] == expected.value.split("-")[0]
    if expected is not None and (not same or (found is not None and found.algorithm != expected.algorithm)):
        raise BadDigestError(expected)
    return found


def _keep(key: FakeKey, checksum: Checksum, kind: str, parts: int) -> None:
    key.checksum_algorithm = checksum.algorithm
    key.checksum_value = checksum.value.split("-")[0]
    key.checksum_type = kind
    key.checksum_parts = parts


def _headers(checksum: Checksum | None) -> dict[str, str]:
    return {checksum.header: checksum.value} if checksum is not None else {}


def _checksum_fields(key: FakeKey) -> dict[str, str]:
    """Give an object's checksum as S3's documents name it, a composite one with its number of parts."""
    if not key.checksum_algorithm or not key.checksum_value:
        return {}
    suffix = f"-{key.checksum_parts}" if key.checksum_type == "COMPOSITE" else ""
    return {f"Checksum{key.checksum_algorithm}": f"{key.checksum_value}{suffix}", "ChecksumType": key.checksum_type}


def _heading(original: Any) -> Any:
    """The gap: moto's HeadObject leaves out how many parts a composite checksum has, and its type."""

    def head_object(
        response: S3Response, bucket_name: str, query: dict[str, Any], key_name: str, headers: dict[str, Any]
    ) -> Any:
        status, told, body = original(response, bucket_name, query, key_name, headers)
        key = response.backend.get_object(bucket_name, key_name) if status == 200 else None
        if key is not None and headers.get("x-amz-checksum-mode") == "ENABLED" and "partNumber" not in query:
            for field, value in _checksum_fields(key).items():
                told[f"x-amz-checksum-{field.removeprefix('Checksum').lower()}"] = value
        return status, told, body

    return head_object


def _list_parts(response: S3Response) -> Any:
    """Serve ListParts with checksums, paged by part number; moto has no checksums and pages by position."""
    upload = _upload(response)
    marker = response._get_int_param("part-number-marker", 0)
    most = min(response._get_int_param("max-parts", 1000), 1000)
    later = [number for number in upload.partlist if number > marker]
    page = [upload.parts[number] for number in later[:most]]
    algorithm = algorithm_of(upload)
    told = {
        "Bucket": response.bucket_name,
        "Key": upload.key_name,
        "UploadId": upload.id,
        "StorageClass": "STANDARD",
        "Initiator": _OWNER,
        "Owner": _OWNER,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": later[len(page) - 1] if page else 0,
        "MaxParts": most,
        "IsTruncated": len(later) > len(page),
        "Parts": [_part(part) for part in page],
    }
    if algorithm:
        told |= {"ChecksumAlgorithm": algorithm, "ChecksumType": "COMPOSITE" if is_composite(upload) else "FULL_OBJECT"}
    response.data["Action"] = "ListParts"
    return response.serialized(ActionResult(told))


def _part(part: FakeKey) -> dict[str, Any]:
    checksum = part_checksum(part)
    told = {
        "PartNumber": part.name,
        "LastModified": part.last_modified_ISO8601,
        "ETag": part.etag,
        "Size": part.size,
    }
    return told | ({checksum.field: checksum.value} if checksum else {})


def _list_uploads(response: S3Response) -> Any:
    """Serve ListMultipartUploads by prefix and in order, each with when it began; moto says 2010."""
    prefix = response.querystring.get("prefix", [""])[0] or ""
    bucket = response.backend.get_bucket(response.bucket_name)
    uploads = sorted(
        (upload for upload in list(bucket.multiparts.values()) if upload.key_name.startswith(prefix)),
        key=lambda upload: (upload.key_name, upload.initiated),
    )
    told = {
        "Bucket": response.bucket_name,
        "Prefix": prefix,
        "MaxUploads": 1000,
        "IsTruncated": False,
        "Uploads": [
            {
                "Key": upload.key_name,
                "UploadId": upload.id,
                "Initiator": _OWNER,
                "Owner": _OWNER,
                "StorageClass": "STANDARD",
                "Initiated": upload.initiated,
                "ChecksumAlgorithm": algorithm_of(upload),
                "ChecksumType": upload.metadata.get("x-amz-checksum-type"),
            }
            for upload in uploads
        ],
    }
    response.data["Action"] = "ListMultipartUploads"
    return response.serialized(ActionResult(told))
