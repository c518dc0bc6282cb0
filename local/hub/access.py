"""Who may read what, and how the hub says no."""

from __future__ import annotations

import json
from dataclasses import dataclass

from local.hub.repositories import Repository


@dataclass(frozen=True)
class Refusal:
    """An answer that refuses, with the code that clients go by."""

    status: int
    message: str
    code: str | None = None

    def headers(self) -> dict[str, str]:
        """Give the headers; the message stands in one too, for a HEAD has no body."""
        named = {"X-Error-Code": self.code} if self.code else {}
        return {"Content-Type": "application/json; charset=utf-8", "X-Error-Message": self.message, **named}

    def body(self) -> bytes:
        """Give the body as the hub writes it."""
        return json.dumps({"error": self.message}).encode()


def too_many() -> Refusal:
    """Refuse because the window's requests are used up."""
    return Refusal(429, "We had to rate limit you: too many requests in this window. Wait, or use a token.")


def no_such_revision(revision: str) -> Refusal:
    """Refuse because no branch, tag or commit has that name."""
    return Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_such_entry() -> Refusal:
    """Refuse because the commit has no such file."""
    return Refusal(404, "Entry not found", "EntryNotFound")


@dataclass(frozen=True)
class Reader:
    """Whoever sent the request: nobody, somebody, or somebody with access to the gated and the private."""

    known: bool
    trusted: bool

    def may_see(self, repository: Repository | None) -> Refusal | None:
        """Refuse what does not exist and what is private in the same words, so that neither is told apart."""
        if repository and (self.trusted or not repository.private):
            return None
        if self.known:
            return Refusal(404, "Repository not found", "RepoNotFound")
        return Refusal(401, "Repository not found", "RepoNotFound")

    def may_read(self, repository: Repository) -> Refusal | None:
        """Refuse the files of a gated repository to those whose access was not granted."""
        if self.trusted or not repository.gated:
            return None
        restricted = f"Access to model {repository.id} is restricted"
        if self.known:
            return Refusal(403, f"{restricted} and you are not in the authorized list. Ask for access.", "GatedRepo")
        return Refusal(401, f"{restricted}. You must have access to it and be logged in.", "GatedRepo")
