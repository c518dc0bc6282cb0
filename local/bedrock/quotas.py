"""The quotas of model import, as Service Quotas lists them."""

from __future__ import annotations

from typing import Any

from local.bedrock.settings import Settings
from local.bedrock.simulation import Place

SERVICE = "bedrock"
_QUOTAS = (
    ("L-45B04988", "Imported models per account", True),
    ("L-5F098EFA", "Concurrent model import jobs", False),
)


def applied(place: Place, settings: Settings) -> list[dict[str, Any]]:
    """Give the quotas that hold for an account in a region."""
    values = {"L-45B04988": settings.imported_models, "L-5F098EFA": settings.import_jobs}
    return [
        {
            "ServiceCode": SERVICE,
            "ServiceName": "Amazon Bedrock",
            "QuotaArn": f"arn:aws:servicequotas:{place.region}:{place.account}:{SERVICE}/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(values[code]),
            "Unit": "None",
            "Adjustable": adjustable,
            "GlobalQuota": False,
        }
        for code, name, adjustable in _QUOTAS
    ]
