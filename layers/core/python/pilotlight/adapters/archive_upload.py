"""Writing an archive of objects into their own bucket: read by ranges, sent in parts while the next one is read.

At no time is more held than the part that is being filled, those that are on their way, and one range.
"""

import zlib
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.archive import Entry, packed, packed_bytes
from pilotlight.domain.errors import BodyCutShort, NotFound, PilotlightError

MIB = 1024 * 1024
PART_BYTES = 16 * MIB
PARTS_ON_THEIR_WAY = 4
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


def crc32(body: bytes) -> str:
    """Return the CRC32 of a body as S3 writes it: big-endian, base64."""
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


class ArchiveUpload:
    """Writes tar.gz files by multipart uploads of its own: what fails leaves nothing behind, and no object."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write(self, key: str, entries: Sequence[Entry]) -> None:
        """Write the archive of these entries.

        Raises: BodyCutShort; NotFound for an object that is not there; Throttled, Unavailable, AccessDenied.
        """
        with translated(f"starting the upload of {key}"):
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ChecksumAlgorithm="CRC32")
        upload_id = str(upload["UploadId"])
        with ExitStack() as undo:
            undo.callback(self._abort, key, upload_id)
            last = -(-packed_bytes(entries) // PART_BYTES)
            parts = self._send(key, upload_id, _parts_of(packed(entries, self._read)), last)
            with translated(f"completing the upload of {key}"):
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
            undo.pop_all()

    def _send(self, key: str, upload_id: str, bodies: Iterable[bytes], last: int) -> list[dict[str, Any]]:
        """Upload parts, each while the next ones are read; return them as CompleteMultipartUpload wants them.

        After the last one nothing is read, so it takes no thread: an archive of one part takes none at all.
        """
        sent: list[dict[str, Any]] = []
        own: list[dict[str, Any]] = []
        under_way: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(PARTS_ON_THEIR_WAY) as pool:
            for number, body in enumerate(bodies, start=1):
                if number == last:
                    own.append(self._send_part(key, upload_id, number, body))
                    continue
                if len(under_way) == PARTS_ON_THEIR_WAY:
                    sent.append(under_way.popleft().result())
                under_way.append(pool.submit(self._send_part, key, upload_id, number, body))
            sent.extend(each.result() for each in under_way)
        return [*sent, *own]

    def _send_part(self, key: str, upload_id: str, number: int, body: bytes) -> dict[str, Any]:
        checksum = crc32(body)
        with translated(f"uploading part {number} of {key}"):
            answer = self._client.upload_part(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                ChecksumCRC32=checksum,
            )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum}

    def _read(self, entry: Entry) -> Iterator[bytes]:
        """Yield an entry's content, by ranges where it lies in the bucket."""
        if entry.key is None:
            yield entry.content or b""
            return
        for start in range(0, entry.size_bytes, PART_BYTES):
            yield self._range(entry.key, start, min(start + PART_BYTES, entry.size_bytes) - 1)

    def _range(self, key: str, first: int, last: int) -> bytes:
        with translated(f"reading {key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={first}-{last}")
                with closing(answer["Body"]) as body:
                    content: bytes = body.read()
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    raise NotFound(f"There is no {key}, which the manifest names.", key=key) from exc
                raise
        if len(content) != last + 1 - first:
            raise BodyCutShort(f"{key}: {len(content):,} of {last + 1 - first:,} bytes arrived. Try again.")
        return content

    def _abort(self, key: str, upload_id: str) -> None:
        """Abort an upload. One that cannot be is aborted by the bucket's own rule, and no reason to hide why it is."""
        with suppress(PilotlightError), translated(f"aborting the upload of {key}"):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)


def _parts_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts of one size; only the last may be shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)
