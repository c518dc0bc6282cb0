"""Bodies of answers, read straight from their sockets into one buffer that is used again.

urllib3 takes a fresh MiB for each MiB that it reads, and a TLS record passes five layers on its way there: a seventh of
a copier's CPU. It reads the head, and counts and keeps the connections, as ever.
"""

import io
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import IncompleteRead


def pieces_of(response: BaseHTTPResponse, piece_bytes: int) -> Iterator[memoryview]:
    """Yield a body in pieces of one size, the last one shorter. Each is good until the next one is asked for.

    Raises: what urllib3 and sockets raise; IncompleteRead when the body ends before its promised length.
    """
    head: HTTPResponse | None = getattr(response, "_original_response", None)
    sock = getattr(response.connection, "sock", None)
    if head is None or sock is None or head.chunked or not head.length:
        yield from _read(response, piece_bytes)
        return
    response.length_remaining = None  # urllib3 sees nothing of the body
    left = head.length
    buffer = memoryview(bytearray(min(piece_bytes, left)))
    begun = head.read1(min(len(buffer), io.DEFAULT_BUFFER_SIZE))  # what came with the head: nothing is held after this
    while left:
        with buffer[: min(len(buffer), left)] as piece:
            piece[: len(begun)] = begun
            _fill(piece, len(begun), left, sock)
            left -= len(piece)
            begun = b""
            if not left:
                head.close()
                response.release_conn()
            yield piece


def _fill(piece: memoryview, filled: int, left: int, sock: Any) -> None:
    while filled < len(piece):
        count = sock.recv_into(piece[filled:])
        if not count:
            raise IncompleteRead(filled, left - filled)
        filled += count


def _read(response: BaseHTTPResponse, piece_bytes: int) -> Iterator[memoryview]:
    while piece := response.read(piece_bytes, decode_content=False):
        yield memoryview(piece)
