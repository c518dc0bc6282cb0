"""CRC64NVME, the one checksum that S3 keeps of a whole object however it was uploaded.

awscrt is imported where it is used: it takes 80 ms of a cold start, for which only the copier and the sealer have a
reason, and it lies in a layer that only these have.
Source: Amazon S3 user guide, "Checking object integrity": full object checksums of multipart uploads.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable

WIDTH_BYTES = 8


def crc64nvme(body: bytes | bytearray | memoryview, so_far: int = 0) -> int:
    """Return the CRC of bytes that come after those with the CRC `so_far`."""
    from awscrt.checksums import crc64nvme as continued  # noqa: PLC0415 (see above)

    crc: int = continued(body, so_far)
    return crc


def joined(parts: Iterable[tuple[int, int]]) -> int:
    """Return the CRC of a whole from CRC and size in bytes of each of its parts, in order."""
    from awscrt.checksums import combine_crc64nvme  # noqa: PLC0415 (see above)

    crc = 0
    for part, size_bytes in parts:
        crc = combine_crc64nvme(crc, part, size_bytes)
    return crc


def encoded(crc: int) -> str:
    """Return a CRC as S3 writes it: big-endian, base64."""
    return b64encode(crc.to_bytes(WIDTH_BYTES, "big")).decode()


def decoded(text: str) -> int:
    """Return a CRC that S3 wrote."""
    return int.from_bytes(b64decode(text), "big")
