"""Send a file over HTTP: whole or the range that was asked for, fast, or faulty where a test wants it."""

from __future__ import annotations

import gzip
import io
import re
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from local.hub.faults import Fault, Kind
from local.hub.repositories import File

_PACKED_BYTES = 16 << 20
_MORE_BYTES = 4096
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Server(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1 whose stop also ends the connections that clients keep open."""

    daemon_threads = False  # threads are waited for, so that a stopped server has left nothing running
    request_queue_size = 128

    def __init__(self, handler: type[Exchange]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.stopping = Event()
        self._open: set[socket.socket] = set()
        self._thread = Thread(target=self.serve_forever, args=(0.02,), name="hub", daemon=True)

    @property
    def url(self) -> str:
        """Give the address that clients use."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Return when the port is closed and no request is being served."""
        self.stopping.set()
        self.shutdown()
        for connection in tuple(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster
        self.server_close()
        self._thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that goes away in the middle of an answer is everyday life for a hub."""


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Write nothing; `Hub.requests` tells what came."""

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Send a short answer."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, file: File, headers: dict[str, str], fault: Fault | None) -> None:
        """Send the file, or the one range of it that the request asks for."""
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
        kind = fault.kind if fault else None
        if fault and kind is Kind.SLOW:
            self.server.stopping.wait(fault.amount)
        wanted = None if kind is Kind.WHOLE else requested_range(self.headers.get("Range"), file.size)
        if wanted is None:
            self._send_bytes(200, headers, file, 0, file.size, fault)
            return
        start, end = wanted
        if start >= end:
            self.answer(416, {**headers, "Content-Range": f"bytes */{file.size}"})
            return
        if kind is Kind.WRONG_RANGE:
            start, end = (start - 1, end - 1) if start else (start + 1, min(end + 1, file.size))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        self._send_bytes(206, headers, file, start, end, fault)

    def _send_bytes(
        self, status: int, headers: dict[str, str], file: File, start: int, end: int, fault: Fault | None
    ) -> None:
        if fault and fault.kind is Kind.ENDLESS:
            self._send_endless(status, headers)
            return
        if fault and fault.kind is Kind.PACKED:
            zeros = gzip.compress(bytes(_PACKED_BYTES))
            self.answer(status, {**headers, "Content-Encoding": "gzip"}, zeros)
            return
        more = _MORE_BYTES if fault and fault.kind is Kind.LONGER else 0
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(end - start + more)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault and fault.kind is Kind.CUT:
            end = min(end, start + int(fault.amount))
            self.close_connection = True
        if fault and fault.kind is Kind.OTHER_BYTES and end - start >= fault.amount:
            body = file.read()[start:end]
            self.wfile.write(body[:-1] + bytes([body[-1] ^ 1]))
        elif fault and fault.kind is Kind.DRIP:
            self._drip(file, start, end, fault.amount)
        elif isinstance(file.content, bytes):
            self.wfile.write(file.content[start:end])
        elif end > start:  # sendfile takes a count of 0 as "all of it"
            with file.content.open("rb") as content:
                self.connection.sendfile(content, start, end - start)
        self.wfile.write(bytes(more))

    def _drip(self, file: File, start: int, end: int, seconds: float) -> None:
        for byte in file.read()[start:end]:
            self.wfile.write(bytes([byte]))
            if self.server.stopping.wait(seconds):
                return

    def _send_endless(self, status: int, headers: dict[str, str]) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        block = bytes(io.DEFAULT_BUFFER_SIZE)
        while not self.server.stopping.is_set():
            self.wfile.write(block)
            time.sleep(0.001)  # leaves the processor to whoever must notice that it never ends


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Give start and end (not included) of a Range, or None where the whole file is to be sent.

    A range that the file does not have comes back empty. Several ranges at once are answered with the whole,
    as RFC 9110 allows.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    end = min(size, int(last) + 1) if last else size
    return int(first), end
