"""Create the endpoint of a deployment, adopt what an earlier run made, or say how long to wait."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Create the endpoint of a deployment, adopt what an earlier run made, or say how long to wait."""
    return runtime().creating.start(work).dump()
