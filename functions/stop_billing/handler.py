"""Delete what bills by the hour of a deployment that failed, and keep why it failed."""

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> None:
    """Delete what bills by the hour of a deployment that failed, and keep why it failed."""
    runtime().removing.stop_billing(work.deployment, work.generation, work.attempt)
