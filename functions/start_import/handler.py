"""Start the import job of a sealed artifact, or say how long to wait for the region's slot."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Start the import job of a sealed artifact, or say how long to wait for the region's slot."""
    return runtime().importing.start(work).dump()
