"""The quotas of hosting: instances of each type for endpoint usage, as Service Quotas lists them.

The codes are made up from the names: a program looks a quota up by its name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from moto.core.utils import get_service_model

from local.sagemaker.errors import over_limit
from local.sagemaker.places import Place
from local.sagemaker.resources import Fleet
from local.sagemaker.settings import Settings
from local.sagemaker.simulation import Simulation

SERVICE = "sagemaker"
PAGE = 100


def check(simulation: Simulation, place: Place, asked: Iterable[tuple[str, int]]) -> None:
    """Return if so many more instances of each type may be had. Raises: ResourceLimitExceeded."""
    wanted: Counter[str] = Counter()
    for kind, count in asked:
        wanted[kind] += count
    used = in_use(simulation, place)
    for kind, count in wanted.items():
        limit = simulation.settings.quotas[kind]
        if count > 0 and used[kind] + count > limit:
            raise over_limit(
                f"The account-level service limit '{_name(kind)}' is {limit} Instances, with current utilization of "
                f"{used[kind]} Instances and a request delta of {count} Instances. Please use AWS Service Quotas to "
                "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to "
                "request an increase for this quota."
            )


def in_use(simulation: Simulation, place: Place) -> Counter[str]:
    """Give the instances of each type that are there or on their way."""
    used: Counter[str] = Counter()
    for endpoint in simulation.state.endpoints.values():
        if endpoint.place == place:
            for fleet in endpoint.all_fleets:
                used[fleet.instance_type] += len(fleet.present)
    return used


def demand(fleets: Iterable[Fleet]) -> list[tuple[str, int]]:
    """Give what fleets want of each type in the beginning."""
    return [(fleet.instance_type, fleet.desired) for fleet in fleets]


def applied(place: Place, settings: Settings) -> list[dict[str, Any]]:
    """Give the quotas that hold for an account in a region."""
    return [
        {
            "ServiceCode": SERVICE,
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{place.region}:{place.account}:{SERVICE}/{_code(kind)}",
            "QuotaCode": _code(kind),
            "QuotaName": _name(kind),
            "Value": float(settings.quotas[kind]),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        for kind in _types()
    ]


def page(held: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Give one page of the quotas."""
    start, size = int(request.get("NextToken") or 0), request.get("MaxResults") or PAGE
    told: dict[str, Any] = {"Quotas": held[start : start + size]}
    return told | ({"NextToken": str(start + size)} if len(held) > start + size else {})


@cache
def _types() -> tuple[str, ...]:
    shape = get_service_model(SERVICE).shape_for("ProductionVariantInstanceType")
    return tuple(shape.enum)


def _name(kind: str) -> str:
    return f"{kind} for endpoint usage"


def _code(kind: str) -> str:
    return f"L-{hashlib.sha256(_name(kind).encode()).hexdigest()[:8].upper()}"
