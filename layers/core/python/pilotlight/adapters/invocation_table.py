"""Invocations, held requests and idempotency keys in the table: all with a time to live."""

from datetime import datetime, timedelta
from typing import Any

from pilotlight.adapters.table import Table, encode, record_of, sortable
from pilotlight.domain.errors import Conflict, IdempotencyKeyReused, NotFound
from pilotlight.domain.invocation import Invocation

KEY_KEPT = timedelta(hours=24)
KEY_CLAIM = timedelta(seconds=60)  # how long a request may take before a repeat may take it over
HOLD_BUCKET_SECONDS = 30  # longer than a request is held: a crash forgets its place with the bucket


class InvocationTable:
    """Implements `ports.Invocations`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, invocation: Invocation) -> None:
        """Write a fresh record."""
        self._table.put(self._item(invocation.changed(version=1)) | {"pk": _pk(invocation.id), "sk": "META"})

    def find(self, invocation_id: str) -> Invocation | None:
        """Return a record as it is now, or None. Raises: NotFound for one that cannot be read."""
        item = self._table.get(_pk(invocation_id))
        return record_of(Invocation, item) if item else None

    def get(self, invocation_id: str) -> Invocation:
        """Return a record as it is now. Raises: NotFound."""
        invocation = self.find(invocation_id)
        if invocation is None:
            raise NotFound(
                f"There is no invocation {invocation_id}; records are kept for seven days.", id=invocation_id
            )
        return invocation

    def save(self, before: Invocation, after: Invocation) -> Invocation:
        """Write a record if nobody wrote since `before`. Raises: ConcurrentChange."""
        version = self._table.put_fenced(_pk(after.id), self._item(after), before.version or 1)
        return after.changed(version=version)

    @staticmethod
    def _item(invocation: Invocation) -> dict[str, Any]:
        return {**invocation.dump(), "ttl": int(invocation.kept_until.timestamp())}

    def hold(self, now: datetime, bound: int) -> bool:
        """Take one of `bound` places for a held request; False where all are taken."""
        return self._table.update(
            _bucket(now),
            UpdateExpression="ADD held :one SET #ttl = :ttl",
            ConditionExpression="attribute_not_exists(held) OR held < :bound",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues=encode(
                {":one": 1, ":bound": bound, ":ttl": int(now.timestamp()) + 20 * HOLD_BUCKET_SECONDS}
            ),
        )

    def release(self, taken_at: datetime) -> None:
        """Give back a place taken at that moment."""
        self._table.update(
            _bucket(taken_at),
            UpdateExpression="ADD held :less",
            ConditionExpression="held > :none",
            ExpressionAttributeValues=encode({":less": -1, ":none": 0}),
        )


class IdempotencyTable:
    """Implements `ports.IdempotencyKeys`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, key: str, body_hash: str, now: datetime) -> dict[str, Any] | None:
        """Return the answer already given, or None when the key is ours to answer.

        Raises: IdempotencyKeyReused for another body; Conflict while the first request is under way.
        """
        item = {
            "pk": _key(key),
            "sk": "META",
            "body_hash": body_hash,
            "claimed_until": sortable(now + KEY_CLAIM),
            "ttl": int((now + KEY_KEPT).timestamp()),
        }
        free = (
            "attribute_not_exists(pk) OR (attribute_not_exists(answer) AND claimed_until < :now AND body_hash = :hash)"
        )
        values = encode({":now": sortable(now), ":hash": body_hash})
        if self._table.put(item, ConditionExpression=free, ExpressionAttributeValues=values):
            return None
        stored = self._table.get(_key(key)) or {}
        if stored.get("body_hash") != body_hash:
            raise IdempotencyKeyReused(
                "This Idempotency-Key came before with another body; use a new key for a new request."
            )
        answer = stored.get("answer")
        if not isinstance(answer, dict):
            raise Conflict("The first request with this Idempotency-Key is still under way; repeat it in a minute.")
        return answer

    def answer(self, key: str, response: dict[str, Any]) -> None:
        """Keep the answer for repeats."""
        self._table.update(
            _key(key), UpdateExpression="SET answer = :answer", ExpressionAttributeValues=encode({":answer": response})
        )

    def forget(self, key: str) -> None:
        """Give a key back: the request was refused, and may come again."""
        self._table.delete(_key(key))


def _pk(invocation_id: str) -> str:
    return f"INVOCATION#{invocation_id}"


def _key(key: str) -> str:
    return f"IDEMPOTENCY#{key}"


def _bucket(moment: datetime) -> str:
    return f"HELD#{int(moment.timestamp()) // HOLD_BUCKET_SECONDS}"
