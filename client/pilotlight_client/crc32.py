"""CRC32 as S3 keeps it: of a range of a file, and of a whole from its parts', without reading a byte again.

Joining is polynomial arithmetic: the CRC of what came before is multiplied by x^(8·size) and the next one is added.
Source: zlib, crc32_combine.
"""

import zlib
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

READ_BYTES = 1024 * 1024
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31  # the lowest power is in the highest bit
_X = 1 << 30


def crc32_of(path: Path, offset: int, size_bytes: int) -> int:
    """Return the CRC32 of a range of a file, or of what there is of it."""
    crc, left = 0, size_bytes
    with path.open("rb") as file:
        file.seek(offset)
        while left and (chunk := file.read(min(READ_BYTES, left))):
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
    return crc


def joined(parts: Iterable[tuple[int, int]]) -> int:
    """Return the CRC32 of a whole from CRC32 and size in bytes of each of its parts, in order."""
    crc = 0
    for part, size_bytes in parts:
        crc = _multiplied(_x_to_the(8 * size_bytes), crc) ^ part
    return crc


def encoded(crc: int) -> str:
    """Return a CRC32 as S3 writes it: big-endian, base64."""
    return b64encode(crc.to_bytes(4, "big")).decode()


def _multiplied(one: int, other: int) -> int:
    product, bit = 0, _ONE
    while bit:
        if one & bit:
            product ^= other
        other = (other >> 1) ^ (_POLYNOMIAL if other & 1 else 0)
        bit >>= 1
    return product


def _x_to_the(power: int) -> int:
    result, square = _ONE, _X
    while power:
        if power & 1:
            result = _multiplied(result, square)
        square = _multiplied(square, square)
        power >>= 1
    return result
