"""Turn dead letters of the queue into failed invocations, so that whoever asks is told."""

from pilotlight.contracts import QueueBatch
from pilotlight.runtime import runtime
from pilotlight.task import task

REASON = "It was tried as often as the queue allows and never answered; send it again."


@task(QueueBatch)
def handler(work: QueueBatch) -> None:
    """Fail each invocation of the batch."""
    for message in work.messages:
        runtime().queue_work.fail(message.body.invocation_id, REASON)
