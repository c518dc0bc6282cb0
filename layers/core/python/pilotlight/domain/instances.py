"""SageMaker's instances for models: what is in each, as data with its source.

A GPU's memory is what its driver shows, which is less than the number on its sheet. Bandwidth and compute capability
come from NVIDIA's data sheets, those of Inferentia2 from AWS's Neuron documentation, processors and memory from the
EC2 instance type pages; looked up 2026-11-28. That the types exist for endpoints, a test reads from botocore's service
model (`ProductionVariantInstanceType`).
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.values import Model

LOOKED_UP = "2026-11-28"
GIB = 1024**3
_CPU_GB_PER_SECOND_EACH = 3.0  # of each virtual processor: a guess that puts instances without GPU in an order
_NAMED = 5
# Families whose instances have disks of their own: SageMaker attaches no volume to them, and refuses a size for it.
# Source: SageMaker Developer Guide, "Managing storage paths for different types of instance local storage", and the
# SageMaker SDK's volume_size_supported; g7 and p6 by EC2's table of instance types; looked up 2026-11-20.
_OWN_DISKS = ("g5", "g6", "g7", "p5", "p6", "trn1")


class Kind(StrEnum):
    """What computes a model's answers."""

    NVIDIA = "nvidia"
    NEURON = "neuron"
    NONE = "none"


class Accelerator(Model):
    """One GPU or Neuron chip. `capability` is CUDA's compute capability; a chip of several `cores` is split further."""

    name: str
    kind: Kind
    memory_gib: float
    bandwidth_gb_per_second: float
    capability: float = 0.0
    cores: int = 1


T4 = Accelerator(name="T4", kind=Kind.NVIDIA, memory_gib=15.0, bandwidth_gb_per_second=320, capability=7.5)
A10G = Accelerator(name="A10G", kind=Kind.NVIDIA, memory_gib=22.5, bandwidth_gb_per_second=600, capability=8.6)
L4 = Accelerator(name="L4", kind=Kind.NVIDIA, memory_gib=22.5, bandwidth_gb_per_second=300, capability=8.9)
L40S = Accelerator(name="L40S", kind=Kind.NVIDIA, memory_gib=45.0, bandwidth_gb_per_second=864, capability=8.9)
A100 = Accelerator(name="A100", kind=Kind.NVIDIA, memory_gib=40.0, bandwidth_gb_per_second=1555, capability=8.0)
A100_80 = Accelerator(name="A100 80GB", kind=Kind.NVIDIA, memory_gib=80.0, bandwidth_gb_per_second=2039, capability=8.0)
H100 = Accelerator(name="H100", kind=Kind.NVIDIA, memory_gib=79.6, bandwidth_gb_per_second=3350, capability=9.0)
INFERENTIA2 = Accelerator(name="Inferentia2", kind=Kind.NEURON, memory_gib=32.0, bandwidth_gb_per_second=820, cores=2)


class Instance(Model):
    """One instance type."""

    type: str
    accelerator: Accelerator | None = None
    count: int = Field(default=0, ge=0)
    vcpus: int
    memory_gib: float

    @property
    def kind(self) -> Kind:
        """What computes answers on it."""
        return self.accelerator.kind if self.accelerator else Kind.NONE

    @property
    def shares(self) -> int:
        """How many shares a model can be split into, each with a memory of its own."""
        return self.count * self.accelerator.cores if self.accelerator else 1

    @property
    def share_gib(self) -> float:
        """The memory of each share."""
        return self.accelerator.memory_gib / self.accelerator.cores if self.accelerator else self.memory_gib

    @property
    def share_gb_per_second(self) -> float:
        """How fast each share reads its memory."""
        if self.accelerator is None:
            return self.vcpus * _CPU_GB_PER_SECOND_EACH
        return self.accelerator.bandwidth_gb_per_second / self.accelerator.cores

    @property
    def hardware(self) -> str:
        """What it has, for a sentence: `4 × A10G of 22.5 GiB`."""
        if self.accelerator is None:
            return f"{self.vcpus} vCPUs and {self.memory_gib:g} GiB, no GPU"
        return f"{self.count} × {self.accelerator.name} of {self.accelerator.memory_gib:g} GiB"


_Sizes = dict[str, tuple[int, int, float]]  # size → accelerators, vCPUs, memory in GiB

_G4DN: _Sizes = {
    "xlarge": (1, 4, 16),
    "2xlarge": (1, 8, 32),
    "4xlarge": (1, 16, 64),
    "8xlarge": (1, 32, 128),
    "12xlarge": (4, 48, 192),
    "16xlarge": (1, 64, 256),
}
_G5_AND_G6: _Sizes = {**_G4DN, "24xlarge": (4, 96, 384), "48xlarge": (8, 192, 768)}
_G6E: _Sizes = {size: (count, vcpus, 2 * gib) for size, (count, vcpus, gib) in _G5_AND_G6.items()}
_INF2: _Sizes = {"xlarge": (1, 4, 16), "8xlarge": (1, 32, 128), "24xlarge": (6, 96, 384), "48xlarge": (12, 192, 768)}
_M5: _Sizes = {"large": (0, 2, 8), "xlarge": (0, 4, 16), "2xlarge": (0, 8, 32), "4xlarge": (0, 16, 64)}
_C5: _Sizes = {
    "large": (0, 2, 4),
    "xlarge": (0, 4, 8),
    "2xlarge": (0, 8, 16),
    "4xlarge": (0, 16, 32),
    "9xlarge": (0, 36, 72),
}
_FAMILIES: tuple[tuple[str, Accelerator | None, _Sizes], ...] = (
    ("c5", None, _C5),
    ("m5", None, _M5),
    ("g4dn", T4, _G4DN),
    ("g5", A10G, _G5_AND_G6),
    ("g6", L4, _G5_AND_G6),
    ("g6e", L40S, _G6E),
    ("p4d", A100, {"24xlarge": (8, 96, 1152)}),
    ("p4de", A100_80, {"24xlarge": (8, 96, 1152)}),
    ("p5", H100, {"48xlarge": (8, 192, 2048)}),
    ("inf2", INFERENTIA2, _INF2),
)

INSTANCES: tuple[Instance, ...] = tuple(
    Instance(type=f"ml.{family}.{size}", accelerator=accelerator, count=count, vcpus=vcpus, memory_gib=gib)
    for family, accelerator, sizes in _FAMILIES
    for size, (count, vcpus, gib) in sizes.items()
)
_BY_TYPE = {instance.type: instance for instance in INSTANCES}


def instance_of(instance_type: str) -> Instance | None:
    """Return what is in an instance type, or None for one that Pilotlight does not know."""
    return _BY_TYPE.get(instance_type)


def has_own_disks(instance_type: str) -> bool:
    """Say whether weights lie on the instance's own disks, which no size can be asked for."""
    family = instance_type.removeprefix("ml.").split(".", maxsplit=1)[0]
    return "d" in family or family.startswith(_OWN_DISKS)


def in_order(instance_types: Iterable[str]) -> list[str]:
    """Return types by family, the smaller sizes first: a list in which somebody finds one."""
    return sorted(instance_types, key=_place_in_order)


def _place_in_order(instance_type: str) -> tuple[str, int, str]:
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    times = size.removesuffix("xlarge")
    return family, int(times) if times.isdecimal() else int(size == "xlarge"), size


def near_matches(instance_type: str) -> tuple[str, ...]:
    """Return the known types that somebody may have meant: those of the same family first, then those spelt alike."""
    family = instance_type.removeprefix("ml.").split(".", maxsplit=1)[0]
    same = [each.type for each in INSTANCES if each.type.split(".")[1] == family]
    alike = get_close_matches(f"ml.{instance_type.removeprefix('ml.')}", _BY_TYPE, n=_NAMED, cutoff=0.5)
    first = [each for each in alike if each in same]
    return tuple(dict.fromkeys([*first, *same, *alike]))[:_NAMED]
