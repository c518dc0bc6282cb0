"""Keep why one round of a teardown failed."""

from pilotlight.contracts import FailureTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(FailureTask)
def handler(work: FailureTask) -> None:
    """Keep why one round of a teardown failed."""
    runtime().tearing_down.mark_teardown_failed(work)
