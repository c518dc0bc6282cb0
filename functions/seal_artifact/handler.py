"""Join the parts of every file and write the manifest."""

from pilotlight.contracts import StagingTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(StagingTask)
def handler(work: StagingTask) -> None:
    """Join the parts of every file and write the manifest."""
    runtime().staging.seal(work)
