"""Keep why a deployment failed."""

from pilotlight.contracts import FailureTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(FailureTask)
def handler(work: FailureTask) -> None:
    """Keep why a deployment failed."""
    runtime().deploying.mark_failed(work)
