"""Deployments in the table: the record, its timeline, its ledgers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ulid import ULID

from pilotlight.adapters.table import Table, encode, key, readable, record_of, sortable
from pilotlight.domain.deployment import Change, Deployment, Event, next_generation
from pilotlight.domain.errors import ConcurrentChange, NameTaken, NotFound
from pilotlight.domain.pricing import BillingWindow
from pilotlight.domain.uptime import Metered, Uptime

KIND = "DEPLOYMENT"
RESERVE_TRIES = 3
OPEN_TRIES = 8
WINDOWS_AT_ONCE = 50
SPENT = "SPENT#"


def _pk(name: str) -> str:
    return f"{KIND}#{name}"


def _window_sk(generation: int, ordinal: int) -> str:
    return f"WINDOW#{generation:06d}#{ordinal:09d}"


def _uptime_sk(generation: int, ordinal: int) -> str:
    return f"UPTIME#{generation:06d}#{ordinal:09d}"


class DeploymentTable:
    """Implements `ports.Deployments`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, name: str) -> Deployment | None:
        """Return a record as it is now, or None."""
        item = self._table.get(_pk(name))
        return record_of(Deployment, item) if item else None

    def get(self, name: str) -> Deployment:
        """Return a record as it is now. Raises: NotFound."""
        deployment = self.find(name)
        if deployment is None:
            raise NotFound(f"There is no deployment named {name}; the list tells which there are.", deployment=name)
        return deployment

    def reserve(self, fresh: Deployment, event: Event) -> Deployment:
        """Write a fresh record where the name is free or GONE. Raises: NameTaken, naming the holder."""
        for _ in range(RESERVE_TRIES):
            holder = self.find(fresh.name)
            if holder and holder.is_live:
                raise NameTaken(
                    f"Deployment {fresh.name} exists already ({holder.status}, generation {holder.generation}, from "
                    f"{holder.source}). Choose another name, or delete it first.",
                    holder={"name": holder.name, "generation": holder.generation, "status": holder.status},
                )
            record = next_generation(holder, fresh) if holder else fresh
            event = event.changed(generation=record.generation, after=record.status)
            try:
                return self._write(record, event, before_version=holder.version if holder else None)
            except ConcurrentChange:
                continue
        raise ConcurrentChange(f"Others keep asking for the name {fresh.name}; try again.", deployment=fresh.name)

    def save(self, before: Deployment, change: Change) -> Deployment:
        """Write a change and its event, if it has one, in one go, if nobody wrote since. Raises: ConcurrentChange."""
        return self._write(change.after, change.event, before_version=before.version)

    def _write(self, record: Deployment, event: Event | None, *, before_version: int | None) -> Deployment:
        """Write record and event in one go, under a fence."""
        line = _event_item(record.name, event) if event else None
        version = self._table.put_fenced(_pk(record.name), _item(record), before_version, along=line)
        return record.changed(version=version)

    def reschedule(self, deployment: Deployment, look: tuple[datetime, str] | None) -> None:
        """Set when to look at a record next and what for, unless somebody wrote since."""
        names = {"#version": "version"}
        values: dict[str, Any] = {":version": {"N": str(deployment.version)}}
        expression = "REMOVE next_look_at, next_step"
        if look:
            expression = "SET next_look_at = :at, next_step = :step"
            values |= {":at": {"S": sortable(look[0])}, ":step": {"S": look[1]}}
        self._table.update(
            _pk(deployment.name),
            UpdateExpression=expression,
            ConditionExpression="#version = :version",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def put_off(self, name: str, until: datetime) -> None:
        """Set when to look at a record next, whatever it holds: also one that cannot be read."""
        self._table.update(
            _pk(name),
            UpdateExpression="SET next_look_at = :at",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":at": {"S": sortable(until)}},
        )

    def page(self, cursor: str | None, limit: int) -> tuple[list[Deployment], str | None]:
        """Return a page of records by name, and the cursor of the next one; what cannot be read is left out."""
        items, following = self._table.of_kind(KIND, limit=limit, cursor=cursor)
        return readable(Deployment, items), following

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return the names of deployments whose next look is due, the longest overdue first."""
        return [item["pk"].removeprefix(f"{KIND}#") for item in self._table.due(KIND, now, limit=limit)]

    def events(self, name: str, cursor: str | None, limit: int) -> tuple[list[Event], str | None]:
        """Return a page of a timeline, oldest first."""
        items, following = self._table.query(_pk(name), "EVENT#", limit=limit, cursor=cursor)
        return readable(Event, items), following

    def note(self, name: str, event: Event) -> None:
        """Add a line to a timeline without changing the record."""
        self._table.put(_event_item(name, event))

    def latest_window(self, name: str, generation: int) -> BillingWindow | None:
        """Return the newest billing window of a generation."""
        items, _ = self._table.query(_pk(name), f"WINDOW#{generation:06d}#", limit=1, newest_first=True)
        return record_of(BillingWindow, items[0]) if items else None

    def windows_back_to(self, name: str, generation: int, moment: datetime) -> list[BillingWindow]:
        """Return the billing windows of a generation, newest first, to the one that began by a moment.

        A record that stands for a late answer tells the beginning of the window before it: it ends nothing.
        """
        found: list[BillingWindow] = []
        cursor: str | None = None
        while True:
            items, cursor = self._table.query(
                _pk(name), f"WINDOW#{generation:06d}#", limit=WINDOWS_AT_ONCE, cursor=cursor, newest_first=True
            )
            found += readable(BillingWindow, items)
            if cursor is None or any(window.starts_at <= moment for window in found):
                return found

    def open_window(self, name: str, window: BillingWindow, charges: Mapping[str, float] | None = None) -> bool:
        """Write a window if its ordinal is new, and add `charges` (dollars by month) in the same go.

        False where another call opened it first: nothing is added then. A transaction that met another one may have
        written nothing at all, and is made again.
        """
        pk, sk = _pk(name), _window_sk(window.generation, window.ordinal)
        item = {"pk": pk, "sk": sk, **window.dump()}
        fresh = {"ConditionExpression": "attribute_not_exists(pk)"}
        if not charges:
            return self._table.put(item, **fresh)
        put = {"Put": {"TableName": self._table.name, "Item": encode(item), **fresh}}
        adds = [{"Update": self._charge(pk, month, usd)} for month, usd in charges.items()]
        for _ in range(OPEN_TRIES):
            if self._table.transact([put, *adds], f"opening window {window.ordinal} of {name}"):
                return True
            if self._table.get(pk, sk):
                return False
        raise ConcurrentChange(f"Others keep writing the ledger of {name}; try again.", deployment=name)

    def _charge(self, pk: str, month: str, usd: float) -> dict[str, Any]:
        return {
            "TableName": self._table.name,
            "Key": key(pk, f"{SPENT}{month}"),
            "UpdateExpression": "ADD usd :usd",
            "ExpressionAttributeValues": encode({":usd": usd}),
        }

    def spent_in(self, name: str, month: str) -> float:
        """Return the dollars that were charged to a month, over all generations of the name."""
        return float((self._table.get(_pk(name), f"{SPENT}{month}") or {}).get("usd", 0.0))

    def touch_window(self, name: str, window: BillingWindow) -> None:
        """Move a window's last answer (and measured speed) forward, never back."""
        values = {"last_answer_at": window.dump()["last_answer_at"], "speed": window.tokens_per_second}
        encoded = encode(values)
        self._table.update(
            _pk(name),
            _window_sk(window.generation, window.ordinal),
            UpdateExpression="SET last_answer_at = :at"
            + (", tokens_per_second = :speed" if "speed" in encoded else ""),
            ConditionExpression="attribute_exists(pk) AND last_answer_at <= :at",
            ExpressionAttributeValues={
                ":at": encoded["last_answer_at"],
                **({":speed": encoded["speed"]} if "speed" in encoded else {}),
            },
        )

    def charge_window(self, name: str, window: BillingWindow, invocation_id: str) -> bool:
        """Charge a window to an invocation; False where it is charged to another one."""
        return self._table.update(
            _pk(name),
            _window_sk(window.generation, window.ordinal),
            UpdateExpression="SET charged_to = :id",
            ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(charged_to) OR charged_to = :id)",
            ExpressionAttributeValues=encode({":id": invocation_id}),
        )

    def latest_uptime(self, name: str, generation: int) -> Uptime | None:
        """Return the newest stretch of a generation's uptime."""
        items, _ = self._table.query(_pk(name), f"UPTIME#{generation:06d}#", limit=1, newest_first=True)
        return record_of(Uptime, items[0]) if items else None

    def meter(self, name: str, look: Metered) -> bool:
        """Write what a look adds to the ledger, and to its months, in one go.

        False where another look was entered since `look.before` was read, or an answer that the stretch which begins
        now would not know of: nothing is written then. What speed and last answer a stretch has is left as it is. One
        that met another transaction is to be made again, with a fresh read.
        """
        pk, latest = _pk(name), look.latest
        operations = [{"Update": self._ends(pk, look.before, look)}] if look.before else []
        if look.is_new:
            sk = _uptime_sk(latest.generation, latest.ordinal)
            item = encode({"pk": pk, "sk": sk, **latest.dump()})
            condition = "attribute_not_exists(pk)"
            operations.append({"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": condition}})
        operations += [{"Update": self._charge(pk, month, usd)} for month, usd in look.charges.items()]
        return self._table.transact(operations, f"metering stretch {latest.ordinal} of {name}")

    def _ends(self, pk: str, stretch: Uptime, look: Metered) -> dict[str, Any]:
        """Return the update that moves the end of a stretch, if nobody moved it since it was read.

        Where another one begins, nobody has entered an answer since then, either.
        """
        found, later = stretch.dump(), stretch.changed(ends_at=look.ended_at or stretch.ends_at).dump()
        read, unchanged = {":read": found["ends_at"]}, "ends_at = :read"
        if look.is_new and stretch.last_answer_at:
            read[":answer"] = found["last_answer_at"]
            unchanged += " AND last_answer_at = :answer"
        elif look.is_new:
            unchanged += " AND attribute_not_exists(last_answer_at)"
        return {
            "TableName": self._table.name,
            "Key": key(pk, _uptime_sk(stretch.generation, stretch.ordinal)),
            "UpdateExpression": "SET ends_at = :later",
            "ConditionExpression": unchanged,
            "ExpressionAttributeValues": encode({":later": later["ends_at"], **read}),
        }

    def touch_uptime(self, name: str, uptime: Uptime) -> None:
        """Move a stretch's last answer forward, never back, and set its measured speed."""
        told = {"last_answer_at": uptime.dump().get("last_answer_at"), "tokens_per_second": uptime.tokens_per_second}
        given = {field: value for field, value in told.items() if value is not None}
        if not given:
            return
        forward = "(attribute_not_exists(last_answer_at) OR last_answer_at <= :last_answer_at)"
        self._table.update(
            _pk(name),
            _uptime_sk(uptime.generation, uptime.ordinal),
            UpdateExpression="SET " + ", ".join(f"{field} = :{field}" for field in given),
            ConditionExpression="attribute_exists(pk)" + (f" AND {forward}" if "last_answer_at" in given else ""),
            ExpressionAttributeValues=encode({f":{field}": value for field, value in given.items()}),
        )


def _item(record: Deployment) -> dict[str, Any]:
    item = {**record.dump(), "kind": KIND}
    if record.next_look_at:
        item["next_look_at"] = sortable(record.next_look_at)
    return item


def _event_item(name: str, event: Event) -> dict[str, Any]:
    return {"pk": _pk(name), "sk": f"EVENT#{ULID.from_datetime(event.at)}", **event.dump()}
