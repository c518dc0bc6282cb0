"""Copy one span of a checkpoint: the parts of it that S3 does not hold yet."""

from pilotlight.contracts import SpanTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(SpanTask)
def handler(work: SpanTask) -> None:
    """Copy one span of a checkpoint: the parts of it that S3 does not hold yet."""
    runtime().span_copying.copy(work)
