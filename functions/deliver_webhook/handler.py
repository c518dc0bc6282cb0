"""Tell somebody's server that an invocation is over; a notice that is not taken comes back later."""

from typing import Any

from pilotlight.contracts import QueueBatch
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(QueueBatch)
def handler(work: QueueBatch) -> dict[str, Any]:
    """Deliver each notice of the batch, and name those that are to come back."""
    webhooks = runtime().webhooks
    undelivered = [
        each.id
        for each in work.messages
        if not webhooks.deliver(each.body.invocation_id, message=each.id, receipt=each.receipt, receives=each.receives)
    ]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in undelivered]}
