"""Instance types as the simulation needs them: GPUs, their memory, and how fast they are beside an ml.g5.

Source: EC2's pages of instance types, as of 2026-11. The speeds are estimates by memory bandwidth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

GIB = 2**30


@dataclass(frozen=True)
class InstanceType:
    """What there is of a type. A type without GPUs is not in the table."""

    gpus: int = 0
    gpu_memory_gib: int = 0  # of each
    speed: float = 0.1  # tokens a second, as a multiple of an ml.g5's
    start: float = 1.0  # how much longer than a small one it takes to come

    def gpu_bytes(self, gpus: int) -> int:
        """Give the memory of so many of its GPUs."""
        return min(gpus, self.gpus) * self.gpu_memory_gib * GIB


# Family: memory of a GPU, speed, and the number of GPUs by size.
_FAMILIES: Mapping[str, tuple[int, float, Mapping[str, int]]] = {
    "g4dn": (16, 0.5, {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 4, "16xlarge": 1}),
    "g5": (
        24,
        1.0,
        {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 4, "16xlarge": 1}
        | {"24xlarge": 4, "48xlarge": 8},
    ),
    "g6": (
        24,
        0.8,
        {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 4, "16xlarge": 1}
        | {"24xlarge": 4, "48xlarge": 8},
    ),
    "g6e": (
        48,
        1.5,
        {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 4, "16xlarge": 1}
        | {"24xlarge": 4, "48xlarge": 8},
    ),
    "p3": (16, 1.2, {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8}),
    "p4d": (40, 2.5, {"24xlarge": 8}),
    "p4de": (80, 2.7, {"24xlarge": 8}),
    "p5": (80, 4.0, {"4xlarge": 1, "48xlarge": 8}),
    "p5e": (141, 5.0, {"48xlarge": 8}),
    "p5en": (141, 5.0, {"48xlarge": 8}),
}
_SLOW_TO_COME = 4  # GPUs from which on an instance takes longer to come


@cache
def instance_type(name: str) -> InstanceType:
    """Give what is known of a type by its name, such as ml.g5.xlarge."""
    _, family, size = name.split(".", 2)
    memory, speed, sizes = _FAMILIES.get(family, (0, 0.1, {}))
    gpus = sizes.get(size, 0)
    if not gpus:
        return InstanceType()
    return InstanceType(gpus, memory, speed * gpus**0.7, 1.0 if gpus < _SLOW_TO_COME else 1.5)
