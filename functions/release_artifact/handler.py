"""Give back a deployment's artifact; delete it when nobody else refers to it."""

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime, task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> None:
    """Give back a deployment's artifact; delete it when nobody else refers to it."""
    runtime().tearing_down.release_artifact(work)
