"""How a user wants a model hosted on instances: which, how many, in what container, and served how.

What is not set has the default of its backend, which `ScalingSettings.for_backend` fills in.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from pilotlight.domain.containers import ContainerSettings
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.serving import ServingSettings
from pilotlight.domain.values import Backend, Model, Request

MOST_INSTANCES = 100
INSTANCE_PATTERN = r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$"
OF_THE_CONFIG = ("initial", "concurrent_invocations", "components")
"""What of scaling is in an endpoint config, and so of a revision. All else is the deployment's, whatever it runs."""

InstanceType = Annotated[str, StringConstraints(pattern=INSTANCE_PATTERN, max_length=40)]


class OptimizeFor(StrEnum):
    """What a proposed instance is best at."""

    COST = "cost"
    LATENCY = "latency"
    THROUGHPUT = "throughput"


class ScaleIn(StrEnum):
    """When instances that nobody needs go: after the cooldown, or with the last answer."""

    COOLDOWN = "cooldown"
    IMMEDIATE = "immediate"


class InstanceSettings(Request):
    """Which instance: a type, or what the proposed one shall be best at and hold.

    `context_tokens` is the longest text that is served at once, `concurrency` how many of them are.
    """

    type: InstanceType | None = None
    optimize_for: OptimizeFor = OptimizeFor.COST
    context_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    concurrency: int | None = Field(default=None, ge=1, le=4096)


class ScalingSettings(Request):
    """How many instances, and when more or fewer.

    Source of the defaults: Amazon SageMaker Developer Guide, "Autoscale an asynchronous endpoint" (a backlog of 5 for
    each instance, in after 600 s, out after 300 s), and the application's own figures for real-time endpoints.
    """

    min: int | None = Field(default=None, ge=0, le=MOST_INSTANCES)
    max: int | None = Field(default=None, ge=1, le=MOST_INSTANCES)
    initial: int | None = Field(default=None, ge=0, le=MOST_INSTANCES)
    backlog_per_instance: float | None = Field(default=None, ge=0.01, le=1000)
    invocations_per_instance: float | None = Field(default=None, ge=0.01, le=1_000_000)
    scale_in_cooldown_seconds: int | None = Field(default=None, ge=0, le=86_400)
    scale_out_cooldown_seconds: int | None = Field(default=None, ge=0, le=86_400)
    disable_scale_in: bool = False
    scale_in: ScaleIn = ScaleIn.COOLDOWN
    concurrent_invocations: int | None = Field(default=None, ge=1, le=1000)
    components: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min} and max is {self.max}: min must not be more than max")
        if self.initial is not None and self.max is not None and self.initial > self.max:
            raise ValueError(f"initial is {self.initial} and max is {self.max}: initial must not be more than max")
        if self.disable_scale_in and self.scale_in is ScaleIn.IMMEDIATE:
            raise ValueError("disable_scale_in contradicts scale_in: immediate; leave one of them out")
        return self

    def with_bounds_of(self, others: "ScalingSettings", backend: Backend) -> "ScalingSettings":
        """Return what these say of an endpoint config, and what others say of bounds and how they are kept to.

        It begins with no more instances than the others allow.
        """
        most = others.for_backend(backend).max
        first = None if self.initial is None else min(self.initial, most)
        fixed = {name: getattr(self, name) for name in OF_THE_CONFIG} | {"initial": first}
        both = others.changed(**fixed)
        return both if both.for_backend(backend).max == most else both.changed(max=most)

    def for_backend(self, backend: Backend) -> "Scaling":
        """Return the settings with the defaults of a backend.

        Raises: InvalidInput for what the backend does not have.
        """
        if backend is Backend.SAGEMAKER_ASYNC:
            return self._for_async()
        return self._for_realtime()

    def _for_async(self) -> "Scaling":
        if self.invocations_per_instance is not None:
            raise _wrong(
                "invocations_per_instance",
                "an asynchronous endpoint publishes no invocations; it scales by its backlog: set backlog_per_instance",
            )
        if self.components:
            raise _wrong("components", "an asynchronous endpoint reaches zero by itself; leave components out")
        least = self.min or 0
        most = self.max if self.max is not None else max(1, least, self.initial or 0)
        return Scaling(
            min=least,
            max=max(most, least),
            initial=max(least, self.initial if self.initial is not None else 1),
            target=self.backlog_per_instance or 5.0,
            scale_in_cooldown_seconds=_or(self.scale_in_cooldown_seconds, 600),
            scale_out_cooldown_seconds=_or(self.scale_out_cooldown_seconds, 300),
            disable_scale_in=self.disable_scale_in,
            scale_in=self.scale_in,
            concurrent_invocations=self.concurrent_invocations,
        )

    def _for_realtime(self) -> "Scaling":
        for name in ("backlog_per_instance", "concurrent_invocations"):
            if getattr(self, name) is not None:
                raise _wrong(name, "a real-time endpoint has no backlog; it scales by invocations_per_instance")
        if self.scale_in is ScaleIn.IMMEDIATE and not self.components:
            raise _wrong(
                "scale_in", "a real-time variant keeps one instance; set components for scale to zero, or scale it down"
            )
        if self.min == 0 and not self.components:
            raise _wrong("min", "a real-time variant keeps one instance: set components for scale to zero, or min 1")
        if self.initial == 0:
            raise _wrong("initial", "a real-time endpoint begins with one: leave initial out, then scale it down")
        least = self.min if self.min is not None else (0 if self.components else 1)
        initial = max(1, least, self.initial or 0)
        most = self.max if self.max is not None else max(3, initial)
        return Scaling(
            min=least,
            max=max(most, least),
            initial=initial,
            target=self.invocations_per_instance or 30.0,
            scale_in_cooldown_seconds=_or(self.scale_in_cooldown_seconds, 300),
            scale_out_cooldown_seconds=_or(self.scale_out_cooldown_seconds, 0),
            disable_scale_in=self.disable_scale_in,
            scale_in=self.scale_in,
            components=self.components,
        )


class Scaling(Model):
    """Scaling with nothing left open. `target` is of the backlog, or of invocations a minute, for each instance."""

    min: int
    max: int
    initial: int
    target: float
    scale_in_cooldown_seconds: int
    scale_out_cooldown_seconds: int
    disable_scale_in: bool = False
    scale_in: ScaleIn = ScaleIn.COOLDOWN
    concurrent_invocations: int | None = None
    components: bool = False

    def with_bounds_of(self, others: "Scaling") -> "Scaling":
        """Return what these say of an endpoint config, and what others say of bounds and how they are kept to."""
        return others.changed(**{name: getattr(self, name) for name in OF_THE_CONFIG})


class Hosting(Model):
    """All that a user may say of a model's instances."""

    instance: InstanceSettings = InstanceSettings()
    scaling: ScalingSettings = ScalingSettings()
    serving: ServingSettings = ServingSettings()
    container: ContainerSettings = ContainerSettings()
    accept_eula: bool = False


def _wrong(name: str, rule: str) -> InvalidInput:
    return InvalidInput(f"scaling.{name}: {rule}.", field=f"scaling.{name}", rule=rule)


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
