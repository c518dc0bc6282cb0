"""The reconciliation, every quarter hour: what the cloud holds is compared with the records, and set right.

Each kind is listed first and its records are read afterwards, so that nothing is taken for an orphan whose record was
written in between. A pass removes little, and nothing that is young, in use, live or not ours; what it does not
come to, the next pass begins with.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.reconciliation import (
    ACTS,
    MOST_FINDINGS,
    REMOVALS,
    Decision,
    Finding,
    Kind,
    Listing,
    Pass,
    Rules,
    Scene,
    Verdict,
    unjudged,
)
from pilotlight.ports import Clock, Journal, Passes
from pilotlight.services.inspecting import Inspector, require_still
from pilotlight.services.sweeping import SURPRISES

STRIDE = 7919  # a prime: by it the first item of a list moves from pass to pass, so that none is always the last


class Reconciling:
    """Runs passes, one at a time."""

    def __init__(
        self,
        inspectors: Sequence[Inspector],
        passes: Passes,
        journal: Journal,
        clock: Clock,
        rules: Rules,
        *,
        longest: timedelta,
        turn: timedelta,
    ) -> None:
        self._inspectors = tuple(inspectors)
        self._passes = passes
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._longest = longest
        self._turn = turn

    def reconcile(self) -> Pass:
        """Return what a pass found and did; the newest pass where another one is under way.

        Each call is a pass of its own: the event that starts one may come twice, at the same time.
        """
        began, owner = self._clock.now(), uuid.uuid4().hex
        earlier = self._passes.begin(owner, began, began + self._turn)
        before = self._passes.latest()
        if earlier is None:
            return before
        work = _Work(earlier, before, Scene(now=began, rules=self._rules), until=began + self._longest)
        for inspector in _turned(self._inspectors, earlier):
            self._inspect_all(inspector, work)
        done = work.ended(self._clock.now())
        self._passes.end(owner, done)
        self._journal.reconciled(done)
        return done

    def _inspect_all(self, inspector: Inspector, work: "_Work") -> None:
        """List one kind, and judge what there is of it: a list that hangs costs no other kind its turn."""
        listing = self._listed(inspector, work)
        following = listing.following
        for item in _turned(listing.items, work.earlier * STRIDE):
            if self._clock.now() >= work.until:
                following = work.cursor_before(inspector.kind)
                break
            if finding := self._inspect(inspector, item, listing, work):
                work.note(finding)
        work.went_through(inspector.kind, listing.trouble, following)

    def _listed(self, inspector: Inspector, work: "_Work") -> Listing[Any]:
        cursor = work.cursor_before(inspector.kind)
        if self._clock.now() >= work.until:
            return Listing(trouble="there was no time left to list it", following=cursor)
        try:
            listing = inspector.list(cursor)
        except SURPRISES as exc:
            listing = Listing(trouble=_told(exc), following=cursor)
        if not listing.is_whole:
            self._journal.surprise("a listing did not come whole", kind=inspector.kind, reason=listing.trouble)
        return listing

    def _inspect(self, inspector: Inspector, item: Any, listing: Listing[Any], work: "_Work") -> Finding | None:
        """Return what was found of one item and done about it; what cannot be judged is left alone."""
        try:
            finding = inspector.inspect(item, work.scene)
        except SURPRISES as exc:
            return unjudged(inspector.kind, inspector.name_of(item), _told(exc))
        finding = finding and work.allowed(finding, listing)
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
        work.removed += finding.decision in REMOVALS
        told = finding.model_dump(mode="json", include={"kind", "resource", "belongs_to", "decision", "reason"})
        self._journal.fact("reconciled", **told)
        return finding.changed(done=True)


class _Work:
    """One pass under way: what has been found and removed so far, and how far each kind was gone through."""

    def __init__(self, earlier: int, before: Pass, scene: Scene, *, until: datetime) -> None:
        self.earlier = earlier
        self.scene = scene
        self.until = until
        self.removed = 0
        self._before = before
        self._known = {(each.kind, each.resource): each for each in before.findings}
        self._findings: list[Finding] = []
        self._incomplete: dict[Kind, str] = {}
        self._cursors: dict[Kind, str] = {}

    def allowed(self, finding: Finding, listing: Listing[Any]) -> Finding:
        """Return a finding, or its reprieve: nothing is removed by a broken list, nor more than a pass may."""
        if finding.decision not in REMOVALS:
            return finding
        if not listing.is_whole:
            reason = f"{finding.reason}; left alone, because the list did not come whole"
            return finding.instead(Verdict(decision=Decision.LEAVE, reason=reason))
        if self.removed >= self.scene.rules.most_removals:
            reason = f"{finding.reason}; for the next pass: one removes {self.scene.rules.most_removals} at most"
            return finding.instead(Verdict(decision=Decision.LEAVE, reason=reason))
        return finding

    def note(self, finding: Finding) -> None:
        """Keep a finding, with how long it has been one."""
        self._findings.append(finding.seen_before_as(self._known.get((finding.kind, finding.resource)), self.scene.now))

    def cursor_before(self, kind: Kind) -> str | None:
        """Return where the list of a kind goes on, by the pass before."""
        return self._before.cursors.get(kind)

    def went_through(self, kind: Kind, trouble: str | None, following: str | None) -> None:
        """Note what kept a kind from being listed whole, and where the next pass goes on."""
        if trouble:
            self._incomplete[kind] = trouble
        if following:
            self._cursors[kind] = following

    def ended(self, now: datetime) -> Pass:
        """Return the record of this pass."""
        urgent_first = sorted(self._findings, key=lambda each: (each.done, not each.orphan))
        return Pass(
            number=self.earlier + 1,
            as_of=now,
            dry_run=self.scene.rules.dry_run,
            findings=tuple(urgent_first[:MOST_FINDINGS]),
            found=sum(finding.orphan for finding in self._findings),
            orphans_left=sum(finding.is_left for finding in self._findings),
            removed=self.removed,
            incomplete=self._incomplete,
            cursors=self._cursors,
        )


def _turned(items: Sequence[Any], by: int) -> list[Any]:
    """Return the items in their order, beginning elsewhere."""
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]


def _told(exc: Exception) -> str:
    return exc.message if isinstance(exc, PilotlightError) else type(exc).__name__
