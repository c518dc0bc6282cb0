"""Imported models and their tags."""

from __future__ import annotations

from typing import Any

from local.bedrock import import_jobs
from local.bedrock.errors import not_found, service_error
from local.bedrock.listing import at, page, tags_from
from local.bedrock.simulation import Model, Place, Simulation

MOST_TAGS = 200


def find(simulation: Simulation, place: Place, identifier: str) -> Model:
    """Give the model of that ARN or name. Raises: ResourceNotFoundException."""
    import_jobs.settle(simulation)
    for model in simulation.models.values():
        if model.place == place and identifier in (model.arn, model.name):
            return model
    raise not_found()


def get(simulation: Simulation, place: Place, identifier: str) -> dict[str, Any]:
    """Describe a model. Nothing in it tells warm from cold, as in the service."""
    with simulation.lock:
        model = find(simulation, place, identifier)
        units = {"customModelUnitsPerModelCopy": model.inspection.units, "customModelUnitsVersion": "v1.0"}
        source = model.job.request["modelDataSource"]
        job = {"jobName": model.job.name, "jobArn": model.job.arn, "modelDataSource": source}
        return {**_summary(model), **job, "customModelUnits": units}


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List models, filtered by name, a page at a time."""
    with simulation.lock:
        import_jobs.settle(simulation)
        models = [
            model
            for model in simulation.models.values()
            if model.place == place and request.get("nameContains", "") in model.name
        ]
        chosen, token = page(models, request)
        return {"modelSummaries": [_summary(model) for model in chosen], "nextToken": token}


def delete(simulation: Simulation, place: Place, identifier: str) -> None:
    """Delete a model; what it was billed stays on record."""
    with simulation.lock:
        model = find(simulation, place, identifier)
        simulation.gone_windows += model.warmth.windows(model.arn, simulation.settings)
        del simulation.models[model.arn]


def owns(arn: str) -> bool:
    """Say whether a tagged resource is one of ours and not one of moto's."""
    return ":imported-model/" in arn or ":model-import-job/" in arn


def tags(simulation: Simulation, place: Place, arn: str) -> dict[str, str]:
    """Give the tags of a model or a job, to be read or changed."""
    with simulation.lock:
        if ":imported-model/" in arn:
            return find(simulation, place, arn).tags
        return import_jobs.find(simulation, place, arn).tags


def tag(simulation: Simulation, place: Place, arn: str, listed: list[dict[str, str]]) -> None:
    """Add tags, or change their values."""
    with simulation.lock:
        held = tags(simulation, place, arn)
        added = tags_from(listed)
        if len(held | added) > MOST_TAGS:
            raise service_error("TooManyTagsException", f"A resource has {MOST_TAGS} tags at most.")
        held |= added


def untag(simulation: Simulation, place: Place, arn: str, keys: list[str]) -> None:
    """Take tags away; those that are not there are not missed."""
    with simulation.lock:
        held = tags(simulation, place, arn)
        for key in keys:
            held.pop(key, None)


def _summary(model: Model) -> dict[str, Any]:
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "creationTime": at(model.created),
        "modelArchitecture": model.inspection.architecture,
        "instructSupported": model.inspection.instruct,
    }
