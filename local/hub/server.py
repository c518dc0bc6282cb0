"""The hub's two servers: the hub itself, and the "CDN" to which it redirects for large files."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, quote, unquote, urlsplit

from local.checkpoints import Checkpoint
from local.hub import access, modelscope
from local.hub.access import Reader, Refusal
from local.hub.faults import Fault, Faults, Kind
from local.hub.limits import Counter, RateLimit
from local.hub.repositories import File, Repository, files_of
from local.hub.transfer import Exchange, Server

_ID = r"(?P<id>[\w.-]+(?:/[\w.-]+)?)"
_MODEL = re.compile(rf"/api/models/{_ID}(?:/revision/(?P<revision>[^/]+))?")
_RESOLVE = re.compile(rf"/{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_CDN = re.compile(r"/repos/(?P<sha256>[0-9a-f]{64})")


class Clock(Protocol):
    """What tells the time by which addresses expire and windows end."""

    def timestamp(self) -> float:
        """Give the seconds since 1970."""


class _Wall:
    def timestamp(self) -> float:
        return time.time()


@dataclass(frozen=True)
class Request:
    """A request as it came; `server` is "hub" or "cdn"."""

    server: str
    method: str
    path: str
    range: str | None
    authorized: bool


@dataclass(frozen=True)
class Leak:
    """An Authorization header that a client carried to another host than the one it was meant for."""

    path: str


class Hub:
    """A hub over folders of this machine.

    `token` opens gated and private repositories; `visitor_token` is valid but has no access to them; any other
    token is refused. Addresses on the CDN are signed and expire after `address_seconds`.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        rate_limit: RateLimit | None = None,
        token: str = "hf_pilotlight",  # noqa: S107 - opens nothing but this hub
        visitor_token: str = "hf_visitor",  # noqa: S107 - likewise
        address_seconds: float = 3600.0,
    ) -> None:
        self.clock = clock or _Wall()
        self.token = token
        self.visitor_token = visitor_token
        self.address_seconds = address_seconds
        self.faults = Faults()
        self.requests: list[Request] = []
        self.leaks: list[Leak] = []
        self.repositories: dict[str, Repository] = {}
        self._secret = hashlib.sha256(token.encode()).digest()
        self._counter = Counter(rate_limit or RateLimit(), self.clock.timestamp)
        self._hub = Server(self._exchanges(_HubExchange))
        self._cdn = Server(self._exchanges(_CdnExchange))

    def _exchanges(self, kind: type[_Exchange]) -> type[_Exchange]:
        return type(kind.__name__, (kind,), {"hub": self})

    @property
    def url(self) -> str:
        """Give the address that HF_ENDPOINT is to name."""
        return self._hub.url

    @property
    def cdn_url(self) -> str:
        """Give the address to which large files are redirected."""
        return self._cdn.url

    def start(self) -> Hub:
        """Serve until `stop`."""
        self._hub.start()
        self._cdn.start()
        return self

    def stop(self) -> None:
        """Close both ports and wait for what is being served."""
        self._hub.stop()
        self._cdn.stop()

    def __enter__(self) -> Hub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(
        self,
        repo_id: str,
        folder: Path | Checkpoint,
        *,
        gated: bool = False,
        private: bool = False,
        revisions: tuple[str, ...] = ("main",),
    ) -> str:
        """Publish a folder as a repository's first commit, named by all the revisions; give the commit."""
        repository = Repository(repo_id, gated=gated, private=private)
        path = folder.folder if isinstance(folder, Checkpoint) else folder
        sha = repository.commit(files_of(path), branch="main")
        repository.names |= dict.fromkeys(revisions, sha)
        self.repositories[repo_id] = repository
        return sha

    def commit(self, repo_id: str, changes: Mapping[str, bytes | Path | None], *, branch: str = "main") -> str:
        """Change, add or (None) remove files and move the branch; tags and the old commit stay."""
        repository = self.repositories[repo_id]
        return repository.commit(repository.changed(changes, branch=branch), branch=branch)

    def tag(self, repo_id: str, name: str, commit: str) -> None:
        """Give a commit one more name."""
        self.repositories[repo_id].names[name] = commit

    def reader(self, authorization: str | None) -> Reader | None:
        """Give who sent this Authorization header, or None where the token is not one of ours."""
        if authorization is None:
            return Reader(known=False, trusted=False)
        token = authorization.removeprefix("Bearer ")
        if token not in (self.token, self.visitor_token):
            return None
        return Reader(known=True, trusted=token == self.token)

    def take(self, bucket: str) -> tuple[bool, dict[str, str]]:
        """Count a request against the limit."""
        return self._counter.take(bucket)

    def signed_address(self, file: File) -> str:
        """Give an address on the CDN under which the file can be read for a while, without credentials."""
        expires = int(self.clock.timestamp() + self.address_seconds)
        signature = self._sign(file.sha256, str(expires))
        name = quote(Path(file.name).name)
        return f"{self.cdn_url}/repos/{file.sha256}?name={name}&Expires={expires}&Signature={signature}"

    def is_signed(self, sha256: str, expires: str, signature: str) -> bool:
        """Say whether an address is one that we gave out and has not expired."""
        genuine = hmac.compare_digest(self._sign(sha256, expires), signature)
        return genuine and self.clock.timestamp() <= float(expires)

    def blob(self, sha256: str) -> File | None:
        """Give the large file of that digest."""
        commits = [files for repository in self.repositories.values() for files in repository.commits.values()]
        files = (file for commit in commits for file in commit.values() if file.is_lfs)
        return next((file for file in files if file.sha256 == sha256), None)

    def _sign(self, sha256: str, expires: str) -> str:
        return hmac.new(self._secret, f"{sha256}/{expires}".encode(), "sha256").hexdigest()


class _Exchange(Exchange):
    hub: Hub
    name: str

    def do_HEAD(self) -> None:  # noqa: N802 - the name is the base class's
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802 - likewise
        authorized = "Authorization" in self.headers
        log = Request(self.name, self.command, self.path, self.headers.get("Range"), authorized)
        self.hub.requests.append(log)
        self.respond()

    def respond(self) -> None:
        raise NotImplementedError

    def fault(self) -> Fault | None:
        """Give what goes wrong with this answer; a HEAD has no body to spoil."""
        return self.hub.faults.next_for(self.path) if self.command == "GET" else None

    def refuse(self, refusal: Refusal, extra: dict[str, str] | None = None) -> None:
        self.answer(refusal.status, refusal.headers() | (extra or {}), refusal.body())


class _HubExchange(_Exchange):
    name = "hub"

    def respond(self) -> None:
        path = urlsplit(self.path).path
        fault = self.hub.faults.next_for(self.path, before_any_file=True)
        if fault and fault.kind is Kind.REDIRECT:
            self.answer(302, {"Location": fault.location})
        elif fault:
            self.answer(200, {"Content-Type": "application/json; charset=utf-8"}, fault.body)
        elif found := _MODEL.fullmatch(path):
            self._admitted("api", found)
        elif found := _RESOLVE.fullmatch(path):
            self._admitted("resolvers", found)
        elif asked := modelscope.asked(self.path):
            self._answer_as_modelscope(asked)
        else:
            self.refuse(Refusal(404, "Sorry, we can't find the page you are looking for."))

    def _answer_as_modelscope(self, asked: modelscope.Asked) -> None:
        authorization = self.headers.get("Authorization")
        reader, repository = self.hub.reader(authorization), self.hub.repositories.get(asked.id)
        refusal = modelscope.refusal(reader, repository, asked)
        if refusal or repository is None:
            self.answer(refusal.status if refusal else 404, modelscope.JSON, modelscope.refused(refusal))
            return
        sha = modelscope.commit_of(repository, asked) or ""
        if asked.path is None:
            self.answer(200, modelscope.JSON, modelscope.listing(repository, sha))
            return
        file = repository.commits[sha][asked.path]
        if file.is_lfs:
            linked = {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"'}
            self.answer(302, {**linked, "Location": self.hub.signed_address(file)})
        else:
            self.send_file(file, {}, Fault(Kind.WHOLE, 1, self.path))

    def _admitted(self, bucket: str, found: re.Match[str]) -> None:
        within, limits = self.hub.take(bucket)
        if not within:
            self.refuse(access.too_many(), limits)
            return
        reader = self.hub.reader(self.headers.get("Authorization"))
        if reader is None:
            self.refuse(Refusal(401, "Invalid credentials in Authorization header"), limits)
            return
        repository = self.hub.repositories.get(found["id"])
        refusal = reader.may_see(repository)
        if repository is None or refusal:
            self.refuse(refusal or access.no_such_entry(), limits)
            return
        revision = unquote(found["revision"] or "main")
        sha = repository.resolve(revision)
        if sha is None:
            self.refuse(access.no_such_revision(revision), limits)
        elif bucket == "api":
            self._describe(repository, sha, limits)
        elif refusal := reader.may_read(repository):
            self.refuse(refusal, limits)
        else:
            self._resolve(repository, sha, unquote(found["path"]), limits)

    def _describe(self, repository: Repository, sha: str, limits: dict[str, str]) -> None:
        blobs = parse_qs(urlsplit(self.path).query).get("blobs", ["false"])[0].lower() in ("1", "true")
        modified = datetime.fromtimestamp(self.hub.clock.timestamp(), UTC).isoformat(timespec="milliseconds")
        content = repository.describe(sha, blobs=blobs, modified=modified.replace("+00:00", "Z"))
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Repo-Commit": sha}
        self.answer(200, headers | limits, json.dumps(content).encode())

    def _resolve(self, repository: Repository, sha: str, path: str, limits: dict[str, str]) -> None:
        headers = {"X-Repo-Commit": sha, **limits}
        file = repository.commits[sha].get(path)
        if file is None:
            self.refuse(access.no_such_entry(), headers)
        elif file.is_lfs:
            digest = f'"{file.sha256}"'
            headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": digest, "ETag": digest}
            headers |= {"Location": self.hub.signed_address(file)}
            self.answer(302, headers, b"Found. Redirecting\n")
        else:
            headers["ETag"] = f'"{file.blob_id}"'
            fault = self.fault()
            if fault and fault.kind is Kind.OTHER_COMMIT:
                headers["X-Repo-Commit"] = "f" * 40
            self.send_file(file, headers, fault)


class _CdnExchange(_Exchange):
    name = "cdn"

    def respond(self) -> None:
        if "Authorization" in self.headers:
            self.hub.leaks.append(Leak(self.path))
            self.refuse(Refusal(400, "Only one auth mechanism allowed"))
            return
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = _CDN.fullmatch(parts.path)
        expires, signature = query.get("Expires", "0"), query.get("Signature", "")
        if found is None or not self.hub.is_signed(found["sha256"], expires, signature):
            self.refuse(Refusal(403, "Request has expired or its signature does not match"))
            return
        file = self.hub.blob(found["sha256"])
        if file is None:
            self.refuse(access.no_such_entry())
            return
        self.send_file(file, {"ETag": f'"{file.sha256}"'}, self.fault())
