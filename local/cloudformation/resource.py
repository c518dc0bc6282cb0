"""What a resource type of ours is, and how it is plugged into moto's CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError

from local.cloudformation.parameters import UnknownPropertyError, shaped

Properties = dict[str, Any]


def names(text: str) -> frozenset[str]:
    """Give the words of a text: long lists of properties read better without quotes."""
    return frozenset(text.split())


class DeploymentError(RuntimeError):
    """A resource of the template could not be made; the message names it."""


class StackResource:
    """One resource of the stack, made through the public API of its service.

    A subclass names its type and the properties that it carries out, and implements `create`, which sets
    `physical_resource_id` and `attributes` (what Ref and Fn::GetAtt give).
    """

    type_name: ClassVar[str]
    name_property: ClassVar[str] = ""
    properties: ClassVar[frozenset[str]]
    clients: ClassVar[Callable[[str], Any]]

    logical_id: str
    physical_resource_id: str
    attributes: Mapping[str, str]

    def create(self, name: str, properties: Properties) -> None:
        """Make the resource; `name` is the one of the template, or generated."""
        raise NotImplementedError

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Give the service's answer to parameters written as CloudFormation writes them."""
        client = StackResource.clients(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        response: dict[str, Any] = getattr(client, xform_name(operation))(**shaped(parameters, shape))
        return response

    # From here on: what moto's CloudFormation asks of a model.

    @classmethod
    def cloudformation_type(cls) -> str:
        """Give the type as templates name it."""
        return cls.type_name

    @classmethod
    def cloudformation_name_type(cls) -> str:
        """Give the property that names the resource; empty if its service does."""
        return cls.name_property

    @classmethod
    def has_cfn_attr(cls, _attribute: str) -> bool:
        """Let every attribute pass: an unknown one is refused when it is read."""
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, *_where: str, **context: str
    ) -> StackResource:
        """Give the new resource. Raises: DeploymentError naming it."""
        resource = cls()
        resource.logical_id = context["LogicalId"]
        resource.attributes = {}
        properties = dict(cloudformation_json.get("Properties") or {})
        try:
            # moto looks for the name under its own class' property, which may be another.
            resource.create(str(properties.get(cls.name_property, resource_name)), properties)
        except (ClientError, ParamValidationError, UnknownPropertyError, KeyError, ValueError) as exc:
            reason = f"property {exc} is missing" if isinstance(exc, KeyError) else str(exc)
            raise DeploymentError(f"{resource.logical_id} ({cls.type_name}): {reason}") from exc
        return resource

    @classmethod
    def update_from_cloudformation_json(cls, *_: object, **__: object) -> StackResource:
        """Refuse: a local stack is deployed once and forgotten as a whole."""
        raise DeploymentError(f"{cls.type_name}: the embedded cloud does not update stacks; start it anew.")

    @classmethod
    def delete_from_cloudformation_json(cls, *_: object, **__: object) -> None:
        """Refuse, for the same reason."""
        raise DeploymentError(f"{cls.type_name}: the embedded cloud does not delete stacks; stop it.")

    def is_created(self) -> bool:
        """Give True: creating is synchronous."""
        return True

    def get_cfn_attribute(self, attribute: str) -> str:
        """Give what Fn::GetAtt asks for."""
        if attribute not in self.attributes:
            raise DeploymentError(f"{self.logical_id} ({self.type_name}) has no attribute {attribute}.")
        return self.attributes[attribute]


def document(policy: Any) -> str:
    """Give a policy document as the text that the APIs take."""
    return policy if isinstance(policy, str) else json.dumps(policy)
