"""End a wake with success."""

from pilotlight.contracts import ProbeTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(ProbeTask)
def handler(work: ProbeTask) -> None:
    """End a wake with success."""
    runtime().probing.mark_warm(work)
