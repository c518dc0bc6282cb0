"""Fail a deployment whose execution ended in a way that the execution could not catch itself."""

from pilotlight.contracts import ExecutionEvent
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(ExecutionEvent)
def handler(work: ExecutionEvent) -> None:
    """Fail the deployment of an execution that failed, timed out or was aborted, unless it is failed already."""
    told = work.detail.task
    reason = f"execution {work.detail.name} ended as {work.detail.status}"
    runtime().sweeping.fail_execution(told.deployment, told.generation, told.attempt, reason)
