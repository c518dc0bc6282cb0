"""Join the parts of every file and write the manifest."""

from typing import Any

from pilotlight.contracts import StagingTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(StagingTask)
def handler(work: StagingTask) -> dict[str, Any]:
    """Join the parts of every file and write the manifest."""
    return runtime().staging.seal(work).dump()
