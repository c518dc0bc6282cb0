"""Notices reach servers on the public internet over TLS, and nobody else: not by a name, a redirect or a port."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pilotlight.adapters.webhook import HttpsWebhooks
from pilotlight.domain.errors import InvalidInput, Unavailable

NAME = "hooks.example.com"
BODY = b'{"id": "i-1"}'


class Server:
    """A server with a certificate for `hooks.example.com`, localhost and 127.0.0.1, which says what a test wants."""

    def __init__(self, folder):
        self.status, self.headers, self.delay = 200, {}, threading.Event()
        self.delay.set()
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        _write_certificate(certificate, key)
        self.trust = ssl.create_default_context(cafile=certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.requests.append((self.command, self.path, dict(self.headers), body))
                server.delay.wait(5)
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self.delay.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _write_certificate(certificate, key) -> None:
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    names = [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(made, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.close()


def local(server, **options) -> HttpsWebhooks:
    return HttpsWebhooks(allows_loopback=True, ssl_context=server.trust, **options)


def test_a_notice_reaches_its_server_whole(server):
    status = local(server).post(f"https://localhost:{server.port}/hooks?a=b", BODY, {"Pilotlight-Signature": "t=1"})

    (request,) = server.requests
    assert status == 200
    assert (request[0], request[1], request[3]) == ("POST", "/hooks?a=b", BODY)
    assert request[2]["Pilotlight-Signature"] == "t=1"


@pytest.mark.parametrize("status", [204, 400, 410, 503])
def test_whatever_is_answered_is_told(server, status):
    server.status = status

    assert local(server).post(f"https://localhost:{server.port}/", BODY, {}) == status


def test_a_redirect_is_not_followed(server):
    server.status, server.headers = 307, {"Location": f"https://localhost:{server.port}/elsewhere"}

    assert local(server).post(f"https://localhost:{server.port}/", BODY, {}) == 307
    assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_this_machine_is_not_called_unless_a_setting_lets_it(server, host):
    with pytest.raises(InvalidInput, match="not public"):
        HttpsWebhooks(ssl_context=server.trust).post(f"https://{host}:{server.port}/", BODY, {})

    assert server.requests == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["203.0.113.7", "10.0.0.1"], ["93.184.216.34", "::1"], []],
)
def test_a_name_with_an_address_that_is_not_public_is_not_called(server, addresses):
    sender = HttpsWebhooks(ssl_context=server.trust, resolve=lambda _host, _port: addresses)

    with pytest.raises(InvalidInput, match=f"{NAME} has an address that is not public"):
        sender.post(f"https://{NAME}:{server.port}/", BODY, {})

    assert server.requests == []


def test_a_name_is_looked_up_for_each_notice_and_called_at_what_was_looked_at(server):
    looked_up = []

    def resolve(host, port):
        looked_up.append((host, port))
        return ["10.0.0.1"]

    sender = HttpsWebhooks(allows_loopback=True, ssl_context=server.trust, resolve=resolve)
    for _ in range(2):
        with pytest.raises(InvalidInput):
            sender.post(f"https://{NAME}:{server.port}/", BODY, {})

    assert looked_up == [(NAME, server.port)] * 2
    assert server.requests == []


def test_a_setting_for_this_machine_lets_no_other_private_address_be_called(server):
    sender = HttpsWebhooks(allows_loopback=True, ssl_context=server.trust, resolve=lambda *_: ["192.168.1.1"])

    with pytest.raises(InvalidInput):
        sender.post(f"https://{NAME}/", BODY, {})


def test_plain_http_is_not_spoken(server):
    with pytest.raises(InvalidInput, match="https"):
        local(server).post(f"http://localhost:{server.port}/", BODY, {})


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(server):
    with pytest.raises(Unavailable, match="certificate"):
        HttpsWebhooks(allows_loopback=True).post(f"https://localhost:{server.port}/", BODY, {})

    assert server.requests == []


def test_a_certificate_of_another_name_is_not_accepted(server):
    sender = HttpsWebhooks(allows_loopback=True, ssl_context=server.trust)

    with pytest.raises(Unavailable):
        sender.post(f"https://[::1]:{server.port}/", BODY, {})


def test_a_server_that_does_not_answer_is_not_waited_for(server):
    server.delay.clear()

    with pytest.raises(Unavailable):
        local(server, answer_seconds=0.2).post(f"https://localhost:{server.port}/", BODY, {})


def test_a_port_at_which_nobody_listens_is_unavailable(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    with pytest.raises(Unavailable):
        local(server).post(f"https://127.0.0.1:{port}/", BODY, {})


def test_a_name_that_there_is_not_is_unavailable():
    def nowhere(_host, _port):
        raise socket.gaierror("no such host")

    with pytest.raises(Unavailable, match=NAME):
        HttpsWebhooks(resolve=nowhere).post(f"https://{NAME}/secret-path", BODY, {})
