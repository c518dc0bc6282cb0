"""Give back a deployment's artifact; delete it when nobody else refers to it."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Give back a deployment's artifact; delete it when nobody else refers to it, or say how long to wait first."""
    return runtime().tearing_down.release_artifact(work).dump()
