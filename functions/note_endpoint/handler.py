"""Look at an endpoint because SageMaker says that it changed; what the event says of it is not believed."""

from pilotlight.contracts import EndpointEvent
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(EndpointEvent)
def handler(work: EndpointEvent) -> None:
    """Look at an endpoint of ours; that of a stranger is passed over."""
    runtime().observing.look_for(work.detail.name, work.detail.tags)
