"""A server on this machine that publishes files and lists of them, over TLS, and lies where a test wants it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.hub.transfer import requested_range
from tests.workflows.hooks import HOST, Certificate


@dataclass
class Lie:
    """How an address is answered instead: with these headers, this status and this body, where they are given."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    ignores_range: bool = False


@dataclass
class FileServer:
    """What is published under each path, what is answered instead, and which paths were asked for."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    lies: dict[str, Lie] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def source(self) -> str:
        """Give the list's address."""
        return f"{self.url}/model/list.json"

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Publish a model: its files, and both kinds of list."""
        self.files |= {f"/model/files/{name}": content for name, content in files.items()}
        self.list_as([entry(name, content) for name, content in files.items()])
        lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
        self.files["/model/files/SHA256SUMS"] = "".join(lines).encode()

    def list_as(self, entries: list[dict[str, Any]]) -> None:
        """Publish another list."""
        self.files["/model/list.json"] = json.dumps({"files": entries}).encode()


def entry(name: str, content: bytes, **changes: Any) -> dict[str, Any]:
    """Give a file's entry in a list."""
    digest = hashlib.sha256(content).hexdigest()
    return {"path": name, "url": f"files/{name}", "size_bytes": len(content), "sha256": digest, **changes}


@contextmanager
def serving(certificate: Certificate) -> Iterator[FileServer]:
    """Run the server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            published.asked.append(self.path)
            published.headers.append(dict(self.headers))
            lie = published.lies.get(self.path, Lie())
            content = published.files.get(self.path.partition("?")[0])
            if lie.status is not None or content is None:
                self._send(lie.status or 404, lie.headers, lie.body or b"")
                return
            wanted = None if lie.ignores_range else requested_range(self.headers.get("Range"), len(content))
            if wanted is None:
                self._send(200, lie.headers, content)
            elif wanted[0] >= wanted[1]:
                self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            else:
                start, end = wanted
                told = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}", **lie.headers}
                self._send(206, told, content[start:end], lie.body)

        def _send(self, status: int, headers: dict[str, str], body: bytes, sent: bytes | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if sent is None else sent)
            self.close_connection = self.close_connection or sent is not None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = certificate.served().wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that has seen enough goes away
    published = FileServer(f"https://{HOST}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield published
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
