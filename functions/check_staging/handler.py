"""Is the deployment's artifact sealed?"""

from typing import Any

from pilotlight.contracts import DeploymentTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(DeploymentTask)
def handler(work: DeploymentTask) -> dict[str, Any]:
    """Is the deployment's artifact sealed?"""
    return runtime().deploying.check_staging(work).dump()
