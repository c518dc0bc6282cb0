"""What a reconciliation finds, and what it may do about it: values, and the two guards that every removal passes.

The cloud is listed first and the records are read afterwards, so that whatever was made in between has its record
by then. A finding says what is decided and why; most of what is listed is in use and gives none.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import Field

from pilotlight.domain.values import Model, Moment, Money, iso

SMALLEST_AGE = timedelta(hours=1)
"""Longer than any Lambda of ours runs, and than any call of ours may be under way: what is younger may yet be noted."""
MOST_REMOVALS = 20
MOST_FINDINGS = 200  # that are kept of one pass: a record of DynamoDB has 400 KB


class Kind(StrEnum):
    """What a finding is about."""

    MODEL = "imported-model"
    EXECUTION = "execution"
    ARTIFACT = "artifact"
    MULTIPART = "multipart-upload"
    INVOCATION = "invocation"
    DEPLOYMENT = "deployment"
    UPLOAD = "upload"


class Decision(StrEnum):
    """What is done about a finding. `look` is for a person; `leave` is for a later pass."""

    ADOPT = "adopt"
    REMOVE = "remove"
    RELEASE = "release"
    RESUME = "resume"
    FAIL = "fail"
    LOOK = "look"
    LEAVE = "leave"


ACTS = frozenset({Decision.ADOPT, Decision.REMOVE, Decision.RELEASE, Decision.RESUME, Decision.FAIL})


class Rules(Model):
    """What a pass may do, and to what."""

    stack: str
    smallest_age: timedelta = SMALLEST_AGE
    most_removals: int = Field(default=MOST_REMOVALS, ge=0)
    dry_run: bool = False


class Scene(Model):
    """What every decision of a pass may lean on.

    `remembers` says that the table holds a deployment at all: an empty one is a lost one rather than a clean one.
    """

    now: Moment
    rules: Rules
    remembers: bool = True


class Verdict(Model):
    """A decision and its reason, in a sentence."""

    decision: Decision
    reason: str


class Finding(Model):
    """One finding. `since` is when the thing came to be; `first_seen_at` and `passes` count passes that found it so.

    `done` says that the decision was carried out, `trouble` why it could not be.
    """

    kind: Kind
    resource: str
    belongs_to: str | None = None
    decision: Decision
    reason: str
    since: Moment | None = None
    usd_per_month: Money | None = None
    first_seen_at: Moment | None = None
    passes: int = 1
    done: bool = False
    trouble: str | None = None

    @property
    def is_orphan(self) -> bool:
        """Whether nobody owns it, or only a person can say."""
        return self.decision in (Decision.REMOVE, Decision.LOOK)

    def instead(self, verdict: Verdict) -> "Finding":
        """Return the finding with another decision."""
        return self.changed(decision=verdict.decision, reason=verdict.reason)

    def seen_before_as(self, earlier: "Finding | None", now: datetime) -> "Finding":
        """Return the finding with how long it has been one, by what an earlier pass found."""
        if earlier is None or earlier.decision is not self.decision or earlier.done:
            return self.changed(first_seen_at=now)
        return self.changed(first_seen_at=earlier.first_seen_at or now, passes=earlier.passes + 1)


def finding_of(verdict: Verdict | None, kind: Kind, resource: str, **told: Any) -> Finding | None:
    """Return a verdict with what it is about; None where there is nothing to say."""
    return Finding(kind=kind, resource=resource, **dict(verdict), **told) if verdict else None


Item = TypeVar("Item")


class Listing(Model, Generic[Item]):
    """What the listing of one kind gave: one that did not come whole removes nothing.

    `following` is where the next pass goes on, of a kind that is not listed in one go.
    """

    items: tuple[Item, ...] = ()
    trouble: str | None = None
    following: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed while it was listed."""
        return self.trouble is None


class Pass(Model):
    """The record of the newest pass: what it found, and where the next one goes on."""

    number: int = 0
    as_of: Moment | None = None
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()
    found: int = 0
    removed: int = 0
    incomplete: dict[Kind, str] = {}
    cursors: dict[Kind, str] = {}

    @property
    def orphans_left(self) -> int:
        """How many orphans are there after the pass."""
        return sum(finding.is_orphan and not finding.done for finding in self.findings)


def removed_when_old(reason: str, since: datetime | None, scene: Scene) -> Verdict:
    """Return the removal of what nobody owns, or its reprieve: what is young may be noted yet.

    What has no known age is for a person.
    """
    if since is None:
        return Verdict(decision=Decision.LOOK, reason=f"{reason}, and its age is not known: look at it yourself")
    old_at = since + scene.rules.smallest_age
    if scene.now < old_at:
        return Verdict(decision=Decision.LEAVE, reason=f"{reason}; young: left alone until {iso(old_at)}")
    return Verdict(decision=Decision.REMOVE, reason=reason)


def removed_where_remembered(reason: str, since: datetime | None, scene: Scene) -> Verdict:
    """Return the removal of what has no record, unless the table has none at all: then it is the table that is lost."""
    if not scene.remembers:
        told = f"{reason}, but the table has no deployment at all: is it the right one, and whole?"
        return Verdict(decision=Decision.LOOK, reason=told)
    return removed_when_old(reason, since, scene)
