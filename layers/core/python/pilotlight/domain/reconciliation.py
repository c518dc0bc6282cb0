"""What a reconciliation finds, and what it may do about it: values, and the guard that every removal passes.

The cloud is listed first and the records are read afterwards, so that whatever was made in between has its record
by then. A finding says what is decided and why; most of what is listed is in use and gives none.

Only a record that says "over" removes anything. Records of deployments and artifacts are never deleted, so that one
that is not there is a lost, restored or wrong table, and what it would tell of may be in use.
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
    ENDPOINT = "endpoint"
    ENDPOINT_CONFIG = "endpoint-config"
    SAGEMAKER_MODEL = "sagemaker-model"
    COMPONENT = "inference-component"
    SCALABLE_TARGET = "scalable-target"
    SCALING_ALARM = "scaling-alarm"
    BUNDLE = "bundle"


class Decision(StrEnum):
    """What is done about a finding. `look` is for a person; `leave` is for a later pass.

    `collect` deletes what its owner said should go by then: it is no orphan.
    """

    ADOPT = "adopt"
    REMOVE = "remove"
    COLLECT = "collect"
    RELEASE = "release"
    RESUME = "resume"
    FAIL = "fail"
    LOOK = "look"
    LEAVE = "leave"


REMOVALS = frozenset({Decision.REMOVE, Decision.COLLECT})
ACTS = REMOVALS | {Decision.ADOPT, Decision.RELEASE, Decision.RESUME, Decision.FAIL}


class Rules(Model):
    """What a pass may do, and to what."""

    stack: str
    smallest_age: timedelta = SMALLEST_AGE
    most_removals: int = Field(default=MOST_REMOVALS, ge=0)
    dry_run: bool = False


class Scene(Model):
    """What every decision of a pass may lean on."""

    now: Moment
    rules: Rules


class Verdict(Model):
    """A decision and its reason, in a sentence."""

    decision: Decision
    reason: str


class Finding(Model):
    """One finding. `since` is when the thing came to be; `first_seen_at` and `passes` count passes that found it so.

    `orphan` says that nobody owns it, or that only a person can say, whatever this pass may do about it; `done` that
    the decision was carried out, `trouble` why it could not be.
    """

    kind: Kind
    resource: str
    belongs_to: str | None = None
    decision: Decision
    reason: str
    orphan: bool = False
    since: Moment | None = None
    usd_per_month: Money | None = None
    usd_per_hour: Money | None = None
    first_seen_at: Moment | None = None
    passes: int = 1
    done: bool = False
    trouble: str | None = None

    @property
    def is_left(self) -> bool:
        """Whether it is an orphan still."""
        return self.orphan and not self.done

    def instead(self, verdict: Verdict) -> "Finding":
        """Return the finding with another decision: it is what it was found to be."""
        return self.changed(decision=verdict.decision, reason=verdict.reason)

    def seen_before_as(self, earlier: "Finding | None", now: datetime) -> "Finding":
        """Return the finding with how long it has been one, by what an earlier pass found."""
        same = earlier and (earlier.decision is self.decision or (earlier.orphan and self.orphan))
        if earlier is None or not same or earlier.done:
            return self.changed(first_seen_at=now)
        return self.changed(first_seen_at=earlier.first_seen_at or now, passes=earlier.passes + 1)


def finding_of(verdict: Verdict | None, kind: Kind, resource: str, **told: Any) -> Finding | None:
    """Return a verdict with what it is about; None where there is nothing to say."""
    if verdict is None:
        return None
    orphan = verdict.decision in (Decision.REMOVE, Decision.LOOK)
    return Finding(kind=kind, resource=resource, orphan=orphan, **dict(verdict), **told)


def unjudged(kind: Kind, resource: str, trouble: str) -> Finding:
    """Return what is said of an item that could not be judged: left alone, and counted until it can be."""
    reason = "it could not be judged: left alone"
    told = {"decision": Decision.LEAVE, "reason": reason, "orphan": True, "trouble": trouble}
    return Finding.model_validate({"kind": kind, "resource": resource, **told})


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
    """The record of the newest pass: what it found, and where the next one goes on.

    `found` and `orphans_left` count all orphans, also those for whose findings there was no room.
    """

    number: int = 0
    as_of: Moment | None = None
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()
    found: int = 0
    orphans_left: int = 0
    removed: int = 0
    incomplete: dict[Kind, str] = {}
    cursors: dict[Kind, str] = {}


def removed_when_old(reason: str, since: datetime | None, scene: Scene) -> Verdict:
    """Return the removal of what nobody owns, or its reprieve: what is young may be noted yet.

    What has no known age is for a person.
    """
    if since is None:
        return Verdict(decision=Decision.LOOK, reason=f"{reason}, and its age is not known: look at it yourself")
    return _when_old(Decision.REMOVE, reason, since, scene)


def told_when_old(reason: str, since: datetime | None, scene: Scene) -> Verdict:
    """Return the word to a person about what has no record: it is the record that is missing, not the owner."""
    told = f"{reason}: is the table the right one, and whole? If so, remove it yourself"
    return _when_old(Decision.LOOK, told, since or scene.now - scene.rules.smallest_age, scene)


def _when_old(decision: Decision, reason: str, since: datetime, scene: Scene) -> Verdict:
    old_at = since + scene.rules.smallest_age
    if scene.now < old_at:
        return Verdict(decision=Decision.LEAVE, reason=f"{reason}; young: left alone until {iso(old_at)}")
    return Verdict(decision=decision, reason=reason)
