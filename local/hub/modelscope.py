"""ModelScope's API over the same repositories, as its clients' code expects it; none of it was seen live."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from local.hub.access import Reader, Refusal
from local.hub.repositories import Repository

JSON = {"Content-Type": "application/json; charset=utf-8"}
_API = re.compile(r"/api/v1/models/(?P<id>[\w.-]+/[\w.-]+)/repo(?P<files>/files)?")


@dataclass(frozen=True)
class Asked:
    """What a request asks for: a listing, or one file."""

    id: str
    revision: str
    path: str | None


def asked(address: str) -> Asked | None:
    """Give what a request asks ModelScope for, or None where it asks something else."""
    parts = urlsplit(address)
    found = _API.fullmatch(parts.path)
    if found is None:
        return None
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    path = None if found["files"] else query.get("FilePath", "")
    return Asked(id=found["id"], revision=query.get("Revision", "master"), path=path)


def commit_of(repository: Repository, asked: Asked) -> str | None:
    """Give the commit that was asked for; `master` is what other hubs call `main`."""
    return repository.resolve(asked.revision) or (repository.resolve("main") if asked.revision == "master" else None)


def refusal(reader: Reader | None, repository: Repository | None, asked: Asked) -> Refusal | None:
    """Refuse what does not exist, and what is not for everybody."""
    if reader is None:
        return Refusal(401, "the token is invalid")
    if repository is None or (repository.private and not reader.trusted):
        return Refusal(404, "the model does not exist")
    if repository.gated and not reader.trusted:
        return Refusal(403, "access denied")
    sha = commit_of(repository, asked)
    if sha is None:
        return Refusal(404, "no such revision")
    if asked.path is not None and asked.path not in repository.commits[sha]:
        return Refusal(404, "no such file")
    return None


def refused(refusal: Refusal | None) -> bytes:
    """Give the body of a refusal."""
    message = refusal.message if refusal else "the model does not exist"
    return json.dumps({"Code": 10010205001, "Message": message, "Success": False}).encode()


def listing(repository: Repository, sha: str) -> bytes:
    """Give the answer that lists a commit: its folders, too, and of the commit itself the beginning alone."""
    files = repository.commits[sha]
    folders = sorted({name.rpartition("/")[0] for name in files} - {""})
    entries = [{"Path": folder, "Name": folder, "Type": "tree", "Size": 0, "Sha256": ""} for folder in folders]
    entries += [
        {
            "Path": name,
            "Name": name.rpartition("/")[2],
            "Type": "blob",
            "Size": file.size,
            "Sha256": file.sha256,
            "IsLFS": file.is_lfs,
            "Revision": repository.changed_at(sha, name),
        }
        for name, file in sorted(files.items())
    ]
    latest = {"Id": "", "ShortId": sha[:8]}
    return json.dumps({"Code": 200, "Success": True, "Data": {"Files": entries, "LatestCommitter": latest}}).encode()
