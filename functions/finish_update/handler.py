"""Record that another revision serves, unless SageMaker went back to the former one."""

from pilotlight.contracts import UpdateTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(UpdateTask)
def handler(work: UpdateTask) -> None:
    """Record that another revision serves, unless SageMaker went back to the former one."""
    runtime().moving.finish(work)
