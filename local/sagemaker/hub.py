"""The public hub of JumpStart: it has what tests and the demo put into the settings, and nothing else."""

from __future__ import annotations

from typing import Any

from local.sagemaker.errors import SageMakerError
from local.sagemaker.listing import at
from local.sagemaker.places import Place
from local.sagemaker.simulation import Simulation

PUBLIC = "SageMakerPublicHub"
_VERSION = "1.0.0"


def describe_content(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a content of the hub. Raises: ResourceNotFound."""
    hub, kind, name = request["HubName"].rpartition("/")[2], request["HubContentType"], request["HubContentName"]
    owner = "aws" if hub == PUBLIC else place.account
    arn = f"arn:aws:sagemaker:{place.region}:{owner}:hub-content/{hub}/{kind}/{name}"
    document = simulation.settings.hub_contents.get(name) if hub == PUBLIC and kind == "Model" else None
    version = request.get("HubContentVersion") or _VERSION
    if document is None:
        raise SageMakerError("ResourceNotFound", f"Hub content with HubContentArn {arn}/{version} does not exist.")
    return {
        "HubContentName": name,
        "HubContentArn": f"{arn}/{version}",
        "HubContentVersion": version,
        "HubContentType": kind,
        "DocumentSchemaVersion": "2.0.0",
        "HubName": hub,
        "HubArn": f"arn:aws:sagemaker:{place.region}:{owner}:hub/{hub}",
        "HubContentDocument": document,
        "HubContentStatus": "Available",
        "CreationTime": at(simulation.moment),
    }
