"""Parts of weights on their way into S3 while they are still coming: signed, and checked by S3 against their CRC.

botocore prepares, signs and sends such a request. The body is ours: botocore would hold a part, or read it twice, to
know its checksum beforehand; here that follows the bytes, as a trailer of an aws-chunked body.
Source: Amazon S3 API reference, "Signature calculations: transferring payloads with trailing headers".
"""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.adapters.crc64nvme import crc64nvme, encoded
from pilotlight.domain.errors import NotFound, PilotlightError
from pilotlight.domain.source import Piece, joined

FRAME_BYTES = 1024 * 1024  # of a chunk of the body; S3 takes none under 8 KiB, and less than this costs CPU
UPLOAD_GONE = "NoSuchUpload"

_TRAILER = "x-amz-checksum-crc64nvme"
_LAST_FRAME = b"0\r\n" + _TRAILER.encode() + b":"
_END = b"\r\n\r\n"
_ENCODED_CRC_BYTES = 12


class FramedBody(io.RawIOBase):
    """A body in aws-chunked frames, its CRC64NVME behind the last one; read once, and from its beginning.

    `trouble` is what the bytes' own source raised.
    """

    def __init__(self, pieces: Iterable[Piece], size_bytes: int) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self.trouble: PilotlightError | None = None
        self._frames = self._framed(pieces)
        self._frame = memoryview(b"")

    def __len__(self) -> int:
        """Return how long the body is with its frames."""
        full, rest = divmod(self.size_bytes, FRAME_BYTES)
        frames = full * _frame_bytes(FRAME_BYTES) + (_frame_bytes(rest) if rest else 0)
        return frames + len(_LAST_FRAME) + _ENCODED_CRC_BYTES + len(_END)

    def __bool__(self) -> bool:
        return True

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return some of the body, a frame where one fits as it is; all of it without a size; nothing at its end."""
        if size < 0:
            return bytes(self._frame) + joined(self._frames)
        if not self._frame:
            self._frame = memoryview(next(self._frames, b""))
        taken, self._frame = self._frame[:size], self._frame[size:]
        return taken.obj if len(taken) == len(taken.obj) else bytes(taken)  # type: ignore[return-value, arg-type]

    def _framed(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        crc = 0
        before = b""  # the end of the frame before travels with the next one's head
        try:
            for piece in _exactly(FRAME_BYTES, pieces):
                crc = crc64nvme(piece, crc)
                yield before + b"%x\r\n" % len(piece)
                yield piece
                before = b"\r\n"
        except PilotlightError as exc:
            self.trouble = exc
            raise
        yield before + _LAST_FRAME + encoded(crc).encode() + _END


class PartUpload:
    """Sends parts; the client must not try a request twice, whose body can be read but once."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        client.meta.events.register("before-sign.s3.UploadPart", _announce)
        _send_whole_frames(client)

    def send(self, key: str, upload_id: str, number: int, size_bytes: int, pieces: Iterable[Piece]) -> None:
        """Upload one part.

        Raises: NotFound when the upload is gone; what `pieces` raises; Throttled, Unavailable, AccessDenied.
        """
        body = FramedBody(pieces, size_bytes)
        with translated(f"uploading part {number} of {key}"):
            try:
                self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)
            except ClientError as exc:
                if code_of(exc) == UPLOAD_GONE:
                    raise NotFound(f"The upload of {key} is over or was aborted.", key=key) from exc
                raise
            except BotoCoreError as exc:
                if body.trouble:
                    raise body.trouble from exc
                raise


def _send_whole_frames(client: Any) -> None:
    """Let a client send a MiB at a time: 16 KiB, for which botocore has no setting, cost half as much CPU again."""
    client._endpoint.http_session._manager.connection_pool_kw["blocksize"] = FRAME_BYTES


def _announce(request: Any, **_: Any) -> None:
    """Say what the body of an UploadPart is before it is signed, where it is one of ours."""
    if not isinstance(request.data, FramedBody):
        return
    request.headers["Content-Encoding"] = "aws-chunked"
    request.headers["X-Amz-Trailer"] = _TRAILER
    request.headers["X-Amz-Decoded-Content-Length"] = str(request.data.size_bytes)
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}


def _frame_bytes(size_bytes: int) -> int:
    return len(b"%x" % size_bytes) + 2 + size_bytes + 2


def _exactly(size_bytes: int, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the same bytes in pieces of one size; only the last may be shorter."""
    held = bytearray()
    for piece in pieces:
        if not held and len(piece) == size_bytes:
            yield piece
            continue
        held += piece
        while len(held) >= size_bytes:
            yield bytes(held[:size_bytes])
            del held[:size_bytes]
    if held:
        yield bytes(held)
