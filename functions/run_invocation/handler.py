"""Answer queued invocations; the message of one whose model is still loading comes back later."""

from typing import Any

from pilotlight.contracts import QueueBatch
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(QueueBatch)
def handler(work: QueueBatch) -> dict[str, Any]:
    """Answer each invocation of the batch, and name those that are to come back."""
    queue_work = runtime().queue_work
    unanswered = [
        message.id
        for message in work.messages
        if not queue_work.run(message.body.invocation_id, receipt=message.receipt, receives=message.receives)
    ]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in unanswered]}
