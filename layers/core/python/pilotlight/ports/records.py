"""Records: deployments, artifacts, invocations, uploads, idempotency keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from pilotlight.domain.artifact import Artifact
from pilotlight.domain.capacity import Capacity
from pilotlight.domain.content import HeldContent
from pilotlight.domain.deployment import Change, Deployment, Event
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.pricing import BillingWindow
from pilotlight.domain.reconciliation import Pass
from pilotlight.domain.staging_progress import SpanMark
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.upload import Upload
from pilotlight.domain.uptime import Metered, Uptime


class Deployments(Protocol):
    """The records of deployments, their timelines, and their ledgers: billing windows, or uptime of instances."""

    def get(self, name: str) -> Deployment:
        """Return a record as it is now. Raises: NotFound."""
        ...

    def find(self, name: str) -> Deployment | None:
        """Return a record as it is now, or None."""
        ...

    def reserve(self, fresh: Deployment, event: Event) -> Deployment:
        """Write a fresh record where the name is free or GONE. Raises: NameTaken, naming the holder."""
        ...

    def save(self, before: Deployment, change: Change) -> Deployment:
        """Write a change and its event, if it has one, in one go, if nobody wrote since. Raises: ConcurrentChange."""
        ...

    def reschedule(self, deployment: Deployment, look: tuple[datetime, str] | None) -> None:
        """Set when to look at a record next and what for, unless somebody wrote since."""
        ...

    def put_off(self, name: str, until: datetime) -> None:
        """Set when to look at a record next, whatever it holds: also one that cannot be read."""
        ...

    def page(self, cursor: str | None, limit: int) -> tuple[list[Deployment], str | None]:
        """Return a page of records by name, and the cursor of the next one."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return the names of deployments whose next look is due, the longest overdue first."""
        ...

    def events(self, name: str, cursor: str | None, limit: int) -> tuple[list[Event], str | None]:
        """Return a page of a timeline, oldest first."""
        ...

    def note(self, name: str, event: Event) -> None:
        """Add a line to a timeline without changing the record."""
        ...

    def latest_window(self, name: str, generation: int) -> BillingWindow | None:
        """Return the newest billing window of a generation."""
        ...

    def windows_back_to(self, name: str, generation: int, moment: datetime) -> list[BillingWindow]:
        """Return the billing windows of a generation, newest first, at least to the one that began by a moment."""
        ...

    def open_window(self, name: str, window: BillingWindow, charges: Mapping[str, float] | None = None) -> bool:
        """Write a window if its ordinal is new, and add `charges` (dollars by month) in the same go.

        False where another call opened it first: nothing is added then.
        """
        ...

    def spent_in(self, name: str, month: str) -> float:
        """Return the dollars that were charged to a month, over all generations of the name."""
        ...

    def touch_window(self, name: str, window: BillingWindow) -> None:
        """Move a window's last answer (and measured speed) forward, never back."""
        ...

    def charge_window(self, name: str, window: BillingWindow, invocation_id: str) -> bool:
        """Charge a window to an invocation; False where it is charged to another one."""
        ...

    def latest_uptime(self, name: str, generation: int) -> Uptime | None:
        """Return the newest stretch of a generation's uptime."""
        ...

    def meter(self, name: str, look: Metered) -> bool:
        """Write what a look adds to the ledger, and to its months, in one go.

        False where another look was entered since `look.before` was read, or an answer that the stretch which begins
        now would not know of: nothing is written then.
        """
        ...

    def touch_uptime(self, name: str, uptime: Uptime) -> None:
        """Move a stretch's last answer forward, never back, and set its measured speed."""
        ...


class CapacityLedger(Protocol):
    """What may be warm at once over all deployments."""

    def read(self) -> Capacity:
        """Return the ledger as it is now."""
        ...

    def save(self, before: Capacity, after: Capacity) -> None:
        """Write the ledger if nobody wrote since `before`. Raises: ConcurrentChange."""
        ...


class Contents(Protocol):
    """Which artifacts hold a content."""

    def holders(self, sha256: str, size_bytes: int) -> list[HeldContent]:
        """Return who holds a content, ten at the most; a record that cannot be read is passed over."""
        ...

    def note(self, held: HeldContent) -> None:
        """Keep that an artifact holds a content, in place of what was kept of the same artifact."""
        ...

    def forget(self, held: HeldContent) -> None:
        """Remove that an artifact holds a content; one that is not there is a success."""
        ...


class Artifacts(Protocol):
    """The records of artifacts and of the spans that are copied."""

    def find(self, artifact_id: str) -> Artifact | None:
        """Return a record as it is now, or None."""
        ...

    def get(self, artifact_id: str) -> Artifact:
        """Return a record as it is now. Raises: NotFound."""
        ...

    def save(self, before: Artifact | None, after: Artifact) -> Artifact:
        """Write a record if nobody wrote since `before` (None: if there is none). Raises: ConcurrentChange."""
        ...

    def page(self, cursor: str | None, limit: int) -> tuple[list[Artifact], str | None]:
        """Return a page of records by id, and the cursor of the next one."""
        ...

    def mark_span(self, artifact_id: str, attempt: int, number: int, mark: SpanMark) -> None:
        """Note how far a span is: the newest mark of it counts."""
        ...

    def span_marks(self, artifact_id: str, attempt: int) -> list[SpanMark]:
        """Return the marks of this attempt: one of each span, and the plan's."""
        ...

    def note_trouble(self, artifact_id: str, attempt: int, code: str, reason: str) -> None:
        """Keep why a span could not be copied: the newest reason of an attempt."""
        ...

    def trouble(self, artifact_id: str, attempt: int) -> tuple[str, str] | None:
        """Return code and reason of the newest trouble of an attempt."""
        ...

    def forget_spans(self, artifact_id: str) -> None:
        """Remove the marks of copied spans, and why others could not be copied."""
        ...


class Speeds(Protocol):
    """What deployments have measured of models, by the artifact that they are."""

    def note(self, artifact_id: str, measured: Measurement) -> None:
        """Keep a measurement: the newest for each instance and number of shares."""
        ...

    def of(self, artifact_id: str) -> list[Measurement]:
        """Return what was measured of a model."""
        ...


class Invocations(Protocol):
    """The records of invocations, their bodies, and the queue they wait in."""

    def put(self, invocation: Invocation) -> None:
        """Write a fresh record."""
        ...

    def find(self, invocation_id: str) -> Invocation | None:
        """Return a record as it is now, or None."""
        ...

    def get(self, invocation_id: str) -> Invocation:
        """Return a record as it is now. Raises: NotFound."""
        ...

    def save(self, before: Invocation, after: Invocation) -> Invocation:
        """Write a record if nobody wrote since `before`. Raises: ConcurrentChange."""
        ...

    def hold(self, now: datetime, bound: int) -> bool:
        """Take one of `bound` places for a held request; False where all are taken."""
        ...

    def release(self, taken_at: datetime) -> None:
        """Give back a place taken at that moment."""
        ...


class Uploads(Protocol):
    """The records of uploaded folders."""

    def find(self, folder: str) -> Upload | None:
        """Return a record as it is now, or None."""
        ...

    def note_event(self, folder: str, look_at: datetime, now: datetime) -> None:
        """Set when to look at a folder, creating its record: one unconditional write per event."""
        ...

    def save(self, before: Upload, after: Upload) -> Upload:
        """Write a record if nobody wrote since `before`. Raises: ConcurrentChange."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return the folders whose look is due, the longest overdue first."""
        ...

    def page(self, cursor: str | None, limit: int) -> tuple[list[Upload], str | None]:
        """Return a page of folders by name, and the cursor of the next one."""
        ...


class IdempotencyKeys(Protocol):
    """Answers already given, by the key of the request."""

    def claim(self, key: str, body_hash: str, now: datetime) -> dict[str, Any] | None:
        """Return the answer already given, or None when the key is ours to answer.

        Raises: IdempotencyKeyReused for another body; Conflict while the first request is under way.
        """
        ...

    def answer(self, key: str, response: dict[str, Any]) -> None:
        """Keep the answer for repeats."""
        ...

    def forget(self, key: str) -> None:
        """Give a key back: the request was refused, and may come again."""
        ...


class Passes(Protocol):
    """The record of the newest reconciliation."""

    def latest(self) -> Pass:
        """Return the newest pass; one without a number where there has been none."""
        ...

    def begin(self, owner: str, now: datetime, until: datetime) -> int | None:
        """Take the turn until then. Returns how many passes began before this one; None while another has the turn.

        A pass counts from its beginning: where one never ends, the next one begins elsewhere.
        """
        ...

    def end(self, owner: str, done: Pass) -> None:
        """Keep what a pass found and give the turn back, unless another one has taken it."""
        ...
