"""What a hub that means harm answers: where it sends us, and what it says that it has."""

import json
from collections.abc import Callable
from typing import Any

INTERNAL_PLACES = (
    "http://127.0.0.2:6379/",
    "https://127.0.0.2/",
    "http://localhost:6379/",
    "https://127.1/",
    "https://127.0.0.1.nip.io:8443/",
    "https://localhost/",
    "https://localhost./",
    "https://a.localhost/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials",
    "https://2852039166/",
    "https://0xA9FEA9FE/",
    "https://0xa9.0xfe.0xa9.0xfe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.43518/",
    "https://169.16689662/",
    "https://169.254.169.254./",
    "https://[::1]/",
    "https://[::]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[ff02::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://router.lan/",
    "https://localhost:9001/2018-06-01/runtime/invocation/next",
    "https://files.example@169.254.169.254/",
    "https://user:password@files.example/",  # pragma: allowlist secret
    "https://files.example:22/",
    "https://files.example:8443/",
    "https://files.example:99999/",
    "http://files.example/",
    "//169.254.169.254/",
    "file:///etc/passwd",
    "ftp://files.example/",
    "gopher://127.0.0.1:6379/_",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "https://files.example\\@169.254.169.254/",
    "https://fi les.example/",
    "https://files.example%00.evil.example/",
    "https://files%2eexample@evil/",
    "https://hüb.example/",
    "https:///nowhere",
    "https://",
    "https://.",
    "https://[::1",
    "https://" + "a" * 5000,
)


def _changed(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], bytes]:
    def body(listing: dict[str, Any]) -> bytes:
        change(listing)
        return json.dumps(listing).encode()

    return body


def _named(name: str) -> Callable[[dict[str, Any]], bytes]:
    return _changed(lambda listing: listing["siblings"].append({"rfilename": name, "size": 10}))


def _sized(size: Any) -> Callable[[dict[str, Any]], bytes]:
    return _changed(lambda listing: listing["siblings"].append({"rfilename": "more.txt", "size": size}))


def _raw(text: bytes) -> Callable[[dict[str, Any]], bytes]:
    return lambda listing: json.dumps(listing).encode()[:-1] + b"," + text + b"}"


def hostile_listings() -> dict[str, Callable[[dict[str, Any]], bytes]]:
    """Return what makes a lie out of a true listing, by the lie."""
    return {
        "not JSON": lambda _: b"<html>Please log in</html>",
        "nothing": lambda _: b"",
        "a list": lambda _: b"[]",
        "deep JSON": _raw(b'"x":' + b"[" * 200_000 + b"]" * 200_000),
        "a name said twice": _raw(b'"sha":"' + b"a" * 40 + b'"'),
        "a number of a million digits": _raw(b'"x":' + b"9" * 1_000_000),
        "NaN": _raw(b'"x":NaN'),
        "invalid UTF-8": _raw(b'"x":"\xff\xfe"'),
        "a flood of values": _raw(b'"x":[' + b"0," * 4_100_000 + b"0]"),
        "no commit": _changed(lambda listing: listing.pop("sha")),
        "a branch for a commit": _changed(lambda listing: listing.update(sha="main")),
        "a path for a commit": _changed(lambda listing: listing.update(sha="../" * 14)),
        "siblings that are text": _changed(lambda listing: listing.update(siblings="config.json")),
        "ten thousand and one siblings": _changed(
            lambda listing: listing.update(siblings=[{"rfilename": f"f{n}", "size": 1} for n in range(10_001)])
        ),
        "a file twice": _changed(lambda listing: listing["siblings"].append(dict(listing["siblings"][0]))),
        "a file twice with other sizes": _changed(
            lambda listing: listing["siblings"].append({"rfilename": "config.json", "size": 7})
        ),
        "a size of -1": _sized(-1),
        "a size of 1e30": _sized(10**30),
        "a size of half a byte": _sized(0.5),
        "a size in words": _sized("many"),
        "a size that is a list": _sized([10]),
        "no size": _sized(None),
        "a name that is a number": _named(7),  # type: ignore[arg-type]
        "no name": _named(""),
        "a name that leaves": _named("../config.json"),
        "a name of 2,000 bytes": _named("a" * 2000),
        "a digest that is none": _changed(
            lambda listing: listing["siblings"].append(
                {"rfilename": "x", "size": 1, "lfs": {"sha256": "../../x", "size": 1}}
            )
        ),
    }
