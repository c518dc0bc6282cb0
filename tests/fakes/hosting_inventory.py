"""What there is of endpoints, as the reconciliation lists it: over the fakes of what makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pilotlight.domain.endpoint_orphans import (
    BUNDLES,
    FoundAlarm,
    FoundHosted,
    FoundTarget,
    alarm_owner,
    target_owner,
)
from pilotlight.domain.errors import PilotlightError

from tests.factories import NOON
from tests.fakes.hosting import PREFIX, FakeAutoscaling, FakeEndpoints
from tests.fakes.storage import FakeBucket

OURS = "pilotlight-"
VARIANTS = "sagemaker:variant:DesiredInstanceCount"


@dataclass
class FakeEndpointInventory:
    """Implements `ports.endpoints.EndpointInventory`. What nobody says the age of was made at noon.

    `alarmed` are the tags of each alarm; `instance_types` those of configs, where it is not the usual one.
    """

    hosting: FakeEndpoints
    bucket: FakeBucket
    autoscaling: FakeAutoscaling = field(default_factory=FakeAutoscaling)
    made_at: dict[str, datetime | None] = field(default_factory=dict)
    scaled: set[str] = field(default_factory=set)
    alarmed: dict[str, Mapping[str, str]] = field(default_factory=dict)
    component_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    instance_types: dict[str, str | None] = field(default_factory=dict)
    trouble: dict[str, PilotlightError] = field(default_factory=dict)
    """What a list raises, by the name of its method."""

    def endpoints(self) -> list[FoundHosted]:
        return self._found("endpoints", "endpoint", self.hosting.endpoints)

    def configs(self) -> list[FoundHosted]:
        return self._found("configs", "endpoint-config", self.hosting.configs)

    def models(self) -> list[FoundHosted]:
        return self._found("models", "model", self.hosting.models)

    def components(self) -> list[FoundHosted]:
        return self._found("components", "inference-component", self.hosting.components)

    def tags(self, arn: str) -> dict[str, str] | None:
        kind, _, name = arn.removeprefix(PREFIX).partition("/")
        match kind:
            case "endpoint":
                hosted = self.hosting.endpoints.get(name)
                return hosted.tags if hosted else None
            case "inference-component":
                return self._tags_of_component(name) if name in self.hosting.components else None
            case _:
                held = self.hosting.models if kind == "model" else self.hosting.configs
                return held[name].tags if name in held else None

    def instance_type(self, config_name: str) -> str | None:
        if config_name in self.instance_types:
            return self.instance_types[config_name]
        return "ml.g5.xlarge" if config_name in self.hosting.configs else None

    def targets(self) -> list[FoundTarget]:
        self._see("targets")
        registered = {f"endpoint/{name}/variant/main" for name in self.autoscaling.bounds}
        return [
            FoundTarget(resource_id=each, dimension=VARIANTS, created_at=self._age(each))
            for each in sorted(self.scaled | registered)
            if target_owner(each)
        ]

    def forget_target(self, target: FoundTarget) -> None:
        self.scaled.discard(target.resource_id)
        self.autoscaling.bounds.pop(target.resource_id.split("/")[1], None)

    def alarms(self) -> list[FoundAlarm]:
        self._see("alarms")
        names = [name for name in sorted(self.alarmed) if alarm_owner(name)]
        return [FoundAlarm(name=name, arn=f"alarm:{name}", changed_at=self._age(name)) for name in names]

    def alarm_tags(self, arn: str) -> dict[str, str] | None:
        tags = self.alarmed.get(arn.removeprefix("alarm:"))
        return None if tags is None else dict(tags)

    def delete_alarm(self, name: str) -> None:
        self.alarmed.pop(name, None)

    def bundle_folders(self) -> list[str]:
        self._see("bundle_folders")
        return sorted({key.split("/")[1] for key in self.bucket.objects if key.startswith(BUNDLES)})

    def _tags_of_component(self, name: str) -> dict[str, str]:
        """Return what it was given, or what its model has: both get the tags of their revision."""
        model = self.hosting.models.get(name)
        return self.component_tags.get(name, model.tags if model else {})

    def _found(self, listed: str, kind: str, held: Mapping[str, object]) -> list[FoundHosted]:
        self._see(listed)
        names = [name for name in sorted(held) if name.startswith(OURS)]
        return [
            FoundHosted(
                name=name,
                arn=f"{PREFIX}{kind}/{name}",
                created_at=self._age(name),
                status=getattr(held[name], "status", None),
            )
            for name in names
        ]

    def _age(self, name: str) -> datetime | None:
        return self.made_at.get(name, NOON)

    def _see(self, name: str) -> None:
        if name in self.trouble:
            raise self.trouble[name]
