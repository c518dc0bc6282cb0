"""Decide what is copied of a checkpoint, and begin the uploads."""

from typing import Any

from pilotlight.contracts import StagingTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(StagingTask)
def handler(work: StagingTask) -> dict[str, Any]:
    """Decide what is copied of a checkpoint, and begin the uploads."""
    return runtime().staging.plan(work).dump()
