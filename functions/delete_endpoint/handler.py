"""Delete an endpoint and all that was made for it, or say how long to wait."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Delete an endpoint and all that was made for it, or say how long to wait."""
    return runtime().removing.delete(work).dump()
