"""End a teardown: nothing of the deployment is left."""

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> None:
    """End a teardown: nothing of the deployment is left."""
    runtime().tearing_down.mark_gone(work)
