"""Tags of everything that the service holds."""

from __future__ import annotations

from typing import Any

from local.sagemaker.errors import invalid
from local.sagemaker.listing import MOST_TAGS, tags_from, told_tags
from local.sagemaker.places import Place
from local.sagemaker.resources import Resource
from local.sagemaker.simulation import Simulation

_KINDS = ("model", "endpoint", "endpoint-config", "inference-component")


def owns(arn: str) -> bool:
    """Say whether a tagged resource is one of ours and not one of moto's."""
    parts = arn.split(":", 5)
    return len(parts) == 6 and parts[2] == "sagemaker" and parts[5].partition("/")[0] in _KINDS


def add(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags, or change their values."""
    resource = _find(simulation, place, request["ResourceArn"])
    added = resource.tags | tags_from(request["Tags"])
    if len(added) > MOST_TAGS:
        raise invalid(f"A resource has {MOST_TAGS} tags at most.")
    resource.tags = added
    return {"Tags": told_tags(added)}


def delete(simulation: Simulation, place: Place, request: dict[str, Any]) -> None:
    """Take tags away; those that are not there are not missed."""
    resource = _find(simulation, place, request["ResourceArn"])
    resource.tags = {key: value for key, value in resource.tags.items() if key not in request["TagKeys"]}


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List the tags of a resource; all fit one page."""
    return {"Tags": told_tags(_find(simulation, place, request["ResourceArn"]).tags)}


def of(simulation: Simulation, arn: str) -> dict[str, str]:
    """Give the tags of a resource by its ARN, by which policies may decide; none where it is not there."""
    found = _lookup(simulation, arn)
    return dict(found.tags) if found else {}


def _find(simulation: Simulation, place: Place, arn: str) -> Resource:
    found = _lookup(simulation, arn)
    if found is None or found.place != place:
        raise invalid(f'Could not find resource "{arn}".')
    return found


def _lookup(simulation: Simulation, arn: str) -> Resource | None:
    state = simulation.state
    holders: tuple[dict[str, Any], ...] = (state.models, state.endpoints, state.configs, state.components)
    return next((holder[arn] for holder in holders if arn in holder), None)
