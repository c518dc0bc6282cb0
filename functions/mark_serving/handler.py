"""Let a warm deployment take invocations."""

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> None:
    """Let a warm deployment take invocations."""
    runtime().deploying.mark_serving(work)
