"""Models: what an endpoint runs. Nothing is read when one is made; that is when mistakes are found late."""

from __future__ import annotations

import re
from typing import Any

from local.sagemaker.errors import invalid, not_found, taken
from local.sagemaker.listing import at, given, page, tags_from
from local.sagemaker.places import Place
from local.sagemaker.resources import Model
from local.sagemaker.roles import check_assumable
from local.sagemaker.simulation import Simulation

_KIND = "model"
_GATED = re.compile(
    r"s3://jumpstart-private-cache-prod-"
)  # JumpStart's bucket of models whose terms are to be accepted


def create(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Make a model."""
    name = request["ModelName"]
    arn = place.arn(_KIND, name)
    if arn in simulation.state.models:
        raise taken(_KIND, arn)
    if bool(request.get("PrimaryContainer")) == bool(request.get("Containers")):
        raise invalid("You must specify exactly one of PrimaryContainer and Containers.")
    if not request.get("ExecutionRoleArn"):
        raise invalid("You must specify an ExecutionRoleArn.")
    now = simulation.moment
    model = Model(place, name, arn, now, now, tags_from(request.get("Tags")), request)
    for container in model.containers:
        _check_container(container)
    check_assumable(model.role_arn, place)
    simulation.state.models[arn] = model
    return {"ModelArn": arn}


def find(simulation: Simulation, place: Place, name: str) -> Model:
    """Give the model of that name. Raises: ValidationException."""
    arn = place.arn(_KIND, name)
    if arn not in simulation.state.models:
        raise not_found(_KIND, arn)
    return simulation.state.models[arn]


def describe(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a model."""
    model = find(simulation, place, request["ModelName"])
    told = {name: value for name, value in model.request.items() if name != "Tags"}
    told |= {"CreationTime": at(model.created), "ModelArn": model.arn, "EnableNetworkIsolation": model.is_isolated}
    return given(told)


def delete(simulation: Simulation, place: Place, request: dict[str, Any]) -> None:
    """Delete a model. Endpoints that run it go on."""
    del simulation.state.models[find(simulation, place, request["ModelName"]).arn]


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List models, a page at a time."""
    held = (each for each in simulation.state.models.values() if each.place == place)
    chosen, token = page(held, request)
    told = [{"ModelName": each.name, "ModelArn": each.arn, "CreationTime": at(each.created)} for each in chosen]
    return given({"Models": told, "NextToken": token})


def _check_container(container: dict[str, Any]) -> None:
    image = container.get("Image")
    if not image and not container.get("ModelPackageName"):
        raise invalid("You must specify either Image or ModelPackageName.")
    registry = str(image).partition("/")[0]
    if ".dkr.ecr." not in registry and registry != "public.ecr.aws" and not container.get("ImageConfig"):
        raise invalid(f'Using non-ECR image "{image}" without Vpc repository access mode is not supported.')
    if container.get("ModelDataUrl") and container.get("ModelDataSource"):
        raise invalid("ModelDataUrl and ModelDataSource cannot both be specified.")
    sources = [container["ModelDataSource"]] if container.get("ModelDataSource") else []
    for source in (*sources, *(container.get("AdditionalModelDataSources") or ())):
        _check_source(source.get("S3DataSource") or {})


def _check_source(source: dict[str, Any]) -> None:
    if not source:
        raise invalid("ModelDataSource must have an S3DataSource.")
    if source["S3DataType"] == "S3Prefix" and not source["S3Uri"].endswith("/"):
        raise invalid(f'S3Uri "{source["S3Uri"]}" must end with a forward slash when S3DataType is S3Prefix.')
    accepts = (source.get("ModelAccessConfig") or {}).get("AcceptEula")
    if _GATED.match(source["S3Uri"]) and not accepts:
        raise invalid(f'The model at "{source["S3Uri"]}" is gated: ModelAccessConfig must accept its EULA.')
    if source["S3DataType"] == "S3Prefix" and source["CompressionType"] == "Gzip":
        raise invalid("CompressionType Gzip is not supported when S3DataType is S3Prefix.")
