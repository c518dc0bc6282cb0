"""A tar.gz as it comes: equal content is equal bytes, whoever packs it, and of any size without holding it.

Nothing of an archive tells when, by whom or with which zlib it was made: times and owners are zero, names are sorted,
and gzip holds its blocks as they are. (Two builds of zlib compress the same bytes to different ones, and weights do not
get smaller.) So its size is known before a byte of it is read.

Sources: RFC 1951, 3.2.4, and RFC 1952, 2.3; POSIX.1-2001, pax, for names of 100 bytes and more.
"""

import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from pilotlight.domain.errors import BodyCutShort
from pilotlight.domain.values import Model

_GZIP_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"  # deflate, no flags, no time, no system
_GZIP_TRAILER_BYTES = 8
_STORED_MOST = 0xFFFF
_BLOCK_HEADER_BYTES = 5


class Entry(Model):
    """One file of an archive: its name there, and its content, or the `key` at which that lies in the bucket."""

    path: str
    size_bytes: int
    content: bytes | None = None
    key: str | None = None


Reader = Callable[[Entry], Iterable[bytes]]


def packed(entries: Sequence[Entry], read: Reader) -> Iterator[bytes]:
    """Yield the tar.gz of these files, in pieces of 64 KiB at most.

    Raises: BodyCutShort for a content of another length than its entry tells, and whatever `read` raises.
    """
    return _gzipped(_tarred(entries, read))


def packed_bytes(entries: Sequence[Entry]) -> int:
    """Return how long the tar.gz of these files is."""
    held = sum(len(_header(each)) + each.size_bytes + _padding(each.size_bytes, tarfile.BLOCKSIZE) for each in entries)
    tar = held + _ending(held)
    blocks = -(-tar // _STORED_MOST)
    return len(_GZIP_HEADER) + tar + blocks * _BLOCK_HEADER_BYTES + _GZIP_TRAILER_BYTES


def _tarred(entries: Sequence[Entry], read: Reader) -> Iterator[bytes]:
    written = 0
    for entry in sorted(entries, key=lambda each: each.path):
        header, padding = _header(entry), _padding(entry.size_bytes, tarfile.BLOCKSIZE)
        yield header
        arrived = 0
        for piece in read(entry):
            arrived += len(piece)
            yield piece
        if arrived != entry.size_bytes:
            raise BodyCutShort(f"{entry.path}: {arrived:,} of {entry.size_bytes:,} bytes arrived. Try again.")
        yield bytes(padding)
        written += len(header) + arrived + padding
    yield bytes(_ending(written))


def _header(entry: Entry) -> bytes:
    """Return what stands before a file's content: mode 0644, and nobody's."""
    told = tarfile.TarInfo(entry.path)
    told.size = entry.size_bytes
    return told.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int, unit: int) -> int:
    return -size % unit


def _ending(written: int) -> int:
    """Return how many zeros end a tar file: two blocks, and as many as fill its last record."""
    end = 2 * tarfile.BLOCKSIZE
    return end + _padding(written + end, tarfile.RECORDSIZE)


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a gzip file of blocks that are stored as they are."""
    yield _GZIP_HEADER
    held, checksum, size = bytearray(), 0, 0
    for piece in pieces:
        checksum, size = zlib.crc32(piece, checksum), size + len(piece)
        held += piece
        while len(held) > _STORED_MOST:  # whatever is held at the end is the last block
            yield _stored(held[:_STORED_MOST], last=False)
            del held[:_STORED_MOST]
    yield _stored(held, last=True)
    yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _stored(block: bytearray, *, last: bool) -> bytes:
    return struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
