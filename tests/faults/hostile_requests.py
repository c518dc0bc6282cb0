"""Requests that no document describes: raw paths, headers and bodies that a client library would never send.

Each is made of pieces by chance, from a seed. What the API itself answers is held to docs/openapi.json; what the
gateway refuses before it is the gateway's.
"""

import http.client
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.documented import breaks, document
from tests.faults.api_stage import INVOCATIONS, NAMES

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "BREW")
SEGMENTS = (
    *(
        "",
        ".",
        "..",
        "%2F",
        "a%2Fb",
        "%2e%2e%2f",
        "%00",
        "%0A",
        "%0d%0aX:1",
        "%",
        "%zz",
        "%25",
        "%C3%A9",
        "%FF",
        "{name}",
    ),
    *(
        "*",
        "'%20OR%201=1",
        "SERVING-0",
        "serving-0%20",
        "serving-0%0A",
        "a" * 33,
        "a" * 3000,
        "-",
        "a--b",
        "%F0%9F%98%80",
    ),
)
STRANGE_PATHS = (
    *(
        "/",
        "//",
        "/deployments/",
        "/deployments//events",
        "/health/",
        "/openapi.json/",
        "/v1/health",
        "/.env",
        "/HEALTH",
    ),
    *(
        "/deployments/a/b/c/d",
        "/deployments/../health",
        "/health;x=1",
        "/openapi%2Ejson",
        "/%2Fhealth",
        "*",
        "/" + "a" * 5000,
    ),
)
LIMITS = ("0", "201", "1e3", "%D9%A3", "-1", "", "%205", "+5", "1.0", "0x10", "9" * 400, "1&limit=2", "[]", "50")
KEYS = ({"S": "DEPLOYMENT#a"}, {"N": "1"}, "text", None, {"S": ""}, {"S": "x" * 3000}, {"S": "\ud800"}, {"S": 5})
CURSORS = (
    *("", "nowhere", "%00", "=", "e30", "bnVsbA", "W10", "A" * 5000, "%FF%FE", "Int9Ig"),
    *(quote(json.dumps(key)) for key in KEYS),
)
CONTENT_TYPES = (
    *(
        None,
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "APPLICATION/JSON",
        "application/*",
    ),
    *(
        "multipart/form-data",
        "application/jsonx",
        "json",
        ";",
        "application/json, text/plain",
        "application/octet-stream",
    ),
)
HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": ("application/octet-stream", "image/png", "", "*", "text/html;q=nan", ", ,"),
    "X-Correlation-Id": ("", " ", "a" * 65, "a" * 5000, "\x7f", "é", "a,b", "<script>", "${jndi:ldap://x}", "a\tb"),
    "Idempotency-Key": ("", " ", "k" * 201, "é", "two words", "\x01", "k" * 200, "{}", "a\tb"),
    "Prefer": (
        "wait=-1",
        "wait=1e9",
        "wait=" + "9" * 400,
        "wait",
        "wait=;",
        "wait=٣",
        ",,,",
        "wait=0, wait=5",
        "=",
        "é",
    ),
    "If-None-Match": ("*", '""', "W/", "é", '"' * 100),
    "Authorization": ("AWS4-HMAC-SHA256", "Basic Og==", "é"),
    "X-Forwarded-For": ("127.0.0.1", "é"),
}
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 2**63, 2**200, 0.1, "", " ", "\0", "\n", "😀", "\u202e", "\u0660", "a" * 100_000),
    *(
        [],
        {},
        [[]],
        {"": None},
        "../../etc/passwd",
        "${x}",
        "{{ x }}",
        "8h\n",
        "MON-",
        "24:00",
        "s3://",
        "hf://a/b@../c",
    ),
)
RAW_BODIES = (
    *(
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"true",
        b"{",
        b"}",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
    ),
    *(b"\xff", b"\x00", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5_000, b"1e999", b"NaN", b'{"prompt": "\\ud800"}'),
    *(b'{"name": "a", "name": "b"}', b'{"source": "\\u0000"}', b'{"prompt": "x", "parameters": {"temperature": NaN}}'),
    *(b'{"prompt": "x", "parameters": {"seed": 1e400}}', b"'", b"name=a", b'{"__proto__": {}}', b"{'name': 'a'}"),
)


@dataclass(frozen=True)
class HostileRequest:
    """One request as it goes over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None

    def __str__(self) -> str:
        """Return it in short, for whoever looks into a failure."""
        body = self.body if self.body is None else self.body[:200]
        return f"{self.method} {self.target[:200]} {[(name, value[:100]) for name, value in self.headers]} {body!r}"


@dataclass(frozen=True)
class Answer:
    """What came back: the status, and what of it the document does not know."""

    status: int
    broken: tuple[str, ...]


def requests(count: int, seed: int) -> Iterator[HostileRequest]:
    """Yield so many requests, the same for the same seed."""
    chance = random.Random(seed)
    operations = [
        (method.upper(), path, operation)
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    ]
    for _ in range(count):
        yield _request(chance, *chance.choice(operations))


def send(url: str, request: HostileRequest) -> Answer:
    """Send one request on a connection of its own, and return what came back."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value.encode("utf-8"))
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        body, headers = response.read(), dict(response.getheaders())
    finally:
        connection.close()
    if request.method == "HEAD" or "X-Correlation-Id" not in headers:
        return Answer(response.status, ())
    path = request.target.partition("?")[0]
    return Answer(response.status, tuple(breaks(request.method, path, response.status, headers, body)))


def _request(chance: random.Random, method: str, path: str, operation: dict[str, Any]) -> HostileRequest:
    target = path
    for name, known in (("{name}", NAMES), ("{invocation_id}", tuple(INVOCATIONS.values()))):
        target = target.replace(name, chance.choice(SEGMENTS) if chance.random() < 0.3 else chance.choice(known))
    if chance.random() < 0.05:
        target = chance.choice(STRANGE_PATHS)
    if chance.random() < 0.05:
        method = chance.choice(METHODS)
    if chance.random() < (0.8 if "cursor" in str(operation["parameters"]) else 0.1):
        target += "?" + "&".join(
            chance.sample([f"limit={chance.choice(LIMITS)}", f"cursor={chance.choice(CURSORS)}"], 2)
        )
    headers = [(name, chance.choice(values)) for name, values in HEADERS.items() if chance.random() < 0.15]
    body = _body(chance, operation)
    kind = chance.choice(CONTENT_TYPES) if chance.random() < 0.15 else "application/json"
    if body is not None and kind is not None:
        headers.append(("Content-Type", kind))
    return HostileRequest(method, target, tuple(_sendable(headers)), body)


def _sendable(headers: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the headers without line breaks: those would be others."""
    for name, value in headers:
        yield name, value.replace("\r", "").replace("\n", "")


def _body(chance: random.Random, operation: dict[str, Any]) -> bytes | None:
    taken = operation.get("requestBody")
    if taken is None:
        return chance.choice(RAW_BODIES) if chance.random() < 0.2 else None
    if chance.random() < 0.3:
        return chance.choice(RAW_BODIES)
    examples = taken["content"]["application/json"]["examples"]
    body = json.loads(json.dumps(chance.choice(list(examples.values()))["value"]))
    _spoil(chance, body)
    written = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return written[: chance.randrange(len(written))] if chance.random() < 0.1 else written


def _spoil(chance: random.Random, body: Any) -> None:
    """Put something strange somewhere into a body."""
    places = list(_places(body))
    for container, key in chance.sample(places, min(len(places), chance.randint(0, 2))):
        container[key] = chance.choice(VALUES)
    if isinstance(body, dict) and chance.random() < 0.2:
        body[chance.choice(("colour", "", "\0", "name ", "NAME", "raw", "tags"))] = chance.choice(VALUES)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
