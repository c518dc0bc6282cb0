"""All mutants, by what they break."""

from __future__ import annotations

from tests.faults.mutating import Mutant
from tests.faults.specimens import bounding, hosting, machines, making, removing, serving

MUTANTS: tuple[Mutant, ...] = (
    *making.MUTANTS,
    *serving.MUTANTS,
    *bounding.MUTANTS,
    *removing.MUTANTS,
    *machines.MUTANTS,
    *hosting.MUTANTS,
)
