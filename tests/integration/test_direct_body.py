"""Bodies that are read straight from a socket: whole, in pieces of one size, on a connection that is used again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import urllib3
from pilotlight.adapters.direct_body import pieces_of
from urllib3.exceptions import IncompleteRead

BODY = bytes(range(256)) * 400  # 102,400 bytes, more than what is read with a head
PIECE_BYTES = 30_000


class Serving:
    """A server of one body, in the ways of `answers`; it counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.answers: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # whoever waits there wakes
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            while sock.recv(65536):
                answer = self.answers.pop(0)
                sock.sendall(answer)
                if answer != whole(BODY) and b"chunked" not in answer:
                    return


@pytest.fixture
def serving() -> Iterator[Serving]:
    serving = Serving()
    yield serving
    serving.close()


def whole(body: bytes, promised: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body) if promised is None else promised, body)


def get(pool: urllib3.PoolManager, serving: Serving, *answers: bytes) -> urllib3.BaseHTTPResponse:
    serving.answers += answers
    return pool.request("GET", serving.url, preload_content=False, retries=False)


def test_a_body_comes_whole_in_pieces_of_one_size(serving: Serving):
    with urllib3.PoolManager() as pool:
        pieces = [bytes(piece) for piece in pieces_of(get(pool, serving, whole(BODY)), PIECE_BYTES)]

    assert b"".join(pieces) == BODY
    assert [len(piece) for piece in pieces] == [30_000, 30_000, 30_000, 12_400]


def test_the_connection_is_used_again(serving: Serving):
    with urllib3.PoolManager() as pool:
        for _ in range(3):
            last = None
            for piece in pieces_of(get(pool, serving, whole(BODY)), PIECE_BYTES):
                last = bytes(piece)
            assert last == BODY[-12_400:]

    assert serving.connections == 1


def test_a_piece_that_is_kept_is_good_no_more(serving: Serving):
    with urllib3.PoolManager() as pool:
        kept = list(pieces_of(get(pool, serving, whole(BODY)), PIECE_BYTES))

    with pytest.raises(ValueError, match="released"):
        bytes(kept[0])


@pytest.mark.parametrize("arrived", [0, 100, 40_000])
def test_a_body_that_ends_early_is_no_body(serving: Serving, arrived):
    with urllib3.PoolManager() as pool:
        response = get(pool, serving, whole(BODY[:arrived], promised=len(BODY)))
        with closing(response), pytest.raises(IncompleteRead):
            list(pieces_of(response, PIECE_BYTES))


def test_a_body_of_no_promised_length_is_read_by_urllib3(serving: Serving):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

    with urllib3.PoolManager() as pool:
        assert b"".join(map(bytes, pieces_of(get(pool, serving, chunked), PIECE_BYTES))) == BODY


def test_an_empty_body_has_no_piece(serving: Serving):
    with urllib3.PoolManager() as pool:
        assert not list(pieces_of(get(pool, serving, whole(b"")), PIECE_BYTES))
