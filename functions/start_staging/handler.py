"""Judge a model, then start staging its artifact or join whoever does."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Judge a model, then start staging its artifact or join whoever does."""
    return runtime().deploying.start_staging(work).dump()
