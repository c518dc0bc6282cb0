"""Note that sealed weights are what their source lists."""

from pilotlight.contracts import StagingTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(StagingTask)
def handler(work: StagingTask) -> None:
    """Note that sealed weights are what their source lists."""
    runtime().verifying.mark_verified(work)
