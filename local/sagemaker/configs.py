"""Endpoint configurations: they never change, and an endpoint that is updated still needs its old one."""

from __future__ import annotations

from typing import Any

from local.sagemaker import models
from local.sagemaker.errors import invalid, not_found, taken
from local.sagemaker.listing import at, given, page, tags_from
from local.sagemaker.places import Place
from local.sagemaker.resources import Config, Fleet
from local.sagemaker.roles import check_assumable
from local.sagemaker.simulation import Simulation

_KIND = "endpoint configuration"
_IN_ARN = "endpoint-config"


def create(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Make a configuration. Its models must exist."""
    name = request["EndpointConfigName"]
    arn = place.arn(_IN_ARN, name)
    if arn in simulation.state.configs:
        raise taken(_KIND, arn)
    now = simulation.moment
    config = Config(place, name, arn, now, now, tags_from(request.get("Tags")), request)
    _check(simulation, config)
    if role := request.get("ExecutionRoleArn"):
        check_assumable(role, place)
    simulation.state.configs[arn] = config
    return {"EndpointConfigArn": arn}


def find(simulation: Simulation, place: Place, name: str) -> Config:
    """Give the configuration of that name. Raises: ValidationException."""
    arn = place.arn(_IN_ARN, name)
    if arn not in simulation.state.configs:
        raise not_found(_KIND, arn)
    return simulation.state.configs[arn]


def describe(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a configuration."""
    config = find(simulation, place, request["EndpointConfigName"])
    told = {name: value for name, value in config.request.items() if name != "Tags"}
    return given(told | {"EndpointConfigArn": config.arn, "CreationTime": at(config.created)})


def delete(simulation: Simulation, place: Place, request: dict[str, Any]) -> None:
    """Delete a configuration, whoever uses it: the service does not keep one from doing so."""
    del simulation.state.configs[find(simulation, place, request["EndpointConfigName"]).arn]


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List configurations, a page at a time."""
    held = (each for each in simulation.state.configs.values() if each.place == place)
    chosen, token = page(held, request)
    told = [
        {"EndpointConfigName": each.name, "EndpointConfigArn": each.arn, "CreationTime": at(each.created)}
        for each in chosen
    ]
    return given({"EndpointConfigs": told, "NextToken": token})


def fleets_of(simulation: Simulation, config: Config) -> list[Fleet]:
    """Give the fleets that a configuration asks for, still empty. Raises: ValidationException for a lost model."""
    return [
        Fleet(
            variant,
            models.find(simulation, config.place, variant["ModelName"]) if variant.get("ModelName") else None,
            _first_count(variant),
            variant.get("InitialVariantWeight", 1.0),
        )
        for variant in config.variants
    ]


def _first_count(variant: dict[str, Any]) -> int:
    return int(variant["InitialInstanceCount"])


def _check(simulation: Simulation, config: Config) -> None:
    names = [variant["VariantName"] for variant in config.variants]
    if len(set(names)) != len(names):
        raise invalid("Variant names must be unique within an endpoint configuration.")
    for variant in config.variants:
        if variant.get("ServerlessConfig"):
            raise invalid("Serverless variants are not simulated.")
        if not variant.get("InstanceType") or variant.get("InitialInstanceCount") is None:
            raise invalid("Production variants must have an InstanceType and an InitialInstanceCount.")
        if variant.get("ModelName"):
            models.find(simulation, config.place, variant["ModelName"])
        elif not config.request.get("ExecutionRoleArn"):
            raise invalid("ExecutionRoleArn is required where a production variant has no ModelName.")
    if config.asynchronous and len(config.variants) > 1:
        raise invalid("Async inference endpoints support exactly one production variant.")
