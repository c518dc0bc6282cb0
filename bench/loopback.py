"""A hub and an S3 that are never the bottleneck: TLS on loopback, a process for each connection, bytes from memory.

    python -m bench.loopback CERTIFICATE KEY BYTES [--verify]

Prints its two ports as JSON, and serves until its stdin ends. The hub answers any GET with a range of one file; the S3
takes multipart uploads and throws their bytes away. With `--verify` it looks at each part as S3 would: that the request
is signed, that the trailer is the CRC64NVME of the body; and that the body is the file's.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

PERIOD_BYTES = 8 * 1024 * 1024  # the file's bytes repeat after these
ETAG = "d41d8cd98f00b204e9800998ecf8427e"  # what S3 answers; no peer compares it  # pragma: allowlist secret
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def file_period() -> bytes:
    """Return the bytes that the file repeats: the same ones in each process."""
    return b"".join(number.to_bytes(8, "big") * 128 for number in range(PERIOD_BYTES // 1024))


class Connection:
    """One connection, from its first request to its end."""

    def __init__(self, sock: ssl.SSLSocket, period: bytes, file_bytes: int, *, verify: bool) -> None:
        self._sock = sock
        self._file_bytes = file_bytes
        self._period = memoryview(period)
        self._verify = verify
        self._held = b""
        self._buffer = bytearray(1024 * 1024)

    def serve(self) -> None:
        """Answer one request after the other."""
        while head := self._head():
            line, *fields = head.split("\r\n")
            method, target, _ = line.split(" ")
            headers = {name.lower(): value.strip() for name, value in (field.split(":", 1) for field in fields)}
            if headers.get("expect", "").lower() == "100-continue":
                self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if method in ("GET", "HEAD"):
                self._read(method, target, headers)
            else:
                self._write(method, target, headers)

    def _head(self) -> str:
        while b"\r\n\r\n" not in self._held:
            received = self._sock.recv(65536)
            if not received:
                return ""
            self._held += received
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    def _read(self, method: str, target: str, headers: dict[str, str]) -> None:
        if "uploadId=" in target:
            self._answer("200 OK", f'<?xml version="1.0"?><ListPartsResult xmlns="{NAMESPACE}"/>')
            return
        first, last, status = 0, self._file_bytes - 1, "200 OK"
        if wanted := _RANGE.match(headers.get("range", "")):
            first, last = int(wanted[1]), int(wanted[2]) if wanted[2] else last
            status = "206 Partial Content"
        whole = self._file_bytes
        more = f'Content-Range: bytes {first}-{last}/{whole}\r\nAccept-Ranges: bytes\r\nETag: "{ETAG}"\r\n'
        self._sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {last + 1 - first}\r\n{more}\r\n".encode())
        if method == "GET":
            for piece in self._bytes(first, last + 1 - first):
                self._sock.sendall(piece)

    def _bytes(self, offset: int, size_bytes: int) -> Iterator[memoryview]:
        at, left = offset % PERIOD_BYTES, size_bytes
        while left:
            piece = self._period[at : at + left]
            yield piece
            left -= len(piece)
            at = 0

    def _write(self, method: str, target: str, headers: dict[str, str]) -> None:
        pieces = self._chunks() if "chunked" in headers.get("transfer-encoding", "") else self._sized(headers)
        if self._verify and method == "PUT":
            wrong = _what_is_wrong(headers, b"".join(map(bytes, pieces)))
            self._answer("400 Bad Request" if wrong else "200 OK", wrong)
            return
        for _ in pieces:
            pass
        if method == "PUT":
            self._answer("200 OK", "")
        elif "uploadId" in target:
            self._tell("CompleteMultipartUploadResult", f'<ETag>"{ETAG}-1"</ETag><Bucket>b</Bucket><Key>k</Key>')
        else:
            self._tell("InitiateMultipartUploadResult", "<Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>")

    def _tell(self, name: str, told: str) -> None:
        self._answer("200 OK", f'<{name} xmlns="{NAMESPACE}">{told}</{name}>')

    def _sized(self, headers: dict[str, str]) -> Iterator[memoryview | bytes]:
        left = int(headers.get("content-length", "0"))
        held, self._held = self._held[:left], self._held[left:]
        yield held
        left -= len(held)
        view = memoryview(self._buffer)
        while left:
            received = self._sock.recv_into(view, min(left, len(view)))
            if not received:
                raise ConnectionError
            yield view[:received]
            left -= received

    def _chunks(self) -> Iterator[memoryview | bytes]:
        while True:
            while b"\r\n" not in self._held:
                self._held += self._sock.recv(65536)
            size, _, self._held = self._held.partition(b"\r\n")
            yield from self._sized({"content-length": str(int(size, 16))})
            end = b"".join(map(bytes, self._sized({"content-length": "2"})))
            if int(size, 16) == 0 or end != b"\r\n":
                return

    def _answer(self, status: str, body: str) -> None:
        more = f'ETag: "{ETAG}"\r\nContent-Type: application/xml\r\n'
        self._sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode())


def _what_is_wrong(headers: dict[str, str], encoded: bytes) -> str:
    """Return what S3 would refuse of a part, or nothing."""
    from awscrt.checksums import crc64nvme

    if "Signature=" not in headers.get("authorization", ""):
        return "not signed"
    body, trailer = bytearray(), b""
    rest = memoryview(encoded)
    while True:
        end = bytes(rest[:32]).index(b"\r\n")
        size = int(bytes(rest[:end]), 16)
        if size == 0:
            trailer = bytes(rest[end + 2 :]).strip()
            break
        body += rest[end + 2 : end + 2 + size]
        rest = rest[end + 2 + size + 2 :]
    crc = base64.b64encode(crc64nvme(bytes(body)).to_bytes(8, "big"))
    if trailer != b"x-amz-checksum-crc64nvme:" + crc:
        return "not its checksum"
    return "" if bytes(body) == (file_period() * (len(body) // PERIOD_BYTES + 1))[: len(body)] else "not its bytes"


def serve(certificate: Path, key: Path, file_bytes: int, *, verify: bool) -> None:
    """Serve both until stdin ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    period = file_period()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    ports = []
    for _ in ("hub", "s3"):
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        ports.append(listening.getsockname()[1])
        if os.fork() == 0:
            _accept(listening, context, period, file_bytes, verify=verify)
        listening.close()
    sys.stdout.write(json.dumps({"hub": ports[0], "s3": ports[1]}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)


def _accept(listening: socket.socket, context: ssl.SSLContext, period: bytes, file_bytes: int, *, verify: bool) -> None:
    while True:
        sock, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError, ValueError):
                secure = context.wrap_socket(sock, server_side=True)
                Connection(secure, period, file_bytes, verify=verify).serve()
            os._exit(0)
        sock.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("certificate", type=Path)
    parser.add_argument("key", type=Path)
    parser.add_argument("bytes", type=int)
    parser.add_argument("--verify", action="store_true")
    given = parser.parse_args()
    serve(given.certificate, given.key, given.bytes, verify=given.verify)
