"""The product's records, read straight from the table."""

from __future__ import annotations

from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from pilotlight.adapters.table import decode

from local.attribute_values import on_the_wire
from local.identity import ACCOUNT_ID, REGION


def of_kind(table_name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Give the records of a kind by name."""
    table = dynamodb_backends[ACCOUNT_ID][REGION].tables[table_name]
    found: dict[str, dict[str, Any]] = {}
    for by_range in list(table.items.values()):
        for item in list(by_range.values()):
            attributes = item.attrs
            if attributes["sk"].value == "META" and attributes["pk"].value.startswith(f"{kind}#"):
                found[attributes["pk"].value.partition("#")[2]] = read(item)
    return found


def looks(table_name: str) -> list[tuple[str, Any]]:
    """Give the deployments that are to be looked at: when, and their items."""
    table = dynamodb_backends[ACCOUNT_ID][REGION].tables[table_name]
    found = []
    for by_range in list(table.items.values()):
        for item in list(by_range.values()):
            attributes = item.attrs
            if "next_look_at" in attributes and attributes["pk"].value.startswith("DEPLOYMENT#"):
                found.append((str(attributes["next_look_at"].value), item))
    return found


def beside(table_name: str, name: str, kind: str) -> list[dict[str, Any]]:
    """Give what lies beside a deployment's record, in order: its EVENTs, WINDOWs, UPTIMEs, REVISIONs, …"""
    table = dynamodb_backends[ACCOUNT_ID][REGION].tables[table_name]
    ours = table.items.get(DynamoType({"S": f"DEPLOYMENT#{name}"}), {})
    of_it = sorted((key.value, item) for key, item in ours.items() if key.value.startswith(f"{kind}#"))
    return [read(item) for _, item in of_it]


def read(item: Any) -> dict[str, Any]:
    """Give what an item says."""
    told: dict[str, Any] = decode({name: on_the_wire(value) for name, value in item.attrs.items()})
    return told


def read_some(item: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Give what an item says of some things: reading all of it takes longer."""
    return decode({name: on_the_wire(item.attrs[name]) for name in names if name in item.attrs})
