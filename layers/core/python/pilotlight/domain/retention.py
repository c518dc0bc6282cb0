"""How long weights are kept that nobody uses: until somebody deletes them, for a time after their last use, or not."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from pilotlight.domain.lease import LONGEST, duration_of, parse_duration

RETAIN = "retain"
DELETE = "delete"
COLLECT_AFTER = "collect_after:"
DEFAULT_RETENTION = "collect_after:7d"
SHORTEST = timedelta(minutes=15)  # the rhythm of the reconciliation, which collects
FORMS = (
    f'"{RETAIN}" (until somebody deletes them), "{DELETE}" (with their last user), or "{COLLECT_AFTER}" and a time '
    'after their last use from 15 minutes to a year, such as "collect_after:30m", "collect_after:12h" or '
    '"collect_after:7d"'
)


def _check(text: str) -> str:
    if text in (RETAIN, DELETE):
        return text
    word, colon, time = text.partition(":")
    after = duration_of(time) if word + colon == COLLECT_AFTER else None
    if after is None:
        raise ValueError(f"{text[:60]!r} does not say how long weights are kept: write {FORMS}")
    if after < SHORTEST:
        raise ValueError(f"{text!r} is shorter than the time between two collections: write {FORMS}")
    if after > LONGEST:
        raise ValueError(f"{text!r} is longer than a year: write {FORMS}")
    return text


Retention = Annotated[
    str,
    AfterValidator(_check),
    Field(
        description=f"How long the weights are kept: {FORMS}.",
        json_schema_extra={"pattern": f"^({RETAIN}|{DELETE}|{COLLECT_AFTER}[1-9][0-9]{{0,5}}[mhd])$"},
    ),
]
"""What a user says: "retain", "delete" or "collect_after:7d"."""


def kept_for(retention: Retention) -> timedelta | None:
    """Return for how long weights are kept after their last use; None is until somebody deletes them."""
    if retention == RETAIN:
        return None
    return timedelta() if retention == DELETE else parse_duration(retention.removeprefix(COLLECT_AFTER))


def longest(one: Retention | None, other: Retention) -> Retention:
    """Return the wish by which weights are kept longer, of several users': None where nobody has said one yet."""
    if one is None:
        return other
    first, second = kept_for(one), kept_for(other)
    return one if first is None or (second is not None and first >= second) else other


def collected_at(retention: Retention | None, last_used_at: datetime) -> datetime | None:
    """Return from when weights that nobody uses may be collected; None where they stay until somebody deletes them."""
    time = kept_for(retention or DEFAULT_RETENTION)
    return None if time is None else last_used_at + time
