"""The reconciliation, every quarter hour: what the cloud holds is compared with the records, and set right.

The cloud is listed first and the records are read afterwards, so that nothing is taken for an orphan whose record
was written in between. A pass removes little, and nothing that is young, in use, live or not ours; what it does not
come to, the next pass begins with.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.reconciliation import (
    ACTS,
    MOST_FINDINGS,
    Decision,
    Finding,
    Kind,
    Listing,
    Pass,
    Rules,
    Scene,
    Verdict,
)
from pilotlight.ports import Clock, Deployments, Journal, Passes
from pilotlight.services.inspecting import Inspector, require_still
from pilotlight.services.sweeping import SURPRISES

STRIDE = 7919  # a prime: by it the first item of a list moves from pass to pass, so that none is always the last


class Reconciling:
    """Runs passes, one at a time."""

    def __init__(
        self,
        inspectors: Sequence[Inspector],
        deployments: Deployments,
        passes: Passes,
        journal: Journal,
        clock: Clock,
        rules: Rules,
        *,
        longest: timedelta,
        turn: timedelta,
    ) -> None:
        self._inspectors = tuple(inspectors)
        self._deployments = deployments
        self._passes = passes
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._longest = longest
        self._turn = turn

    def reconcile(self, *, owner: str) -> Pass:
        """Return what a pass found and did; the newest pass where another one is under way.

        `owner` names this pass: a repeat of it takes its own turn again.
        """
        began = self._clock.now()
        if not self._passes.begin(owner, began, began + self._turn):
            return self._passes.latest()
        before = self._passes.latest()
        listings = {each.kind: self._listed(each, before.cursors.get(each.kind)) for each in self._inspectors}
        remembers = bool(self._deployments.page(None, 1)[0])
        work = _Work(before, listings, Scene(now=began, rules=self._rules, remembers=remembers))
        for inspector in _turned(self._inspectors, before.number):
            self._inspect_all(inspector, work, until=began + self._longest)
        done = work.ended(self._clock.now())
        self._passes.end(owner, done)
        self._journal.reconciled(done)
        return done

    def _listed(self, inspector: Inspector, cursor: str | None) -> Listing[Any]:
        try:
            return inspector.list(cursor)
        except SURPRISES as exc:
            return Listing(trouble=_told(exc), following=cursor)

    def _inspect_all(self, inspector: Inspector, work: "_Work", *, until: datetime) -> None:
        listing = work.listings[inspector.kind]
        if not listing.is_whole:
            self._journal.surprise("a listing did not come whole", kind=inspector.kind, reason=listing.trouble)
        for item in _turned(listing.items, work.before.number * STRIDE):
            if self._clock.now() >= until:
                work.broke_off(inspector.kind)
                return
            if finding := self._inspect(inspector, item, work):
                work.note(finding)

    def _inspect(self, inspector: Inspector, item: Any, work: "_Work") -> Finding | None:
        """Return what was found of one item and done about it; what cannot be judged is left alone."""
        try:
            finding = inspector.inspect(item, work.scene)
        except SURPRISES as exc:
            resource = str(getattr(item, "arn", None) or getattr(item, "name", None) or getattr(item, "key", item))[
                :500
            ]
            reason = "it could not be judged: left alone"
            return Finding(
                kind=inspector.kind, resource=resource, decision=Decision.LEAVE, reason=reason, trouble=_told(exc)
            )
        finding = finding and work.allowed(finding)
        if finding is None or finding.decision not in ACTS or self._rules.dry_run:
            return finding
        return self._carry_out(inspector, item, finding, work)

    def _carry_out(self, inspector: Inspector, item: Any, finding: Finding, work: "_Work") -> Finding:
        """Judge once more, by what is so now, and then do it."""
        scene = work.scene.changed(now=self._clock.now())
        try:
            finding = require_still(inspector.inspect(item, scene), finding.decision)
            inspector.act(item, finding, scene)
        except SURPRISES as exc:
            return finding.changed(trouble=_told(exc))
        work.removed += finding.decision is Decision.REMOVE
        told = finding.model_dump(mode="json", include={"kind", "resource", "belongs_to", "decision", "reason"})
        self._journal.fact("reconciled", **told)
        return finding.changed(done=True)


class _Work:
    """One pass under way: what was listed, and what has been found and removed so far."""

    def __init__(self, before: Pass, listings: dict[Kind, Listing[Any]], scene: Scene) -> None:
        self.before = before
        self.listings = listings
        self.scene = scene
        self.removed = 0
        self._known = {(each.kind, each.resource): each for each in before.findings}
        self._findings: list[Finding] = []
        self._broken_off: set[Kind] = set()

    def allowed(self, finding: Finding) -> Finding:
        """Return a finding, or its reprieve: nothing is removed by a broken list, nor more than a pass may."""
        if finding.decision is not Decision.REMOVE:
            return finding
        if not self.listings[finding.kind].is_whole:
            reason = f"{finding.reason}; left alone, because the list did not come whole"
            return finding.instead(Verdict(decision=Decision.LEAVE, reason=reason))
        if self.removed >= self.scene.rules.most_removals:
            reason = f"{finding.reason}; for the next pass: one removes {self.scene.rules.most_removals} at most"
            return finding.instead(Verdict(decision=Decision.LEAVE, reason=reason))
        return finding

    def note(self, finding: Finding) -> None:
        """Keep a finding, with how long it has been one."""
        self._findings.append(finding.seen_before_as(self._known.get((finding.kind, finding.resource)), self.scene.now))

    def broke_off(self, kind: Kind) -> None:
        """Note that there was no time for all of a kind: the next pass begins there again, with another item."""
        self._broken_off.add(kind)

    def ended(self, now: datetime) -> Pass:
        """Return the record of this pass."""
        cursors = {kind: self._cursor(kind) for kind in self.listings}
        urgent_first = sorted(self._findings, key=lambda each: (each.done, not each.is_orphan))
        return Pass(
            number=self.before.number + 1,
            as_of=now,
            dry_run=self.scene.rules.dry_run,
            findings=tuple(urgent_first[:MOST_FINDINGS]),
            found=sum(finding.is_orphan for finding in self._findings),
            removed=self.removed,
            incomplete={kind: each.trouble for kind, each in self.listings.items() if each.trouble},
            cursors={kind: cursor for kind, cursor in cursors.items() if cursor},
        )

    def _cursor(self, kind: Kind) -> str | None:
        return self.before.cursors.get(kind) if kind in self._broken_off else self.listings[kind].following


def _turned(items: Sequence[Any], by: int) -> list[Any]:
    """Return the items in their order, beginning elsewhere."""
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]


def _told(exc: Exception) -> str:
    return exc.message if isinstance(exc, PilotlightError) else type(exc).__name__
