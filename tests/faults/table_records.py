"""The product's records, read straight from the table."""

from __future__ import annotations

from typing import Any

from moto.dynamodb.models import dynamodb_backends
from pilotlight.adapters.table import decode

from local.identity import ACCOUNT_ID, REGION


def of_kind(table_name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Give the records of a kind by name."""
    table = dynamodb_backends[ACCOUNT_ID][REGION].tables[table_name]
    found: dict[str, dict[str, Any]] = {}
    for by_range in list(table.items.values()):
        for item in list(by_range.values()):
            attributes = item.attrs
            if attributes["sk"].value == "META" and attributes["pk"].value.startswith(f"{kind}#"):
                found[attributes["pk"].value.partition("#")[2]] = decode(item.to_json()["Attributes"])
    return found
