"""Revisions of endpoints in the table, beside the deployment that they are of: REVISION#<generation>#<number>."""

from typing import Any

from pilotlight.adapters.table import Table, readable, record_of
from pilotlight.domain.endpoint import Revision
from pilotlight.domain.errors import ConcurrentChange

PAGE = 100


class RevisionTable:
    """Implements `ports.Revisions`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, revision: Revision) -> None:
        """Write a revision under a number that is free. Raises: ConcurrentChange where somebody has taken it."""
        if not self._table.put(_item(revision), ConditionExpression="attribute_not_exists(pk)"):
            raise ConcurrentChange(
                f"Somebody else made revision {revision.number} of {revision.deployment}; try again.",
                deployment=revision.deployment,
            )

    def put(self, revision: Revision) -> None:
        """Write a revision that there is; a repeat writes the same, and one that was forgotten stays so."""
        self._table.put(_item(revision), ConditionExpression="attribute_exists(pk)")

    def find(self, name: str, generation: int, number: int) -> Revision | None:
        """Return a revision, or None."""
        item = self._table.get(_pk(name), _sk(generation, number))
        return record_of(Revision, item) if item else None

    def newest_first(self, name: str, generation: int) -> list[Revision]:
        """Return the revisions of a generation that are kept."""
        found: list[Revision] = []
        cursor = None
        while True:
            items, cursor = self._table.query(_pk(name), f"REVISION#{generation:06d}#", limit=PAGE, cursor=cursor)
            found += readable(Revision, items)
            if cursor is None:
                return sorted(found, key=lambda revision: revision.number, reverse=True)

    def forget(self, revision: Revision) -> None:
        """Remove a revision's record."""
        self._table.delete(_pk(revision.deployment), _sk(revision.generation, revision.number))


def _item(revision: Revision) -> dict[str, Any]:
    keys = {"pk": _pk(revision.deployment), "sk": _sk(revision.generation, revision.number)}
    return {**revision.dump(), **keys}


def _pk(name: str) -> str:
    return f"DEPLOYMENT#{name}"


def _sk(generation: int, number: int) -> str:
    return f"REVISION#{generation:06d}#{number:06d}"
