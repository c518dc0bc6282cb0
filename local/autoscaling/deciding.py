"""What a policy wants, by the value that set it off: pure numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, copysign, inf
from typing import Any

from local.autoscaling.tracking import LOW

USUAL_COOLDOWN_SECONDS = 300.0


@dataclass(frozen=True)
class Wish:
    """A capacity that a policy wants, and how long it waits after the last scaling of that kind."""

    capacity: int
    cooldown_seconds: float


def by_target(config: Mapping[str, Any], capacity: int, value: float) -> Wish | None:
    """Give what brings a metric that is shared between all instances back to its target; None where it is there.

    Of no capacity it makes none: a policy of this kind does not leave zero.
    """
    target = float(config["TargetValue"])
    if value > target:
        return Wish(ceil(capacity * value / target), float(config.get("ScaleOutCooldown", USUAL_COOLDOWN_SECONDS)))
    if value < target * LOW and not config.get("DisableScaleIn"):
        return Wish(ceil(capacity * value / target), float(config.get("ScaleInCooldown", USUAL_COOLDOWN_SECONDS)))
    return None


def by_steps(config: Mapping[str, Any], capacity: int, over: float) -> Wish | None:
    """Give what the step wants in which a value lies so much over (or under) its alarm's threshold."""
    for step in config.get("StepAdjustments", ()):
        lower, upper = step.get("MetricIntervalLowerBound", -inf), step.get("MetricIntervalUpperBound", inf)
        if lower <= over < upper or (over < 0 and lower < over <= upper):
            wanted = _adjusted(config, capacity, int(step["ScalingAdjustment"]))
            return Wish(max(wanted, 0), float(config.get("Cooldown", USUAL_COOLDOWN_SECONDS)))
    return None


def _adjusted(config: Mapping[str, Any], capacity: int, adjustment: int) -> int:
    match config.get("AdjustmentType"):
        case "ExactCapacity":
            return adjustment
        case "PercentChangeInCapacity":
            change = capacity * adjustment / 100
            least = float(config.get("MinAdjustmentMagnitude", 1))
            return capacity + int(copysign(max(abs(change), least), adjustment))
        case _:
            return capacity + adjustment
