"""Take what asynchronous endpoints tell of the calls that they were handed."""

from pilotlight.contracts import ResultBatch
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(ResultBatch)
def handler(work: ResultBatch) -> None:
    """Note each result of the event."""
    for result in work.results:
        runtime().async_results.note(result)
