"""End an update that failed, with the reason: the former revision serves on."""

from pilotlight.contracts import UpdateFailureTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(UpdateFailureTask)
def handler(work: UpdateFailureTask) -> None:
    """End an update that failed, with the reason: the former revision serves on."""
    runtime().moving.fail(work)
