"""HTTP servers of the embedded cloud: loopback only, keep-alive, no waiting, and gone when they are stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response

LOOPBACK = "127.0.0.1"
UNREAD = "local.server.unread"
_OURS_TO_SAY = {"connection", "content-length", "transfer-encoding"}
_WITHOUT_BODY = {204, 304}

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class PortTakenError(RuntimeError):
    """Somebody else listens on the port that was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on {LOOPBACK} is taken by another program. Stop it, or choose another port with --port."
        )
        self.port = port


class QuietRequestHandler(WSGIRequestHandler):
    """Serves requests without an access log and without waiting to fill packets."""

    # Headers and body go out as two writes: with Nagle's algorithm each answer would wait some 40 ms
    # for the client's acknowledgement.
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def finish(self) -> None:
        """Close both directions, also when the client left before it read its answer."""
        with contextlib.suppress(OSError):
            super().finish()
        self.rfile.close()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the state machines alone make hundreds of calls a minute."""


class KeepAliveRequestHandler(QuietRequestHandler):
    """Keeps connections open, which werkzeug does not: it cannot know whether the request's body was read.

    The application knows: it sets the event `environ[UNREAD]` when it was not (an event, because what it is given is
    a copy of the environment). Answers are sent whole.
    """

    wbufsize = -1  # headers and body leave in one packet

    def run_wsgi(self) -> None:
        """Answer one request."""
        self.environ = environ = self.make_environ()
        environ[UNREAD] = unread = threading.Event()
        response = Response.from_app(self.server.app, environ, buffered=True)
        body = response.get_data()
        self.send_response(response.status_code)
        for name, value in response.headers:
            if name.lower() not in _OURS_TO_SAY:
                self.send_header(name, value)
        if unread.is_set():
            self.send_header("Connection", "close")
        if response.status_code not in _WITHOUT_BODY:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and response.status_code not in _WITHOUT_BODY:
            self.wfile.write(body)
        self.wfile.flush()


class LoopbackServer(ThreadedWSGIServer):
    """A threaded WSGI server on 127.0.0.1 whose stop also ends idle keep-alive connections."""

    daemon_threads = True

    def __init__(
        self, app: WsgiApplication, port: int = 0, handler: type[BaseHTTPRequestHandler] = QuietRequestHandler
    ) -> None:
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        listener = _listen(port)
        super().__init__(LOOPBACK, port, app, handler=handler, fd=listener.fileno())  # type: ignore[arg-type]
        listener.close()  # the server has its own duplicate by now
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.name = f"http-{self.port}"

    @property
    def url(self) -> str:
        """Give the address to connect to."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Serve in the background from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection; return when nothing is served any more."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._guard:
            left = list(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that stop() can end it while its client still keeps it open."""
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection with its end."""
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that leaves in the middle of an answer is no fault of ours."""


def _listen(port: int) -> socket.socket:
    """Give a listening socket; raises PortTakenError instead of werkzeug's exit of the whole process."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as exc:
        listener.close()
        raise PortTakenError(port) from exc
    listener.listen(128)
    return listener
