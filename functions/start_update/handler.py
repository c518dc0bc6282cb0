"""Begin to move an endpoint to another revision, or say how long to wait."""

from typing import Any

from pilotlight.contracts import UpdateTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(UpdateTask)
def handler(work: UpdateTask) -> dict[str, Any]:
    """Begin to move an endpoint to another revision, or say how long to wait."""
    return runtime().moving.start(work).dump()
