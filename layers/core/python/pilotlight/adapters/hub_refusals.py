"""What a hub's refusal means for us, and what the person can do about it."""

import re
from email.utils import parsedate_to_datetime

from pilotlight.adapters.hub_site import HUGGING_FACE, HubSettings
from pilotlight.adapters.hub_transport import Answer
from pilotlight.domain.errors import (
    PilotlightError,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Throttled,
    Unavailable,
)
from pilotlight.domain.source import Source

LONGEST_RETRY_SECONDS = 3600
_RATE_LIMIT_SECONDS = re.compile(r";\s*t=(\d{1,9})")


def refusal(
    answer: Answer, *, source: Source, what: str, page: str, settings: HubSettings = HUGGING_FACE
) -> PilotlightError:
    """Return the error that a refusing answer stands for.

    `what` names the thing asked for, `page` is the address of the model's page.

    Source: Hugging Face hub API, `X-Error-Code`; rate limit headers as "Hub Rate limits" describes them.
    """
    status = answer.status
    if status == 429:
        return throttled(answer, f"A token ({settings.variable}) raises its limits.")
    if status >= 500 or status == 408:
        return Unavailable(f"The hub answered {status} for {what}. Try again later.", status=status)
    if status == 416:
        return SourceChanged(f"{what} is shorter now than when {source} was listed. Deploy it again.")
    if not answer.from_hub:
        return Unavailable(f"The hub's file server refused a fresh address of {what} with {status}.", status=status)
    return _by_code(answer, source=source, what=what, page=page, set_a_token=settings.set_a_token)


def _by_code(  # noqa: PLR0911 - one line for each way to refuse
    answer: Answer, *, source: Source, what: str, page: str, set_a_token: str
) -> PilotlightError:
    code = answer.header("X-Error-Code")
    match code, answer.status:
        case "GatedRepo", _:
            return SourceGated(
                f"{source} is gated: accept its terms at {page}, then {set_a_token} to a token of that account.",
                page=page,
            )
        case "RepoNotFound", _:
            return SourceNotFound(
                f"The hub has no model {source.location}, or it is private. Check the name; for a private one "
                f"{set_a_token} to a token that may read it.",
            )
        case "RevisionNotFound", _:
            return SourceNotFound(f"{source.location} has no branch, tag or commit {source.revision!r}. See {page}.")
        case "EntryNotFound", _:
            return SourceNotFound(f"{source} has no file {what}.")
        case "DisabledRepo", _:
            return SourceRefused(f"The hub has disabled {source.location}. See {page}.")
        case _, 401:
            return SourceGated(f"The hub does not accept the token. Make a new one, then {set_a_token}.")
        case _, 403:
            return SourceGated(
                f"The token may not read {source.location}. Give it read access to gated models, or "
                f"{set_a_token} to one that has it.",
                page=page,
            )
        case _, 404:
            return SourceNotFound(
                f"The hub did not find {what} of {source}. Check the name and the revision at {page}; for a private "
                f"model {set_a_token} to a token that may read it."
            )
        case _, status:
            return SourceRefused(f"The hub answered {status} for {what} of {source}.", status=status)


def throttled(answer: Answer, advice: str, who: str = "The hub") -> Throttled:
    """Return the error of a 429 with how long we are asked to wait, where the answer says so."""
    wait = retry_after_seconds(answer)
    if wait is None:
        return Throttled(f"{who} asks us to slow down. {advice}")
    return Throttled(
        f"{who} asks us to slow down and to come back in {wait} s. {advice}",
        retry_after_seconds=wait,
    )


def retry_after_seconds(answer: Answer) -> int | None:
    """Return how long to wait by `RateLimit: "api";r=0;t=55`, or by Retry-After in seconds or as a date."""
    if found := _RATE_LIMIT_SECONDS.search(answer.header("RateLimit") or ""):
        return min(int(found[1]), LONGEST_RETRY_SECONDS)
    after = (answer.header("Retry-After") or "").strip()
    if after.isascii() and after.isdigit():
        return min(int(after[:9]), LONGEST_RETRY_SECONDS)
    try:
        # Measured on the hub's own clock: ours may run at another speed.
        until = parsedate_to_datetime(after) - parsedate_to_datetime(answer.header("Date") or "")
    except (ValueError, TypeError):
        return None
    return min(max(0, int(until.total_seconds())), LONGEST_RETRY_SECONDS)
