"""Delete a deployment's imported model, or say how long to wait for its import job."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Delete a deployment's imported model, or say how long to wait for its import job."""
    return runtime().tearing_down.delete_model(work).dump()
