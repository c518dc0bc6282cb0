"""Every way in which a call may end badly.

PilotlightError
├── NotReachable          nobody answers at the URL
│   └── NoAnswer          somebody does, but not in time: what became of the request is not known
├── NotConfigured         no usable URL, no credentials or no region
├── TimedOut              what was waited for did not come within the time given
│   └── ModelIsCold       nobody wanted to wait for a cold model; the invocation is kept, and wakes it
├── DeploymentFailed      a deployment that was waited for went another way
├── InvocationFailed      the model's backend broke or refused this one invocation
├── ResultNotReadable     an invocation succeeded, and what it gave cannot be read
├── WrongInput            what was given breaks a rule that needs no API to tell
├── UploadFailed          a folder, or an input, could not be read or sent
│   └── NotACheckpoint    it lacks what a model needs, and nothing of it was sent
└── ApiError              the API said no
    ├── InvalidRequest    400, 415, 422: a field, or the body's type, breaks a rule
    ├── Forbidden         401, 403
    ├── NotFound          404
    ├── Conflict          409: the request contradicts what is
    ├── TooMany           429
    └── ServerFault       5xx
"""

# ruff: noqa: N818 (each name says what happened; the suffix would add nothing)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

import httpx

from pilotlight_client.views import DeploymentView, InvocationView

JsonObject = Mapping[str, Any]


LONGEST_OWN_WORDS = 1000


def _with_own_words(sentence: str, told: object) -> str:
    """Return a sentence with what a model's container, or a service, said itself, where it did."""
    return f"{sentence} It said: {str(told).strip()[:LONGEST_OWN_WORDS]}" if told else sentence


class PilotlightError(Exception):
    """The root: a sentence for a person, and `code` for a program."""

    code: ClassVar[str] = "error"

    def problem(self) -> dict[str, Any]:
        """Return the error in the form in which the API itself tells errors (RFC 9457)."""
        return {"type": "about:blank", "title": type(self).__name__, "detail": str(self), "code": self.code}


class NotReachable(PilotlightError):
    """Nobody answers at the URL."""

    code = "not-reachable"


class NoAnswer(NotReachable):
    """The request was sent and no answer came in time: what became of it is not known."""

    code = "no-answer"


class NotConfigured(PilotlightError):
    """The URL cannot be used, or what is needed to sign for it is missing."""

    code = "not-configured"


class TimedOut(PilotlightError):
    """What was waited for did not come in time; `view` is what was seen last. Nothing was stopped by giving up."""

    code = "timed-out"

    def __init__(self, message: str, view: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.view = view


class ModelIsCold(TimedOut):
    """A model is cold, and nobody wanted to wait for it; `view` is the invocation, which is kept and wakes it."""


class DeploymentFailed(PilotlightError):
    """A deployment will not get where it was waited for; `view` says why."""

    code = "deployment-failed"

    def __init__(self, message: str, view: DeploymentView) -> None:
        super().__init__(message)
        self.view = view

    @property
    def reason_code(self) -> str | None:
        """The code of the failure on the deployment's record."""
        failure = self.view.get("failure")
        return failure["code"] if failure else None

    def problem(self) -> dict[str, Any]:
        """Return the problem with the record's own failure."""
        return {**super().problem(), "failure": self.view.get("failure")}


class InvocationFailed(PilotlightError):
    """The backend broke or refused this one invocation; `view` is its record."""

    code = "invocation-failed"

    def __init__(self, view: InvocationView) -> None:
        error = view.get("error") or {}
        reason = error.get("message") or error.get("detail") or "no reason was kept"
        became = "expired" if view.get("phase") == "expired" else "failed"
        super().__init__(_with_own_words(f"Invocation {view['id']} {became}: {reason}", error.get("told")))
        self.view = view

    def problem(self) -> dict[str, Any]:
        """Return the problem with the invocation's own error."""
        return {**super().problem(), "invocation": self.view["id"], "error": self.view.get("error")}


class ResultNotReadable(PilotlightError):
    """An invocation succeeded, and what it gave is no longer there, or is not what it was taken for."""

    code = "result-not-readable"


class UploadFailed(PilotlightError):
    """A folder, or an input, could not be read or sent, or its import could not be started."""

    code = "upload-failed"


class NotACheckpoint(UploadFailed):
    """A folder lacks what a model needs; `missing` names the files. Nothing of it was sent.

    `links` are those that were left out, each with the reason, and `advice` says what to do about them.
    """

    code = "not-a-checkpoint"

    def __init__(
        self, why: str, missing: Sequence[str] = (), links: Sequence[tuple[str, str]] = (), advice: str = ""
    ) -> None:
        super().__init__(f"This folder would not become a model: {why}. Nothing was sent.{advice and ' '}{advice}")
        self.missing = tuple(missing)
        self.links = tuple(links)

    def problem(self) -> dict[str, Any]:
        """Return the problem with the files that are missing, and with the links that were left out."""
        left_out = [{"path": path, "reason": reason} for path, reason in self.links]
        return {**super().problem(), "missing": list(self.missing), **({"left_out": left_out} if left_out else {})}


class WrongInput(PilotlightError):
    """What was given breaks a rule, and the API need not be asked to know it."""

    code = "wrong-input"


@dataclass(frozen=True)
class FieldError:
    """One field that breaks a rule, as the API tells it."""

    field: str
    message: str
    rule: str | None = None

    def __str__(self) -> str:
        """Return it as a line for a person."""
        return f"{self.field}: {self.message}" if self.field else self.message


class ApiError(PilotlightError):
    """The API said no: `status`, `code`, `detail`, the fields that are wrong, and the whole problem document."""

    code = "api-error"

    def __init__(self, status: int, document: JsonObject) -> None:
        self.status = status
        self.document = dict(document)
        self.detail = str(document.get("detail") or document.get("title") or document.get("message") or "")
        self.problem_code = str(document.get("code") or self.code)
        self.fields = tuple(
            FieldError(str(each.get("field", "")), str(each.get("message", "")), each.get("rule"))
            for each in document.get("errors") or ()
        )
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        told = self.detail or f"Pilotlight refused without a reason (HTTP {self.status})."
        if self.document.keys() == {"message"} and self.status == HTTPStatus.FORBIDDEN:
            told = f"{told}: is the URL whole (an account's ends in /v1), and may these credentials call it?"
        news = [str(field) for field in self.fields if field.message not in told]
        sentence = "; ".join([told.rstrip(".;"), *news]) + "." if news else told
        return _with_own_words(sentence, self.document.get("told"))

    def problem(self) -> dict[str, Any]:
        """Return what the API sent, completed where it was no problem document."""
        return {"type": "about:blank", "status": self.status, "detail": self.detail, **self.document}


class InvalidRequest(ApiError):
    """A field breaks a rule: see `fields`."""


class Forbidden(ApiError):
    """The caller may not do this."""


class NotFound(ApiError):
    """No such deployment, invocation or route."""


class Conflict(ApiError):
    """The request contradicts what is, such as a name that is taken."""


class TooMany(ApiError):
    """More than may wait or be asked at once."""


class ServerFault(ApiError):
    """The API, or what it depends on, is at fault."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequest,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    415: InvalidRequest,
    422: InvalidRequest,
    429: TooMany,
}


def error_of(response: httpx.Response) -> ApiError:
    """Return the error that a response tells, be it the API's own or one of the gateway before it."""
    try:
        document = response.json()
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    if "message" not in document and "Message" in document:
        document["message"] = document["Message"]
    kind = _BY_STATUS.get(response.status_code, ServerFault if response.status_code >= 500 else ApiError)
    return kind(response.status_code, document)
