"""End the other executions of a deployment that is being torn down."""

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> None:
    """End the other executions of a deployment that is being torn down."""
    runtime().tearing_down.stop_executions(work)
