"""S3's checksums: computed, compared, and joined from the parts of an upload."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

# Where the SDK's C runtime is not installed, pure Python takes its place for small data.
_CRT: Any = import_module("awscrt.checksums") if find_spec("awscrt") else None

# Source: the CRC catalogue; all three are reflected, begin with ones and end with ones.
_POLYNOMIALS = {"CRC32": 0xEDB88320, "CRC32C": 0x82F63B78, "CRC64NVME": 0x9A6C9329AC4BC9B5}
_WIDTHS = {"CRC32": 32, "CRC32C": 32, "CRC64NVME": 64}
_HASHES: dict[str, Callable[[bytes], bytes]] = {
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
ALGORITHMS = (*_POLYNOMIALS, *_HASHES)
# A table of 256 entries in pure Python passes some 10 MB/s: larger data is trusted where there is no awscrt.
_LARGEST_IN_PYTHON = 1024 * 1024


@dataclass(frozen=True)
class Checksum:
    """A checksum as S3 writes it: the algorithm and the base64 of its big-endian bytes."""

    algorithm: str
    value: str

    @property
    def header(self) -> str:
        """Give the header that carries it."""
        return f"x-amz-checksum-{self.algorithm.lower()}"

    @property
    def field(self) -> str:
        """Give the name that it has in S3's documents."""
        return f"Checksum{self.algorithm}"

    @property
    def digest(self) -> bytes:
        """Give its bytes; raises ValueError for what is no base64."""
        return base64.b64decode(self.value, validate=True)

    def matches(self, data: bytes) -> bool:
        """Give whether it is the data's; too much data for pure Python is taken on trust."""
        computed = checksum_of(self.algorithm, data)
        return computed is None or computed == self


def checksum_of(algorithm: str, data: bytes) -> Checksum | None:
    """Give the data's checksum; None where only pure Python could say and it would take seconds."""
    if algorithm in _HASHES:
        return _checksum(algorithm, _HASHES[algorithm](data))
    if algorithm == "CRC32":
        return _checksum(algorithm, binascii.crc32(data).to_bytes(4, "big"))
    width = _WIDTHS[algorithm] // 8
    if _CRT is not None:
        compute = _CRT.crc32c if algorithm == "CRC32C" else _CRT.crc64nvme
        return _checksum(algorithm, int(compute(data)).to_bytes(width, "big"))
    if len(data) > _LARGEST_IN_PYTHON:
        return None
    return _checksum(algorithm, _crc(algorithm, data).to_bytes(width, "big"))


def composite(parts: Sequence[Checksum]) -> Checksum:
    """Give the checksum of the parts' checksums, with the number of parts behind it."""
    whole = checksum_of(parts[0].algorithm, b"".join(part.digest for part in parts))
    if whole is None:
        raise ValueError(f"{len(parts)} parts are more than S3 takes.")
    return Checksum(whole.algorithm, f"{whole.value}-{len(parts)}")


def full_object(parts: Sequence[tuple[Checksum, int]]) -> Checksum:
    """Give the checksum of the whole object from its parts' checksums and sizes, without reading a byte."""
    algorithm = parts[0][0].algorithm
    polynomial, width = _POLYNOMIALS[algorithm], _WIDTHS[algorithm]
    total = int.from_bytes(parts[0][0].digest, "big")
    for part, size in parts[1:]:
        shifted = _multiply(_x_to_the(8 * size, polynomial, width), total, polynomial, width)
        total = shifted ^ int.from_bytes(part.digest, "big")
    return _checksum(algorithm, total.to_bytes(width // 8, "big"))


def _checksum(algorithm: str, digest: bytes) -> Checksum:
    return Checksum(algorithm, base64.b64encode(digest).decode())


def _crc(algorithm: str, data: bytes) -> int:
    table = _table(_POLYNOMIALS[algorithm])
    ones = (1 << _WIDTHS[algorithm]) - 1
    crc = ones
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ ones


@lru_cache(maxsize=4)
def _table(polynomial: int) -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        entry = byte
        for _ in range(8):
            entry = (entry >> 1) ^ (polynomial if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


def _multiply(one: int, other: int, polynomial: int, width: int) -> int:
    """Multiply two polynomials modulo the generator, all with their lowest power in the highest bit."""
    product = 0
    bit = 1 << (width - 1)
    while bit:
        if one & bit:
            product ^= other
        other = (other >> 1) ^ (polynomial if other & 1 else 0)
        bit >>= 1
    return product


def _x_to_the(power: int, polynomial: int, width: int) -> int:
    """Give x to a power modulo the generator, by squaring."""
    result, square = 1 << (width - 1), 1 << (width - 2)
    while power:
        if power & 1:
            result = _multiply(result, square, polynomial, width)
        square = _multiply(square, square, polynomial, width)
        power >>= 1
    return result
