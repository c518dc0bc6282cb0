"""Wake a model for the first time."""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Wake a model for the first time."""
    return runtime().first_warm_up.start(work).dump()
