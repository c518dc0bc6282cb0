"""The Lambda Runtime API of one worker: it hands out invocations and collects what became of them.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True)
class Invocation:
    """One event on its way into a worker."""

    request_id: str
    payload: bytes
    trace_id: str


class Sign(StrEnum):
    """What a worker lets us know."""

    READY = "ready"  # initialised, asks for its first invocation
    ANSWER = "answer"
    ERROR = "error"
    INIT_ERROR = "init-error"
    EXIT = "exit"


@dataclass(frozen=True)
class Report:
    """A sign with the body that came with it."""

    sign: Sign
    body: bytes = b""


class RuntimeApi(ThreadingHTTPServer):
    """Serves one worker on a port of its own; `reports` is what came back, in order."""

    daemon_threads = True

    def __init__(self, function_arn: str, timeout_seconds: int) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeRequest)
        self.function_arn = function_arn
        self.timeout_seconds = timeout_seconds
        self.reports: queue.Queue[Report] = queue.Queue()
        self._next: queue.Queue[Invocation | None] = queue.Queue()
        self._asked = False
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Give what AWS_LAMBDA_RUNTIME_API has to say."""
        return f"127.0.0.1:{self.server_address[1]}"

    def deliver(self, invocation: Invocation) -> None:
        """Give the worker its next invocation."""
        self._next.put(invocation)

    def take(self) -> Invocation | None:
        """Give the next invocation as soon as there is one; None says that there will be none."""
        if not self._asked:
            self._asked = True
            self.reports.put(Report(Sign.READY))
        return self._next.get()

    def stop(self) -> None:
        """Close the port; whatever waits on it is let go."""
        self._next.put(None)
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection for stop()."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection with its end."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a killed worker breaks its connections, and its exit is reported as such."""


class _RuntimeRequest(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one packet

    def do_GET(self) -> None:
        invocation = self.server.take()
        if invocation is None:  # the worker is dead, nobody reads an answer
            self.close_connection = True
            return
        deadline = int((time.time() + self.server.timeout_seconds) * 1000)
        self._send(
            200,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Invoked-Function-Arn": self.server.function_arn,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Trace-Id": invocation.trace_id,
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.removeprefix(_PREFIX)
        if path == "init/error":
            sign = Sign.INIT_ERROR
        elif path.endswith("/error"):
            sign = Sign.ERROR
        else:
            sign = Sign.ANSWER
        self._send(202, b'{"status":"OK"}')
        self.server.reports.put(Report(sign, body))

    def finish(self) -> None:
        """Close both directions, also when the worker died before it read its answer."""
        with contextlib.suppress(OSError):
            super().finish()
        self.rfile.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _body(self) -> bytes:
        """Read what was posted, whole. Raises: ConnectionResetError where the worker was killed while it wrote."""
        if "Content-Length" in self.headers:
            return self._read(int(self.headers["Content-Length"]))
        chunks = []
        while size := int(self._line(), 16):  # the C client sends chunks
            chunks.append(self._read(size))
            self._line()
        self._line()
        return b"".join(chunks)

    def _read(self, size: int) -> bytes:
        read = self.rfile.read(size)
        if len(read) < size:
            raise ConnectionResetError("the worker wrote half an answer")
        return read

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise ConnectionResetError("the worker wrote half an answer")
        return line.strip()
