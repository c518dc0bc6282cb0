"""End a wake without an answer, with the reason."""

from pilotlight.contracts import WakeFailureTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(WakeFailureTask)
def handler(work: WakeFailureTask) -> None:
    """End a wake without an answer, with the reason."""
    runtime().probing.mark_wake_failed(work)
