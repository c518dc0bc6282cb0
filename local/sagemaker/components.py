"""Inference components: models that share the instances of an endpoint, in copies of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local.sagemaker.resources import Resource


class ComponentStatus(StrEnum):
    """Of a component, as DescribeInferenceComponent writes it."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    FAILED = "Failed"
    DELETING = "Deleting"


@dataclass(eq=False)
class Component(Resource):
    """A component."""

    request: dict[str, Any]
    desired: int = 0
    status: ComponentStatus = ComponentStatus.CREATING
    failure_reason: str | None = None
    copies: list[Any] = field(default_factory=list)
