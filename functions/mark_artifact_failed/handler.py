"""Keep why an artifact could not be staged."""

from pilotlight.contracts import StagingFailureTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(StagingFailureTask)
def handler(work: StagingFailureTask) -> None:
    """Keep why an artifact could not be staged."""
    runtime().staging.mark_failed(work)
