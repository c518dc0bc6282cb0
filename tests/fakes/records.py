"""The table in memory: records as JSON under fences, timelines, billing windows, places, idempotency keys."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from pilotlight.domain.artifact import Artifact
from pilotlight.domain.capacity import Capacity
from pilotlight.domain.content import HeldContent
from pilotlight.domain.deployment import Change, Deployment, Event, next_generation
from pilotlight.domain.errors import ConcurrentChange, Conflict, IdempotencyKeyReused, InvalidInput, NameTaken, NotFound
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.pricing import BillingWindow
from pilotlight.domain.reconciliation import Pass
from pilotlight.domain.staging_progress import SpanMark
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.upload import Upload
from pilotlight.domain.uptime import Metered, Uptime
from pilotlight.domain.values import Model
from pydantic import ValidationError

Record = TypeVar("Record", bound=Model)
Item = TypeVar("Item")


class Shelf(Generic[Record]):
    """Records as JSON; a write with an old version is refused, as the table's fence does.

    `meanwhile` holds what others do before our next writes: each is called once, before one write.
    """

    def __init__(self, model: type[Record]) -> None:
        self._model = model
        self._records: dict[str, dict[str, Any]] = {}
        self.meanwhile: deque[Callable[[], object]] = deque()

    def find(self, key: str) -> Record | None:
        stored = self._records.get(key)
        try:
            return None if stored is None else self._model.model_validate(stored)
        except ValidationError as exc:
            raise NotFound(f"Record {key} cannot be read.") from exc

    def spoil(self, key: str, look: str, now: datetime) -> None:
        """Put a record there that a version of ours wrote which we do not understand, due now."""
        self._records[key] = {look: now.isoformat(), "version": 1}

    def lose(self) -> None:
        """Forget every record, as a table does that was deleted."""
        self._records.clear()

    def due(self, look: str, now: datetime) -> list[str]:
        """Return the keys of the records whose look is due, readable or not, the longest overdue first."""
        looks = [(datetime.fromisoformat(each[look]), key) for key, each in self._records.items() if each.get(look)]
        return [key for when, key in sorted(looks) if when <= now]

    def fields(self, key: str) -> dict[str, Any] | None:
        return self._records.get(key)

    def patch(self, key: str, **fields: Any) -> None:
        """Set fields of a record, whatever it holds."""
        self._records[key] = {**self._records.get(key, {"version": 0}), **fields}

    def all(self) -> list[Record]:
        """Return the records in the order of their keys, without those that cannot be read."""
        found = []
        for key in sorted(self._records):
            with suppress(NotFound):
                found.append(self.find(key))
        return [record for record in found if record]

    def put(self, key: str, record: Record, before_version: int | None) -> Record:
        if self.meanwhile:
            self.meanwhile.popleft()()
        stored = self._records.get(key)
        if (stored["version"] if stored else None) != (before_version or None):
            raise ConcurrentChange(f"{key} was changed by somebody else; read it again.", record=key)
        return self.write(key, record, (before_version or 0) + 1)

    def write(self, key: str, record: Record, version: int) -> Record:
        self._records[key] = record.changed(version=version).dump()
        return record.changed(version=version)


def page_of(items: Sequence[Item], cursor: str | None, limit: int) -> tuple[list[Item], str | None]:
    if cursor is not None and not cursor.isdigit():
        raise InvalidInput("The cursor is not one that a list gave.", field="cursor", rule="`next` of a list")
    start = int(cursor or 0)
    return list(items[start : start + limit]), str(start + limit) if start + limit < len(items) else None


class FakeDeployments:
    """Implements `ports.Deployments`."""

    def __init__(self) -> None:
        self.shelf = Shelf(Deployment)
        self._events: dict[str, list[Event]] = {}
        self._windows: dict[tuple[str, int], list[BillingWindow]] = {}
        self._uptimes: dict[tuple[str, int], list[Uptime]] = {}
        self._spent: dict[tuple[str, str], float] = {}

    def get(self, name: str) -> Deployment:
        if found := self.find(name):
            return found
        raise NotFound(f"There is no deployment named {name}.", deployment=name)

    def find(self, name: str) -> Deployment | None:
        return self.shelf.find(name)

    def reserve(self, fresh: Deployment, event: Event) -> Deployment:
        holder = self.find(fresh.name)
        if holder and holder.is_live:
            raise NameTaken(
                f"Deployment {fresh.name} exists already ({holder.status}).",
                holder={"name": holder.name, "generation": holder.generation, "status": holder.status},
            )
        record = next_generation(holder, fresh) if holder else fresh
        reserved = self.shelf.put(record.name, record, holder.version if holder else None)
        self.note(record.name, event.changed(generation=record.generation, after=record.status))
        return reserved

    def save(self, before: Deployment, change: Change) -> Deployment:
        saved = self.shelf.put(change.after.name, change.after, before.version)
        if change.event:
            self.note(saved.name, change.event)
        return saved

    def reschedule(self, deployment: Deployment, look: tuple[datetime, str] | None) -> None:
        stored = self.find(deployment.name)
        if stored and stored.version == deployment.version:
            when, step = look or (None, None)
            self.shelf.write(stored.name, stored.changed(next_look_at=when, next_step=step), stored.version)

    def put_off(self, name: str, until: datetime) -> None:
        self.shelf.patch(name, next_look_at=until.isoformat())

    def page(self, cursor: str | None, limit: int) -> tuple[list[Deployment], str | None]:
        return page_of(self.shelf.all(), cursor, limit)

    def due(self, now: datetime, limit: int) -> list[str]:
        return self.shelf.due("next_look_at", now)[:limit]

    def events(self, name: str, cursor: str | None, limit: int) -> tuple[list[Event], str | None]:
        return page_of(self._events.get(name, []), cursor, limit)

    def note(self, name: str, event: Event) -> None:
        timeline = self._events.setdefault(name, [])
        timeline.append(Event.model_validate(event.dump()))
        timeline.sort(key=lambda each: each.at)

    def latest_window(self, name: str, generation: int) -> BillingWindow | None:
        windows = self._windows.get((name, generation), [])
        return max(windows, key=lambda window: window.ordinal, default=None)

    def windows_back_to(self, name: str, generation: int, moment: datetime) -> list[BillingWindow]:
        windows = sorted(self._windows.get((name, generation), []), key=lambda each: each.ordinal, reverse=True)
        began = next((index for index, each in enumerate(windows) if each.starts_at <= moment), len(windows))
        return windows[: began + 1]

    def open_window(self, name: str, window: BillingWindow, charges: Mapping[str, float] | None = None) -> bool:
        windows = self._windows.setdefault((name, window.generation), [])
        if any(each.ordinal == window.ordinal for each in windows):
            return False
        windows.append(window)
        for month, usd in (charges or {}).items():
            self._spent[name, month] = self.spent_in(name, month) + usd
        return True

    def spent_in(self, name: str, month: str) -> float:
        return self._spent.get((name, month), 0.0)

    def touch_window(self, name: str, window: BillingWindow) -> None:
        windows = self._windows.get((name, window.generation), [])
        for index, held in enumerate(windows):
            if held.ordinal == window.ordinal and held.last_answer_at <= window.last_answer_at:
                speed = window.tokens_per_second or held.tokens_per_second
                windows[index] = held.changed(last_answer_at=window.last_answer_at, tokens_per_second=speed)

    def charge_window(self, name: str, window: BillingWindow, invocation_id: str) -> bool:
        windows = self._windows.get((name, window.generation), [])
        for index, held in enumerate(windows):
            if held.ordinal == window.ordinal and held.charged_to in (None, invocation_id):
                windows[index] = held.changed(charged_to=invocation_id)
                return True
        return False

    def latest_uptime(self, name: str, generation: int) -> Uptime | None:
        stretches = self._uptimes.get((name, generation), [])
        return stretches[-1] if stretches else None

    def meter(self, name: str, look: Metered) -> bool:
        stretches = self._uptimes.setdefault((name, look.latest.generation), [])
        newest = stretches[-1] if stretches else None
        if _end_of(newest) != _end_of(look.before):
            return False
        if look.is_new and newest and look.before and newest.last_answer_at != look.before.last_answer_at:
            return False
        if newest and look.ended_at:
            stretches[-1] = newest.changed(ends_at=look.ended_at)
        if look.is_new:
            stretches.append(look.latest)
        for month, usd in look.charges.items():
            self._spent[name, month] = self.spent_in(name, month) + usd
        return True

    def touch_uptime(self, name: str, uptime: Uptime) -> None:
        stretches = self._uptimes.get((name, uptime.generation), [])
        for index, held in enumerate(stretches):
            answered_at = uptime.last_answer_at or held.last_answer_at
            if held.ordinal == uptime.ordinal and not (held.last_answer_at and answered_at < held.last_answer_at):
                speed = uptime.tokens_per_second or held.tokens_per_second
                stretches[index] = held.changed(last_answer_at=answered_at, tokens_per_second=speed)

    def timeline(self, name: str) -> list[str]:
        """Return the reasons of a timeline, oldest first."""
        return [event.reason for event in self._events.get(name, [])]


class FakeCapacity:
    """Implements `ports.CapacityLedger`."""

    def __init__(self) -> None:
        self.shelf = Shelf(Capacity)

    def read(self) -> Capacity:
        return self.shelf.find("ledger") or Capacity()

    def save(self, before: Capacity, after: Capacity) -> None:
        self.shelf.put("ledger", after, before.version)


class FakeArtifacts:
    """Implements `ports.Artifacts`."""

    def __init__(self) -> None:
        self.shelf = Shelf(Artifact)
        self._spans: dict[tuple[str, int, int], SpanMark] = {}
        self._troubles: dict[tuple[str, int], tuple[str, str]] = {}

    def find(self, artifact_id: str) -> Artifact | None:
        return self.shelf.find(artifact_id)

    def get(self, artifact_id: str) -> Artifact:
        if found := self.find(artifact_id):
            return found
        raise NotFound(f"There is no artifact {artifact_id!r}.", artifact_id=artifact_id)

    def save(self, before: Artifact | None, after: Artifact) -> Artifact:
        return self.shelf.put(after.id, after, before.version if before else None)

    def page(self, cursor: str | None, limit: int) -> tuple[list[Artifact], str | None]:
        return page_of(self.shelf.all(), cursor, limit)

    def mark_span(self, artifact_id: str, attempt: int, number: int, mark: SpanMark) -> None:
        self._spans[artifact_id, attempt, number] = mark

    def span_marks(self, artifact_id: str, attempt: int) -> list[SpanMark]:
        return [mark for key, mark in self._spans.items() if key[:2] == (artifact_id, attempt)]

    def note_trouble(self, artifact_id: str, attempt: int, code: str, reason: str) -> None:
        self._troubles[artifact_id, attempt] = (code, reason)

    def trouble(self, artifact_id: str, attempt: int) -> tuple[str, str] | None:
        return self._troubles.get((artifact_id, attempt))

    def forget_spans(self, artifact_id: str) -> None:
        self._spans = {key: size for key, size in self._spans.items() if key[0] != artifact_id}


class FakeContents:
    """Implements `ports.Contents`."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, int, str], HeldContent] = {}

    def holders(self, sha256: str, size_bytes: int) -> list[HeldContent]:
        return [held for key, held in sorted(self.held.items()) if key[:2] == (sha256, size_bytes)][:10]

    def note(self, held: HeldContent) -> None:
        self.held[held.sha256, held.size_bytes, held.artifact_id] = held

    def forget(self, held: HeldContent) -> None:
        self.held.pop((held.sha256, held.size_bytes, held.artifact_id), None)


class FakeSpeeds:
    """Implements `ports.Speeds`."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str, int], Measurement] = {}

    def note(self, artifact_id: str, measured: Measurement) -> None:
        self.held[artifact_id, measured.instance_type, measured.tensor_parallel_degree] = measured

    def of(self, artifact_id: str) -> list[Measurement]:
        return [each for key, each in self.held.items() if key[0] == artifact_id]


class FakeInvocations:
    """Implements `ports.Invocations`; places are counted by the half minute in which they were taken."""

    def __init__(self) -> None:
        self.shelf = Shelf(Invocation)
        self._held: dict[int, int] = {}

    def put(self, invocation: Invocation) -> None:
        self.shelf.write(invocation.id, invocation, 1)

    def find(self, invocation_id: str) -> Invocation | None:
        return self.shelf.find(invocation_id)

    def get(self, invocation_id: str) -> Invocation:
        if found := self.shelf.find(invocation_id):
            return found
        raise NotFound(f"There is no invocation {invocation_id}.", id=invocation_id)

    def save(self, before: Invocation, after: Invocation) -> Invocation:
        return self.shelf.put(after.id, after, before.version or 1)

    def hold(self, now: datetime, bound: int) -> bool:
        held = self._held.get(_half_minute(now), 0)
        if held >= bound:
            return False
        self._held[_half_minute(now)] = held + 1
        return True

    def release(self, taken_at: datetime) -> None:
        self._held[_half_minute(taken_at)] = max(0, self._held.get(_half_minute(taken_at), 0) - 1)


class FakeUploads:
    """Implements `ports.Uploads`."""

    def __init__(self) -> None:
        self.shelf = Shelf(Upload)

    def find(self, folder: str) -> Upload | None:
        return self.shelf.find(folder)

    def note_event(self, folder: str, look_at: datetime, now: datetime) -> None:
        known = self.shelf.fields(folder) or Upload(folder=folder, updated_at=now).dump()
        moments = {"look_at": look_at.isoformat(), "updated_at": now.isoformat()}
        self.shelf.patch(folder, **{**known, **moments, "version": known["version"] + 1})

    def save(self, before: Upload, after: Upload) -> Upload:
        return self.shelf.put(after.folder, after, before.version or None)

    def due(self, now: datetime, limit: int) -> list[str]:
        return self.shelf.due("look_at", now)[:limit]

    def page(self, cursor: str | None, limit: int) -> tuple[list[Upload], str | None]:
        return page_of(self.shelf.all(), cursor, limit)


class FakeKeys:
    """Implements `ports.IdempotencyKeys`: a claim without an answer can be taken over after a minute."""

    CLAIM = timedelta(seconds=60)

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, Any]] = {}

    def claim(self, key: str, body_hash: str, now: datetime) -> dict[str, Any] | None:
        stored = self._keys.get(key)
        if stored and stored["body_hash"] != body_hash:
            raise IdempotencyKeyReused("This Idempotency-Key came before with another body.")
        if stored and (answer := stored.get("answer")):
            return dict(answer)
        if stored and now <= stored["claimed_until"]:
            raise Conflict("The first request with this Idempotency-Key is still under way.", key=key)
        self._keys[key] = {"body_hash": body_hash, "claimed_until": now + self.CLAIM}
        return None

    def answer(self, key: str, response: dict[str, Any]) -> None:
        self._keys.setdefault(key, {})["answer"] = response

    def forget(self, key: str) -> None:
        self._keys.pop(key, None)


class FakePasses:
    """Implements `ports.Passes`: a turn can be taken over when its time is over."""

    begun: int = 0

    def __init__(self) -> None:
        self._told = Pass()
        self._turn: tuple[str, datetime] | None = None

    def latest(self) -> Pass:
        return self._told

    def begin(self, owner: str, now: datetime, until: datetime) -> int | None:
        if self._turn and self._turn[0] != owner and self._turn[1] >= now:
            return None
        self._turn = (owner, until)
        self.begun += 1
        return self.begun - 1

    def end(self, owner: str, done: Pass) -> None:
        if self._turn and self._turn[0] == owner:
            self._told, self._turn = Pass.model_validate(done.dump()), None


def _end_of(stretch: Uptime | None) -> tuple[int, datetime] | None:
    return (stretch.ordinal, stretch.ends_at) if stretch else None


def _half_minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 30
