"""What deployments have measured of models: SPEED#<instance type>#<shares>, beside the artifact that the model is.

It outlives the artifact: whoever deploys the same revision again is told what was measured.
"""

from pilotlight.adapters.table import Table, readable
from pilotlight.domain.throughput import Measurement

MOST = 100  # there are fewer instance types


class SpeedTable:
    """Implements `ports.Speeds`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def note(self, artifact_id: str, measured: Measurement) -> None:
        """Keep a measurement: the newest for each instance and number of shares."""
        sk = f"SPEED#{measured.instance_type}#{measured.tensor_parallel_degree:03d}"
        self._table.put({**measured.dump(), "pk": f"ARTIFACT#{artifact_id}", "sk": sk})

    def of(self, artifact_id: str) -> list[Measurement]:
        """Return what was measured of a model."""
        items, _ = self._table.query(f"ARTIFACT#{artifact_id}", "SPEED#", limit=MOST)
        return readable(Measurement, items)
