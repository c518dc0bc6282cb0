"""Deploying: the translated template becomes resources of the embedded cloud, all of it or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.models import Stack, cloudformation_backends
from moto.core.common_models import CloudFormationModel

from local.cloudformation import (
    interface_types,
    lambda_types,
    messaging_types,
    role_types,
    storage_types,
    watching_types,
)
from local.cloudformation.accepted import BY_MOTO, WITHOUT_EFFECT
from local.cloudformation.resource import DeploymentError, StackResource
from local.identity import ACCOUNT_ID, REGION
from local.sam import Template, TemplateError
from local.seams import replace

__all__ = ["DeployedStack", "DeploymentError", "check", "deploy"]

OUR_TYPES: Mapping[str, type[StackResource]] = {
    kind.type_name: kind
    for module in (interface_types, lambda_types, messaging_types, role_types, storage_types, watching_types)
    for kind in module.TYPES
}

# Python itself only remembers subclasses weakly.
_PLUGGED_IN: list[type] = []


@dataclass(frozen=True)
class DeployedStack:
    """What became of a template: its outputs, and each logical id's physical id."""

    outputs: Mapping[str, str]
    resources: Mapping[str, str]


def check(template: Template) -> None:
    """Return if every type and property of the template is carried out here.

    Raises: TemplateError naming all that is not, each with its logical id.
    """
    refused = [reason for item in template["Resources"].items() for reason in _refusals(*item)]
    if refused:
        listed = "\n".join(f"  - {reason}" for reason in refused)
        raise TemplateError(f"The embedded cloud cannot carry out this template:\n{listed}")


def deploy(
    template: Template, *, stack_name: str, parameters: Mapping[str, str], client: Callable[[str], Any]
) -> DeployedStack:
    """Give the stack that the template became.

    Raises: TemplateError before anything is made; DeploymentError naming the resource that was not.
    """
    check(template)
    _plug_in()
    replace(Stack, "parse_template", lambda _: _parse_json)
    StackResource.clients = staticmethod(client)
    wanted = {key: value for key, value in template["Resources"].items() if value["Type"] not in WITHOUT_EFFECT}
    for resource in wanted.values():
        _forget_skipped(resource, wanted)
    stack = cloudformation_backends[ACCOUNT_ID][REGION].create_stack(
        name=stack_name, template=json.dumps({**template, "Resources": wanted}), parameters=dict(parameters)
    )
    resources = {made.logical_resource_id: made.physical_resource_id for made in stack.stack_resources if made}
    outputs = {output.key: str(output.value) for output in stack.output_map.values() if output}
    return DeployedStack(outputs, resources)


def _parse_json(template: str) -> Template:
    """Give a template's content; moto would read our JSON as YAML first, which takes most of a second."""
    content: Template = json.loads(template)
    return content


def _refusals(logical_id: str, resource: Mapping[str, Any]) -> Iterator[str]:
    kind = resource["Type"]
    if kind in WITHOUT_EFFECT:
        return
    known = OUR_TYPES[kind].properties if kind in OUR_TYPES else BY_MOTO.get(kind)
    if known is None:
        yield f"{logical_id}: type {kind} is not supported"
        return
    for name in resource.get("Properties", {}):
        if name not in known and f"{kind}.{name}" not in WITHOUT_EFFECT:
            yield f"{logical_id}: property {name} of {kind} is not supported"


def _forget_skipped(resource: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Drop what has no effect here from a resource: such properties, and waiting for resources that are not made.

    Metadata is for whoever reads a template; what it refers to it waits for, too.
    """
    resource.pop("Metadata", None)
    waits = resource.get("DependsOn", [])
    resource["DependsOn"] = [name for name in ([waits] if isinstance(waits, str) else waits) if name in wanted]
    properties = resource.get("Properties", {})
    for name in [name for name in properties if f"{resource['Type']}.{name}" in WITHOUT_EFFECT]:
        del properties[name]


def _plug_in() -> None:
    """Put our types before moto's own; doing so again changes nothing."""
    if not _PLUGGED_IN:
        # moto finds direct subclasses only, the last of a type winning.
        _PLUGGED_IN.extend(type(kind.__name__, (kind, CloudFormationModel), {}) for kind in OUR_TYPES.values())
    for lookup in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        lookup.cache_clear()
