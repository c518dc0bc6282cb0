"""Keep the token of a task that waits for an endpoint, and look at it at once."""

from pilotlight.contracts import AwaitTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(AwaitTask)
def handler(work: AwaitTask) -> None:
    """Keep the token of a task that waits for an endpoint, and look at it at once."""
    runtime().observing.await_endpoint(work.deployment, work.generation, work.token, work.awaited)
